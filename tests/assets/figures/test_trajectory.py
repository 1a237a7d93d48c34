from __future__ import annotations

import json
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import gather
from assets.drawing.figure_files import read_drawn
from assets.figures import FIGURES
from assets.figures.trajectory import _values
from assets.measures.declared import PLACEHOLDERS, declared_measures
from assets.measures.drift import check_rules, crossings
from assets.measures.sentences import Number
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.parts import DriftRule
from tests.studies import Bench
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from models import Source

pytestmark = pytest.mark.whole

FIGURE = next(figure for figure in FIGURES if figure.name == "trajectory")
ALL_MEASURES = declared_measures(PLACEHOLDERS)
MEASURES = {measure.name: measure for measure in ALL_MEASURES if measure.is_quoted}
CHECKED = (
    *("text_statistics", "perplexity", "ngram_sharing", "support_size"),
    *("alignments", "alignment_overlap", "frequent_spans", "anchor_coverage"),
    *("measures/perplexity", "measures/bits_per_byte", "measures/top_k_mass", "measures/support"),
    *("measures/ngram_sharing", "measures/overlap", "measures/anchor_coverage"),
    *("figures/trajectory", "figures/support_size", "figures/ngram_sharing"),
)
"""What is held against the tables that it is computed from."""
FEWEST = ("text_statistics", "measures/support", "measures/perplexity", "figures/trajectory")
CORPORA = [{"name": "docs", "source": "pydoc:topics", "documents": 4, "max_words": 20}]
RULES = [{"measure": "perplexity", "over_base": 1.5, "under_base": 1.0}]


