"""What all figures look like."""

from __future__ import annotations

import json
import textwrap
from itertools import chain, cycle
from typing import TYPE_CHECKING, Any, ClassVar

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assets.drawing.figure import FigureCheckpoint, FigureData

NARROW = 340
"""Width in pixels of a figure on a phone."""
WIDE = 720
"""Width in pixels of a figure elsewhere."""

# Base checkpoints are blue, aligned ones orange, people grey, further ones of a kind in further
# shades; all can be told apart by colour-blind readers.
_BASES = ("#3b6fa0", "#7fb3d5", "#1b3a57", "#a9cce3")
_SHADES = {
    "base": _BASES,
    "aligned": ("#d9722e", "#f0a868", "#a04a12", "#f6cfa8"),
    "human": ("#6b6b6b", "#a8a8a8", "#3a3a3a", "#cfcfcf"),
}
# Stages of a ladder, from its base on: each is darker than the one before, and two in a row are at
# a CIELAB distance of 7.5 or more in every kind of colour vision. The lightest has a contrast of
# 2.3 to white. A second and a third ladder have hues of their own.
_RAMPS = (
    (
        *("#74b0dc", "#7b92d1", "#7d74c5", "#7d55ad"),
        *("#763795", "#5e2477", "#46115a", "#30003f"),
    ),
    (
        *("#63b87a", "#46a26b", "#258d5d", "#177654"),
        *("#0e604c", "#084b3e", "#04362e", "#02231f"),
    ),
    (
        *("#e58fb4", "#d3709f", "#c1508a", "#a43976"),
        *("#862562", "#67154c", "#4a0836", "#2e0022"),
    ),
)
_OF_LADDER = 3
"""Which of a ramp's colours stands for a whole ladder."""
# Series of checkpoints: of the base's blues, and of colours as far from each other as eight can be.
_FURTHER = (
    *("#d9722e", "#006d52", "#4b1f7a", "#e0b400"),
    *("#e29ac9", "#521424", "#8a8a8a", "#b5d99c"),
)


def colours(
    data: FigureData,
    width: int,
    *,
    field: str = "label",
    only: list[FigureCheckpoint] | None = None,
) -> alt.Color:
    """Each checkpoint's colour, with a legend above the figure.

    Args:
        data: What is shown.
        width: The figure's width in pixels.
        field: What the legend calls a checkpoint: `label`, or `checkpoint` for its name alone.
        only: Those that the figure shows; by default all.
    """
    shades = shades_by_checkpoint(data)
    listed = data.checkpoints if only is None else only
    label: dict[str, Any] = {}
    if field == "checkpoint" and any(s.stage for s in listed):
        names = {s.checkpoint: s.name for s in listed}
        label["labelExpr"] = f"({json.dumps(names)})[datum.label]"
    return alt.Color(
        f"{field}:N",
        title=None,
        scale=alt.Scale(
            domain=[getattr(s, field) for s in listed], range=[shades[s.checkpoint] for s in listed]
        ),
        legend=alt.Legend(
            orient="top",
            direction="horizontal" if width > NARROW else "vertical",
            columns=2 if width > NARROW else 1,
            labelLimit=width - 100,
            symbolOpacity=1,
            **label,
        ),
    )


def colour_of(data: FigureData, checkpoint: str) -> str:
    """A checkpoint's colour, where it is the only one in a chart."""
    return shades_by_checkpoint(data)[checkpoint]


def shades_by_checkpoint(data: FigureData) -> dict[str, str]:
    """Each checkpoint's colour."""
    left = {role: cycle(kind) for role, kind in _SHADES.items()}
    numbers = {name: number for number, name in enumerate(_ladders(data))}
    return {
        shown.checkpoint: next(left[shown.role])
        if shown.ladder is None or shown.rung is None
        else ramp(shown.n_rungs, numbers[shown.ladder])[shown.rung]
        for shown in data.checkpoints
    }


def ramp(n: int, ladder: int = 0) -> list[str]:
    """Colours of the stages of a ladder, from light to dark.

    Args:
        n: How many stages it has, at least 2.
        ladder: Its number among the ladders of a figure, from 0.
    """
    listed = _RAMPS[ladder % len(_RAMPS)]
    places = [i * (len(listed) - 1) / (n - 1) for i in range(n)]
    return [_between(listed, place) for place in places]


def _between(listed: tuple[str, ...], place: float) -> str:
    """The colour at a place of a list, mixed of those on either side of it."""
    before = min(int(place), len(listed) - 2)
    share = place - before
    lower, upper = (bytes.fromhex(c.removeprefix("#")) for c in listed[before : before + 2])
    mixed = (round(a + share * (b - a)) for a, b in zip(lower, upper, strict=True))
    return f"#{bytes(mixed).hex()}"


def colour_of_ladder(data: FigureData, name: str) -> str:
    """The colour of a ladder's line, one of its ramp."""
    return _RAMPS[_ladders(data).index(name) % len(_RAMPS)][_OF_LADDER]


def _ladders(data: FigureData) -> list[str]:
    """The ladders of the checkpoints shown, as they come."""
    names = [name for s in data.checkpoints for name in (s.ladder, *s.first_of) if name is not None]
    return list(dict.fromkeys(names))


def shades_of(roles: Mapping[str, str]) -> list[str]:
    """A colour for each name of a base or of a series, in their order."""
    further = cycle(_FURTHER)
    blues = chain(_BASES, further)
    return [next(blues if role == "base" else further) for role in roles.values()]


def labels(data: FigureData) -> list[str]:
    """The checkpoints' names in legends, in order."""
    return [shown.label for shown in data.checkpoints]


class _Rows:
    """Rows that Altair hands on as they are: it would copy a list at every step of a chart."""

    _schema: ClassVar = {"type": "array"}

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def to_dict(self) -> list[dict[str, Any]]:
        return self._rows


def data(rows: list[dict[str, Any]]) -> alt.Data:
    """Rows, of JSON values, as a figure's data."""
    return alt.Data(values=_Rows(rows))  # type: ignore[no-untyped-call]


def note(text: str, width: int) -> Any:
    """What stands where there is nothing to draw."""
    rows = [{"text": textwrap.wrap(text, width // 8)}]
    return finish(
        alt.Chart(data(rows)).mark_text(size=13).encode(text="text:N").properties(width=width)
    )


def heading(text: str | list[str]) -> alt.TitleParams:
    """What stands above one panel of several, in a line or in lines."""
    return alt.TitleParams(text, anchor="start", frame="group", fontSize=12, fontWeight="normal")


def finish(chart: Any) -> Any:
    """Sizes and fonts that are the same everywhere."""
    font = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
    # Set at once: Altair copies the chart at each of its `configure_` methods.
    chart.config = alt.Config(
        font=font,
        background="white",
        padding=4,
        axis=alt.AxisConfig(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titleColor="#333",
            gridColor="#e6e6e6",
            domainColor="#888",
            tickColor="#888",
        ),
        legend=alt.LegendConfig(labelFontSize=12, symbolType="square"),
        header=alt.HeaderConfig(labelFontSize=12, titleFontSize=12, labelFontWeight="bold"),
        view=alt.ViewConfig(stroke=None),
    )
    return chart
