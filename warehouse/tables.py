"""The tables that assets fill; those that SQL derives are declared in their own files."""

from __future__ import annotations

from warehouse.schema import COMMON_COLUMNS, Column, Table


def _common(*names: str) -> tuple[Column, ...]:
    return tuple(COMMON_COLUMNS[name] for name in names)


PROMPTS = Table(
    name="prompts",
    description="The prompts that checkpoints are asked to continue.",
    grain=("prompt_set", "prompt_id"),
    columns=(
        *_common("prompt_set", "prompt_id"),
        Column("category", "VARCHAR", "kind of prompt"),
        Column("text", "VARCHAR", "the prompt, before any chat template"),
        Column("corpus", "VARCHAR", "corpus it was cut from, if it was"),
        Column("document_id", "VARCHAR", "document it was cut from, if it was"),
    ),
    partitioned=False,
)

DOCUMENTS = Table(
    name="documents",
    description="Human text that checkpoints are to predict.",
    grain=("corpus", "document_id"),
    columns=(
        *_common("corpus"),
        Column("document_id", "VARCHAR", "identifies the document within its corpus"),
        Column("category", "VARCHAR", "kind of corpus"),
        Column("split", "VARCHAR", "the part of its source that it is from; - where it has none"),
        Column("text", "VARCHAR", "the document"),
        Column("n_bytes", "INTEGER", "length of the text in UTF-8", "bytes"),
        Column("n_words", "INTEGER", "words as str.split() makes them", "words"),
    ),
    partitioned=False,
)

PASSAGES = Table(
    name="passages",
    description="Passages of the Shannon game, and the last words that are to be guessed.",
    grain=("passage_id",),
    columns=(
        Column("passage_id", "VARCHAR", "identifies the passage"),
        Column("context", "VARCHAR", "the passage up to its last word"),
        Column("target", "VARCHAR", "its last word, without the space before it"),
        Column("corpus", "VARCHAR", "corpus it was cut from, if it was"),
        Column("document_id", "VARCHAR", "document it was cut from, if it was"),
    ),
    partitioned=False,
)

_PREFERENCE_SET = Column("preference_set", "VARCHAR", "the set of pairs, as the study calls it")
_PAIR_ID = Column("pair_id", "VARCHAR", "identifies the pair within its set")

PREFERENCES = Table(
    name="preferences",
    description="Pairs of answers to one prompt, of which one was preferred.",
    grain=("preference_set", "pair_id"),
    columns=(
        _PREFERENCE_SET,
        _PAIR_ID,
        Column(
            "roles",
            "VARCHAR[]",
            "whose the turns of the prompt are: system, user or assistant; text for a text that "
            "is continued as it is",
        ),
        Column("turns", "VARCHAR[]", "the turns of the prompt, what is answered last"),
        Column("chosen", "VARCHAR", "the answer that was preferred"),
        Column("rejected", "VARCHAR", "the other answer"),
    ),
    partitioned=False,
)

_CHOICE_SET = Column("choice_set", "VARCHAR", "the set of questions, as the study calls it")
_QUESTION_ID = Column("question_id", "VARCHAR", "identifies the question within its set")
_ORDERING = Column(
    "ordering", "INTEGER", "number of the order of its options, 0 for the one that it lists them in"
)

CHOICE_QUESTIONS = Table(
    name="choice_questions",
    description="Questions with options, of which checkpoints choose one.",
    grain=("choice_set", "question_id"),
    columns=(
        _CHOICE_SET,
        _QUESTION_ID,
        Column("question", "VARCHAR", "what is asked"),
        Column("options", "VARCHAR[]", "what there is to choose from"),
        Column("answer", "INTEGER", "place of the right option, from 0; null where none is right"),
    ),
    partitioned=False,
)

TRAINING_ANSWERS = Table(
    name="training_answers",
    description="Answers that the study's own tunings learn, a teacher's or examples.",
    grain=("tuning", "lesson_id", "sample"),
    columns=(
        Column("tuning", "VARCHAR", "the tuning that learns it"),
        Column("lesson_id", "VARCHAR", "identifies the prompt; of examples the line, from 1"),
        Column("sample", "INTEGER", "number of the answer among its prompt's"),
        Column("prompt", "VARCHAR", "the prompt"),
        Column("answer", "VARCHAR", "the answer"),
        Column(
            "finish_reason",
            "VARCHAR",
            "as in generations: that an answer ends is learned where a limit did not cut it; null "
            "of examples",
        ),
    ),
    partitioned=False,
)

