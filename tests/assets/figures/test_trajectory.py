from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import gather
from assets.drawing.figure_files import read_drawn
from assets.figures import FIGURES
from assets.figures.trajectory import MEASURES, measures
from assets.measures.drift import _SAID, drifted
from assets.measures.intervals import Interval, bootstrap_each, bootstrap_sums
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.parts import DriftRule, MeasureName
from tests.studies import Bench
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from models import Source

pytestmark = pytest.mark.whole

FIGURE = next(figure for figure in FIGURES if figure.name == "trajectory")
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
    tmp_path_factory: pytest.TempPathFactory, llama_source: Source, gemma: Source
) -> tuple[Bench, AssetContext, FigureData]:
    """A lake with these runs; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("runs"), llama_source)
    study = run_of(bench, gemma)
    bench.run(study, only=("trajectory", "perplexity", "support_size"))
    context = build_graph(study, bench.lake).context("figures/trajectory")
    return bench, context, gather(FIGURE, context)


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
    found = {key: value.mean for key, value in measures(drawn[2]).items()}
    expected = {}
    for row in rows_of(drawn, "perplexity"):
        if row["condition"] == "gold":
            expected[row["checkpoint"], "perplexity"] = row["token_perplexity"]
            expected[row["checkpoint"], "bits_per_byte"] = row["bits_per_byte"]
    by_prompt: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
    for row in rows_of(drawn, "text_statistics"):
        if row["condition"] == "own":
            for measure, value in (("top_1_mass", row["mass"][0]), ("support", row["support"])):
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
    assert found == pytest.approx(expected)


def test_values_are_those_that_other_figures_publish(
    drawn: tuple[Bench, AssetContext, FigureData],
) -> None:
    bench, context, data = drawn
    values = measures(data)
    graph = build_graph(context.study, bench.lake)
    support = next(figure for figure in FIGURES if figure.name == "support_size")
    sharing = next(figure for figure in FIGURES if figure.name == "ngram_sharing")
    compared = gather(support, graph.context("figures/support_size"))
    assert [shown.checkpoint for shown in compared.checkpoints] == ["base", "sft-20", "dpo-300"]
    for shown, sentence in zip(compared.checkpoints, support.findings(compared), strict=True):
        assert f"leaves {values[shown.checkpoint, 'support'].number()} tokens" in sentence
    (sentence, _) = sharing.findings(gather(sharing, graph.context("figures/ngram_sharing")))
    assert f"stands in {values['sft-20', 'ngram_sharing'].percent()} of" in sentence


def test_a_group_has_the_interval_that_it_has_alone() -> None:
    values = np.random.default_rng(4).random((30, 700, 2)) + 0.5
    for statistic in (MEASURES["perplexity"].statistic, MEASURES["bits_per_byte"].statistic):
        found = bootstrap_each(values, statistic)
        for group in (0, 1, 350, 699):
            alone = bootstrap_sums(values[:, group], statistic)
            assert found[group].n == alone.n == 30
            assert (found[group].mean, found[group].low, found[group].high) == pytest.approx(
                (alone.mean, alone.low, alone.high)
            )


def test_the_same_weights_at_another_step_differ_in_nothing_but_their_step(
    drawn: tuple[Bench, AssetContext, FigureData],
) -> None:
    values = measures(drawn[2])
    for measure in ("perplexity", "bits_per_byte"):
        assert values["sft-10", measure] == values["base", measure]
    findings = FIGURE.findings(drawn[2])
    assert any("dpo-300, the last of dpo, has a perplexity per token of" in f for f in findings)
    assert any("no clear difference (+0% [+0, +0], over 4 documents)" in f for f in findings)
    grid = FIGURE.table and FIGURE.table(drawn[2])
    assert grid
    assert [row[:3] for row in grid.rows] == [
        ["–", "–", "base"],
        ["sft", "10", "sft-10"],
        ["sft", "20", "sft-20"],
        ["dpo", "300", "dpo-300"],
    ]
    assert grid.columns[3:] == [measure.replace("_", " ") for measure in MEASURES]


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
    assert [sentence.partition(":")[0] for sentence in found.drift] == [
        "sft-10",
        "sft-20",
        "dpo-300",
    ]
    assert notes["drift"] == "\n".join(found.drift)
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
    (sentence,) = drawn.drift
    assert sentence.startswith("sft-1: a perplexity of inf on human text, over 2 times")
    assert any("+inf%" in finding for finding in drawn.findings)


def test_many_steps_are_one_line_and_one_step_is_a_point() -> None:
    def drawing(n_steps: int) -> dict[str, Any]:
        shown = [
            FigureCheckpoint(f"m{i}", "-", "p", "aligned", None, "run", 10 * i)
            for i in range(n_steps)
        ]
        rows = [
            {"checkpoint": s.checkpoint, "measure": "support", "item": item}
            | {"numerator": float(i + len(item)), "denominator": 1.0}
            for i, s in enumerate(shown)
            for item in ("a", "bb")
        ]
        found: dict[str, Any] = FIGURE.draw(FigureData(rows, shown, "token"), 720).to_dict()
        return found

    for n_steps, dot, bar in ((1, 36, 1), (12, 36, 0), (60, 12, 0), (200, 0, 0)):
        found = drawing(n_steps)
        assert [panel["title"]["text"] for panel in found["concat"]] == [MEASURES["support"].title]
        points = found["data"]["values"]
        assert [point["step"] for point in points] == [10 * i for i in range(n_steps)]
        assert {(point["dot"], point["bar"]) for point in points} == {(dot, bar)}


@pytest.mark.parametrize("n_panels", [1, 2, 7])
def test_panels_share_the_step_that_is_pointed_at(n_panels: int) -> None:
    import vl_convert

    shown = [FigureCheckpoint("m", "-", "p", "aligned", None, "run", 5)]
    rows = [
        {"checkpoint": "m", "measure": m, "item": "a", "numerator": 1.0, "denominator": 2.0}
        for m in [*MEASURES][:n_panels]
    ]
    chart = FIGURE.draw(FigureData(rows, shown, "token"), 720).to_dict()
    (parameter,) = chart["params"]
    names = [layer.get("name") for panel in chart["concat"] for layer in panel["layer"]]
    assert parameter["views"] == [name for name in names if name]
    assert len(parameter["views"]) == n_panels
    assert parameter["select"]["fields"] == ["step"]
    assert "training step" in vl_convert.vegalite_to_svg(chart)


def interval(mean: float) -> Interval:
    return Interval(mean, mean * 0.9, mean * 1.1, 20)


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
                "dpo-300: 5,000 [4,500, 5,500] tokens have a probability over 1e-8 on its own "
                "text, under 0.5 times its base's 20,000 [18,000, 22,000] (support)."
            ],
        ),
        ({"measure": "support", "under_base": 0.25}, []),
        ({"measure": "overlap", "over_base": 0.1}, []),
        ({"measure": "perplexity", "over": 0}, []),
    ],
)
def test_rules_warn_of_what_crosses_them(rule: dict[str, Any], sentences: Sequence[str]) -> None:
    assert drifted([DriftRule(**rule)], VALUES, SHOWN) == sentences


def test_every_measure_can_be_drawn_and_warned_of() -> None:
    assert [*MEASURES] == [*_SAID] == [*get_args(MeasureName)]


def test_a_perplexity_beyond_a_double_is_infinite() -> None:
    rows = [
        {"checkpoint": "m", "measure": "perplexity", "item": f"{i}"}
        | {"numerator": nll, "denominator": 1.0}
        for i, nll in enumerate((1000.0, 900.0))
    ]
    (value,) = measures(FigureData(rows, [], "word")).values()
    assert (value.mean, value.is_finite, value.number()) == (math.inf, False, "inf")


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
        (STUDY + "drift: [{measure: loss, over: 1}]", ["drift[0].measure", "'loss'", "'overlap'"]),
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
