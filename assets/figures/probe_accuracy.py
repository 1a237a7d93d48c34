"""Figure 6: how far hidden states tell the tokens to come, of own and of other text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.measures.intervals import Interval, bootstrap_sums

_BASELINES = {
    "n_bigram": "what mostly follows the next token",
    "n_frequent": "the most frequent token",
}
_AHEAD = "tokens ahead"
_HEIGHT = 230
"""Pixels of a panel."""


@dataclass(frozen=True)
class Series:
    """What one checkpoint's hidden states tell of one writer's text.

    Attributes:
        reader: Whose hidden states.
        generator: Who wrote the text.
        corpus: The set of prompts.
        horizon: How many tokens ahead.
        rows: Of each prompt a row of the query.
    """

    reader: FigureCheckpoint
    generator: str
    corpus: str
    horizon: int
    rows: dict[str, dict[str, Any]]

    @property
    def own(self) -> bool:
        """Whether it wrote the text itself."""
        return self.generator == self.reader.checkpoint

    def share(self, count: str = "n_right") -> Interval:
        """Share of the tokens that were guessed right by a probe, or a baseline."""
        counts = np.array([(row[count], row["n_tokens"]) for row in self.rows.values()], float)
        return bootstrap_sums(counts, lambda sums: sums[..., 0] / sums[..., 1])

    def above(self, other: Series, others: str = "n_right") -> Interval:
        """By how much its share is above another's, over the prompts that both have."""
        common = [item for item in self.rows if item in other.rows]
        pairs = [
            (
                *(self.rows[item][name] for name in ("n_right", "n_tokens")),
                *(other.rows[item][name] for name in (others, "n_tokens")),
            )
            for item in common
        ]
        return bootstrap_sums(
            np.array(pairs, float),
            lambda sums: sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3],
        )


def _series(data: FigureData) -> list[Series]:
    shown = {one.checkpoint: one for one in data.checkpoints}
    rows_by_series: dict[tuple[str, str, str, int], dict[str, dict[str, Any]]] = {}
    for row in data.rows:
        key = row["checkpoint"], row["generator"], row["corpus"], row["horizon"]
        rows_by_series.setdefault(key, {})[row["item"]] = row
    return [
        Series(shown[reader], generator, corpus, horizon, rows)
        for (reader, generator, corpus, horizon), rows in rows_by_series.items()
    ]


