"""A model behind a server, through the lake."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets.registry import build_graph
from models import ModelError
from tests.servers import Fake, answer, chat_answer, refuse, say, serving
from tests.studies import PROMPTS, TOLD_OF, Bench, write_jsonl
from warehouse.tables import CHECKPOINTS, GENERATIONS, SCORED_TEXTS, TOKEN_DISTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.study.study import Study

pytestmark = pytest.mark.whole

FEW = (
    *TOLD_OF,
    *("text_statistics", "perplexity", "top_k_mass", "support_size"),
    *("ngram_sharing", "measures/ngram_sharing", "measures/self_perplexity", "measures/support"),
)
few_assets = pytest.mark.parametrize("few_assets", [FEW], ids=["few assets"], indirect=True)

TOP = [-0.1, -2.5, -5.0]
"""Log-probabilities of the likeliest tokens, at every place."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr("models.servers.asking._FIRST_WAIT", 0.01)
    with serving() as running:
        yield running


def told(text: str, chat: bool) -> Any:
    """An answer with the log-probabilities of two tokens; the second is the second likeliest."""
    logprobs = [TOP[0], TOP[1]]
    if chat:
        top = [{"token": str(i), "logprob": value} for i, value in enumerate(TOP)]
        content = [{"token": "t", "logprob": p, "top_logprobs": top} for p in logprobs]
        return chat_answer(text, logprobs={"content": content})
    top = {str(i): value for i, value in enumerate(TOP)}
    return answer(text, logprobs={"token_logprobs": logprobs, "top_logprobs": [top, top]})


def answering(fake: Fake, *, logprobs: bool = True) -> None:
    """Has it write texts that share words, each its own."""

    def script(prompt: str, attempt: int, body: dict[str, Any]) -> Any:
        text = f"Once upon a time there was the number {body['seed'] % 7} of them all, and so on"
        chat = "messages" in body
        if logprobs:
            return say(told(text, chat))
        return say(chat_answer(text) if chat else answer(text))

    fake.script = script


def study(bench: Bench, fake: Fake, thresholds: dict[str, Any] | None = None, **keys: Any) -> Study:
    far = {
        "name": "far",
        "source": f"openai:{fake.url}#org/name",
        "base": "llama",
        "decodings": [{"top_p": 0.9}],
        "server": {"concurrency": 2, "attempts": 2},
    }
    llama = {"name": "llama", "source": str(bench.llama)}
    write_jsonl(bench.folder / "notes.jsonl", [{"text": "one two three four five"}] * 1)
    corpora = [{"name": "notes", "source": "file:notes.jsonl"}]
    return bench.study(
        checkpoints=[llama, far | keys], corpora=corpora, thresholds=thresholds or {}
    )


def rows(bench: Bench, name: str, checkpoint: str = "far") -> list[dict[str, Any]]:
    graph = build_graph(bench.study_there(), bench.lake)
    return bench.lake.read(graph.tables[name], checkpoint).to_pylist()


@few_assets
@pytest.mark.usefixtures("few_assets")
def test_a_server_writes_and_says_how_likely_that_was(bench: Bench, fake: Fake) -> None:
    answering(fake)
    read = study(bench, fake, system="Be brief.")
    bench.run(read, only=("perplexity", "top_k_mass", "support_size", "report"))
    assert "log-probabilities of the likeliest tokens: no support" in bench.lake.report.read_text()
    generations = rows(bench, "generations")
    assert len(generations) == 12
    for row in generations:
        assert row["text"].startswith("Once upon")
        assert row["token_ids"] is row["reasoning"] is None
        assert row["n_tokens"] == 3
        assert row["logprobs"] == pytest.approx([TOP[0], TOP[1]])
        (prompt,) = (p["text"] for p in PROMPTS if p["prompt_id"] == row["prompt_id"])
        assert json.loads(row["prompt_sent"]) == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": prompt},
        ]
    assert len({body["seed"] for body in fake.bodies}) == 12
    assert {(body["top_p"], body["temperature"]) for body in fake.bodies} == {(0.9, 1.0)}
    assert {body["max_tokens"] for body in fake.bodies} == {12}
    (facts,) = bench.lake.read(CHECKPOINTS, "far").to_pylist()
    assert facts["engine"] == "openai"
    assert facts["tokenizer"] is facts["n_parameters"] is facts["dtype"] is None

    distributions = bench.lake.read(TOKEN_DISTRIBUTIONS, "far").to_pylist()
    assert Counter(row["condition"] for row in distributions) == {"own": 24}
    assert [row["rank"] for row in distributions] == [1, 2] * 12
    for row in distributions:
        masses = [math.exp(TOP[0]), math.exp(TOP[0]) + math.exp(TOP[1])]
        assert row["top_mass"][:2] == pytest.approx(masses)
        assert row["entropy"] is row["support"] is row["token_id"] is None
    (perplexity,) = rows(bench, "perplexity")
    assert perplexity["condition"] == "own"
    assert perplexity["token_perplexity"] == pytest.approx(math.exp(-(TOP[0] + TOP[1]) / 2))
    assert [row["k"] for row in rows(bench, "top_k_mass")] == [1, 2, 3]
    assert rows(bench, "support_size") == []
    # Its base predicts what it wrote.
    scored = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama").to_pylist()
    assert {row["condition"] for row in scored} == {"gold", "own", "far"}