TUNING_STEPS = Table(
    name="tuning_steps",
    description="How the study's own tunings went: the steps that a checkpoint was trained for.",
    grain=("checkpoint", "step"),
    columns=(
        *_common("checkpoint"),
        Column("step", "INTEGER", "number of the step, from 1", "steps"),
        Column("learning_rate", "DOUBLE", "learning rate of the step"),
        Column("loss", "DOUBLE", "mean loss over the tokens of the step's answers", "nats"),
    ),
)

CHECKPOINTS = Table(
    name="checkpoints",
    description="The checkpoints measured, and what they are.",
    grain=("checkpoint",),
    columns=(
        *_common("checkpoint"),
        Column("role", "VARCHAR", "base (pretrained), aligned or human"),
        Column("base", "VARCHAR", "the checkpoint it is compared with"),
        Column(
            "source",
            "VARCHAR",
            "where its weights or generations come from, as the study names it; paths are whole",
        ),
        Column("revision", "VARCHAR", "commit or version of the weights, where known"),
        Column("step", "BIGINT", "training step, where known", "steps"),
        Column("series", "VARCHAR", "training run, or part of one, that its step counts in"),
        Column("ladder", "VARCHAR", "ladder that it is on; the first one of a base of several"),
        Column("rung", "INTEGER", "its place on the ladder, 0 for the first: what to order by"),
        Column("stage", "VARCHAR", "what the study calls its stage of post-training, such as DPO"),
        Column(
            "controlled",
            "BOOLEAN",
            "whether the study says that it was made from its base, for where weights do not tell",
        ),
        Column("n_parameters", "BIGINT", "weights, shared ones counted once", "parameters"),
        Column("vocab_size", "INTEGER", "tokens that it gives a probability to", "tokens"),
        Column("tokenizer", "VARCHAR", "digest of the tokenizer; equal digests, equal token ids"),
        Column("engine", "VARCHAR", "what ran it, and its version"),
        Column("dtype", "VARCHAR", "number format of the weights while it ran"),
    ),
)

GENERATIONS = Table(
    name="generations",
    description="What checkpoints wrote, one row a generation.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column("text", "VARCHAR", "the generation, without prompt and special tokens"),
        Column(
            "token_ids",
            "INTEGER[]",
            "its tokens, the stop token included; null where no tokenizer is known",
        ),
        Column("n_tokens", "INTEGER", "how many; null where not known", "tokens"),
        Column(
            "finish_reason",
            "VARCHAR",
            "stop (the model ended it), stop_text (a text of the study's did), length (the limit "
            "did) or content_filter (a server withheld it); null if imported",
        ),
        Column("seed", "BIGINT", "seed of the study; null if imported"),
        Column(
            "prompt_sent",
            "VARCHAR",
            "what was sent, the chat template applied; as JSON where a server applies it; null if "
            "imported, or from before it was kept",
        ),
        Column("reasoning", "VARCHAR", "reasoning trace that is kept apart from the text"),
        Column("reasoning_ids", "INTEGER[]", "its tokens, with what opens and closes it"),
        Column(
            "logprobs",
            "REAL[]",
            "log-probability of each token, as vLLM or a server told it",
            "nats",
        ),
        Column(
            "top_logprobs",
            "REAL[][]",
            "of the likeliest tokens at each place, as a server told them",
            "nats",
        ),
        Column(
            "forward_passes",
            "INTEGER",
            "distributions of next tokens that the model gave for it: as many as tokens, or more "
            "where a cautious decoding tried several continuations; null where that is not known",
        ),
    ),
)