def run_of(bench: Bench, gemma: Source, **changes: Any) -> Any:
    """A study of a base and two runs made from it; one step is another model than the others."""
    steps = [("sft", 10, bench.llama), ("sft", 20, gemma), ("dpo", 300, bench.llama)]
    checkpoints = [{"name": "base", "source": str(bench.llama)}]
    checkpoints += [
        {"name": f"{series}-{step}", "source": str(source), "base": "base", "series": series}
        | {"step": step, "decodings": [{"top_p": 0.9}]}
        for series, step, source in steps
    ]
    values: dict[str, Any] = {"checkpoints": checkpoints, "corpora": CORPORA, "drift": RULES}
    return bench.study(samples_per_prompt=8, **values | changes)


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory,
    llama_source: Source,
    gemma: Source,
    limit_assets: Callable[..., None],
) -> tuple[Bench, AssetContext, FigureData]:
    """A lake with these runs; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("runs"), llama_source)
    study = run_of(bench, gemma)
    with pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, CHECKED)
        bench.run(study, only=("trajectory", "perplexity", "support_size"))
        return bench, *gathered(bench, study, "trajectory")


def gathered(bench: Bench, study: Any, name: str) -> tuple[AssetContext, FigureData]:
    """What a figure is drawn from."""
    graph = build_graph(study, bench.lake)
    asset = graph.assets[f"figures/{name}"]
    context = graph.context(asset.name)
    return context, gather(asset.figure, context, asset.measures)


def rows_of(drawn: tuple[Bench, AssetContext, FigureData], name: str) -> list[dict[str, Any]]:
    bench, context, _ = drawn
    table = context.tables[name]
    found = []
    for shown in context.study.checkpoints:
        decodings = ("-", context.study.first_decoding(shown))
        rows = bench.lake.read(table, shown.name).to_pylist()
        found += [{**row, "checkpoint": shown.name} for row in rows if row["decoding"] in decodings]
    return found


def test_values_are_what_the_tables_say(drawn: tuple[Bench, AssetContext, FigureData]) -> None:
    found = {key: value.value for key, value in _values(drawn[2]).items()}
    expected = {}
    for row in rows_of(drawn, "perplexity"):
        if row["condition"] == "gold":
            expected[row["checkpoint"], "perplexity"] = row["token_perplexity"]
            expected[row["checkpoint"], "bits_per_byte"] = row["bits_per_byte"]
    by_prompt: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
    for row in rows_of(drawn, "text_statistics"):
        if row["condition"] == "own":
            for measure, value in (("top_k_mass", row["mass"][0]), ("support", row["support"])):
                by_prompt[row["checkpoint"], measure, row["item"]].append((value, row["n_tokens"]))
    for row in rows_of(drawn, "ngram_sharing"):
        if row["unit"] == "token" and row["n"] == 10:
            share = row["max_shared"] / row["n_samples"]
            by_prompt[row["checkpoint"], "ngram_sharing", row["prompt_id"]].append((share, 1))
    for row in rows_of(drawn, "alignment_overlap"):
        share = row["aligned_samples"] / row["n_samples"]
        by_prompt[row["checkpoint"], "overlap", row["prompt_id"]].append((share, 1))
    for row in rows_of(drawn, "anchor_coverage"):
        share = row["in_anchor"]
        by_prompt[row["checkpoint"], "anchor_coverage", row["prompt_id"]].append((share, 1))
    prompts = defaultdict(list)
    for (checkpoint, measure, _), values in by_prompt.items():
        total = sum(value * weight for value, weight in values)
        prompts[checkpoint, measure].append(total / sum(weight for _, weight in values))
    expected |= {key: float(np.mean(values)) for key, values in prompts.items()}
    assert len(expected) == 4 * 7
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_values_are_those_that_other_figures_publish(
    drawn: tuple[Bench, AssetContext, FigureData],
) -> None:
    bench, context, data = drawn
    values = _values(data)
    _, support = gathered(bench, context.study, "support_size")
    figure = next(figure for figure in FIGURES if figure.name == "support_size")
    assert [shown.checkpoint for shown in support.checkpoints] == ["base", "sft-20", "dpo-300"]
    for shown, sentence in zip(support.checkpoints, figure.findings(support), strict=True):
        assert f"leaves {values[shown.checkpoint, 'support'].text('count')} tokens" in sentence
    _, sharing = gathered(bench, context.study, "ngram_sharing")
    row = next(r for r in sharing.comparisons if r["checkpoint"] == "sft-20")
    assert row["value"] == pytest.approx(values["sft-20", "ngram_sharing"].value)


def test_the_same_weights_at_another_step_differ_in_nothing_but_their_step(
    drawn: tuple[Bench, AssetContext, FigureData],
) -> None:
    values = _values(drawn[2])
    for measure in ("perplexity", "bits_per_byte"):
        assert values["sft-10", measure] == values["base", measure]
    findings = FIGURE.findings(drawn[2])
    assert any(f.startswith("dpo-300, the last of dpo, and base do not clearly") for f in findings)
    grid = FIGURE.table and FIGURE.table(drawn[2])
    assert grid
    assert [row[:3] for row in grid.rows] == [
        ["–", "–", "base"],
        ["sft", "10", "sft-10"],
        ["sft", "20", "sft-20"],
        ["dpo", "300", "dpo-300"],
    ]
    titles = [measure.title for measure in drawn[2].measures.values() if measure.is_quoted]
    assert grid.columns[3:] == [title for title in titles if title in grid.columns]
    assert {"perplexity, human text", "tokens with a probability over 1e-8"} < {*grid.columns}


def test_checkpoints_say_their_step_and_where_they_come_from(
    drawn: tuple[Bench, AssetContext, FigureData],
) -> None:
    bench, context, _ = drawn
    rows = [
        bench.lake.read(tables.CHECKPOINTS, c.name).to_pylist()[0]
        for c in context.study.checkpoints
    ]
    assert [(row["series"], row["step"]) for row in rows] == [
        (None, None),
        ("sft", 10),
        ("sft", 20),
        ("dpo", 300),
    ]
    assert rows[0]["source"] == str(bench.llama)


@pytest.mark.parametrize("few_assets", [FEWEST], ids=["support"], indirect=True)
@pytest.mark.usefixtures("few_assets")
def test_rules_redraw_the_figure_and_stand_in_it(bench: Bench, gemma: Source) -> None:
    def draw(study: Any) -> Any:
        bench.run(study, only=("trajectory",))
        graph = build_graph(study, bench.lake)
        data_version = graph.data_version_now("figures/trajectory", None)
        assert data_version is not None
        context = graph.context("figures/trajectory")
        made = graph.assets["figures/trajectory"].make(context, data_version)
        return data_version.digest, made.notes, read_drawn(bench.lake, FIGURE)

    no_rules, notes, found = draw(run_of(bench, gemma, drift=[], corpora=[]))
    assert found.drift == []
    assert "drift" not in notes
    rules = [{"measure": "support", "over": 1}]
    with_rules, notes, found = draw(run_of(bench, gemma, drift=rules, corpora=[]))
    assert with_rules != no_rules
    assert [crossing.checkpoint for crossing in found.drift] == [
        "sft-10",
        "sft-20",
        "dpo-300",
    ]
    assert notes["drift"] == "\n".join(crossing.sentence for crossing in found.drift)
    page = (bench.lake.figures / "trajectory" / "chart.html").read_text()
    assert page.count('<p class="warning">') == 3
    # A chart of an older version has no such sentences.
    path = bench.lake.figures / "trajectory" / "chart.json"
    chart = json.loads(path.read_text())
    del chart["usermeta"]["anchorlake"]["drift"]
    path.write_text(json.dumps(chart))
    older = read_drawn(bench.lake, FIGURE)
    assert older
    assert older.drift == []
    # Without steps there is no line to draw, and rules still hold.
    checkpoints = [
        {"name": "base", "source": str(bench.llama)},
        {"name": "sft-10", "source": str(bench.llama), "base": "base"},
    ]
    plain = bench.study(checkpoints=checkpoints)
    assert "figures/trajectory" not in [r.name for r in build_graph(plain, bench.lake).present]
    _, _, found = draw(bench.study(checkpoints=checkpoints, drift=rules))
    assert len(found.drift) == 1
    svg = (bench.lake.figures / "trajectory" / "chart.svg").read_text()
    assert "No checkpoint that was measured has a step" in svg


@pytest.mark.parametrize("few_assets", [FEWEST], ids=["perplexity"], indirect=True)
@pytest.mark.usefixtures("few_assets")
def test_what_is_beyond_all_numbers_is_not_drawn_and_drifts(bench: Bench) -> None:
    target = bench.folder / "diverged"
    shutil.copytree(bench.llama.location, target)
    weights = load_file(target / "model.safetensors")
    large = {
        name: value * (3000 if "lm_head" in name or name == "model.norm.weight" else 1)
        for name, value in weights.items()
    }
    save_file(large, target / "model.safetensors", {"format": "pt"})
    study = bench.study(
        max_new_tokens=4,
        corpora=[{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 20}],
        checkpoints=[
            {"name": "base", "source": str(bench.llama)},
            {
                "name": "sft-1",
                "source": f"dir:{target}",
                "base": "base",
                "series": "sft",
                "step": 1,
            },
        ],
        drift=[{"measure": "perplexity", "over_base": 2}],
    )
    bench.run(study, only=("figures/trajectory",))
    drawn = read_drawn(bench.lake, FIGURE)
    assert drawn
    (crossing,) = drawn.drift
    assert crossing.sentence.startswith("sft-1: a perplexity of inf on human text, over 2 times")


def test_many_steps_are_one_line_and_one_step_is_a_point() -> None:
    def drawing(n_steps: int) -> dict[str, Any]:
        shown = [
            FigureCheckpoint(f"m{i}", "-", "p", "aligned", None, "run", 10 * i)
            for i in range(n_steps)
        ]
        rows = [
            {"checkpoint": s.checkpoint, "measure": "support"}
            | {"value": i + 1.5, "low": i + 1.0, "high": i + 2.0, "n_items": 2}
            for i, s in enumerate(shown)
        ]
        data = FigureData(rows, shown, "token", measures=MEASURES)
        found: dict[str, Any] = FIGURE.draw(data, 720).to_dict()
        return found

    for n_steps, dot, bar in ((1, 36, True), (12, 36, False), (60, 12, False), (200, 0, False)):
        found = drawing(n_steps)
        assert found["facet"]["sort"] == ["support"]
        points = found["data"]["values"]
        assert [point["step"] for point in points] == [10 * i for i in range(n_steps)]
        pointed = [point for point in points if "checkpoint" in point]
        assert {(point["dot"], point["bar"]) for point in pointed} == {(dot, bar)}
        # Of many every other, or fewer, can be pointed at; the last one always.
        assert len(pointed) == min(n_steps, 100)
        assert pointed[-1] == points[-1]


@pytest.mark.parametrize("n_panels", [1, 2, 7])
def test_panels_share_the_step_that_is_pointed_at(n_panels: int) -> None:
    import vl_convert

    shown = [FigureCheckpoint("m", "-", "p", "aligned", None, "run", 5)]
    rows = [
        {"checkpoint": "m", "measure": m, "value": 0.5, "low": 0.4, "high": 0.6, "n_items": 2}
        for m in [*MEASURES][:n_panels]
    ]
    chart = FIGURE.draw(FigureData(rows, shown, "token", measures=MEASURES), 720).to_dict()
    (parameter,) = chart["params"]
    # The selection is one for all panels, which are of one view.
    assert parameter["views"] == [chart["spec"]["layer"][-1]["name"]]
    assert parameter["select"]["fields"] == ["step"]
    assert "resolve" not in parameter["select"]
    assert vl_convert.vegalite_to_svg(chart).count(">training step<") == n_panels


def interval(value: float) -> Number:
    return Number(value, value * 0.9, value * 1.1)


SHOWN = (
    FigureCheckpoint("base", "-", "p", "base", None),
    FigureCheckpoint("dpo-300", "-", "p", "aligned", "base", "dpo", 300),
    FigureCheckpoint("alone-7", "-", "p", "base", None, "alone", 7),
)
VALUES = {
    ("base", "ngram_sharing"): interval(0.2),
    ("dpo-300", "ngram_sharing"): interval(0.5),
    ("alone-7", "ngram_sharing"): interval(0.4),
    ("base", "support"): interval(20_000),
    ("dpo-300", "support"): interval(5_000),
    ("dpo-300", "overlap"): interval(0.25),
}
HOLD = "of a prompt's generations hold its most common 10-gram"
DPO, ALONE = f"dpo-300: 50% [45, 55] {HOLD}", f"alone-7: 40% [36, 44] {HOLD}"


@pytest.mark.parametrize(
    ("rule", "sentences"),
    [
        (
            {"measure": "ngram_sharing", "over": 0.3},
            [f"{DPO}, over 0.3 (ngram_sharing).", f"{ALONE}, over 0.3 (ngram_sharing)."],
        ),
        ({"measure": "ngram_sharing", "over": 0.4}, [f"{DPO}, over 0.4 (ngram_sharing)."]),
        ({"measure": "ngram_sharing", "over": 0.5}, []),
        ({"measure": "ngram_sharing", "under": 0.4}, []),
        ({"measure": "ngram_sharing", "under": 0.45}, [f"{ALONE}, under 0.45 (ngram_sharing)."]),
        (
            {"measure": "ngram_sharing", "over_base": 2},
            [f"{DPO}, over 2 times its base's 20% [18, 22] (ngram_sharing)."],
        ),
        ({"measure": "ngram_sharing", "over_base": 2.5}, []),
        (
            {"measure": "ngram_sharing", "over": 0.45, "over_base": 2},
            [f"{DPO}, over 0.45 and over 2 times its base's 20% [18, 22] (ngram_sharing)."],
        ),
        (
            {"measure": "support", "under_base": 0.5},
            [
                "dpo-300: 5,000 [4,500, 5,500] tokens have a probability over 1e-8, "
                "under 0.5 times its base's 20,000 [18,000, 22,000] (support)."
            ],
        ),
        ({"measure": "support", "under_base": 0.25}, []),
        ({"measure": "overlap", "over_base": 0.1}, []),
        ({"measure": "perplexity", "over": 0}, []),
    ],
)
def test_rules_warn_of_what_crosses_them(rule: dict[str, Any], sentences: Sequence[str]) -> None:
    crossed = crossings([DriftRule(**rule)], VALUES, SHOWN, MEASURES)
    assert [crossing.sentence for crossing in crossed] == sentences


def test_a_crossing_is_known_by_checkpoint_and_rule_and_not_by_its_value() -> None:
    rules = [DriftRule(measure="ngram_sharing", over=0.3), DriftRule(measure="support", under=1e4)]
    keys = [c.key for c in crossings(rules, VALUES, SHOWN, MEASURES)]
    assert len(set(keys)) == len(keys) == 3
    moved = VALUES | {("dpo-300", "ngram_sharing"): interval(0.6)}
    assert [c.key for c in crossings(rules, moved, SHOWN, MEASURES)] == keys


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("loss", ["drift[0].measure", "'loss'", "perplexity, "]),
        ("top_1_mass", ["did you mean top_k_mass?"]),
        ("ngram_spread", ["with a level that is quoted", "did you mean"]),  # a curve alone
    ],
)
def test_a_rule_about_no_measure_is_named(measure: str, words: Sequence[str]) -> None:
    with pytest.raises(InputError) as caught:
        check_rules([DriftRule(measure=measure, over=1)], [*ALL_MEASURES])
    for word in words:
        assert word in str(caught.value)


STUDY = "name: s\ncheckpoints:\n  - {name: a, source: 'pypi:x'}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            STUDY + "  - {name: b, source: 'pypi:x', step: 3}",
            ["checkpoints[1]", "name the run with `series:`"],
        ),
        (STUDY + "  - {name: b, source: 'pypi:x', series: r, step: -1}", ["step", "-1"]),
        (STUDY + "  - {name: b, source: 'pypi:x', series: r, step: '3'}", ["step", "'3'"]),
        (STUDY + "  - {name: b, source: 'pypi:x', series: ''}", ["series", "at least 1"]),
        (
            STUDY
            + "".join(f"  - {{name: {n}, source: 'pypi:x', series: r, step: 3}}\n" for n in "bc"),
            ["'b' and 'c' are both step 3 of the series 'r'"],
        ),
        (STUDY + "drift: [{measure: support}]", ["drift[0]", "needs `over`"]),
        (STUDY + "drift: [{measure: support, above: 1}]", ["drift[0].above", "under_base"]),
        (STUDY + "drift: [{measure: support, over: true}]", ["drift[0].over", "True"]),
        (STUDY + "drift: [{measure: support, over: .nan}]", ["drift[0].over", "nan"]),
        (STUDY + "drift: [{measure: support, over_base: 0}]", ["drift[0].over_base", "0"]),
    ],
)
def test_mistakes_are_named(text: str, words: Sequence[str], tmp_path: Path) -> None:
    from assets.study.study import load_study

    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_study(path)
    for word in words:
        assert word in str(caught.value)