@pytest.mark.slow
def test_a_server_may_tell_no_probabilities(bench: Bench, fake: Fake) -> None:
    answering(fake, logprobs=False)
    read = study(bench, fake, prompt_format="plain")
    bench.run(read, only=("report", "ngram_sharing", "perplexity", "top_k_mass"))
    assert len(bench.lake.read(SCORED_TEXTS, "far")) == 0
    assert rows(bench, "perplexity") == rows(bench, "top_k_mass") == []
    shared = {row["unit"]: row for row in rows(bench, "ngram_sharing") if row["n"] == 5}
    assert shared["word"]["max_shared"] == 4
    assert {row["prompt_sent"] for row in rows(bench, "generations")} == {
        f"{prompt['text']}\n" for prompt in PROMPTS
    }
    report = bench.lake.report.read_text()
    assert "far is behind a server, which gives generations, and no log-probabilities" in report


def test_what_was_paid_for_is_not_asked_again(bench: Bench, fake: Fake) -> None:
    answering(fake)
    good = fake.script
    answered: set[int] = set()

    def failing(prompt: str, attempt: int, body: dict[str, Any]) -> Any:
        with fake.lock:
            if len(answered) == 5:
                return refuse(500)
            answered.add(body["seed"])
            return good(prompt, attempt, body)

    fake.script = failing
    far = study(bench, fake)
    with pytest.raises(ModelError, match="gave no answer after 2 attempts"):
        bench.run(far, only=("generations",))
    n_answered = len(list((bench.lake.staging / "generations" / "far").glob("*.parquet")))
    assert n_answered >= 1
    fake.bodies.clear()
    fake.script = good
    bench.run(far, only=("generations",))
    asked = {body["seed"] for body in fake.bodies}  # a request may be sent again on a busy machine
    assert len(asked) == 12 - 5
    assert not answered & asked
    assert len(rows(bench, "generations")) == 12
    fake.bodies.clear()
    made = bench.run(study(bench, fake, server={"concurrency": 5}), only=("generations",))
    assert fake.bodies == []
    assert ("generations", "far") not in made


def test_a_trace_that_a_server_keeps_apart_is_kept(bench: Bench, fake: Fake) -> None:
    fake.script = lambda prompt, attempt, body: say(chat_answer("so", reasoning_content="why"))
    bench.run(study(bench, fake), only=("generations",))
    for row in rows(bench, "generations"):
        assert (row["text"], row["reasoning"]) == ("so", "why")


def test_a_tokenizer_gives_tokens_to_what_a_server_writes(
    bench: Bench, fake: Fake, tiny_llama: Any
) -> None:
    answering(fake)
    bench.run(study(bench, fake, tokenizer=str(bench.llama)), only=("token_distributions",))
    for row in bench.lake.read(GENERATIONS, "far").to_pylist():
        assert row["token_ids"] == tiny_llama.encode(row["text"])
    # The same tokenizer as its base's: what it wrote is scored to the last token.
    scored = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama").to_pylist()
    found = [row["token_id"] for row in scored if row["condition"] == "far"]
    wrote = [i for row in bench.lake.read(GENERATIONS, "far").to_pylist() for i in row["token_ids"]]
    assert Counter(found) == Counter(wrote)