CHOICE_REASONING = Table(
    name="choice_reasoning",
    description="What checkpoints wrote when they were to reason about a question before they "
    "choose; kept apart from generations, whose measures are about the study's prompts.",
    grain=("checkpoint", "choice_set", "question_id", "ordering"),
    columns=(
        *_common("checkpoint"),
        _CHOICE_SET,
        _QUESTION_ID,
        _ORDERING,
        *_common("decoding"),
        Column("text", "VARCHAR", "what it wrote, without prompt and special tokens"),
        Column("token_ids", "INTEGER[]", "its tokens, the stop token included"),
        Column("n_tokens", "INTEGER", "how many", "tokens"),
        Column("finish_reason", "VARCHAR", "as in generations"),
        Column("seed", "BIGINT", "seed of the study"),
        Column("prompt_sent", "VARCHAR", "what was sent, the chat template applied"),
        Column("reasoning", "VARCHAR", "reasoning trace that is kept apart from the text"),
        Column("reasoning_ids", "INTEGER[]", "its tokens, with what opens and closes it"),
    ),
)

BY_PROMPT = ("checkpoint", "decoding", "prompt_set", "prompt_id")
"""What tells the prompts of generations apart."""

_SCORED = ("checkpoint", "condition", "decoding", "corpus", "text_id")

SCORED_TEXTS = Table(
    name="scored_texts",
    description="The texts that checkpoints predict: documents, their own and others' generations.",
    grain=_SCORED,
    columns=(
        *_common(*_SCORED),
        Column("category", "VARCHAR", "kind of corpus; prompts for a set of prompts"),
        Column("item", "VARCHAR", "the document, or the prompt that was continued"),
        Column("n_bytes", "INTEGER", "length of the text in UTF-8", "bytes"),
        Column("n_words", "INTEGER", "words as str.split() makes them", "words"),
    ),
    may_be_empty=True,  # where a server tells no log-probabilities
)

TOKEN_DISTRIBUTIONS = Table(
    name="token_distributions",
    description="What checkpoints made of every token of the texts that they predict; null where "
    "that takes what a server does not tell.",
    grain=(*_SCORED, "position"),
    columns=(
        *_common(*_SCORED),
        Column("position", "INTEGER", "place of the token in the text, from 0", "tokens"),
        Column("token_id", "INTEGER", "the token that came"),
        Column("logprob", "REAL", "its log-probability", "nats"),
        Column("rank", "INTEGER", "1 for the most likely; of equal ones the lower id comes first"),
        Column("entropy", "REAL", "of the whole distribution", "nats"),
        Column(
            "support",
            "INTEGER",
            "tokens with a probability over the study's `support`, by default 1e-8",
            "tokens",
        ),
        Column(
            "top_mass",
            "REAL[]",
            "probability of the k most likely together, for each k of the study's `top_k`, by "
            "default 1..10, 20, 50 and 100",
        ),
        Column(
            "top_ids",
            "INTEGER[]",
            "the most likely tokens, most likely first, as many as the study's `likeliest`, by "
            "default 1",
        ),
        Column("top_logprobs", "REAL[]", "log-probabilities of the most likely tokens", "nats"),
    ),
    may_be_empty=True,  # where a server tells no log-probabilities
)

TOKEN_DIVERGENCE = Table(
    name="token_divergence",
    description="How aligned checkpoints and their bases differ over each token of the aligned "
    "one's own text; both read the same tokens, the prompt as it was sent included.",
    grain=("checkpoint", "decoding", "corpus", "text_id", "position"),
    columns=(
        *_common("checkpoint", "decoding", "corpus", "text_id"),
        Column("position", "INTEGER", "place of the token in the text, from 0", "tokens"),
        Column("item", "VARCHAR", "the prompt that was continued"),
        Column("other", "VARCHAR", "the base"),
        Column("token_id", "INTEGER", "the token that came"),
        Column("token", "VARCHAR", "its text"),
        Column(
            "kl",
            "REAL",
            "KL(checkpoint || base) over the whole vocabulary, of what comes at this place",
            "nats",
        ),
        Column("base_rank", "INTEGER", "the token's rank with the base, 1 for its most likely"),
        Column("base_logprob", "REAL", "its log-probability with the base", "nats"),
    ),
    may_be_empty=True,  # where the two share no tokenizer
)

TOKEN_TEXTS = Table(
    name="token_texts",
    description="What each token adds to the text of a generation that its checkpoint predicts.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column(
            "pieces",
            "VARCHAR[]",
            "of each token its part of the text; empty for a special one, and for the first ones "
            "of a character that several tokens make",
        ),
    ),
)

