"""Lines over stages of ladders, beside those over training steps."""

from __future__ import annotations

import re
from typing import Any

import pytest

from assets.drawing import style
from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.lines import ladders_of, series_of, stages_of
from assets.drawing.over_steps import Panel, draw
from assets.measures.sentences import Number

PANELS = {
    "perplexity": Panel("perplexity per token", "number", ".4~s"),
    "overlap": Panel("overlap", "share", ".2~%"),
}


def stage(
    ladder: str,
    rung: int,
    name: str,
    called: str | None = None,
    *,
    n: int = 4,
    first_of: tuple[str, ...] = (),
) -> FigureCheckpoint:
    return FigureCheckpoint(
        name,
        "-",
        "p",
        "aligned" if rung else "base",
        "base" if rung else None,
        ladder=ladder,
        rung=rung,
        n_rungs=n,
        first_of=first_of,
        stage=called,
    )


FOUR = [
    stage("olmo", 0, "base"),
    stage("olmo", 1, "z-sft", "SFT"),
    stage("olmo", 2, "a-dpo", "DPO"),
    stage("olmo", 3, "instruct"),
]
STEPS = [
    FigureCheckpoint(f"run-{step}", "-", "p", "aligned", "base", "run", step, stage="RL")
    for step in (20, 10)
]


def data_of(*shown: FigureCheckpoint, without: tuple[str, ...] = ()) -> FigureData:
    rows = [{"checkpoint": s.checkpoint} for s in shown if s.checkpoint not in without]
    return FigureData(rows, [*shown], "token")


def values_of(data: FigureData, **measures: float) -> dict[tuple[str, str], Number]:
    """Each measure grows by its first value with each checkpoint."""
    return {
        (s.checkpoint, measure): Number(first * n, first * (n - 0.5), first * (n + 0.5))
        for measure, first in measures.items()
        for n, s in enumerate(data.checkpoints, start=1)
    }


def drawing(data: FigureData, width: int = style.WIDE, **measures: float) -> dict[str, Any]:
    values = values_of(data, **(measures or {"perplexity": 10.0}))
    found: dict[str, Any] = draw(data, width, PANELS, values).to_dict()
    return found