@few_assets
@pytest.mark.usefixtures("few_assets")
def test_what_a_server_withholds_is_counted(bench: Bench, fake: Fake) -> None:
    answering(fake)
    usual = fake.script
    fake.script = lambda prompt, attempt, body: (
        refuse(400, code="content_filter") if body["seed"] % 2 else usual(prompt, attempt, body)
    )
    bench.run(study(bench, fake), only=("report",))
    withheld = [row for row in rows(bench, "generations") if row["finish_reason"] != "stop"]
    assert {row["finish_reason"] for row in withheld} == {"content_filter"}
    told = f"Of far {len(withheld)} of 12 generations were withheld by a filter"
    assert told in bench.lake.report.read_text()


def test_what_stops_an_answer_does_not_stop_a_trace(bench: Bench, fake: Fake) -> None:
    texts = {"short": "<think>a\n\nb</think>so it is\n\nand on", "long": "Let me", "odd": "so"}
    by_prompt = {prompt["text"]: texts[prompt["prompt_id"]] for prompt in PROMPTS}

    def script(prompt: str, attempt: int, body: dict[str, Any]) -> Any:
        reason = "length" if by_prompt[prompt] == texts["long"] else "stop"
        return say(chat_answer(by_prompt[prompt], finish_reason=reason))

    fake.script = script
    read = study(bench, fake, reasoning=True, stop=["\n\n"])
    bench.run(read, only=("generations",))
    assert not any("stop" in body for body in fake.bodies)
    found = {r["prompt_id"]: (r["reasoning"], r["text"]) for r in rows(bench, "generations")}
    assert found == {"short": ("a\n\nb", "so it is"), "long": ("Let me", ""), "odd": (None, "so")}


def test_masses_rise_with_k_however_few_tokens_are_told_of(bench: Bench, fake: Fake) -> None:
    tops = [{"a": 0.0, "b": -math.inf}, {"a": -1.0, "b": -1.5, "c": -2.5}]
    logprobs = {"token_logprobs": [0.0, -1.0], "top_logprobs": tops}
    fake.script = lambda prompt, attempt, body: say(answer("a b", logprobs=logprobs))
    bench.run(study(bench, fake, prompt_format="plain"), only=("top_k_mass",))
    masses = [row["mass"] for row in rows(bench, "top_k_mass")]
    expected = [(1 + math.exp(-1)) / 2, (1 + math.exp(-1) + math.exp(-1.5)) / 2]
    assert masses == pytest.approx(expected)


def test_masses_are_of_the_numbers_of_tokens_that_a_study_chooses(bench: Bench, fake: Fake) -> None:
    answering(fake)
    chosen = study(bench, fake, thresholds={"top_k": [1, 3, 5], "support": 1e-3})
    bench.run(chosen, only=("top_k_mass",))
    found = {row["k"]: row["mass"] for row in rows(bench, "top_k_mass")}
    assert found == pytest.approx({k: sum(map(math.exp, TOP[:k])) for k in (1, 3)})
    # A server tells of no support, so nothing of it changes with that threshold.
    asset = build_graph(chosen, bench.lake).assets["token_distributions"]
    parameters = asset.parameters(chosen, chosen.checkpoint("far"))
    assert parameters["top_k"] == (1, 3, 5)
    assert "support" not in parameters


def test_a_tokenizer_that_is_named_later_asks_nothing_again(bench: Bench, fake: Fake) -> None:
    answering(fake)
    bench.run(study(bench, fake), only=("generations",))
    fake.bodies.clear()
    made = bench.run(study(bench, fake, tokenizer=str(bench.llama)), only=("generations",))
    assert ("generations", "far") in made
    assert all(row["token_ids"] for row in rows(bench, "generations"))
    bench.run(study(bench, fake), only=("generations",))
    assert not any(row["token_ids"] for row in rows(bench, "generations"))
    assert fake.bodies == []


def test_a_server_that_continues_text_later_is_asked_for_that(bench: Bench, fake: Fake) -> None:
    answering(fake)
    prefixes = {"documents": 1, "words": 3}

    def run(completions: bool) -> set[str]:
        study(bench, fake)
        values = yaml.safe_load((bench.folder / "study.yaml").read_text())
        values["checkpoints"][1]["server"]["completions"] = completions
        bench.run(bench.study(**values | {"prefixes": prefixes}), only=("generations",))
        return {row["prompt_set"] for row in rows(bench, "generations")}

    assert run(completions=False) == {"prompts"}
    fake.bodies.clear()
    assert run(completions=True) == {"prompts", "notes"}
    assert all("messages" not in body for body in fake.bodies)
    assert run(completions=False) == {"prompts"}