SHANNON_GUESSES = Table(
    name="shannon_guesses",
    description="How checkpoints guess the last words of passages.",
    grain=("checkpoint", "passage_id"),
    columns=(
        *_common("checkpoint"),
        Column("passage_id", "VARCHAR", "identifies the passage"),
        Column("target", "VARCHAR", "the word to be guessed"),
        Column("n_target_tokens", "INTEGER", "its tokens", "tokens"),
        Column("guesses", "DOUBLE", "wrong guesses before the right one, mean over its tokens"),
        Column("exact", "BOOLEAN", "whether every token of it was the first guess"),
        Column("f1", "DOUBLE", "overlap of its tokens with the greedy continuation's, as bags"),
        Column("logprob", "DOUBLE", "its log-probability", "nats"),
    ),
)

PREFERENCE_SCORES = Table(
    name="preference_scores",
    description="How likely checkpoints find the two answers of each pair, given the prompt.",
    grain=("checkpoint", "preference_set", "pair_id"),
    columns=(
        *_common("checkpoint"),
        _PREFERENCE_SET,
        _PAIR_ID,
        Column("prompt_tokens", "INTEGER", "of the prompt as the model is given it", "tokens"),
        Column("chosen_logprob", "DOUBLE", "of the preferred answer, without its end", "nats"),
        Column("chosen_tokens", "INTEGER", "that answer's tokens", "tokens"),
        Column("rejected_logprob", "DOUBLE", "of the other answer, without its end", "nats"),
        Column("rejected_tokens", "INTEGER", "that answer's tokens", "tokens"),
    ),
)

CHOICE_SCORES = Table(
    name="choice_scores",
    description="How likely checkpoints find each option of a question, directly and after their "
    "own reasoning.",
    grain=("checkpoint", "choice_set", "question_id", "ordering", "condition", "option"),
    columns=(
        *_common("checkpoint"),
        _CHOICE_SET,
        _QUESTION_ID,
        _ORDERING,
        Column("condition", "VARCHAR", "direct, or reasoned: after the checkpoint's own reasoning"),
        Column("option", "INTEGER", "the option, by its place in the question, from 0"),
        Column("place", "INTEGER", "its place in this order, from 0: that of its letter"),
        Column("is_right", "BOOLEAN", "whether it is the right one; null where none is"),
        Column("decoding", "VARCHAR", "how the reasoning was sampled; - for direct"),
        Column("prompt_tokens", "INTEGER", "of all that stands before the option", "tokens"),
        Column("n_tokens", "INTEGER", "of the option, or of its letter", "tokens"),
        Column("logprob", "DOUBLE", "log-probability of the option, or of its letter", "nats"),
    ),
)

_PROBED = ("checkpoint", "generator", "decoding", "corpus", "horizon")
_HORIZON = Column(
    "horizon", "INTEGER", "steps from the token that is predicted to the one that is read", "tokens"
)
_GENERATOR = Column("generator", "VARCHAR", "the checkpoint that wrote the text; may be itself")
_LAYER = Column("layer", "INTEGER", "layer after which the hidden states are", "layers")
_PROBE = Column(
    "probe", "VARCHAR", "what it goes through: vocabulary (straight to tokens) or output_layer"
)

PROBE_GUESSES = Table(
    name="probe_guesses",
    description="How many tokens to come linear probes read from hidden states, text by text.",
    grain=(*_PROBED, "text_id"),
    columns=(
        *_common("checkpoint"),
        _GENERATOR,
        *_common("decoding", "corpus"),
        _HORIZON,
        *_common("text_id"),
        Column("item", "VARCHAR", "the prompt that was continued"),
        _LAYER,
        _PROBE,
        Column("n_train", "INTEGER", "that the probe was trained on, of other prompts", "tokens"),
        Column("n_tokens", "INTEGER", "that it was asked for in this text", "tokens"),
        Column("n_right", "INTEGER", "of them, those that it got right", "tokens"),
        Column("n_frequent", "INTEGER", "those that are the most frequent one", "tokens"),
        Column("n_bigram", "INTEGER", "those that mostly stand there after the next one", "tokens"),
    ),
)

