"""Which set of prompts each checkpoint answers, and that rows join on it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from assets.figures import FIGURES
from assets.measures.declared import SQL_FOLDER, declared_tables
from assets.preflight import check_inputs
from assets.registry import build_graph
from assets.sources import prompt_sets
from assets.sources.prompt_sets import prompt_set
from assets.sources.prompts import given_prompts
from assets.study.errors import InputError
from tests.studies import PROMPTS, Bench, write_jsonl
from warehouse import ask
from warehouse.tables import ALIGNMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from assets.study.study import Study
    from models import Source

MINE = {"a": "Who?", "b": "Why?"}
OTHERS = {"a": "Who?", "b": "Why not?"}
STUDYS = {prompt["prompt_id"]: prompt["text"] for prompt in PROMPTS}
OF_ENCODER = {
    "answers",
    "meaning_map",
    "semantic_anchors",
    "semantic_diversity",
    "semantic_pairs",
    "scores",
    "span_meanings",
    "token_texts",
    "training_answers",
}
"""Tables that need what the study here has not."""
OF_PROMPTS = [
    figure
    for figure in FIGURES
    if "prompts" in figure.reads and OF_ENCODER.isdisjoint(figure.reads)
]
SENTENCE = "and so it was said again by all of them"


def bring(bench: Bench, name: str, prompts: dict[str, str]) -> dict[str, Any]:
    """A `file:` checkpoint that answers prompts, three times each."""
    rows = [
        {
            "prompt_id": prompt_id,
            "prompt": text,
            "sample": n,
            "text": f"{SENTENCE} {name * n}",
        }
        for prompt_id, text in prompts.items()
        for n in range(3)
    ]
    write_jsonl(bench.folder / f"{name}.jsonl", rows)
    return {"name": name, "source": f"file:{name}.jsonl"}


def ladder(bench: Bench, **changes: Any) -> Study:
    """Checkpoints of which some bring the same prompts."""
    checkpoints = [
        bring(bench, "first", MINE),
        bring(bench, "second", dict(reversed(MINE.items()))),
        bring(bench, "answers-studys", STUDYS),
        bring(bench, "other-ids", {"x": "Who?", "b": "Why?"}),
        bring(bench, "other-texts", OTHERS),
        bring(bench, "fewer", {"a": "Who?"}),
        bring(bench, "third", MINE),
    ]
    return bench.study(**({"checkpoints": checkpoints} | changes))


def some(bench: Bench) -> Study:
    """Checkpoints of each kind: the first of a set, a further one, and ones with other prompts."""
    answered = {"first": MINE, "answers-studys": STUDYS, "other-texts": OTHERS, "third": MINE}
    return ladder(bench, checkpoints=[bring(bench, *item) for item in answered.items()])


def sets_of(study: Study) -> dict[str, str]:
    return {c.name: prompt_set(study, c).name for c in study.checkpoints}


def asked(bench: Bench, query: str) -> list[tuple[Any, ...]]:
    with ask(bench.lake, [t for t in declared_tables() if t.name in query], query) as found:
        return found.fetchall()


SETS = {
    "first": "first",
    "second": "first",
    "answers-studys": "prompts",
    "other-ids": "other-ids",
    "other-texts": "other-texts",
    "fewer": "fewer",
    "third": "first",
}


def test_identical_prompts_are_one_set(bench: Bench) -> None:
    study = ladder(bench)
    assert sets_of(study) == SETS
    given = [(prompt["prompt_set"], prompt["prompt_id"]) for prompt in given_prompts(study)]
    assert len(given) == len(set(given)) == 2 + 3 + 2 + 2 + 1
    model = {"name": "llama", "source": str(bench.llama)}
    both = ladder(bench, checkpoints=[model, bring(bench, "made", STUDYS)])
    assert sets_of(both) == {"llama": "prompts", "made": "prompts"}
    assert [prompt["category"] for prompt in given_prompts(both)] == [
        prompt["category"] for prompt in PROMPTS
    ]


def test_a_ladder_changes_no_set(bench: Bench) -> None:
    before = ladder(bench)
    stages = [{"name": "olmo", "checkpoints": ["third", "second", "first"]}]
    study = ladder(bench, ladders=stages)
    assert [c.name for c in study.checkpoints][:3] == ["third", "second", "first"]
    assert sets_of(study) == SETS
    assert given_prompts(study) == given_prompts(before)


def test_a_limited_study_has_the_sets_of_the_whole(bench: Bench) -> None:
    study = ladder(bench)
    some = study.limited_to(["second", "third", "fewer"]).limited_to(["third", "fewer"])
    assert sets_of(some) == {"third": "first", "fewer": "fewer"}


def test_sets_are_decided_once_for_all_checkpoints_of_a_study(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    contents = prompt_sets.read_contents
    monkeypatch.setattr(
        prompt_sets, "read_contents", lambda path: read.append(path.stem) or contents(path)
    )
    study = ladder(bench)
    for _ in range(2):
        for checkpoint in study.checkpoints:
            prompt_set(study, checkpoint)
            prompt_set(study.limited_to([checkpoint.name]), checkpoint)
    assert read == list(SETS)


def test_without_a_model_there_need_be_no_prompts_of_the_study(bench: Bench) -> None:
    study = ladder(bench, prompts="none.jsonl")
    assert sets_of(study) == SETS | {"answers-studys": "answers-studys"}


def test_probes_name_sets_and_not_who_answers_them(bench: Bench) -> None:
    check_inputs(ladder(bench, probes={"prompt_sets": ["first"], "horizons": [1]}))
    study = ladder(bench, probes={"prompt_sets": ["third"], "horizons": [1]})
    with pytest.raises(InputError, match="'third' answers the prompts of the set 'first'"):
        check_inputs(study)


@pytest.fixture(scope="module")
def measured_once(
    tmp_path_factory: pytest.TempPathFactory,
    llama_source: Source,
    limit_assets: Callable[..., None],
) -> Bench:
    """A lake with every table of some checkpoints, and what figures read; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("measured"), llama_source)
    tables = [path.stem for path in SQL_FOLDER.glob("*.sql")]
    measures = [f"measures/{name}" for figure in OF_PROMPTS for name in figure.measures or ()]
    with pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, [*tables, "alignments", *measures])
        bench.run(some(bench), measures=True)
    return bench