def points_of(panels: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of checkpoints, of all panels of one kind."""
    return [row for row in panels["data"]["values"] if row["is"] == "point"]


def texts(chart: dict[str, Any]) -> list[str]:
    import vl_convert

    return re.findall(r"<text[^>]*>([^<]+)<", vl_convert.vegalite_to_svg(chart))


def test_lines_are_of_the_stages_that_were_measured_in_their_order() -> None:
    data = data_of(FOUR[2], FOUR[0], FOUR[3], FOUR[1], without=("z-sft",))
    assert {name: [s.checkpoint for s in line] for name, line in ladders_of(data).items()} == {
        "olmo": ["base", "a-dpo", "instruct"]
    }
    assert stages_of(data) == ["base", "DPO", "instruct"]
    assert series_of(data) == {}
    assert ladders_of(data_of(FOUR[0])) == {}  # one is no line


def test_a_base_that_ladders_share_begins_each_of_them() -> None:
    base = stage("olmo", 0, "base", first_of=("tulu", "other"))
    data = data_of(base, *FOUR[1:], stage("tulu", 1, "t-sft", "SFT"), stage("tulu", 2, "t-rl"))
    assert {name: [s.checkpoint for s in line] for name, line in ladders_of(data).items()} == {
        "olmo": ["base", "z-sft", "a-dpo", "instruct"],
        "tulu": ["base", "t-sft", "t-rl"],
    }
    # The stage of another ladder stands after the one that it was made from.
    assert stages_of(data) == ["base", "SFT", "t-rl", "DPO", "instruct"]


@pytest.mark.whole
def test_stages_are_an_axis_in_their_order_and_points_have_their_colours() -> None:
    data = data_of(*FOUR)
    chart = drawing(data)
    points = points_of(chart)
    assert [(p["stage"], p["checkpoint"], p["value"], p["rung"]) for p in points] == [
        ("base", "base", 10.0, 0),
        ("SFT", "z-sft", 20.0, 1),
        ("DPO", "a-dpo", 30.0, 2),
        ("instruct", "instruct", 40.0, 3),
    ]
    assert [p["shade"] for p in points] == style.ramp(4)
    assert {p["series"] for p in points} == {"olmo"}
    # What each is compared with: its base, and the stage before.
    assert [(p["base"], p["before"]) for p in points] == [
        ("–", "–"),
        ("10 [5, 15]", "10 [5, 15]"),
        ("10 [5, 15]", "20 [15, 25]"),
        ("10 [5, 15]", "30 [25, 35]"),
    ]
    assert "perplexity per token" in texts(chart)
    *_, line, point = chart["spec"]["layer"]
    assert line["encoding"]["order"]["field"] == "rung"
    for layer in (line, point):
        assert layer["encoding"]["x"]["field"] == "stage"
        assert layer["encoding"]["x"]["scale"]["domain"] == ["base", "SFT", "DPO", "instruct"]
    (parameter,) = chart["params"]
    assert parameter["select"]["fields"] == ["stage"]
    assert parameter["views"] == [point["name"]]
    written = [text for text in texts(chart) if text in {*stages_of(data), "stage", "olmo"}]
    assert sorted(written) == sorted(["base", "SFT", "DPO", "instruct", "stage", "olmo"])


def test_the_line_goes_through_the_stages_from_left_to_right() -> None:
    import vl_convert

    svg = vl_convert.vegalite_to_svg(drawing(data_of(*FOUR)))
    colour = style.colour_of_ladder(data_of(*FOUR), "olmo")
    (line,) = re.findall(f'<path [^>]*d="([^"]*)"[^>]*stroke="{colour}" stroke-width="1.8"', svg)
    places = [float(x) for x in re.findall(r"[ML]([-0-9.]+),", line)]
    assert len(places) == 4
    assert places == sorted(places)


def test_the_stage_before_need_not_have_the_measure() -> None:
    data = data_of(*FOUR)
    values = values_of(data, overlap=0.1)
    del values["z-sft", "overlap"]
    points = points_of(draw(data, style.WIDE, PANELS, values).to_dict())
    assert [(p["stage"], p["before"]) for p in points] == [
        ("base", "–"),
        ("DPO", "–"),
        ("instruct", "30% [25, 35]"),
    ]
    # Nor need it be there at all.
    data = data_of(*FOUR, without=("z-sft",))
    points = points_of(drawing(data))
    assert [(p["stage"], p["before"]) for p in points] == [
        ("base", "–"),
        ("DPO", "–"),
        ("instruct", "30 [25, 35]"),
    ]


@pytest.mark.whole
def test_panels_of_ladders_come_before_those_of_series() -> None:
    chart = drawing(data_of(*FOUR, *STEPS), perplexity=10.0, overlap=0.1)
    layers = [panels["spec"]["layer"][-1] for panels in chart["vconcat"]]
    assert [layer["encoding"]["x"]["field"] for layer in layers] == ["stage", "step"]
    assert [panels["facet"]["sort"] for panels in chart["vconcat"]] == [
        ["perplexity", "overlap"]
    ] * 2
    titles = [text for text in texts(chart) if text in {"perplexity per token", "overlap"}]
    assert titles == ["perplexity per token", "overlap"] * 2
    assert {p["name"]: (p["select"]["fields"], p["views"]) for p in chart["params"]} == {
        "pointed_stage": (["stage"], [layers[0]["name"]]),
        "pointed": (["step"], [layers[1]["name"]]),
    }
    domain = layers[1]["encoding"]["color"]["scale"]["domain"]
    assert domain == ["olmo", "base (base)", "RL: run"]
    assert "training step" in texts(chart)


def test_a_ladder_and_a_series_of_one_name_are_told_apart() -> None:
    run = [FigureCheckpoint(f"r{i}", "-", "p", "aligned", None, "olmo", i) for i in (1, 2)]
    chart = drawing(data_of(*FOUR, *run))
    series = chart["vconcat"][1]["spec"]["layer"][-1]
    assert series["encoding"]["color"]["scale"]["domain"] == [
        "olmo (ladder)",
        "olmo",
    ]


def test_a_series_that_is_a_ladder_is_drawn_once() -> None:
    tuned = [
        FigureCheckpoint(f"t-{i}", "-", "p", "aligned", "t-0", "tuned", i or None, "olmo", i, 3)
        for i in range(3)
    ]
    data = data_of(*tuned)
    assert series_of(data) == {}
    assert {p["series"] for p in points_of(drawing(data))} == {"olmo"}
    # Steps that are not on the ladder are of a series.
    data = data_of(*tuned, FigureCheckpoint("t-9", "-", "p", "aligned", "t-0", "tuned", 9))
    assert [s.step for s in series_of(data)["tuned"]] == [1, 2, 9]


def test_without_steps_and_ladders_there_is_nothing_to_draw() -> None:
    said = " ".join(texts(drawing(data_of(FOUR[0], FigureCheckpoint("x", "-", "p", "base", None)))))
    assert said.startswith("No checkpoint that was measured has a step")


@pytest.mark.whole
@pytest.mark.parametrize("width", [style.NARROW, style.WIDE])
@pytest.mark.parametrize("n", [2, 4, 8])
def test_long_names_fit_and_say_how_they_end(n: int, width: int) -> None:
    import vl_convert

    names = [f"a-family-of-models-with-a-long-name-{i}" for i in range(n)]
    chart = drawing(data_of(*(stage("olmo", i, name, n=n) for i, name in enumerate(names))), width)
    svg = vl_convert.vegalite_to_svg(chart)
    drawn_width = float(re.search(r'<svg[^>]* width="([0-9.]+)"', svg)[1])
    panels = 2 if width == style.WIDE else 1
    assert drawn_width <= width / panels + 12
    labels = [text for text in texts(chart) if text.startswith("…")]
    assert [label[-6:] for label in labels] == [f"name-{i}" for i in range(n)]


def test_each_panel_has_its_measure_numbered_and_limited_in_its_own_way() -> None:
    data = data_of(FigureCheckpoint("base", "-", "p", "base", None), *STEPS)
    panels = PANELS | {"overlap": Panel("overlap", "share", ".2~%", limits=(0.25,))}
    values = values_of(data, perplexity=1_000.0, overlap=0.1)
    chart = draw(data, style.WIDE, panels, values).to_dict()
    rows = [row for row in chart["data"]["values"] if row["is"] != "point"]
    assert rows == [
        {"is": "base", "measure": "perplexity", "series": "base (base)", "value": 1_000.0},
        {"is": "base", "measure": "overlap", "series": "base (base)", "value": 0.1},
        {"is": "limit", "measure": "overlap", "value": 0.25},
    ]
    numbers = [text for text in texts(chart) if text[0].isdigit() and not text.endswith("0")]
    assert {number[-1] for number in numbers} >= {"k", "%"}
    assert not any(point["is"] == "point" and point["bar"] for point in points_of(chart))


def test_200_checkpoints_cost_a_mark_a_point_and_no_more() -> None:
    import vl_convert

    run = [FigureCheckpoint(f"r{i}", "-", "p", "aligned", None, "run", i) for i in range(200)]
    chart = drawing(data_of(*run), overlap=0.1)
    # Every other is there to be pointed at, with the room around it.
    assert vl_convert.vegalite_to_svg(chart).count("<path") < 2 * 100 + 30


def test_numbers_below_1_are_not_thousandths() -> None:
    numbers = texts(drawing(data_of(*FOUR), perplexity=0.1))
    assert {"0.1", "0.2", "0.3"} < {*numbers}
    assert "1k" in texts(drawing(data_of(*FOUR), perplexity=1_000.0))
