"""What checkpoints make of texts, from the scorer to the tables."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from assets.predictions import token_distributions
from assets.predictions.shannon_guesses import encode_passage, greedy_continuations, guess
from assets.sources.passages import joined
from assets.study.errors import InputError
from models import (
    Decoding,
    LanguageModel,
    ModelError,
    PromptFormat,
    Request,
    Text,
    prompting,
    sample,
    scoring,
)
from models import score as score_texts
from tests.models.reference import distribution
from tests.studies import PROMPTS, Bench, imported, write_jsonl
from warehouse import ask
from warehouse.tables import (
    BASE_TABLES,
    GENERATIONS,
    PASSAGES,
    SCORED_TEXTS,
    SHANNON_GUESSES,
    TOKEN_DISTRIBUTIONS,
    TOKEN_TEXTS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from assets.study.study import Study
    from models import Source

pytestmark = pytest.mark.whole

CORPORA = [{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 8}]


def pair(bench: Bench, gemma: Source, **changes: Any) -> Study:
    values: dict[str, Any] = {
        "samples_per_prompt": 2,
        "max_new_tokens": 6,
        "corpora": CORPORA,
        "prefixes": {"documents": 2, "words": 3},
        "checkpoints": [
            {"name": "base", "source": str(bench.llama), "decodings": [{"top_p": 0.7}, "greedy"]},
            {"name": "tuned", "source": str(gemma), "base": "base"},
        ],
    }
    return bench.study(**(values | changes))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, llama_source: Source, gemma: Source) -> Bench:
    """A lake of that study; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("scored"), llama_source)
    bench.run(pair(bench, gemma), only=("perplexity", "top_k_mass", "support_size", "token_texts"))
    return bench


def test_what_tokens_add_to_a_text_is_joined_that_text(scored: Bench) -> None:
    for name in ("base", "tuned"):
        generations = {
            (row["decoding"], row["prompt_id"], row["sample"]): row
            for row in scored.lake.read(GENERATIONS, name).to_pylist()
        }
        rows = scored.lake.read(TOKEN_TEXTS, name).to_pylist()
        assert {row["decoding"] for row in rows} == {
            decoding
            for condition, decoding, *_ in distributions(scored, name)
            if condition == "own"
        }
        for row in rows:
            generation = generations[row["decoding"], row["prompt_id"], row["sample"]]
            assert "".join(row["pieces"]) == generation["text"]
            assert len(row["pieces"]) == len(generation["token_ids"])


def distributions(bench: Bench, checkpoint: str) -> dict[tuple, list[dict[str, Any]]]:
    found: dict[tuple, list[dict[str, Any]]] = {}
    for row in bench.lake.read(TOKEN_DISTRIBUTIONS, checkpoint).to_pylist():
        key = row["condition"], row["decoding"], row["corpus"], row["text_id"]
        found.setdefault(key, []).append(row)
    return {key: sorted(rows, key=lambda row: row["position"]) for key, rows in found.items()}


def asked(bench: Bench, query: str) -> list[dict[str, Any]]:
    from assets.measures.declared import declared_tables

    with ask(bench.lake, declared_tables(), query) as result:
        return result.to_arrow_table().to_pylist()


def test_every_text_of_every_condition_is_there(scored: Bench) -> None:
    parts = {
        checkpoint: Counter(key[:3] for key in distributions(scored, checkpoint))
        for checkpoint in ("base", "tuned")
    }
    base_text = {("top_p=0.7", "prompts"): 6, ("greedy", "prompts"): 3}
    base_text |= {("top_p=0.7", "docs"): 2, ("greedy", "docs"): 2}
    tuned_text = {("top_p=0.9", "prompts"): 6, ("top_p=0.9", "docs"): 2}
    gold = {("gold", "-", "docs"): 3}
    assert parts["base"] == gold | {("own", *k): n for k, n in base_text.items()} | {
        ("tuned", *k): n for k, n in tuned_text.items()
    }
    assert parts["tuned"] == gold | {("own", *k): n for k, n in tuned_text.items()} | {
        ("base", *k): n for k, n in base_text.items()
    }
    listed = Counter(
        (row["condition"], row["decoding"], row["corpus"])
        for row in scored.lake.read(SCORED_TEXTS, "base").to_pylist()
    )
    assert listed == parts["base"]