PROBE_ACCURACY = Table(
    name="probe_accuracy",
    description="How well hidden states tell the tokens to come.",
    grain=_PROBED,
    columns=(
        *_common("checkpoint"),
        _GENERATOR,
        *_common("decoding", "corpus"),
        _HORIZON,
        _LAYER,
        _PROBE,
        Column("accuracy", "DOUBLE", "share of the tokens that the probe got right"),
        Column("low", "DOUBLE", "from there, with 95% confidence over prompts"),
        Column("high", "DOUBLE", "to there"),
        Column("frequent", "DOUBLE", "what guessing the most frequent token gets right"),
        Column("bigram", "DOUBLE", "what the next token by itself tells: a table of pairs"),
        Column("n_train", "INTEGER", "that a probe was trained on, on average", "tokens"),
        Column("n_test", "INTEGER", "that probes were asked for", "tokens"),
        Column("n_prompts", "INTEGER", "whose texts they are of", "prompts"),
    ),
)

TRAINING_DOCUMENTS = Table(
    name="training_documents",
    description="Human text that checkpoints are fine-tuned on; none of it is scored.",
    grain=("corpus", "document_id"),
    columns=(
        *_common("corpus"),
        Column("document_id", "VARCHAR", "identifies the document within its split"),
        Column("part", "VARCHAR", "training, or validation, which says when to end"),
        Column("split", "VARCHAR", "the part of its source that it is from; - where it has none"),
        Column("text", "VARCHAR", "the document"),
        Column("n_bytes", "INTEGER", "length of the text in UTF-8", "bytes"),
        Column("n_words", "INTEGER", "words as str.split() makes them", "words"),
    ),
    partitioned=False,
)

READAPTED_TEXTS = Table(
    name="readapted_texts",
    description="How well checkpoints predict documents before and after fine-tuning on others.",
    grain=("checkpoint", "corpus", "document_id"),
    columns=(
        *_common("checkpoint", "corpus"),
        Column("document_id", "VARCHAR", "identifies the document within its corpus"),
        Column("category", "VARCHAR", "kind of corpus"),
        Column("n_tokens", "INTEGER", "tokens that were predicted", "tokens"),
        Column("n_bytes", "INTEGER", "length of the text in UTF-8", "bytes"),
        Column("nll_before", "DOUBLE", "negative log-likelihood before fine-tuning", "nats"),
        Column("nll_after", "DOUBLE", "and with the weights of the best step", "nats"),
        Column("steps", "INTEGER", "that step: the lowest loss on the validation part", "steps"),
    ),
)

ALIGNMENTS = Table(
    name="alignments",
    description="Each prompt's generations in one multiple sequence alignment of their characters.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column("columns", "INTEGER[]", "of each Unicode character of the text its column, from 0"),
        Column("width", "INTEGER", "columns of the alignment", "columns"),
        Column("aligner", "VARCHAR", "what made it: anchorlake or mafft"),
    ),
)

EMBEDDINGS = Table(
    name="embeddings",
    description="What checkpoints wrote as vectors: of each different text one, of generations "
    "whole and, at the first decoding, of their sentences.",
    grain=("checkpoint", "text"),
    columns=(
        *_common("checkpoint"),
        Column("text", "VARCHAR", "a generation, or a sentence of one"),
        Column("n_tokens", "INTEGER", "of the text, as the embedder makes them", "tokens"),
        Column("is_cut", "BOOLEAN", "whether the text is longer than what the embedder reads"),
        Column("embedding", "HALF[]", "the embedder's vector"),
    ),
)

ANSWERS = Table(
    name="answers",
    description="Which generations of a prompt are one answer: each joins the first earlier answer "
    "whose first generation is similar enough.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column("answer", "INTEGER", "number of the generation that is the first with this answer"),
        Column("similarity", "DOUBLE", "to that one: cosine, or the score of answer_classifier"),
    ),
)

SEMANTIC_DIVERSITY = Table(
    name="semantic_diversity",
    description="How alike the generations of a prompt are in sense.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "among"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id"),
        Column("among", "VARCHAR", "- for all generations; a score, for those right by it"),
        Column("n_embedded", "INTEGER", "generations that this is about", "generations"),
        Column("mean_cosine", "DOUBLE", "mean cosine similarity of their pairs; null without any"),
        Column("vendi", "DOUBLE", "Vendi score: how many different ones they are worth"),
        Column("other_prompts", "DOUBLE", "mean cosine similarity to other prompts' generations"),
        Column("center", "DOUBLE[]", "mean of their vectors, each of length 1"),
    ),
)

