"""The report's first table: checkpoints against measures, with changes and how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from assets.drawing.figure_asset import gather
from assets.drawing.page import Cell, Groups, Headline, Sampled
from assets.figures.trajectory import FIGURE as TRAJECTORY
from assets.measures.measures import LEFT_OUT
from assets.measures.sentences import Number, change, conclusion, items_text, p_text, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from assets.lineage.context import AssetContext
    from warehouse.measure_headers import Measure


_CONCLUSIONS = 4
"""Checkpoints of which a sentence says whether they differ from their base, the last ones."""
HEADLINES = TRAJECTORY.query
"""The query of the first table; that of the trajectory, which shows the same values."""


def headline(
    context: AssetContext, measures: Sequence[Measure], sampled: Mapping[str, str]
) -> Headline:
    """Every measure at the level that it is quoted at, of every checkpoint.

    Args:
        context: What the report is made for.
        measures: All measures.
        sampled: By checkpoint what was sampled of it.
    """
    data = gather(TRAJECTORY, context, measures)
    values = {(row["checkpoint"], row["measure"]): row for row in data.rows}
    bases = {shown.checkpoint: shown.base for shown in data.checkpoints}
    changes = {
        (row["checkpoint"], row["measure"]): row
        for row in data.comparisons
        if row["headline"] and row["other"] == bases[row["checkpoint"]]
    }

    def cell(checkpoint: str, measure: Measure) -> Cell:
        row = values.get((checkpoint, measure.name))
        if row is None:
            return Cell("–")
        text = Number.of(row).text(measure.format)
        compared = changes.get((checkpoint, measure.name))
        if compared is None:
            return Cell(text)
        how_sure = verdict(compared)
        return Cell(
            text,
            change(compared, measure.format),
            f"{how_sure}, {p_text(compared)}, {items_text(compared, measure)}",
            how_sure.split()[0],
        )

    leading: Groups = {}
    further: Groups = {}
    for measure in measures:
        if any(name == measure.name for _, name in values):
            cells = [cell(shown.checkpoint, measure) for shown in data.with_rows]
            # Level 0 of what comes by position or bin is all of it.
            level = f" ({measure.level} = {measure.headline})" if measure.headline else ""
            groups = leading if measure.leading else further
            groups.setdefault(measure.group, []).append((f"{measure.title}{level}", cells))
    if not leading:
        leading, further = further, {}
    differ = len(set(sampled.values())) > 1  # else it stands above the table
    columns = [Sampled(s.label, sampled.get(s.checkpoint, "") * differ) for s in data.with_rows]
    pairs = [(s.checkpoint, s.base) for s in data.with_rows if s.base and s.base in bases]
    conclusions = [
        conclusion(
            checkpoint,
            base,
            [row for (name, _), row in changes.items() if name == checkpoint],
            data.measures,
        )
        for checkpoint, base in pairs[-_CONCLUSIONS:]
    ]
    return Headline(columns, leading, further, conclusions)


def left_out(
    context: AssetContext, measures: Iterable[Measure], checkpoints: Iterable[str]
) -> list[str]:
    """A sentence that counts the values that measures leave out, where there are any."""
    names = list(checkpoints)
    counted = []
    for measure in measures:
        numbers = {
            name: int((pq.read_metadata(file).metadata or {}).get(LEFT_OUT.encode(), b"0"))
            for name in names
            for file in context.lake.footers(measure.table, name)
        }
        some = ", ".join(f"{name} {number:,}" for name, number in numbers.items() if number)
        if some:
            counted.append(f"{measure.name} ({some})")
    if not counted:
        return []
    return [
        "Values that are left out, as a measure is not defined for their prompt or document, such "
        f"as n-grams longer than any generation: {'; '.join(counted)}."
    ]