@pytest.mark.core
def test_own_distributions_line_up_with_the_generations_stored(
    scored: Bench, tiny_llama: LanguageModel
) -> None:
    found = distributions(scored, "base")
    cut = {row["prompt_id"]: row for row in asked(scored, "from prompts")}
    for generation in scored.lake.read(GENERATIONS, "base").to_pylist():
        text_id = f"{generation['prompt_id']}/{generation['sample']}"
        rows = found["own", generation["decoding"], generation["prompt_set"], text_id]
        assert [row["position"] for row in rows] == list(range(generation["n_tokens"]))
        assert [row["token_id"] for row in rows] == generation["token_ids"]
        if generation["decoding"] == "greedy":
            assert all(row["rank"] == 1 for row in rows)
        # A prompt is given as it was for sampling: documents go on as they are.
        prompt = cut[generation["prompt_id"]]
        format_ = "{prompt}" if prompt["corpus"] else "plain"
        context = PromptFormat(format_).send(tiny_llama.tokenizer, prompt["text"]).token_ids
        assert_one_by_one(tiny_llama, context, rows)


def assert_one_by_one(model: LanguageModel, context: list[int], rows: list[dict[str, Any]]) -> None:
    ids = [*context, *(row["token_id"] for row in rows)]
    for i, row in enumerate(rows):
        with torch.inference_mode():
            logits = model.model(torch.tensor([ids[: len(context) + i]])).logits[0, -1]
        expected = distribution(logits, row["token_id"])
        for name in ("top_ids", "top_logprobs"):
            expected[name] = expected[name][:1]  # of as many as the study asks for
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, abs=2e-4), name


def test_documents_are_scored_as_raw_text_by_every_checkpoint(
    scored: Bench, tiny_llama: LanguageModel, tiny_gemma: LanguageModel
) -> None:
    texts = {row["document_id"]: row["text"] for row in asked(scored, "from documents")}
    for checkpoint, model in (("base", tiny_llama), ("tuned", tiny_gemma)):
        found = distributions(scored, checkpoint)
        for document_id, text in texts.items():
            rows = found["gold", "-", "docs", document_id]
            assert [row["token_id"] for row in rows] == model.encode(text)
            assert_one_by_one(model, [model.tokenizer.bos_token_id], rows)


def test_anothers_text_is_scored_without_the_end_that_is_its_own(
    scored: Bench, tiny_gemma: LanguageModel
) -> None:
    found = distributions(scored, "tuned")
    prompts = {p["prompt_id"]: p["text"] for p in PROMPTS}
    ended = 0
    for generation in scored.lake.read(GENERATIONS, "base").to_pylist():
        text_id = f"{generation['prompt_id']}/{generation['sample']}"
        rows = found.get(("base", generation["decoding"], generation["prompt_set"], text_id), [])
        ids = generation["token_ids"]
        if generation["finish_reason"] == "stop":
            ended += 1
            ids = ids[:-1]
        assert [row["token_id"] for row in rows] == ids  # both have the same tokenizer
        if generation["prompt_set"] == "prompts" and rows:
            prompt = prompts[generation["prompt_id"]]
            sent = PromptFormat("chat").send(tiny_gemma.tokenizer, prompt)
            assert_one_by_one(tiny_gemma, sent.token_ids, rows)
    texts = {row["text_id"] for row in scored.lake.read(SCORED_TEXTS, "tuned").to_pylist()}
    assert {key[3] for key in found} <= texts