SEMANTIC_PAIRS = Table(
    name="semantic_pairs",
    description="How a prompt's generations compare in sense with those of another checkpoint.",
    grain=("checkpoint", "decoding", "other", "prompt_set", "prompt_id"),
    columns=(
        *_common("checkpoint", "decoding"),
        Column("other", "VARCHAR", "its base, or the stage before it"),
        *_common("prompt_set", "prompt_id"),
        Column("similarity", "DOUBLE", "mean cosine similarity between the two's generations"),
        Column("loss", "DOUBLE", "semantic diversity of the other's generations less that of its"),
        Column("right_loss", "DOUBLE", "the same among those that are right, by the first score"),
    ),
    may_be_empty=True,  # where it is compared with none, or they have no prompt in common
)

SEMANTIC_ANCHORS = Table(
    name="semantic_anchors",
    description="Sentences that many generations of a prompt hold, in whatever words.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "anchor"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id"),
        Column("anchor", "INTEGER", "its number, from 1; of those that most hold first"),
        Column("text", "VARCHAR", "its medoid: the sentence that is most like all the others"),
        Column("n_samples", "INTEGER", "generations of this prompt", "generations"),
        Column("n_holders", "INTEGER", "generations that hold it", "generations"),
        Column("n_wordings", "INTEGER", "different sentences that it is", "sentences"),
        Column("samples", "INTEGER[]", "of each of its sentences the generation, in order"),
        Column("starts", "INTEGER[]", "and where the sentence begins there", "characters"),
        Column("lengths", "INTEGER[]", "and how long it is", "characters"),
    ),
    may_be_empty=True,  # where generations have nothing to say in common
)

MEANING_MAP = Table(
    name="meaning_map",
    description="Each prompt's generations in the plane in which they lie furthest apart.",
    grain=("checkpoint", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "prompt_set", "prompt_id", "sample"),
        Column("x", "DOUBLE", "place along the first principal component of all checkpoints'"),
        Column("y", "DOUBLE", "and along the second"),
        Column("x_share", "DOUBLE", "share of the prompt's variance that the first one has"),
        Column("y_share", "DOUBLE", "and the second"),
    ),
    partitioned=False,
)

SCORES = Table(
    name="scores",
    description="Scores of generations that the study brings.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample", "name"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column("name", "VARCHAR", "what scored it"),
        Column("value", "DOUBLE", "the score"),
        Column("is_first", "BOOLEAN", "whether quality is measured by this score"),
        Column("is_right", "BOOLEAN", "whether it is right by it; null if the study does not say"),
    ),
)

_MEASURED = ("decoding", "other", "condition", "unit", "level", "collection")
_MEASURE = Column("measure", "VARCHAR", "what is measured; `anchorlake tables` says what that is")
_DECODING = Column("decoding", "VARCHAR", "how tokens were chosen; - where none were")
_SLICE = (
    Column(
        "condition", "VARCHAR", "what tells several values of a measure apart; - for the main one"
    ),
    Column("unit", "VARCHAR", "token or word, where the measure counts in them; - elsewhere"),
    Column("level", "INTEGER", "n, k, horizon, ..., as the measure says; 0 where it has none"),
    Column("collection", "VARCHAR", "the corpus, or the set of prompts"),
)
_ITEM = Column("item", "VARCHAR", "the prompt, document or passage")
_NUMBERS = (
    Column("numerator", "DOUBLE", "of the item's value"),
    Column("denominator", "DOUBLE", "of the item's value; over 0"),
    Column("floor", "DOUBLE", "the value where nothing is shared; null where there is no such"),
)
_OTHER = Column("other", "VARCHAR", "the second checkpoint of a number about two; - elsewhere")


def measure_table(name: str, description: str, *, may_be_empty: bool) -> Table:
    """The table of one measure: a value for each item of a checkpoint."""
    return Table(
        name=f"measures/{name}",
        description=description,
        grain=("checkpoint", *_MEASURED, "item"),
        columns=(*_common("checkpoint"), _DECODING, _OTHER, *_SLICE, _ITEM, *_NUMBERS),
        may_be_empty=may_be_empty,
        folder=f"measures/measure={name}",
    )


