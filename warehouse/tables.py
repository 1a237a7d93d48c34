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

CHECKPOINTS = Table(
    name="checkpoints",
    description="The checkpoints measured, and what they are.",
    grain=("checkpoint",),
    columns=(
        *_common("checkpoint"),
        Column("role", "VARCHAR", "base (pretrained) or aligned"),
        Column("base", "VARCHAR", "the checkpoint it is compared with"),
        Column("revision", "VARCHAR", "commit or version of the weights, where known"),
        Column("step", "BIGINT", "training step, where known", "steps"),
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
        Column("token_ids", "INTEGER[]", "its tokens, the stop token included; null if imported"),
        Column("n_tokens", "INTEGER", "how many; null if imported", "tokens"),
        Column("finish_reason", "VARCHAR", "stop (the model ended it) or length (the limit did)"),
        Column("seed", "BIGINT", "seed of the study; null if imported"),
    ),
)

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
)

TOKEN_DISTRIBUTIONS = Table(
    name="token_distributions",
    description="What checkpoints made of every token of the texts that they predict.",
    grain=(*_SCORED, "position"),
    columns=(
        *_common(*_SCORED),
        Column("position", "INTEGER", "place of the token in the text, from 0", "tokens"),
        Column("token_id", "INTEGER", "the token that came"),
        Column("logprob", "REAL", "its log-probability", "nats"),
        Column("rank", "INTEGER", "1 for the most likely; of equal ones the lower id comes first"),
        Column("entropy", "REAL", "of the whole distribution", "nats"),
        Column("support", "INTEGER", "tokens with a probability over 1e-8", "tokens"),
        Column("top_mass", "REAL[]", "probability of the 1..10, 20, 50 and 100 most likely"),
        Column("top_ids", "INTEGER[]", "the 10 most likely tokens, most likely first"),
        Column("top_logprobs", "REAL[]", "their log-probabilities", "nats"),
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

ALIGNMENTS = Table(
    name="alignments",
    description="Each prompt's generations in one multiple sequence alignment of their characters.",
    grain=("checkpoint", "decoding", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_id", "sample"),
        Column("columns", "INTEGER[]", "of each Unicode character of the text its column, from 0"),
        Column("width", "INTEGER", "columns of the alignment", "columns"),
        Column("aligner", "VARCHAR", "what made it: anchorlake or mafft"),
    ),
)

BASE_TABLES = (
    DOCUMENTS,
    PROMPTS,
    PASSAGES,
    CHECKPOINTS,
    GENERATIONS,
    SCORED_TEXTS,
    TOKEN_DISTRIBUTIONS,
    SHANNON_GUESSES,
    ALIGNMENTS,
)
