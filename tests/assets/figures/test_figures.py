from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pytest
from altair.utils.schemapi import debug_mode

from assets.drawing import style
from assets.drawing.along import smooth
from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import drawing_of, gather
from assets.drawing.texts import spelled, wrap
from assets.figures import FIGURES
from assets.figures.ngram_diversity import matched_top_p
from assets.measures.declared import PLACEHOLDERS, declared_measures, declared_tables
from assets.registry import build_graph
from assets.report.report import uncontrolled
from tests.encoders import count_words
from tests.pages import DOCS
from tests.studies import Bench, imported, write_jsonl
from warehouse import ask, tables

if TYPE_CHECKING:
    from pathlib import Path

    from models import Source

pytestmark = pytest.mark.whole

WITH_CORPUS = {
    "corpora": [{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 20}],
    "shannon_game": {"source": "corpora", "passages": 4, "words": 6},
    "probes": {"prompt_sets": ["prompts"]},
    "readaptation": {"documents": 10, "steps": 2},
    "preferences": [{"name": "pairs", "source": "file:pairs.jsonl"}],
    "choices": [
        {"name": "questions", "source": "file:questions.jsonl", "orders": 2}
        | {"conditions": ["direct", "reasoned"], "reasoning_tokens": 3}
    ],
    "embedder": "dir:encoder",
    "scores": {"file": "scores.jsonl", "right": {"judge": 1}},
    "divergence": {"tokens": 40},
}
MEASURES = {
    measure.name: measure for measure in declared_measures(PLACEHOLDERS) if measure.is_quoted
}
WIDEST = {
    measure.format: measure.name
    for measure in sorted(MEASURES.values(), key=lambda measure: len(measure.title))
}
"""Of each format the measure with the longest title."""
BLANK = ("self_reinforcement",)
"""The figure of what recurs in a text, as nothing does in that lake."""
HELD = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, llama_source: Source) -> Bench:
    """A lake with two checkpoints made elsewhere, of which one shares n-grams, and two models.

    Not to be written to.
    """
    bench = Bench(tmp_path_factory.mktemp("drawn"), llama_source)
    shared = imported("p", *[f"{i} {HELD} </script> {i}" for i in range(4)])
    shared += imported("q", *[f"{i} {HELD}" for i in range(4)])
    other = [row | {"text": f"{row['sample']} " * 12} for row in shared]
    other[-1]["text"] = shared[-1]["text"]  # the two have some n-grams in common
    write_jsonl(bench.folder / "aligned.jsonl", shared)
    write_jsonl(bench.folder / "base.jsonl", other)
    pairs = [{"prompt": f"{i}?", "chosen": "Yes.", "rejected": "No."} for i in range(3)]
    write_jsonl(bench.folder / "pairs.jsonl", pairs)
    questions = [{"question": f"{i}?", "options": ["a", "b"], "answer": i % 2} for i in range(3)]
    write_jsonl(bench.folder / "questions.jsonl", questions)
    checkpoints = [
        {"name": "base", "source": "file:base.jsonl", "decodings": [{"top_p": 0.7}]},
        {
            "name": "aligned",
            "source": "file:aligned.jsonl",
            "base": "base",
            "decodings": [{"top_p": 0.9}],
        },
        {"name": "llama", "source": str(bench.llama), "series": "run", "step": 10}
        | {"decodings": [{"top_p": 0.7}, {"min_p": 0.1}, "greedy"]},
        {"name": "twin", "source": str(bench.llama), "base": "llama"},
    ]
    scores = [
        {"checkpoint": name, "prompt_id": row["prompt_id"], "sample": row["sample"]}
        | {"name": "judge", "value": row["sample"] % 2}
        for name in ("base", "aligned")
        for row in shared
    ]
    write_jsonl(bench.folder / "scores.jsonl", scores)
    with pytest.MonkeyPatch.context() as patch:
        count_words(patch)
        bench.run(bench.study(checkpoints=checkpoints, **WITH_CORPUS), figures=True)
    return bench


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


def gathered(bench: Bench, name: str) -> FigureData:
    """What a figure is drawn from."""
    graph = build_graph(bench.study_there(), bench.lake)
    asset = graph.assets[f"figures/{name}"]
    return gather(asset.figure, graph.context(asset.name), asset.measures)


TABLES = declared_tables()
COOKBOOK = re.findall(
    r"(?ms)^### ([^\n]+)\n(?:(?!^### ).)*?^```sql\n(.*?)^```$",
    (DOCS / "cookbook.md").read_text(encoding="utf-8"),
)
"""The headings of the cookbook's queries, and the queries."""


