"""The asset `alignments`: what is aligned, what is kept, and what a failure leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from aligners.anchorlake import WordsFirst
from aligners.mafft import Mafft
from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.study.errors import InputError
from tests.aligners.mafft import ALIGNERS, align, check_sentence, fails, until
from tests.studies import Bench, imported, write_jsonl
from warehouse.tables import ALIGNMENTS, GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from assets.lineage.asset import Materialization
    from assets.study.study import Study

pytestmark = pytest.mark.whole


@pytest.fixture(autouse=True)
def _no_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """No derived table is made here, and declaring them all takes longer than all else."""
    monkeypatch.setattr("assets.registry.declared_measurements", lambda *_: [])
    monkeypatch.setattr("assets.registry.declared_measures", lambda *_: [])


TEXTS = {
    "p": ["The tree is tall.", "The tree was not so tall.", "", "A tree, 树: tall\n"],
    "q": ["only one"],
    "r": ["", ""],
}


def made_elsewhere(bench: Bench, prompts: dict[str, list[str]], **changes: Any) -> Study:
    rows = [row for prompt, texts in prompts.items() for row in imported(prompt, *texts)]
    path = write_jsonl(bench.folder / "made.jsonl", rows)
    checkpoint = {"name": "made", "source": f"file:{path}"} | changes.pop("checkpoint", {})
    return bench.study(checkpoints=[checkpoint], **changes)


def make(bench: Bench, study: Study) -> Materialization | None:
    """Brings the alignments and what they are made from up to date."""
    graph = build_graph(study, bench.lake)
    made = None
    for name, partition in graph.stale(graph.select(["alignments"])):
        made = materialize(graph, name, partition)
        made = made if name == "alignments" else None
    return made


def rows_of(bench: Bench, checkpoint: str = "made") -> list[dict[str, Any]]:
    return bench.lake.read(ALIGNMENTS, checkpoint).to_pylist()


def is_stale(bench: Bench, study: Study) -> bool:
    graph = build_graph(study, bench.lake)
    return ("alignments", "made") in graph.stale(graph.select(["alignments"]))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the built-in aligner was given."""
    given: list[list[str]] = []
    columns = WordsFirst.columns

    def counting(self: WordsFirst, texts: Sequence[str]) -> list[np.ndarray]:
        given.append(list(texts))
        return columns(self, texts)

    monkeypatch.setattr(WordsFirst, "columns", counting)
    return given


@pytest.mark.parametrize("name", ALIGNERS)
def test_every_generation_has_its_columns(bench: Bench, name: str) -> None:
    made = make(bench, made_elsewhere(bench, TEXTS, aligner=name))
    assert made is not None
    assert all(finding.passed for finding in made.findings)
    assert made.notes["prompts kept from before"] == 0
    found = rows_of(bench)
    expected = []
    for prompt, texts in TEXTS.items():
        columns = align(name, texts)
        width = max((int(c[-1]) + 1 for c in columns if len(c)), default=0)
        expected += [
            {
                "decoding": "-",
                "prompt_id": prompt,
                "sample": sample,
                "columns": own.tolist(),
                "width": width,
                "aligner": name,
            }
            for sample, own in enumerate(columns)
        ]
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    assert made.rows == len(expected)
    signature = bench.lake.provenance(ALIGNMENTS, "made").signature
    assert f"|aligner:{name}-" in signature
    assert make(bench, made_elsewhere(bench, TEXTS, aligner=name)) is None


@pytest.mark.parametrize(
    "prompts", [{"p": [""]}, {"p": ["", ""], "q": [""]}, {"p": ["one"], "q": ["one"]}]
)
def test_there_may_be_nothing_to_align(bench: Bench, prompts: dict[str, list[str]]) -> None:
    made = make(bench, made_elsewhere(bench, prompts))
    assert made is not None
    assert all(finding.passed for finding in made.findings)
    for row in rows_of(bench):
        text = prompts[row["prompt_id"]][row["sample"]]
        assert row["columns"] == list(range(len(text)))
        assert row["width"] == len(text)


def test_the_first_decoding_answering_prompts_is_aligned(
    bench: Bench, asked: list[list[str]]
) -> None:
    write_jsonl(bench.folder / "notes.jsonl", [{"text": "one two three four five"}])
    decodings = [{"top_p": 0.9}, "greedy"]
    study = bench.study(
        checkpoints=[{"name": "llama", "source": str(bench.llama), "decodings": decodings}],
        diversity_sweep={"top_p": [0.5], "prompts": 1},
        corpora=[{"name": "notes", "source": "file:notes.jsonl"}],
        prefixes={"documents": 1, "words": 2},
    )
    make(bench, study)
    found = rows_of(bench, "llama")
    generations = bench.lake.read(GENERATIONS, "llama").to_pylist()
    assert {"greedy", "top_p=0.5"} <= {row["decoding"] for row in generations}
    assert {"notes", "prompts"} == {row["prompt_set"] for row in generations}
    texts = {
        (row["prompt_id"], row["sample"]): row["text"]
        for row in generations
        if row["decoding"] == "top_p=0.9" and row["prompt_set"] == "prompts"
    }
    assert {row["decoding"] for row in found} == {"top_p=0.9"}
    assert [(row["prompt_id"], row["sample"]) for row in found] == list(texts)
    assert len(texts) == 12
    assert [len(r["columns"]) for r in found] == [len(text) for text in texts.values()]
    assert sorted(map(len, asked)) == [4, 4, 4]