def test_generations_made_elsewhere_are_encoded_and_scored(
    bench: Bench, tiny_llama: LanguageModel
) -> None:
    write_jsonl(bench.folder / "made.jsonl", imported("p", "été", ""))
    checkpoints = [
        {"name": "llama", "source": str(bench.llama)},
        {"name": "made", "source": "file:made.jsonl", "base": "llama"},
    ]
    study = bench.study(checkpoints=checkpoints, samples_per_prompt=1)
    bench.run(study, only=("token_distributions",))
    found = distributions(bench, "llama")
    rows = found["made", "-", "made", "p/0"]
    assert [row["token_id"] for row in rows] == tiny_llama.encode("été")
    sent = PromptFormat("plain").send(tiny_llama.tokenizer, "p?")
    assert_one_by_one(tiny_llama, sent.token_ids, rows)
    assert ("made", "-", "made", "p/1") not in found  # an empty text has no token
    assert not bench.lake.files(TOKEN_DISTRIBUTIONS, "made")  # there is no model to predict with


def test_measurements_are_those_of_a_loop_over_the_tokens(scored: Bench) -> None:
    texts = {
        (row["checkpoint"], row["condition"], row["decoding"], row["corpus"], row["text_id"]): row
        for row in asked(scored, "from scored_texts")
    }
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in asked(scored, "from token_distributions"):
        key = row["checkpoint"], row["condition"], row["decoding"], row["corpus"]
        groups.setdefault(key, []).append(row)
    perplexity = {tuple(row.values())[:4]: row for row in asked(scored, "from perplexity")}
    support = {tuple(row.values())[:4]: row for row in asked(scored, "from support_size")}
    mass = {tuple(row.values())[:5]: row["mass"] for row in asked(scored, "from top_k_mass")}
    assert perplexity.keys() == support.keys() == groups.keys()
    for key, rows in groups.items():
        text_ids = {row["text_id"] for row in rows}
        sizes = [texts[(*key, text_id)] for text_id in text_ids]
        nll = -math.fsum(row["logprob"] for row in rows)
        n_bytes, n_words = (sum(s[name] for s in sizes) for name in ("n_bytes", "n_words"))
        found = perplexity[key]
        assert (found["n_tokens"], found["n_bytes"], found["n_words"]) == (
            len(rows),
            n_bytes,
            n_words,
        )
        assert found["nll"] == pytest.approx(nll, rel=1e-9)
        assert found["token_perplexity"] == pytest.approx(math.exp(nll / len(rows)))
        assert found["word_perplexity"] == (
            None if nll >= 709 * n_words else pytest.approx(math.exp(nll / n_words))
        )
        assert found["byte_perplexity"] == pytest.approx(math.exp(nll / n_bytes))
        assert found["bits_per_byte"] == pytest.approx(nll / n_bytes / math.log(2))
        assert support[key]["mean_support"] == pytest.approx(
            sum(row["support"] for row in rows) / len(rows)
        )
        for i, k in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100)):
            assert mass[(*key, k)] == pytest.approx(
                math.fsum(row["top_mass"][i] for row in rows) / len(rows)
            )


def test_no_number_is_missing_or_not_a_number(bench: Bench, gemma: Source) -> None:
    derived = ("perplexity", "top_k_mass", "support_size")
    study = pair(bench, gemma, shannon_game={"source": "corpora", "passages": 3, "words": 4})
    bench.run(study, only=("sources", "predictions", "alignments", *derived))
    for table in (*(t.name for t in BASE_TABLES), *derived):
        for row in asked(bench, f"from {table}"):
            numbers = [value for value in row.values() if isinstance(value, float)]
            assert all(map(math.isfinite, numbers))


