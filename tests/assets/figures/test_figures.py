from __future__ import annotations

import json
import re
from dataclasses import astuple
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, get_args

import altair as alt
import numpy as np
import pytest
from altair.utils.schemapi import debug_mode

from assets.drawing import style
from assets.drawing.along import smooth
from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import gather
from assets.figures import FIGURES
from assets.figures.blueprint import _spelled, _wrap
from assets.figures.ngram_diversity import matched_top_p
from assets.measures.intervals import (
    Interval,
    bootstrap,
    bootstrap_curve,
    bootstrap_difference,
    bootstrap_sums,
    summarise,
)
from assets.registry import build_graph
from assets.report.report import uncontrolled
from assets.study.parts import MeasureName
from tests.studies import Bench, imported, write_jsonl
from warehouse import tables

if TYPE_CHECKING:
    from pathlib import Path

    from models import Source

pytestmark = pytest.mark.whole

WITH_CORPUS = {
    "corpora": [{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 20}],
    "shannon_game": {"source": "corpora", "passages": 4, "words": 6},
    "probes": {"prompt_sets": ["prompts"]},
    "readaptation": {"documents": 10, "steps": 2},
}
HELD = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, llama_source: Source) -> Bench:
    """A lake with two checkpoints made elsewhere, of which one shares n-grams, and a model.

    Not to be written to.
    """
    bench = Bench(tmp_path_factory.mktemp("drawn"), llama_source)
    shared = imported("p", *[f"{i} {HELD} </script> {i}" for i in range(4)])
    shared += imported("q", *[f"{i} {HELD}" for i in range(4)])
    other = [row | {"text": f"{row['sample']} " * 12} for row in shared]
    write_jsonl(bench.folder / "aligned.jsonl", shared)
    write_jsonl(bench.folder / "base.jsonl", other)
    checkpoints = [
        {"name": "base", "source": "file:base.jsonl", "decodings": [{"top_p": 0.7}]},
        {
            "name": "aligned",
            "source": "file:aligned.jsonl",
            "base": "base",
            "decodings": [{"top_p": 0.9}],
        },
        {"name": "llama", "source": str(bench.llama), "series": "run", "step": 10},
    ]
    bench.run(bench.study(checkpoints=checkpoints, **WITH_CORPUS), figures=True)
    return bench


def test_the_interval_is_a_percentile_bootstrap_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=400)
    interval = bootstrap(values)
    assert interval.mean == pytest.approx(values.mean())
    # For a mean of many values the bootstrap comes close to the normal approximation.
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap(values) == interval
    assert bootstrap([4.0]) == bootstrap([4.0, 4.0]).__class__(4.0, 4.0, 4.0, 1)


def test_the_interval_of_a_ratio_resamples_what_it_is_a_ratio_of() -> None:
    random = np.random.default_rng(2)
    n_tokens = random.integers(5, 50, size=300)
    values = np.column_stack([random.normal(2, 0.5, size=300) * n_tokens, n_tokens])
    found = bootstrap_sums(values, lambda sums: np.exp(sums[..., 0] / sums[..., 1]))
    assert found.mean == pytest.approx(np.exp(values[:, 0].sum() / values[:, 1].sum()))
    slow = np.random.default_rng(5)
    resampled = [values[slow.integers(300, size=300)].sum(axis=0) for _ in range(4000)]
    low, high = np.quantile([np.exp(a / b) for a, b in resampled], [0.025, 0.975])
    assert found.low == pytest.approx(low, rel=0.01)
    assert found.high == pytest.approx(high, rel=0.01)
    assert bootstrap_sums(values[:, 1:], lambda s: s[..., 0] / 300) == bootstrap(n_tokens)


def test_the_interval_of_a_difference_resamples_both_sides() -> None:
    random = np.random.default_rng(3)
    ours, theirs = random.normal(3, 1, size=200), random.normal(2, 2, size=300)
    found = bootstrap_difference(ours, theirs)
    half = 1.96 * np.sqrt(ours.var() / 200 + theirs.var() / 300)
    assert found.mean == pytest.approx(ours.mean() - theirs.mean())
    assert found.low == pytest.approx(found.mean - half, abs=0.02)
    assert found.high == pytest.approx(found.mean + half, abs=0.02)
    assert bootstrap_difference(np.array([2.0]), np.array([0.5])).high == 1.5


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ((1.0345, 0.9, 1234.5), "1.03 [0.9, 1,234]"),
        ((25_000.4, 3e6, 0.00012), "25,000 [3,000,000, 0.00012]"),
    ],
)
def test_numbers_are_written_to_three_digits(numbers: tuple[float, ...], written: str) -> None:
    assert Interval(*numbers, 5).number() == written