def test_what_other_prompts_have_is_kept(bench: Bench, asked: list[list[str]]) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    before = rows_of(bench)
    assert sorted(asked) == sorted(TEXTS.values())
    asked.clear()
    more = {"new": ["a new one", "a new two"], **TEXTS}
    made = make(bench, made_elsewhere(bench, more))
    assert made is not None
    assert made.notes["prompts kept from before"] == 3
    assert asked == [more["new"]]
    after = rows_of(bench)
    assert [row for row in after if row["prompt_id"] != "new"] == before
    assert [row["prompt_id"] for row in after[:2]] == ["new", "new"]

    asked.clear()
    changed = {**TEXTS, "p": [*TEXTS["p"], "The tree"]}
    made = make(bench, made_elsewhere(bench, changed))
    assert made is not None
    assert made.notes["prompts kept from before"] == 2
    assert asked == [changed["p"]]
    assert {row["prompt_id"] for row in rows_of(bench)} == set(TEXTS)


def test_what_was_kept_is_called_as_the_study_calls_it_now(bench: Bench) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    named = made_elsewhere(bench, TEXTS, checkpoint={"decodings": [{"top_p": 0.95}]})
    make(bench, named)
    assert {row["decoding"] for row in rows_of(bench)} == {"top_p=0.95"}


def test_what_is_forced_is_aligned_again(bench: Bench, asked: list[list[str]]) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    before = rows_of(bench)
    asked.clear()
    graph = build_graph(study, bench.lake)
    materialize(graph, "alignments", "made", force=True)
    assert sorted(asked) == sorted(TEXTS.values())
    assert rows_of(bench) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_stopped_run_goes_on_where_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    whole = rows_of(bench)
    bench.lake.path(ALIGNMENTS, "made").unlink()
    staged = bench.lake.staging / "alignments" / "made"
    asked: list[int] = []
    columns = WordsFirst.columns

    def stopping(self: WordsFirst, texts: Sequence[str]) -> list[np.ndarray]:
        asked.append(len(texts))
        if len(asked) == 2:
            until(lambda: bool(list(staged.glob("*.parquet"))))
            raise error("stopped")
        return columns(self, texts)

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(WordsFirst, "columns", stopping)
    with pytest.raises(error, match="stopped"):
        make(bench, study)
    assert bench.lake.files(ALIGNMENTS, "made") == []
    (done,) = staged.glob("*.parquet")

    # What a kill has left half written is no hindrance.
    (staged / "torn.parquet").write_bytes(done.read_bytes()[:100])
    (staged / "torn.unfinished").write_bytes(b"")
    n_asked = len(asked)
    made = make(bench, study)
    assert made is not None
    assert made.notes["prompts kept from before"] == 1
    assert len(asked) - n_asked == 2
    assert rows_of(bench) == whole
    assert not staged.exists()


def test_another_version_of_the_aligner_makes_it_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    assert not is_stale(bench, study)
    monkeypatch.setattr(WordsFirst, "signature", "anchorlake-0")
    assert is_stale(bench, study)


def test_another_aligner_makes_it_anew(
    bench: Bench, fake_mafft: Callable[[str], None], asked: list[list[str]]
) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    other = made_elsewhere(bench, TEXTS, aligner="mafft")
    assert is_stale(bench, other)
    asked.clear()
    fake_mafft('for file; do :; done; cat "$file"')  # texts side by side, all from column 0
    made = make(bench, other)
    assert made is not None
    assert made.notes["prompts kept from before"] == 0
    assert asked == []
    for row in rows_of(bench):
        assert row["aligner"] == "mafft"
        assert row["columns"] == list(range(len(row["columns"])))
    signature = bench.lake.provenance(ALIGNMENTS, "made").signature
    assert "|aligner:mafft-0.fake --text --thread 1|v:" in signature
    assert not is_stale(bench, other)
    assert is_stale(bench, made_elsewhere(bench, TEXTS))


@fails
def test_where_mafft_fails_nothing_is_changed(
    bench: Bench, fake_mafft: Callable[[str], None], does: str, message: str
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    path = bench.lake.path(ALIGNMENTS, "made")
    before = path.read_bytes()
    fake_mafft(does)
    with pytest.raises(InputError) as error:
        make(bench, made_elsewhere(bench, TEXTS, aligner="mafft"))
    check_sentence(error, message)
    assert path.read_bytes() == before
    assert bench.lake.files(ALIGNMENTS, "made") == [path]
    assert make(bench, made_elsewhere(bench, TEXTS)) is None


def test_an_interrupt_ends_mafft(
    bench: Bench, fake_mafft: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_mafft("sleep 60; echo")
    columns = Mafft.columns
    began = time.monotonic()
    hanging: list[Mafft] = []

    def interrupted(self: Mafft, texts: Sequence[str]) -> list[np.ndarray]:
        if len(texts) == 4:
            hanging.append(self)
            return columns(self, texts)
        until(lambda: bool(hanging and hanging[0]._running))
        raise KeyboardInterrupt

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(Mafft, "columns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(bench, made_elsewhere(bench, TEXTS, aligner="mafft"))
    assert time.monotonic() - began < 10
    assert not hanging[0]._running
