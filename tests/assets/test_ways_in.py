"""Generations that come without a model, and what is kept of how the others were asked."""

from __future__ import annotations

from typing import Any

import pytest

from assets.registry import build_graph
from models import PromptFormat, Text, score
from tests.studies import PROMPTS, Bench, imported, write_jsonl
from warehouse.tables import CHECKPOINTS, GENERATIONS, TOKEN_DISTRIBUTIONS

pytestmark = pytest.mark.whole


def test_what_was_sent_is_kept(bench: Bench, tiny_llama: Any) -> None:
    shots = bench.folder / "shots.txt"
    shots.write_text("Q: one\nA: two\n\nQ: {prompt}\nA:")
    source = str(bench.llama)
    checkpoints = [
        {"name": "plain", "source": source},
        {"name": "chat", "source": source, "prompt_format": "chat", "system": "Be brief."},
        {"name": "shots", "source": source, "prompt_format": "file:shots.txt", "stop": ["\n"]},
    ]
    bench.run(bench.study(checkpoints=checkpoints), only=("generations",))
    sent = {
        name: {
            row["prompt_id"]: row["prompt_sent"]
            for row in bench.lake.read(GENERATIONS, name).to_pylist()
        }
        for name in ("plain", "chat", "shots")
    }
    for prompt in PROMPTS:
        text, prompt_id = prompt["text"], prompt["prompt_id"]
        assert sent["plain"][prompt_id] == f"{text}\n"
        assert sent["chat"][prompt_id] == f"<bos><system>Be brief.<user>{text}<assistant>"
        assert sent["shots"][prompt_id] == f"Q: one\nA: two\n\nQ: {text}\nA:"
    assert not any("\n" in row["text"] for row in bench.lake.read(GENERATIONS, "shots").to_pylist())


def test_a_change_of_the_way_samples_anew(bench: Bench) -> None:
    checkpoint = {"name": "llama", "source": str(bench.llama), "prompt_format": "chat"}

    def changed(**keys: Any) -> list[str]:
        study = bench.study(checkpoints=[checkpoint | keys])
        graph = build_graph(study, bench.lake)
        return [name for name, _ in graph.stale(graph.select(("generations",)))]

    bench.run(bench.study(checkpoints=[checkpoint]), only=("generations",))
    assert changed() == []
    assert changed(batch_tokens=100) == []
    assert changed(shards=2) == []
    for way in (
        {"system": "Be kind."},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"stop": ["\n"]},
        {"reasoning": True},
    ):
        assert "generations" in changed(**way)


def test_a_reasoning_trace_is_kept_apart_and_stands_before_what_is_scored(
    bench: Bench, tiny_llama: Any
) -> None:
    bench.run(bench.study(), only=("generations",))
    texts = [row["text"] for row in bench.lake.read(GENERATIONS, "llama").to_pylist()]
    letters = [letter for text in texts for letter in text if letter.isascii() and letter.isalnum()]
    mark = max(set(letters), key=letters.count)
    checkpoint = {
        "name": "llama",
        "source": str(bench.llama),
        "decodings": [{"top_p": 0.9}],
        "reasoning": {"end": mark},
    }
    bench.run(bench.study(checkpoints=[checkpoint]), only=("token_distributions",))
    rows = bench.lake.read(GENERATIONS, "llama").to_pylist()
    assert any(row["reasoning"] for row in rows)
    for row, whole in zip(rows, texts, strict=True):
        trace = row["reasoning_ids"] or []
        assert tiny_llama.decode([*trace, *row["token_ids"]]) == whole
        assert row["text"] == tiny_llama.decode(row["token_ids"])
    prompts = {prompt["prompt_id"]: prompt["text"] for prompt in PROMPTS}
    expected = []
    for row in rows:
        prompt = prompts[row["prompt_id"]]
        context = PromptFormat("plain").send(tiny_llama.tokenizer, prompt).token_ids
        text = Text("t", [*context, *(row["reasoning_ids"] or [])], row["token_ids"])
        for some in score(tiny_llama, [text]):
            for scored in some:
                expected += scored.distributions.logprob.tolist()
    distributions = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama").to_pylist()
    told = [row["logprob"] for row in distributions if row["condition"] == "own"]
    assert len(told) == len(expected)
    assert max(abs(a - b) for a, b in zip(sorted(told), sorted(expected), strict=True)) < 1e-4


def test_imported_texts_may_have_a_tokenizer_and_people_may_have_written_them(
    bench: Bench, tiny_llama: Any
) -> None:
    write_jsonl(bench.folder / "people.jsonl", imported("p", "one two", "one two three", ""))
    people = {"name": "people", "source": "file:people.jsonl", "role": "human"}
    llama = {"name": "llama", "source": str(bench.llama), "base": None}
    bench.run(bench.study(checkpoints=[llama, people]), only=("generations",))
    assert {row["token_ids"] for row in bench.lake.read(GENERATIONS, "people").to_pylist()} == {
        None
    }
    named = people | {"tokenizer": str(bench.llama)}
    bench.run(bench.study(checkpoints=[llama, named]), only=("ngram_sharing",))
    rows = bench.lake.read(GENERATIONS, "people").to_pylist()
    assert [row["token_ids"] for row in rows] == [tiny_llama.encode(row["text"]) for row in rows]
    assert [row["n_tokens"] for row in rows] == [
        len(tiny_llama.encode(row["text"])) for row in rows
    ]
    (facts,) = bench.lake.read(CHECKPOINTS, "people").to_pylist()
    assert facts["role"] == "human"
    assert facts["tokenizer"] == tiny_llama.tokenizer_digest
    assert facts["engine"] is None
    ngram_sharing = build_graph(bench.study_there(), bench.lake).tables["ngram_sharing"]
    units = bench.lake.read(ngram_sharing, "people")["unit"].to_pylist()
    assert set(units) == {"token", "word"}