@pytest.mark.whole
def test_rows_of_checkpoints_join_on_set_and_prompt(measured_once: Bench) -> None:
    bench = measured_once
    prompts = asked(bench, "select prompt_set, prompt_id, count(*) from prompts group by all")
    assert len(prompts) == 7
    for table in declared_tables():
        if "prompt_id" not in table.grain or table.name in OF_ENCODER:
            continue
        (rows, joined) = asked(
            bench,
            f"select count(*), count(text) from (select prompt_set, prompt_id from {table.name}) "
            "left join prompts using (prompt_set, prompt_id)",
        )[0]
        assert rows == joined > 0, table.name
        if "n_samples" in {column.name for column in table.columns}:
            counts = asked(bench, f"select distinct n_samples from {table.name}")
            assert counts == [(3,)], table.name
    held = "select distinct n_holders, n_samples from anchor_spans"
    assert asked(bench, held) == [(3, 3)]


def test_an_alignment_is_kept_when_its_set_is_named_otherwise(bench: Bench) -> None:
    bench.run(ladder(bench), only=("alignments",))
    before = bench.lake.read(ALIGNMENTS, "third").to_pylist()
    checkpoints = [bring(bench, "new-first", MINE), bring(bench, "third", MINE)]
    made = bench.run(ladder(bench, checkpoints=checkpoints), only=("alignments",))
    assert made["alignments", "third"].notes["prompts kept from before"] == 2
    after = bench.lake.read(ALIGNMENTS, "third").to_pylist()
    assert after == [row | {"prompt_set": "new-first"} for row in before]


def test_an_alignment_from_before_there_were_sets_is_kept(bench: Bench) -> None:
    study = ladder(bench)
    bench.run(study, only=("alignments",))
    path = bench.lake.path(ALIGNMENTS, "first")
    rows = pq.read_table(path, partitioning=None)
    footer = pq.read_metadata(path).metadata
    older = rows.drop_columns("prompt_set").replace_schema_metadata(
        {b"anchorlake.made_from": footer[b"anchorlake.made_from"]}
    )
    pq.write_table(older, path)
    made = bench.run(study, only=("alignments",))
    assert made["alignments", "first"].notes["prompts kept from before"] == 2
    assert bench.lake.read(ALIGNMENTS, "first").to_pylist() == rows.to_pylist()


@pytest.mark.whole
def test_figures_take_the_texts_of_prompts_from_the_lake(
    bench: Bench, measured_once: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.drawing.figure_asset import gather

    study = some(bench)
    shutil.copytree(measured_once.lake.root, bench.lake.root)
    for checkpoint in study.checkpoints:
        (bench.folder / f"{checkpoint.name}.jsonl").write_text(json.dumps({"not": "read"}))
    monkeypatch.setattr(
        prompt_sets, "_imported_sets", lambda look: {n: _Named(s) for n, s in SETS.items()}
    )
    graph = build_graph(study, bench.lake)
    for figure in OF_PROMPTS:
        found = gather(figure, graph.context(f"figures/{figure.name}"), [])
        prompts = {row["prompt"] for row in found.rows if row["checkpoint"] == "third"}
        assert prompts == set(MINE.values()), figure.name


class _Named:
    """A set of which nothing but the name may be asked."""

    def __init__(self, name: str) -> None:
        self.name = name