def test_scoring_goes_on_where_it_was_stopped(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = pair(bench, gemma)
    defaults = scoring.score.__kwdefaults__ | {"group_tokens": 40}
    monkeypatch.setattr(scoring.score, "__kwdefaults__", defaults)
    bench.run(study, only=("token_distributions",))
    whole = {name: distributions(bench, name) for name in ("base", "tuned")}
    bench.lake.path(TOKEN_DISTRIBUTIONS, "base").unlink()
    scored: list[int] = []

    def stopped(*args: Any, **options: Any) -> Any:
        for group in scoring.score(*args, **options):
            if len(scored) == 4:
                raise KeyboardInterrupt
            scored.append(sum(len(one.text.token_ids) for one in group))
            yield group

    with monkeypatch.context() as patched:
        patched.setattr(token_distributions, "score", stopped)
        with pytest.raises(KeyboardInterrupt):
            bench.run(study, only=("token_distributions",))
    assert not bench.lake.files(TOKEN_DISTRIBUTIONS, "base")
    made = bench.run(study, only=("token_distributions",))["token_distributions", "base"]
    n_tokens = sum(len(rows) for rows in whole["base"].values())
    assert made.notes["tokens scored"] == n_tokens - sum(scored)
    assert sum(scored) > 0
    assert distributions(bench, "base") == whole["base"]
    assert not (bench.lake.staging / "token_distributions" / "base").exists()


def test_what_would_come_out_the_same_is_not_scored_again(bench: Bench, gemma: Source) -> None:
    bench.run(pair(bench, gemma), only=("token_distributions",))
    before = distributions(bench, "base")
    readmes = {"name": "readmes", "source": "metadata:readmes", "documents": 2, "max_words": 5}
    more = [*CORPORA, readmes]
    made = bench.run(pair(bench, gemma, corpora=more, prefixes=None), only=("token_distributions",))
    notes = made["token_distributions", "base"].notes
    after = distributions(bench, "base")
    new = [key for key in after if key[2] == "readmes"]
    assert notes["tokens scored"] == sum(len(after[key]) for key in new)
    assert all(after[key] == before[key] for key in after if key not in new)
    assert not any(key[0] == "own" and key[2] == "docs" for key in after)
    assert ("generations", "base") in made  # its prompts are other ones
    assert made["generations", "base"].notes["generations kept from before"] == 9


def test_a_prompt_longer_than_what_the_model_reads_is_said(bench: Bench) -> None:
    long = {"prompt_id": "long", "category": "c", "text": "x" * 300}
    study = bench.study()
    write_jsonl(bench.folder / "prompts.jsonl", [long])
    with pytest.raises(ModelError, match=r"'long' has 302 tokens; .* the 256 that the model reads"):
        bench.run(study, only=("generations",))


PASSAGES_OF_ALL_KINDS = [
    ("he could make it there on his", "own"),
    ("the letters stood for a symbol of", "of\n\nPower"),
    ("x " * 200 + "and the last word is", "this"),
    ("π ≈", "3"),
    ("a space at its end ", "belongs"),
]


@pytest.mark.parametrize(("context", "target"), PASSAGES_OF_ALL_KINDS)
def test_guesses_are_those_of_one_token_after_the_other(
    tiny_model: LanguageModel, context: str, target: str
) -> None:
    text = encode_passage(tiny_model, "p", context, target)
    whole = list(tiny_model.tokenizer(joined(context, target))["input_ids"])
    assert [*text.context_ids, *text.token_ids] == whole[-257:]
    assert tiny_model.decode(list(text.token_ids)) == f" {target}"
    (group,) = score_texts(tiny_model, [text])
    found = guess(group[0], greedy_continuations(tiny_model, group)["p"])

    ids, ranks, logprob = list(text.context_ids), [], 0.0
    greedy_ids = list(ids)
    greedy: list[int] = []
    for token in text.token_ids:
        with torch.inference_mode():
            one = distribution(tiny_model.model(torch.tensor([ids])).logits[0, -1], token)
            likeliest = tiny_model.model(torch.tensor([greedy_ids])).logits[0, -1].argmax().item()
        ranks.append(one["rank"])
        logprob += one["logprob"]
        ids.append(token)
        if not tiny_model.stop_token_ids.intersection(greedy):
            greedy.append(int(likeliest))
            greedy_ids.append(int(likeliest))
    overlap = sum(min(Counter(greedy)[t], Counter(text.token_ids)[t]) for t in set(greedy))
    assert found == {
        "passage_id": "p",
        "n_target_tokens": len(text.token_ids),
        "guesses": pytest.approx(sum(rank - 1 for rank in ranks) / len(ranks)),
        "exact": all(rank == 1 for rank in ranks),
        "f1": pytest.approx(2 * overlap / (len(greedy) + len(text.token_ids))),
        "logprob": pytest.approx(logprob, abs=1e-3),
    }


def test_a_word_that_the_model_would_have_written_is_guessed(tiny_model: LanguageModel) -> None:
    context = (0, 70, 80, 90)
    request = Request("p", context, 0, Decoding.greedy())
    ((made,),) = sample(tiny_model, [request], max_new_tokens=3, seed=0)
    right = made.token_ids
    wrong = (right[0], right[1] + 1 if right[1] < 200 else right[1] - 1, *right[2:])
    texts = [Text("right", context, right), Text("wrong", context, wrong)]
    (group,) = score_texts(tiny_model, texts)
    greedy = greedy_continuations(tiny_model, group)
    found = {scored.text.name: guess(scored, greedy[scored.text.name]) for scored in group}
    assert greedy == {"right": list(right), "wrong": list(right)}
    assert found["right"]["exact"]
    assert found["right"]["guesses"] == 0
    assert found["right"]["f1"] == 1
    assert not found["wrong"]["exact"]
    assert found["wrong"]["f1"] < 1


def test_the_game_is_the_mean_of_its_passages(bench: Bench) -> None:
    game = {"source": "corpora", "passages": 4, "words": 4}
    study = bench.study(corpora=CORPORA, shannon_game=game, samples_per_prompt=1)
    bench.run(study, only=("shannon_game",))
    guesses = bench.lake.read(SHANNON_GUESSES, "llama").to_pylist()
    targets = {row["passage_id"]: row["target"] for row in bench.lake.read(PASSAGES).to_pylist()}
    assert {row["passage_id"]: row["target"] for row in guesses} == targets
    (found,) = asked(bench, "from shannon_game")
    n = len(guesses)
    assert found["n_passages"] == n == 4
    assert found["exact_match"] == pytest.approx(sum(row["exact"] for row in guesses) / n)
    assert found["f1"] == pytest.approx(sum(row["f1"] for row in guesses) / n)
    assert found["guesses"] == pytest.approx(sum(row["guesses"] for row in guesses) / n)
    assert found["perplexity"] == pytest.approx(
        math.exp(-sum(row["logprob"] for row in guesses) / n)
    )


def test_a_word_that_is_no_token_of_its_own_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="'p' cannot be guessed"):
        encode_passage(tiny_llama, "p", "context", "x" * 400)