def test_the_cookbook_has_a_query_under_every_heading() -> None:
    text = (DOCS / "cookbook.md").read_text(encoding="utf-8")
    assert text.count("\n### ") == text.count("```sql") == len(COOKBOOK) >= 12


@pytest.mark.parametrize(("heading", "query"), COOKBOOK, ids=[title for title, _ in COOKBOOK])
def test_a_query_of_the_cookbook_gives_rows(drawn: Bench, heading: str, query: str) -> None:
    with ask(drawn.lake, TABLES, query) as relation:
        assert relation.fetchall(), heading


def test_the_share_of_generations_is_what_the_figure_shows(drawn: Bench) -> None:
    data = gathered(drawn, "ngram_sharing")
    assert data.unit == "word"  # no tokens are known
    shares = {(r["checkpoint"], r["n"]): r["value"] for r in data.rows}
    assert shares["aligned", 10] == 1.0
    assert shares["base", 10] == 0.25
    assert ("aligned", 25) not in shares  # no generation is as long
    assert {r["floor"] for r in data.rows if r["checkpoint"] != "llama"} == {0.25}
    whole, cut, *twins = data.compared
    assert whole == (
        "aligned (top_p=0.9): 100% [100, 100] of a prompt's generations hold its most common "
        "10-gram (words); base (top_p=0.7): 25% [25, 25]. Too few to tell (+75 points [+75, +75], "
        "adjusted p = 1, 2 prompts)."
    )
    assert cut.startswith("Cut to as many words a prompt: aligned (top_p=0.9): 100%")
    assert all(sentence.startswith("twin (top_p=0.9): 25% [25, 25] of a") for sentence in twins)
    assert ["llama (min_p=0.1): 25%" in sentence for sentence in twins] == [True, False]
    assert ["llama (top_p=0.7): 25%" in sentence for sentence in twins] == [False, True]


def test_a_base_at_each_decoding_stands_beside_what_is_aligned_from_it(drawn: Bench) -> None:
    data = gathered(drawn, "treatments")
    summary = {
        (checkpoint, decoding): tuple(numbers)
        for checkpoint, decoding, *numbers in ask_rows(
            drawn,
            "select checkpoint, decoding, value, low, high from summary "
            "where measure = 'words' and collection = '*' and condition = '-'",
        )
    }
    words = [row for row in data.rows if row["measure"] == "words"]
    assert [(row["base"], row["checkpoint"], row["decoding"]) for row in words] == [
        ("llama", "llama", "top_p=0.7"),
        ("llama", "llama", "greedy"),
        ("llama", "llama", "min_p=0.1"),
        ("llama", "twin", "top_p=0.9"),
    ]
    for row in words:
        numbers = row["value"], row["low"], row["high"]
        assert numbers == summary[row["checkpoint"], row["decoding"]]
    # Of one generation, as is greedy, nothing is shared.
    for measure in ("ngram_sharing", "compression_ratio"):
        decodings = [row["decoding"] for row in data.rows if row["measure"] == measure]
        assert decodings == ["top_p=0.7", "min_p=0.1", "top_p=0.9"]
    pairs = {(row["label"], row["other_label"]) for row in data.comparisons}
    for decoding in ("top_p=0.7", "min_p=0.1", "greedy"):
        assert ("twin (top_p=0.9)", f"llama ({decoding})") in pairs


def ask_rows(bench: Bench, query: str) -> list[tuple[Any, ...]]:
    with ask(bench.lake, TABLES, query) as relation:
        return relation.fetchall()


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
    folder = drawn.lake.figures / "readaptation"
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
                and not (value or "").startswith("#")
            )

    Reader().feed(page)
    return found


