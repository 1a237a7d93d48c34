"""Figure 6: how far hidden states tell the tokens to come, of own and of other text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number

_BASELINES = {
    "bigram": "what mostly follows the next token",
    "frequent": "the most frequent token",
}
_AHEAD = "tokens ahead"
_HEIGHT = 230
"""Pixels of a panel."""

_Row = dict[str, Any]


def _is_own(row: _Row) -> bool:
    """Whether hidden states are of the text that their checkpoint wrote itself."""
    return bool(row["generator"] == row["checkpoint"])


def _draw(data: FigureData, width: int) -> Any:
    wide = width > style.NARROW
    rows = []
    for corpus in dict.fromkeys(row["corpus"] for row in data.rows):
        of_corpus = [row for row in data.rows if row["corpus"] == corpus]
        highest = max(row[name] for row in of_corpus for name in ("high", *_BASELINES))
        titled = {
            f"{corpus}: its own text": [row for row in of_corpus if _is_own(row)],
            f"{corpus}: its partner's text, ■": [row for row in of_corpus if not _is_own(row)],
        }
        panels = {heading: some for heading, some in titled.items() if some}
        inner = (width - 60 * len(panels)) // len(panels) if wide else width - 60
        drawn = [
            _panel(data, some, heading, highest, inner, width) for heading, some in panels.items()
        ]
        rows.append(alt.hconcat(*drawn, spacing=20) if wide else alt.vconcat(*drawn))
    return style.finish(alt.vconcat(*rows, spacing=24))


def _panel(
    data: FigureData,
    rows_of_panel: list[_Row],
    heading: str,
    highest: float,
    inner: int,
    width: int,
) -> Any:
    horizons = sorted({row["horizon"] for row in rows_of_panel})
    lines = list(dict.fromkeys((row["checkpoint"], row["generator"]) for row in rows_of_panel))
    gap = 0.7 / len(lines)
    points, rules = [], []
    for row in rows_of_panel:
        line = lines.index((row["checkpoint"], row["generator"]))
        place = horizons.index(row["horizon"]) + (line - (len(lines) - 1) / 2) * gap
        points.append(row | {"place": place})
        rules += [
            {
                "checkpoint": row["checkpoint"],
                "baseline": title,
                "left": place - 0.42 * gap,
                "right": place + 0.42 * gap,
                "value": row[name],
            }
            for name, title in _BASELINES.items()
        ]
    wide = width > style.NARROW
    x_scale = alt.Scale(domain=[-0.5, len(horizons) - 0.5], nice=False)
    y_scale = alt.Scale(domain=[0, highest * 1.06], nice=False)
    names = "[" + ", ".join(f"'{horizon}'" for horizon in horizons) + "][datum.value]"
    x = alt.X(
        "place:Q",
        title=_AHEAD,
        scale=x_scale,
        axis=alt.Axis(
            values=list(range(len(horizons))),
            labelExpr=names,
            grid=False,
            tickSize=0,
            labelPadding=6,
        ),
    )
    y = alt.Y(
        "value:Q",
        title="tokens read right",
        scale=y_scale,
        axis=alt.Axis(format="%", tickCount=5, domain=False),
    )
    named = {row[name] for row in data.rows for name in ("checkpoint", "generator")}
    listed = [one for one in data.checkpoints if one.checkpoint in named]
    colour = style.colours(data, width, field="checkpoint", only=listed)
    drawn = alt.Chart(style.data(points))
    dots = drawn.mark_point(filled=True, size=70, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N", title="hidden states of"),
            alt.Tooltip("generator:N", title="text of"),
            alt.Tooltip("horizon:Q", title=_AHEAD),
            alt.Tooltip("value:Q", format=".1%", title="right"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("n_prompts:Q", title="prompts"),
        ],
    )
    spans = drawn.mark_rule(strokeWidth=2).encode(
        x=x, y=alt.Y("low:Q", scale=y_scale), y2=alt.Y2("high:Q"), color=colour
    )
    baselines = (
        alt.Chart(style.data(rules))
        .mark_rule(strokeWidth=1.6)
        .encode(
            x=alt.X("left:Q", scale=x_scale),
            x2=alt.X2("right:Q"),
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash(
                "baseline:N",
                title="without hidden states",
                scale=alt.Scale(domain=list(_BASELINES.values()), range=[[1, 0], [2, 2]]),
                legend=alt.Legend(
                    orient="bottom",
                    direction="horizontal" if wide else "vertical",
                    symbolType="stroke",
                    symbolStrokeColor="#333",
                    symbolStrokeWidth=1.6,
                    symbolSize=400,
                    titleFontWeight="normal",
                    labelLimit=width - 60,
                ),
            ),
        )
    )
    layers = [baselines, spans, dots]
    if not all(map(_is_own, rows_of_panel)):
        writers = [{"place": p["place"], "checkpoint": p["generator"]} for p in points]
        squares = alt.Chart(style.data(writers)).mark_square(size=50, opacity=1)
        layers.append(squares.encode(x=x, y=alt.value(_HEIGHT - 6), color=colour))
    panel = alt.layer(*layers).properties(width=inner, height=_HEIGHT)
    return panel.properties(title=style.heading(heading))


def _ahead(horizon: int) -> str:
    words = {0: "the next token itself", 1: "one token ahead", 2: "two ahead", 3: "three ahead"}
    return words.get(horizon, f"{horizon} ahead")


def _findings(data: FigureData) -> list[str]:
    by_writer: dict[tuple[str, str], list[_Row]] = {}
    for row in data.rows:
        if _is_own(row):
            by_writer.setdefault((row["corpus"], row["generator"]), []).append(row)
    sentences = [_over_pairs(rows) for rows in by_writer.values()]
    for aligned, base in data.pairs:
        of_two = [r for r in data.rows if r["checkpoint"] in (aligned.checkpoint, base.checkpoint)]
        for corpus in dict.fromkeys(row["corpus"] for row in of_two):
            if len({row["probe"] for row in of_two if row["corpus"] == corpus}) > 1:
                sentences.append(
                    f"On {corpus} {aligned.checkpoint} and {base.checkpoint} were probed "
                    "differently."
                )
    if data.unit == "word" and sentences:
        sentences.append(
            "The checkpoints have different tokenizers: a token ahead is not the same stretch of "
            "text for all, and their shares are best read against their own baselines."
        )
    return sentences


def _over_pairs(rows: list[_Row]) -> str:
    """Where hidden states tell more of a checkpoint's own text than pairs of tokens do."""
    above = [
        f"{_ahead(row['horizon'])} ({Number.of(row).text('share')} against {row['bigram']:.0%})"
        for row in rows
        if row["low"] > row["bigram"]
    ]
    first = rows[0]
    whose = f"On {first['corpus']}, over its own text, the hidden states of {first['generator']}"
    told = "tell more than the next token by itself does"
    return f"{whose} {told} {', '.join(above)}." if above else f"{whose} do not clearly {told}."


def _table(data: FigureData) -> Grid:
    rows = [
        [
            row["corpus"],
            row["checkpoint"],
            "its own" if _is_own(row) else row["generator"],
            str(row["horizon"]),
            Number.of(row).text("share"),
            *(f"{row[name]:.0%}" for name in _BASELINES),
            row["probe"].replace("_", " "),
            f"{row['n_test']:,}",
        ]
        for row in data.rows
    ]
    heads = ["prompts", "hidden states of", "text of", "ahead", "right"]
    return Grid([*heads, "pairs", "most frequent", "probe", "tokens"], rows)


FIGURE = Figure(
    name="probe_accuracy",
    place=7,
    title="How far ahead hidden states tell the text",
    paper="figure 6",
    claim=(
        "A linear probe reads the tokens one, two and three steps ahead from an aligned model's "
        "hidden states more often than from a base model's, each on its own text; and a base model "
        "tells more of an aligned model's text than the other way round."
    ),
    reads=("probe_accuracy", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("probe_accuracy",),
    findings=_findings,
    table=_table,
)