def test_changes_are_written_in_hundredths() -> None:
    assert Interval(-0.001, -0.2, 13.5, 5).change() == "+0% [-20, +1,350]"
    assert Interval(-0.001, -0.2, 0.25, 5).points() == "+0 points [-20, +25]"


def test_groups_are_averaged_apart() -> None:
    rows = [{"n": n, "v": v} for n, v in [(1, 0.0), (2, 5.0), (1, 1.0)]]
    found = [(g["n"], g["mean"], g["prompts"]) for g in summarise(rows, by=["n"], value="v")]
    assert found == [(1, 0.5, 2), (2, 5.0, 1)]


@pytest.mark.parametrize(
    ("curve", "diversity", "expected"),
    [
        ({0.6: 0.2, 0.8: 0.4, 1.0: 0.8}, 0.3, 0.7),
        ({0.6: 0.2, 0.8: 0.4, 1.0: 0.8}, 0.4, 0.8),
        ({0.6: 0.2, 0.8: 0.4}, 0.5, None),
        ({0.6: 0.2, 0.8: 0.4}, 0.1, None),
        ({0.7: 0.3}, 0.3, 0.7),
        ({}, 0.3, None),
    ],
)
def test_the_matched_top_p_is_interpolated(
    curve: dict[float, float], diversity: float, expected: float | None
) -> None:
    found = matched_top_p(curve, diversity)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_the_share_of_generations_is_what_the_figure_shows(drawn: Bench) -> None:
    figure = next(f for f in FIGURES if f.name == "ngram_sharing")
    data = gather(
        figure, build_graph(drawn.study_there(), drawn.lake).context(f"figures/{figure.name}")
    )
    assert data.unit == "word"  # no tokens are known
    shares = {(r["checkpoint"], r["prompt_id"], r["n"]): r["share"] for r in data.rows}
    assert shares["aligned", "p", 10] == 1.0
    assert shares["base", "p", 10] == 0.25
    assert shares["aligned", "p", 25] == 0.0
    (sentence,) = figure.findings(data)
    assert "in 100% [100, 100] of the generations of aligned" in sentence
    assert "more for the aligned checkpoint (+75 points [+75, +75], over 2 prompts)" in sentence


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_figure_is_written_in_every_format_for_offline_use(drawn: Bench, figure: Any) -> None:
    folder = drawn.lake.figures / figure.name
    assert sorted(p.name for p in folder.iterdir()) == [
        "chart.html",
        "chart.json",
        "chart.png",
        "chart.svg",
    ]
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "chart.svg").read_text().startswith("<svg")
    assert json.loads((folder / "chart.json").read_text())["usermeta"]["anchorlake"]["provenance"]
    assert references((folder / "chart.html").read_text()) == []


