"""Colours: that stages of a ladder can be told apart, on white and whatever the colour vision."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from assets.drawing import style
from assets.drawing.figure import FigureCheckpoint, FigureData

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    rgb = np.array([*bytes.fromhex(colour[1:])]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str = "normal") -> np.ndarray:
    seen = np.clip(np.asarray(VISIONS[vision]) @ linear(colour), 0, 1)
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in XYZ @ seen / XYZ.sum(axis=1)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast_to_white(colour: str) -> float:
    return 1.05 / (float(XYZ[1] @ linear(colour)) + 0.05)


@pytest.mark.parametrize("ladder", range(3))
@pytest.mark.parametrize("n", range(2, 9))
def test_stages_go_from_light_to_dark_and_can_be_told_apart(n: int, ladder: int) -> None:
    ramp = style.ramp(n, ladder)
    assert len(ramp) == n
    lightness = [lab(colour)[0] for colour in ramp]
    assert all(before - after > 7 for before, after in itertools.pairwise(lightness))
    assert contrast_to_white(ramp[0]) > 2.3
    for vision in VISIONS:
        distances = [
            np.linalg.norm(lab(a, vision) - lab(b, vision)) for a, b in itertools.pairwise(ramp)
        ]
        assert min(distances) > 7.5, (vision, distances)


def test_the_ends_of_a_ramp_are_the_same_whatever_its_length() -> None:
    for n in (2, 3, 8, 20):
        ramp = style.ramp(n)
        assert (ramp[0], ramp[-1]) == ("#74b0dc", "#30003f")
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in ramp)
    assert style.ramp(8)[3] == "#7d55ad"
    # Half way between the fourth and the fifth of the eight.
    assert style.ramp(3)[1] == "#7a46a1"
    assert style.ramp(4, ladder=3) == style.ramp(4)


def rungs(ladder: str, *names: str, n: int, start: int = 0) -> list[FigureCheckpoint]:
    return [
        FigureCheckpoint(name, "-", "p", "aligned", None, ladder=ladder, rung=rung, n_rungs=n)
        for rung, name in enumerate(names, start=start)
    ]


def shown_of(*checkpoints: FigureCheckpoint) -> FigureData:
    return FigureData([{"checkpoint": s.checkpoint} for s in checkpoints], [*checkpoints], "word")


def test_stages_have_their_ramp_and_all_others_the_colours_that_they_had() -> None:
    others = [
        FigureCheckpoint("base", "-", "p", "base", None),
        FigureCheckpoint("other", "-", "p", "aligned", "base"),
    ]
    before = style.shades_by_checkpoint(shown_of(*others))
    assert before == {"base": "#3b6fa0", "other": "#d9722e"}
    first = rungs("olmo", "a", "b", "c", n=3)
    second = rungs("tulu", "d", "e", n=4, start=2)
    data = shown_of(*first, *second, *others)
    assert style.shades_by_checkpoint(data) == before | {
        "a": style.ramp(3)[0],
        "b": style.ramp(3)[1],
        "c": style.ramp(3)[2],
        "d": style.ramp(4, 1)[2],
        "e": style.ramp(4, 1)[3],
    }
    assert style.colour_of(data, "c") == "#30003f"
    assert style.colour_of_ladder(data, "tulu") in style.ramp(8, 1)
    # Those of a stage stay, whichever other stages a figure has nothing of.
    assert style.colour_of(shown_of(first[1]), "b") == style.ramp(3)[1]


def test_legends_that_name_checkpoints_say_their_stage() -> None:
    import altair as alt
    import vl_convert

    first, second = rungs("olmo", "a", 'b"s', n=2)
    staged = FigureCheckpoint('b"s', "top_p=0.9", "p", "aligned", None, stage="DPO")
    data = shown_of(first, staged)
    chart = alt.Chart(style.data([{"checkpoint": "a"}, {"checkpoint": 'b"s'}])).mark_point()
    svg = vl_convert.vegalite_to_svg(
        chart.encode(color=style.colours(data, style.WIDE, field="checkpoint")).to_dict()
    )
    assert {"a", 'DPO: b"s'} <= set(re.findall(r"<text[^>]*>([^<]+)<", svg))
    plain = style.colours(shown_of(first, second), style.WIDE, field="checkpoint").to_dict()
    assert "labelExpr" not in json.dumps(plain)