@pytest.mark.parametrize("prompt_format", ["chat", "plain"])
def test_a_prompt_is_rendered_and_encoded_once_a_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, prompt_format: str
) -> None:
    llama = {"name": "base", "source": str(bench.llama), "prompt_format": prompt_format}
    write_jsonl(bench.folder / "made.jsonl", imported("p", "one two", "three four", "five six"))
    made = {"name": "made", "source": "file:made.jsonl", "base": "base"}
    study = bench.study(
        checkpoints=[llama, made],
        corpora=CORPORA,
        samples_per_prompt=5,
        probes={"horizons": [1], "prompt_sets": ["prompts"]},
    )
    calls: Counter[tuple[str, str]] = Counter()

    def count(place: Any, name: str, text_of: Callable[[Any], str]) -> None:
        method = getattr(place, name)

        def counted(tokenizer: Any, given: Any, *args: Any, **how: Any) -> Any:
            calls[name, text_of(given)] += 1
            return method(tokenizer, given, *args, **how)

        monkeypatch.setattr(place, name, counted)

    count(prompting, "render", lambda messages: str(messages[-1]["content"]))
    count(PreTrainedTokenizerBase, "__call__", str)
    n_documents = CORPORA[0]["documents"]
    n_templates = 1 if prompt_format == "chat" else 0
    for step, n_prompts, n_texts in (
        ("generations", 3, 0),
        # The partner has a prompt of its own, and texts without tokens, as documents are.
        ("token_distributions", 4, n_documents + 3),
        ("probe_guesses", 3, 0),
    ):
        bench.run(study, only=(step,))
        templates = {text: n for (name, text), n in calls.items() if name != "__call__"}
        assert set(templates.values()) == {1} if n_templates else not templates
        assert len(templates) == n_prompts * n_templates, step
        encoded = {text: n for (name, text), n in calls.items() if name == "__call__"}
        assert set(encoded.values()) == {1}, step
        assert len(encoded) == n_prompts + n_texts, step
        calls.clear()