MEASURES = Table(
    name="measures",
    description="Every measure of every prompt, document and passage.",
    grain=("checkpoint", "measure", *_MEASURED, "item"),
    columns=(*_common("checkpoint"), _MEASURE, _DECODING, _OTHER, *_SLICE, _ITEM, *_NUMBERS),
    folder="measures/measure=*",
    path_columns=("measure",),
)

SUMMARY = Table(
    name="summary",
    description="Every measure of every checkpoint over its items, with 95% intervals.",
    grain=("checkpoint", "measure", *_MEASURED),
    columns=(
        *_common("checkpoint"),
        _MEASURE,
        _DECODING,
        _OTHER,
        *_SLICE[:-1],
        Column("collection", "VARCHAR", "the corpus or set of prompts; * for the mean over all"),
        Column("value", "DOUBLE", "the measure's statistic over the items"),
        Column("low", "DOUBLE", "from there, with 95% confidence over items (bootstrap)"),
        Column("high", "DOUBLE", "to there"),
        Column("n_items", "BIGINT", "that it is about", "items"),
        Column("floor", "DOUBLE", "the value where nothing is shared; null where there is no such"),
        Column("headline", "BOOLEAN", "whether this is the level that the measure is quoted at"),
    ),
    may_be_empty=True,
)

COMPARISONS = Table(
    name="comparisons",
    description="How checkpoints differ from others, by measure, over the items that both have.",
    grain=(
        *("checkpoint", "decoding", "other", "other_decoding", "measure"),
        *("condition", "unit", "level", "collection"),
    ),
    columns=(
        *_common("checkpoint"),
        _DECODING,
        Column("other", "VARCHAR", "the checkpoint that it is compared with; itself at a decoding"),
        Column("other_decoding", "VARCHAR", "the other's decoding"),
        _MEASURE,
        Column(
            "condition",
            "VARCHAR",
            "as in summary; matched where both are cut to as many words a prompt",
        ),
        *_SLICE[1:-1],
        Column("collection", "VARCHAR", "the corpus or set of prompts; * for the mean over all"),
        Column("value", "DOUBLE", "the checkpoint's, over the common items"),
        Column("other_value", "DOUBLE", "the other's, over the same"),
        Column("difference", "DOUBLE", "value - other_value"),
        Column("difference_low", "DOUBLE", "from there, with 95% confidence (paired bootstrap)"),
        Column("difference_high", "DOUBLE", "to there"),
        Column("ratio", "DOUBLE", "value / other_value; null where that is 0"),
        Column("ratio_low", "DOUBLE", "from there, with 95% confidence (paired bootstrap)"),
        Column("ratio_high", "DOUBLE", "to there"),
        Column("n_items", "BIGINT", "that both have", "items"),
        Column("p", "DOUBLE", "of no difference: the two swapped item by item (permutation test)"),
        Column("p_least", "DOUBLE", "the least p that so few items can give"),
        Column("headline", "BOOLEAN", "whether it is one of the pair's family of comparisons"),
        Column("p_adjusted", "DOUBLE", "p after Holm, over the pair's family; null elsewhere"),
    ),
    may_be_empty=True,
)

BASE_TABLES = (
    DOCUMENTS,
    PROMPTS,
    PASSAGES,
    PREFERENCES,
    CHOICE_QUESTIONS,
    TRAINING_ANSWERS,
    TUNING_STEPS,
    CHECKPOINTS,
    GENERATIONS,
    CHOICE_REASONING,
    SCORED_TEXTS,
    TOKEN_DISTRIBUTIONS,
    TOKEN_DIVERGENCE,
    TOKEN_TEXTS,
    SHANNON_GUESSES,
    PREFERENCE_SCORES,
    CHOICE_SCORES,
    PROBE_GUESSES,
    PROBE_ACCURACY,
    TRAINING_DOCUMENTS,
    READAPTED_TEXTS,
    ALIGNMENTS,
    EMBEDDINGS,
    ANSWERS,
    SCORES,
    SEMANTIC_DIVERSITY,
    SEMANTIC_PAIRS,
    SEMANTIC_ANCHORS,
    MEANING_MAP,
)

MEASURE_TABLES = (MEASURES, SUMMARY, COMPARISONS)