def test_a_figure_is_drawn_as_altair_would_draw_it(drawn: Bench, tmp_path: Path) -> None:
    folder = drawn.lake.figures / "trajectory"
    chart = alt.Chart.from_json((folder / "chart.json").read_text())
    chart.save(tmp_path / "chart.svg")
    chart.save(tmp_path / "chart.png", scale_factor=2)
    for name in ("chart.svg", "chart.png"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def references(page: str) -> list[str]:
    """What a page would fetch."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(
                value or ""
                for name, value in attrs
                if name in ("src", "href", "srcset", "data", "poster")
            )

    Reader().feed(page)
    return found


def test_the_report_stands_alone_and_says_what_it_must(drawn: Bench) -> None:
    page = drawn.lake.report.read_text()
    assert references(page) == []
    for figure in FIGURES:
        assert f'id="chart-{figure.name}"' in page
        assert (figure.paper or "Beyond the paper") in page
    assert "Whether aligned was made from base is not known here" in page
    assert "+75 points [+75, +75]" in page.replace("&#43;", "+")
    assert "No controlled comparison: aligned and base" in page
    assert "decoding:top_p=0.9|file:" in page
    assert 'name="viewport"' in page
    # Text from generations cannot end the script that holds it.
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    assert "vegaEmbed(" in scripts[1]


@pytest.mark.parametrize("width", [style.NARROW, style.WIDE])
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_figures_fit_their_width_whatever_the_number_of_checkpoints(
    figure: Any, width: int, tmp_path: Path
) -> None:
    import vl_convert

    for n_checkpoints in (1, 2, 6):
        shown = data(figure.name, n_checkpoints)
        if figure.pages:
            shown = next(iter(figure.pages(shown).values()))
        with debug_mode(False):  # all of it is held against Altair's schema at the end
            specification = figure.draw(shown, width).to_dict()
        svg = vl_convert.vegalite_to_svg(specification)
        drawn_width = float(re.search(r'<svg[^>]* width="([0-9.]+)"', svg)[1])
        assert width - 60 <= drawn_width <= width + 12, (figure.name, n_checkpoints)


def data(figure: str, n_checkpoints: int) -> FigureData:
    names = [f"a-checkpoint-with-a-long-name-{i}" for i in range(n_checkpoints)]
    shown = [
        FigureCheckpoint(
            name, "top_p=0.9", "prompts", "aligned" if i else "base", names[0] if i else None
        )
        if figure != "trajectory" or not i
        else FigureCheckpoint(
            name, "top_p=0.9", "prompts", "aligned", names[0], f"series-{i % 3}", 500 * i
        )
        for i, name in enumerate(names)
    ]
    statistics = {"category": "c", "n_tokens": 10, "n_bytes": 40, "n_words": 8}
    columns: dict[str, list[dict[str, Any]]] = {
        "ngram_sharing": [{"n": n, "share": 1 / n} for n in (5, 10, 25, 50)],
        "ngram_spread": [{"twentieth": t, "n_ngrams": 10 ** (5 - t // 5)} for t in range(1, 21)],
        "ngram_diversity": [
            {"n": n, "top_p": p, "diversity": p * n / 6}
            for n in range(1, 6)
            for p in (0.6, 0.7, 0.8, 0.9, 1.0)
        ],
        "perplexity": [statistics | {"corpus": c, "nll": 30.0} for c in ("a", "a-longer-name")],
        "self_perplexity": [statistics | {"corpus": c, "nll": 9.0} for c in ("a", "b")],
        "top_k_mass": [
            {"corpus": "a", "written": w, "n_tokens": 5, "mass": [k / 13 for k in range(1, 14)]}
            for w in ("human text", "its own", "its own, greedy")
        ],
        "support_size": [
            {"corpus": "a", "written": w, "support": 12_345.6}
            for w in ("human text", "its own", "its own, greedy")
        ],
        "alignment_overlap": [
            {"bin": b, "n_samples": 20, "aligned": b / 99, "pairwise_match": b / 200}
            for b in range(100)
        ],
        "anchor_coverage": [{"bin": b, "in_anchor": b / 99} for b in range(100)],
        "blueprint": [
            {
                "n_samples": 9,
                "anchored": 8,
                "spans": [{"span": "1", "text": "as was said before " * 9, "n_holders": 8}],
                "flows": [
                    {"source": "START", "target": "1", "n_holders": 8},
                    {"source": "1", "target": "END", "n_holders": 8},
                    {"source": "START", "target": "END", "n_holders": 1},
                ],
            }
        ],
        "readaptation": [
            statistics | {"corpus": c, "nll_before": 30.0, "nll_after": 25.0, "steps": 4}
            for c in ("a", "a-longer-name")
        ],
        "probe_accuracy": [
            {"generator": g, "corpus": c, "horizon": h, "layer": 7, "probe": "vocabulary"}
            | {"n_tokens": 40, "n_right": 20 // h, "n_frequent": 3, "n_bigram": 12 // h}
            for c in ("a", "a-longer-name")
            for g in names
            for h in (1, 2, 3)
        ],
        "trajectory": [
            {"measure": m, "numerator": 1.5, "denominator": 2.0} for m in get_args(MeasureName)
        ],
        "shannon_game": [{"exact": True, "f1": 0.5, "guesses": 3.0, "logprob": -2.0}],
    }
    rows = [
        {"checkpoint": s.checkpoint, "label": s.label}
        | dict.fromkeys(("prompt_id", "prompt", "item", "passage_id"), prompt)
        | values
        for s in shown
        for prompt in ("p", "q", "r")
        for values in columns[figure]
    ]
    return FigureData(rows, shown, "word")


def test_curves_are_smoothed_with_a_gaussian_and_mirrored_at_their_ends() -> None:
    values = np.random.default_rng(0).random((3, 40))
    reach = 8
    weights = [np.exp(-(offset**2) / 8) for offset in range(-reach, reach + 1)]
    for curve, found in zip(values, smooth(values, sigma=2.0), strict=True):
        mirrored = [*curve[reach - 1 :: -1], *curve, *curve[: -reach - 1 : -1]]
        for i, value in enumerate(found):
            near = mirrored[i : i + 2 * reach + 1]
            assert value == pytest.approx(np.dot(near, weights) / sum(weights))
    assert smooth(np.full((1, 100), 0.3)) == pytest.approx(0.3)


def test_the_interval_of_a_curve_is_that_of_each_of_its_points() -> None:
    curves = np.random.default_rng(1).random((12, 5))
    for point, interval in enumerate(bootstrap_curve(curves)):
        alone = bootstrap(curves[:, point])
        assert astuple(interval) == pytest.approx(astuple(alone))


def test_a_reader_walks_through_the_blueprints_of_all_prompts(drawn: Bench) -> None:
    prompts = set(drawn.lake.read(tables.PROMPTS)["text"].to_pylist())
    for page in (drawn.lake.figures / "blueprint" / "chart.html", drawn.lake.report):
        text = page.read_text()
        assert text.count('class="walk"') == 1
        headings = [unescape(h) for h in re.findall(r"<option [^>]*>([^<]*)</option>", text)]
        assert sorted(headings) == sorted(prompts)
        assert set(headings[:2]) == {"p?", "q?"}  # whose generations are built alike
        (specs,) = re.findall(r"^const specs = (.*);$", text, re.MULTILINE)
        assert len(json.loads(specs)["blueprint"]) == len(prompts)


def test_long_anchors_are_shortened_and_lines_are_seen_to_end() -> None:
    assert _wrap("a b c", 80) == ["a b c"]
    lines = _wrap(" ".join(f"word{i}" for i in range(100)), 30)
    assert len(lines) == 5
    assert lines[0].startswith("word0 ")
    assert lines[2] == "…"
    assert lines[-1].endswith("word99")
    assert all(len(line) <= 30 for line in lines)
    assert [len(line) for line in _wrap("量" * 50, 30)] == [15, 15, 15, 5]
    assert _spelled("one\ntwo\n\n  three ") == "one ↵ two ↵ ↵ three"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x08", "\ufffe", "\x7f", "</script>"])
def test_any_character_can_stand_in_an_anchor_and_in_a_prompt(character: str) -> None:
    import vl_convert

    shown = data("blueprint", 1)
    text = f"an anchor with {character} in it, and much more besides"
    rows = [row | {"prompt": text} for row in shown.rows[:1]]
    rows[0]["spans"] = [{"span": "1", "text": text, "n_holders": 8}]
    figure = next(f for f in FIGURES if f.name == "blueprint")
    svg = vl_convert.vegalite_to_svg(
        figure.draw(FigureData(rows, shown.checkpoints, "word"), 720).to_dict()
    )
    assert "an anchor with" in svg


def test_prompts_of_one_text_are_told_apart(bench: Bench) -> None:
    rows = imported("p", "a b", "a b") + imported("q", "a b", "c d")
    write_jsonl(bench.folder / "made.jsonl", [row | {"prompt": "Say it."} for row in rows])
    study = bench.study(checkpoints=[{"name": "m", "source": "file:made.jsonl"}])
    bench.run(study)
    figure = next(f for f in FIGURES if f.name == "blueprint")
    found = gather(figure, build_graph(study, bench.lake).context(f"figures/{figure.name}"))
    assert [row["prompt"] for row in found.rows] == ["Say it. (p)", "Say it. (q)"]


def test_a_figure_says_of_numbers_of_samples_that_differ(bench: Bench) -> None:
    text = "a b c d e f g h"
    checkpoints = []
    for name, number in (("one", 2), ("two", 3), ("same", 3)):
        write_jsonl(bench.folder / f"{name}.jsonl", imported("p", *[text] * number))
        checkpoints.append({"name": name, "source": f"file:{name}.jsonl"})
    sharing = "figures/ngram_sharing"
    bench.run(bench.study(checkpoints=checkpoints), only=(sharing,))
    page = (bench.lake.figures / "ngram_sharing/chart.html").read_text()
    assert "Numbers of samples a prompt differ: 2 of one; 3 of two, same." in page
    bench.run(bench.study(checkpoints=checkpoints[1:]), only=(sharing,))
    page = (bench.lake.figures / "ngram_sharing/chart.html").read_text()
    assert "Numbers of samples" not in page


def test_a_figure_without_anything_to_show_says_so(bench: Bench) -> None:
    path = write_jsonl(bench.folder / "made.jsonl", imported("p", "a b"))
    study = bench.study(checkpoints=[{"name": "m", "source": f"file:{path}"}])
    bench.run(study, only=("figures/ngram_diversity",))
    svg = (bench.lake.figures / "ngram_diversity" / "chart.svg").read_text()
    assert "No checkpoint has what this figure shows" in svg


FACTS = {"role": "base", "base": None, "n_parameters": 10, "vocab_size": 5, "tokenizer": "t"}


@pytest.mark.parametrize(
    ("aligned", "words"),
    [
        ({}, []),
        ({"n_parameters": 11}, ["Not a controlled pair", "parameters (11 and 10)"]),
        ({"tokenizer": "u", "vocab_size": 6}, ["vocabulary (6 and 5)", "tokenizer"]),
        ({"tokenizer": None}, ["is not known here"]),
        ({"role": "human", "tokenizer": None}, []),  # nobody made people from a model
    ],
)
def test_a_pair_that_is_not_controlled_is_named(aligned: dict[str, Any], words: list[str]) -> None:
    facts = {"b": FACTS, "a": FACTS | {"base": "b"} | aligned}
    sentences = uncontrolled(facts)
    assert len(sentences) == bool(words)
    for word in words:
        assert word in sentences[0]