def _draw(data: FigureData, width: int) -> Any:
    series = _series(data)
    wide = width > style.NARROW
    rows = []
    for corpus in dict.fromkeys(one.corpus for one in series):
        here = [one for one in series if one.corpus == corpus]
        highest = max(one.share(count).high for one in here for count in ("n_right", *_BASELINES))
        titled = {
            f"{corpus}: its own text": [one for one in here if one.own],
            f"{corpus}: its partner's text, ■": [one for one in here if not one.own],
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
    series: list[Series],
    heading: str,
    highest: float,
    inner: int,
    width: int,
) -> Any:
    horizons = sorted({one.horizon for one in series})
    lines = list(dict.fromkeys((one.reader.checkpoint, one.generator) for one in series))
    gap = 0.7 / len(lines)
    points, rules = [], []
    for one in series:
        line = lines.index((one.reader.checkpoint, one.generator))
        place = horizons.index(one.horizon) + (line - (len(lines) - 1) / 2) * gap
        row = {
            "checkpoint": one.reader.checkpoint,
            "generator": one.generator,
            "horizon": one.horizon,
            "place": place,
        }
        points.append(row | asdict(one.share()))
        rules += [
            {
                "checkpoint": one.reader.checkpoint,
                "baseline": title,
                "left": place - 0.42 * gap,
                "right": place + 0.42 * gap,
                "mean": one.share(count).mean,
            }
            for count, title in _BASELINES.items()
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
        "mean:Q",
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
            alt.Tooltip("mean:Q", format=".1%", title="right"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("n:Q", title="prompts"),
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
    if not all(one.own for one in series):
        writers = [{"place": p["place"], "checkpoint": p["generator"]} for p in points]
        squares = alt.Chart(style.data(writers)).mark_square(size=50, opacity=1)
        layers.append(squares.encode(x=x, y=alt.value(_HEIGHT - 6), color=colour))
    panel = alt.layer(*layers).properties(width=inner, height=_HEIGHT)
    return panel.properties(title=style.heading(heading))


def _ahead(horizon: int) -> str:
    words = {0: "the next token itself", 1: "one token ahead", 2: "two ahead", 3: "three ahead"}
    return words.get(horizon, f"{horizon} ahead")


def _findings(data: FigureData) -> list[str]:
    series = {
        (curve.reader.checkpoint, curve.generator, curve.corpus, curve.horizon): curve
        for curve in _series(data)
    }
    sentences = []
    for aligned, base in data.pairs:
        ours, theirs = aligned.checkpoint, base.checkpoint
        for corpus in dict.fromkeys(c for reader, _, c, _ in series if reader == ours):
            sentences += _compare(series, corpus, (ours, ours), (theirs, theirs))
            sentences += _compare(series, corpus, (ours, theirs), (theirs, ours))
    by_writer: dict[tuple[str, str], list[Series]] = {}
    for curve in series.values():
        if curve.own:
            by_writer.setdefault((curve.corpus, curve.generator), []).append(curve)
    for some in by_writer.values():
        sentences.append(_over_pairs(some))
    if data.unit == "word" and sentences:
        sentences.append(
            "The checkpoints have different tokenizers: a token ahead is not the same stretch of "
            "text for all, and their shares are best read against their own baselines."
        )
    return sentences


def _compare(
    series: dict[tuple[str, str, str, int], Series],
    corpus: str,
    mine: tuple[str, str],
    other: tuple[str, str],
) -> list[str]:
    """Says whose hidden states tell more, each (reader, generator)."""
    parts = []
    for (reader, generator, where, horizon), one in series.items():
        against = series.get((*other, corpus, horizon))
        if (reader, generator, where) != (*mine, corpus) or against is None:
            continue
        if _probe(one) != _probe(against):
            return [f"On {corpus} {mine[0]} and {other[0]} were probed differently."]
        if not one.rows.keys() & against.rows.keys():
            return [f"On {corpus} {mine[0]} and {other[0]} were given no prompt in common."]
        gap = one.above(against)
        parts.append(
            f"{_ahead(horizon)} for {one.share().percent()} and {against.share().percent()} of "
            f"the tokens ({gap.verdict('more', 'less')}, {gap.points()})"
        )
    if not parts:
        return []
    texts = "its own text" if mine[0] == mine[1] else f"the text of {mine[1]}"
    others = "its own" if mine[0] == mine[1] else f"that of {other[1]}"
    return [
        f"On {corpus} probes read the text from the hidden states of {mine[0]}, over {texts}, and "
        f"of {other[0]}, over {others}: {'; '.join(parts)}."
    ]


def _probe(series: Series) -> str:
    return str(next(iter(series.rows.values()))["probe"])


def _over_pairs(series: list[Series]) -> str:
    """Where hidden states tell more of a checkpoint's own text than pairs of tokens do."""
    above = {
        _ahead(one.horizon): gap.points()
        for one in series
        if (gap := one.above(one, others="n_bigram")).low > 0
    }
    first = series[0]
    whose = f"On {first.corpus}, over its own text, the hidden states of {first.generator}"
    told = "tell more than the next token by itself does"
    if not above:
        return f"{whose} do not clearly {told}."
    return f"{whose} {told} " + ", ".join(f"{k} ({v})" for k, v in above.items()) + "."


def _table(data: FigureData) -> Grid:
    rows = [
        [
            one.corpus,
            one.reader.checkpoint,
            "its own" if one.own else one.generator,
            str(one.horizon),
            one.share().percent(),
            *(f"{one.share(count).mean:.0%}" for count in _BASELINES),
            _probe(one).replace("_", " "),
            f"{sum(row['n_tokens'] for row in one.rows.values()):,}",
        ]
        for one in _series(data)
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
    reads=("probe_guesses", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
)
