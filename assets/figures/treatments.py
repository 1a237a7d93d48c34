"""Beyond the paper: what ways of decoding do to a base, beside what alignment does."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number, verdict

if TYPE_CHECKING:
    from assets.study.study import Study

_MEASURES = ("ngram_sharing", "ngram_diversity", "opening", "compression_ratio", "loops", "words")
_NAMES = 190
"""Pixels of the names left of the panels."""
_CHARACTER = 7
"""Pixels of a character."""
_ROW = 30
"""Pixels from a name to the next."""
_GAP = 24
"""Pixels between panels."""


def _names(data: FigureData) -> dict[tuple[str, str, str], str]:
    """What each checkpoint at a decoding is called beside its base, in order."""
    by_checkpoint = {shown.checkpoint: shown for shown in data.checkpoints}
    return {
        (r["base"], r["checkpoint"], r["decoding"]): by_checkpoint[r["checkpoint"]].tick
        if r["checkpoint"] != r["base"]
        else r["decoding"].replace(",", ", ")
        for r in sorted(data.rows, key=lambda r: r["checkpoint"] != r["base"])
    }


def _draw(data: FigureData, width: int) -> Any:
    names = _names(data)
    shades = style.shades_by_checkpoint(data)
    columns = 3 if width > style.NARROW else 1
    inner = (width - _NAMES - (columns - 1) * _GAP) // columns
    groups = []
    for base in dict.fromkeys(row["base"] for row in data.rows):
        rows = [row for row in data.rows if row["base"] == base]
        drawn = [name for name in _MEASURES if any(r["measure"] == name for r in rows)]
        labels = [_lines(name) for (of, _, _), name in names.items() if of == base]
        panels = [
            _panel(
                [
                    row
                    | {
                        "name": _lines(names[base, row["checkpoint"], row["decoding"]]),
                        "colour": shades[row["checkpoint"]],
                        "aligned": row["checkpoint"] != base,
                    }
                    for row in rows
                    if row["measure"] == measure
                ],
                list(dict.fromkeys(labels)),
                inner,
                data.measures[measure].title,
                is_first=number % columns == 0,
                as_share=data.measures[measure].format == "share",
            )
            for number, measure in enumerate(drawn)
        ]
        groups.append(
            alt.concat(*panels, columns=columns, spacing=_GAP).properties(title=f"Base: {base}")
        )
    return style.finish(alt.vconcat(*groups))


def _panel(
    points: list[dict[str, Any]],
    names: list[str],
    width: int,
    title: str,
    *,
    is_first: bool,
    as_share: bool,
) -> Any:
    """A measure of the base at each decoding, and of what is aligned from it below them."""
    y = alt.Y(
        "name:N",
        title=None,
        sort=names,
        scale=alt.Scale(domain=names),
        axis=alt.Axis(
            labels=is_first,
            labelExpr=r"split(datum.label, '\n')",
            labelLimit=_NAMES - 10,
            minExtent=_NAMES - 10 if is_first else 0,
            ticks=False,
            domain=False,
            grid=True,
        ),
    )
    x = alt.X(
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=True, padding=8),
        axis=alt.Axis(tickCount=4, grid=False, format="%" if as_share else ",.3~r"),
    )
    colour = alt.Color("colour:N", scale=None)
    chart = alt.Chart()
    bands = (
        chart.transform_filter("datum.aligned")
        .mark_rect(opacity=0.15)
        .encode(x=alt.X("low:Q", title=None), x2="high:Q", color=colour)
    )
    rules = chart.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=None), x2="high:Q", y=y, color=colour
    )
    marks = chart.mark_point(filled=True, opacity=1, size=70).encode(
        x=x,
        y=y,
        color=colour,
        shape=alt.Shape(
            "aligned:N", scale=alt.Scale(domain=[False, True], range=["circle", "diamond"])
        ).legend(None),
        tooltip=[
            "checkpoint:N",
            "decoding:N",
            alt.Tooltip("value:Q", format=",.3~r"),
            alt.Tooltip("low:Q", format=",.3~r", title="95% from"),
            alt.Tooltip("high:Q", format=",.3~r", title="to"),
            alt.Tooltip("n:Q", title="prompts"),
        ],
    )
    return alt.layer(bands, rules, marks, data=style.data(points)).properties(
        width=width,
        height=_ROW * len(names),
        title=style.heading(textwrap.wrap(title, width // _CHARACTER)),
    )


def _lines(name: str) -> str:
    """A name in lines that have room beside a panel."""
    return "\n".join(textwrap.wrap(name, (_NAMES - 10) // _CHARACTER))


def _findings(data: FigureData) -> list[str]:
    """How many measures tell a base at a decoding from what is aligned from it."""
    bases = {shown.checkpoint: shown.base for shown in data.checkpoints}
    rows_of_pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in data.comparisons:
        if row["other"] == bases[row["checkpoint"]] and row["condition"] == "-":
            rows_of_pairs.setdefault((row["label"], row["other_label"]), []).append(row)
    sentences = []
    for (aligned, base), rows in rows_of_pairs.items():
        n_sure = sum(
            row["p_adjusted"] is not None and verdict(row) in ("higher", "lower") for row in rows
        )
        sentences.append(
            f"{base} differs clearly from {aligned} in {n_sure} of {len(rows)} measures."
        )
    return sentences


def _table(data: FigureData) -> Grid:
    measures = [name for name in _MEASURES if any(r["measure"] == name for r in data.rows)]
    rows = {(r["base"], r["checkpoint"], r["decoding"], r["measure"]): r for r in data.rows}
    return Grid(
        ["checkpoint", "decoding", *(data.measures[measure].title for measure in measures)],
        [
            [
                checkpoint,
                decoding,
                *(
                    Number.of(row).text(data.measures[measure].format)
                    if (row := rows.get((base, checkpoint, decoding, measure)))
                    else "–"
                    for measure in measures
                ),
            ]
            for base, checkpoint, decoding in _names(data)
        ],
    )


def _has_treatments(study: Study) -> bool:
    """Whether a base is sampled in several ways."""
    bases = {checkpoint.base for checkpoint in study.checkpoints}
    return any(c.name in bases and len(study.decodings(c)) > 1 for c in study.checkpoints)


FIGURE = Figure(
    name="treatments",
    place=72,
    title="A base at several decodings, beside its aligned partner",
    claim=(
        "Some of what alignment does to generations a way of decoding may do alone, to the base. "
        "Circles are the base at each of its decodings; diamonds, and the shades behind, are what "
        "is aligned from it, as it is sampled."
    ),
    reads=("summary", "comparisons", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=_MEASURES,
    findings=_findings,
    table=_table,
    applies=_has_treatments,
)