def test_the_report_stands_alone_and_says_what_it_must(drawn: Bench) -> None:
    page = drawn.lake.report.read_text()
    assert references(page) == []
    for figure in FIGURES:
        assert (f'id="chart-{figure.name}"' in page) == (figure.name not in BLANK)
        if figure.name in BLANK:
            continue
        assert (figure.paper or "Beyond the paper") in page
    pages = re.findall(r'<details class="checkpoint" id="checkpoint/([^"]*)">', page)
    assert pages == ["base", "aligned", "twin"]  # there is nothing to tell of llama
    assert page.partition('id="checkpoint/aligned"')[2].count(HELD) >= 1  # its anchor
    assert page.count("Whether aligned was made from base is not known here") == 1
    assert "4 checkpoints; how often each was sampled stands below its name." in page
    assert "+75 points [+75, +75]" in page.replace("&#43;", "+")
    # Each gap is written in one way, in the first table as in the figures.
    assert set(re.findall(r"\+75[^ ]* points \[[^]]*\]", page)) == {"+75 points [+75, +75]"}
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

    most = 6
    for n_checkpoints in (1, 2, most):
        shown = data(figure.name, n_checkpoints)
        with debug_mode(False):
            # Altair's schema takes as long as all else; what more checkpoints draw has all parts.
            specification = figure.draw(shown, width).to_dict(validate=n_checkpoints == most)
        if figure.pages:
            walk = figure.pages(shown)
            size = "narrow" if width == style.NARROW else "wide"
            specification = walk.turned_to(walk.pages[0], specification, size)
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
    number = {"value": 0.5, "low": 0.4, "high": 0.6}
    of_corpora = [
        number | {"category": "c", "corpus": c, "n": 3, "what": what, "panel": panel, "steps": 4}
        for c in ("a", "a-longer-name")
        for what in ("value", "change")
        for panel in ("as they come", "after fine-tuning")
    ]
    columns: dict[str, list[dict[str, Any]]] = {
        "ngram_sharing": [number | {"n": n, "floor": 0.1, "n_items": 3} for n in (5, 10, 25, 50)],
        "ngram_spread": [
            number | {"twentieth": t, "value": 10.0 ** (5 - t // 5), "n_items": 3}
            for t in range(1, 21)
        ],
        "ngram_diversity": [
            {"n": n, "top_p": p, "diversity": p * n / 6}
            for n in range(1, 6)
            for p in (0.6, 0.7, 0.8, 0.9, 1.0)
        ],
        "perplexity": [row for row in of_corpora if row.pop("panel") == "as they come"],
        "self_perplexity": [number | {"category": "c", "corpus": c, "n": 3} for c in ("a", "b")],
        "top_k_mass": [
            number | {"written": w, "k": k, "n_items": 3}
            for w in ("human text", "its own", "its own, greedy")
            for k in (1, 2, 5, 10, 100)
        ],
        "support_size": [
            {"written": w, "value": 12_345.6, "low": 12e3, "high": 13e3, "n_items": 3}
            for w in ("human text", "its own", "its own, greedy")
        ],
        "branching_factor": [
            number | {"what": what, "kind": kind, "position": p, "n_items": 3}
            for what in ("value", "change")
            for kind in ("its own text", "human text")
            for p in (0, 1, 2, 4, 512)
        ],
        "self_reinforcement": [
            number | {"kind": kind, "position": p, "n_items": 3}
            for kind in ("its own text", "its own text, greedy")
            for p in (1, 2, 3, 10)
        ],
        "calibration": [
            number | {"bin": b, "confidence": b / 15, "share": 1 / 15, "n_tokens": 9, "n_items": 3}
            for b in range(16)
        ],
        "token_shift": [
            number
            | {"what": what, "kind": kind, "position": p, "n_items": 3, "decoding": "greedy"}
            | {"other": names[0]}
            for what in ("token_shift", "kl")
            for kind in ("shifted", "marginal")
            for p in (0, 1, 2, 4, 512)
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
            number | {"category": "c", "corpus": c, "n": 3, "what": what, "panel": p, "steps": 4}
            for c in ("a", "a-longer-name")
            for what in ("value", "change")
            for p in ("as they come", "after fine-tuning")
        ],
        "probe_accuracy": [
            number
            | {"generator": g, "corpus": c, "horizon": h, "layer": 7, "probe": "vocabulary"}
            | {"frequent": 0.1, "bigram": 0.3, "n_test": 40, "n_prompts": 3}
            for c in ("a", "a-longer-name")
            for g in names
            for h in (1, 2, 3)
        ],
        "preferences": [
            number | {"measure": measure, "condition": "-", "what": what, "n": 3, "other": names[0]}
            for measure in ("chosen_logprob", "rejected_logprob")
            for what in ("value", "change")
        ],
        "choice_confidence": [
            number | {"measure": measure, "condition": condition, "n": 200}
            for measure in ("choice_confidence_right", "choice_confidence_wrong")
            for condition in ("-", "reasoned")
        ],
        "order_sensitivity": [
            number | {"measure": "order_sensitivity", "condition": condition, "n": 200}
            for condition in ("-", "reasoned")
        ],
        "stock_phrases": [
            {"phrase": f"as they had been told {i} times", "other": "b", "n_prompts": 9}
            | {"share": 0.9 - i / 40, "other_share": i / 80, "n_phrases": 30, "n_listed": 99}
            | {"log_odds": 5.0, "low": 4.0, "high": 6.0}
            for i in range(30)
        ],
        "treatments": [
            number | {"base": names[0], "decoding": decoding, "measure": measure, "n": 3}
            for decoding in ("greedy", "top_k=50,top_p=0.9,min_p=0.05,temperature=0.7")
            for measure in ("ngram_sharing", "words", "loops", "compression_ratio")
        ],
        "trajectory": [number | {"measure": name, "n_items": 3} for name in WIDEST.values()],
        "semantic_anchors": [
            {"anchor": anchor, "span": span, "text": "as was said before " * (9 - 3 * place)}
            | {"n_samples": 100, "n_holders": 60 - place, "n_wordings": None if span else 55}
            | {"middle": place / 9, "held": [10 * place + part for part in range(40)]}
            for place, (anchor, span) in enumerate(((1, None), (1, "2"), (None, "1")))
        ],
        "meaning_map": [
            {"sample": i, "x": i / 9, "y": i % 3, "x_share": 0.3, "y_share": 0.2}
            | {"text": "as was said before " * 9, "diversity": 0.4}
            for i in (0, 0, 1, 2, 3)
        ],
        "answers_found": [
            number | {"k": k, "n_items": 3, "value": k**0.8, "high": k**0.9, "low": k**0.7}
            for k in (1, 2, 5, 10)
        ],
        "diversity_quality": [
            number
            | {"score": 0.5, "score_low": 0.4, "score_high": 0.7, "n_items": 3}
            | {"diversity": 0.5, "diversity_low": 0.4, "diversity_high": 0.6}
        ],
        "shannon_game": [
            number | {"measure": f"shannon_{name}", "n_items": 3, "median": 1.0}
            for name in ("exact", "f1", "guesses", "perplexity")
        ],
    }
    several = (
        *("ngram_diversity", "alignment_overlap", "anchor_coverage", "blueprint"),
        *("meaning_map", "semantic_anchors"),
    )
    rows = [
        {"checkpoint": s.checkpoint, "label": s.label, "prompt_id": prompt, "prompt": prompt}
        | values
        for s in shown
        for prompt in (("p", "q", "r") if figure in several else ("p",))
        for values in columns[figure]
        if s.base or values.get("what") != "change"  # a base has none to be compared with
    ]
    return FigureData(rows, shown, "word", measures=MEASURES)


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


def test_a_reader_walks_through_the_blueprints_of_all_prompts(drawn: Bench) -> None:
    prompts = set(drawn.lake.read(tables.PROMPTS)["text"].to_pylist())
    chart = drawn.lake.figures / "blueprint" / "chart.html"
    for page, n_walks in ((chart, 1), (drawn.lake.report, 3)):
        text = page.read_text()
        assert text.count('class="walk"') == n_walks
        options = [unescape(h) for h in re.findall(r"<option[^>]*>([^<]*)</option>", text)]
        headings = options[: len(prompts)]  # blueprints come first
        assert sorted(headings) == sorted(prompts)
        assert set(headings[:2]) == {"p?", "q?"}  # whose generations are built alike
        (specs,) = re.findall(r"^const specs = (.*);$", text, re.MULTILINE)
        pages = json.loads(specs)["blueprint"]["walk"]["pages"]
        assert [p["heading"] for p in pages] == headings


def test_a_figure_without_content_is_left_out_of_the_report(drawn: Bench) -> None:
    text = unescape(drawn.lake.report.read_text())
    assert "what is drawn there: “Whether a sentence comes the more easily, the" in text
    # What recurs across prompts is looked at, and found to be chance.
    assert "none is surely more frequent than in base" in text
    assert 'id="chart-blueprint"' in text


def test_a_map_is_as_high_in_the_report_as_in_its_file(drawn: Bench) -> None:
    (specs,) = re.findall(r"^const specs = (.*);$", drawn.lake.report.read_text(), re.MULTILINE)
    chart = json.loads((drawn.lake.figures / "meaning_map" / "chart.json").read_text())
    assert chart["height"] == 420
    assert json.loads(specs)["meaning_map"]["wide"]["height"] == 420


def test_long_anchors_are_shortened_and_lines_are_seen_to_end() -> None:
    assert wrap("a b c", 80) == ["a b c"]
    lines = wrap(" ".join(f"word{i}" for i in range(100)), 30)
    assert len(lines) == 5
    assert lines[0].startswith("word0 ")
    assert lines[2] == "…"
    assert lines[-1].endswith("word99")
    assert all(len(line) <= 30 for line in lines)
    assert [len(line) for line in wrap("量" * 50, 30)] == [15, 15, 15, 5]
    assert spelled("one\ntwo\n\n  three ") == "one ↵ two ↵ ↵ three"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x08", "\ufffe", "\x7f", "</script>"])
def test_any_character_can_stand_in_an_anchor_and_in_a_prompt(character: str) -> None:
    import vl_convert

    shown = data("blueprint", 1)
    text = f"an anchor with {character} in it, and much more besides"
    rows = [row | {"prompt": text} for row in shown.rows[:1]]
    rows[0]["spans"] = [{"span": "1", "text": text, "n_holders": 8}]
    figure = next(f for f in FIGURES if f.name == "blueprint")
    svg = vl_convert.vegalite_to_svg(
        drawing_of(figure, FigureData(rows, shown.checkpoints, "word")).first
    )
    assert "an anchor with" in svg


def test_prompts_of_one_text_are_told_apart(bench: Bench) -> None:
    rows = imported("p", "a b", "a b") + imported("q", "a b", "c d")
    write_jsonl(bench.folder / "made.jsonl", [row | {"prompt": "Say it."} for row in rows])
    study = bench.study(checkpoints=[{"name": "m", "source": "file:made.jsonl"}])
    bench.run(study, only=("figures/blueprint",))
    found = gathered(bench, "blueprint")
    assert [row["prompt"] for row in found.rows] == ["Say it. (p)", "Say it. (q)"]


def test_a_figure_says_of_numbers_of_samples_that_differ(bench: Bench) -> None:
    text = "a b c d e f g h i j k l"
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


def test_a_figure_without_anything_to_show_is_not_there(bench: Bench) -> None:
    path = write_jsonl(bench.folder / "made.jsonl", imported("p", "a b"))
    study = bench.study(checkpoints=[{"name": "m", "source": f"file:{path}"}])
    present = [asset.name for asset in build_graph(study, bench.lake).present]
    assert "figures/ngram_sharing" in present
    for name in ("ngram_diversity", "perplexity", "top_k_mass", "shannon_game", "probe_accuracy"):
        assert f"figures/{name}" not in present


FACTS = {"role": "base", "base": None, "n_parameters": 10, "vocab_size": 5} | {
    "tokenizer": "t",
    "controlled": None,
}


@pytest.mark.parametrize(
    ("aligned", "words"),
    [
        ({}, []),
        ({"n_parameters": 11}, ["Not a controlled pair", "parameters (11 and 10)"]),
        ({"tokenizer": "u", "vocab_size": 6}, ["vocabulary (6 and 5)", "tokenizer"]),
        ({"tokenizer": None}, ["is not known here"]),
        ({"tokenizer": None, "controlled": True}, []),
        ({"n_parameters": 11, "controlled": True}, ["The study says that a was made from b"]),
        ({"role": "human", "tokenizer": None}, []),  # nobody made people from a model
    ],
)
def test_a_pair_that_is_not_controlled_is_named(aligned: dict[str, Any], words: list[str]) -> None:
    facts = {"b": FACTS, "a": FACTS | {"base": "b"} | aligned}
    sentences = uncontrolled(facts)
    assert len(sentences) == bool(words)
    for word in words:
        assert word in sentences[0]


def test_what_is_not_known_of_several_stages_is_said_once() -> None:
    facts = {"b": FACTS} | {n: FACTS | {"base": "b", "tokenizer": None} for n in ("s", "d", "r")}
    (sentence,) = uncontrolled(facts)
    assert sentence.startswith("Whether s, d and r were made from b is not known here")


def test_a_figure_that_is_selected_has_what_it_is_drawn_from(bench: Bench) -> None:
    rows = imported("p", *[f"{i} {HELD} {i}" for i in range(3)])
    path = write_jsonl(bench.folder / "made.jsonl", rows)
    study = bench.study(checkpoints=[{"name": "m", "source": f"file:{path}"}])
    for name in ("ngram_sharing", "ngram_spread", "alignment_overlap", "blueprint"):
        bench.run(study, only=(f"figures/{name}",))
        assert gathered(bench, name).rows, name


def test_generations_at_one_place_are_one_larger_dot() -> None:
    shown = data("meaning_map", 2)
    figure = next(f for f in FIGURES if f.name == "meaning_map")
    assert figure.pages is not None
    walk = figure.pages(shown)
    specification = walk.turned_to(walk.pages[0], figure.draw(shown, 720).to_dict(), "wide")
    drawn = [(dot["x"], dot["n"]) for dot in specification["datasets"]["dots"]]
    assert drawn[:2] == [(0, 2), (0, 2)]
    assert sorted(drawn[2:]) == [(i / 9, 1) for i in (1, 1, 2, 2, 3, 3)]
