"""`summary`: every measure of a checkpoint over its items, with intervals.

Rows of measures that have not changed are kept, so that a further measure computes itself alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_parts, note_part_versions
from assets.measures import slices, statistics
from assets.measures.slices import SLICE, Slice, alike, each_and_all, stacked
from assets.measures.statistics import RESAMPLES, Items, estimate
from assets.study.digests import digest
from warehouse.tables import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext
    from warehouse.measure_headers import Measure

_CODE = digest(
    [
        code_version(Path(__file__), *(Path(str(m.__file__)) for m in (slices, statistics))),
        repr(SUMMARY),
    ]
)


def summarise(measure: Measure, values: pa.Table) -> pa.Table:
    """A measure's values over the items of each collection, and of all.

    Args:
        measure: The measure.
        values: Its rows of one checkpoint.

    Returns:
        Rows of `summary`.
    """
    parts = [
        part
        for key, collections in _by_slice(values).items()
        for part in each_and_all(key, collections)
    ]
    rows = [row for some in alike(parts) for row in _rows(measure, some)]
    rows.sort(key=lambda row: tuple(row[name] for name in (*SLICE, "collection")))
    return pa.Table.from_pylist(rows, SUMMARY.arrow_schema)


def _rows(measure: Measure, some: Sequence[Slice]) -> Iterator[dict[str, Any]]:
    """The rows of slices that are alike."""
    numbers = stacked(some)
    over_items = estimate(
        measure.statistic,
        {name: Items(items[..., 0], items[..., 1]) for name, items in numbers.items()},
    )
    floors = np.mean([items[..., 2].mean(axis=0) for items in numbers.values()], axis=0)
    for i, part in enumerate(some):
        values_of_slice = dict(zip(SLICE, part.key, strict=True))
        row = values_of_slice | {
            "measure": measure.name,
            "value": float(over_items.value[i]),
            "low": float(over_items.low[i]),
            "high": float(over_items.high[i]),
            "n_items": part.n_items,
            "floor": None if np.isnan(floors[i]) else float(floors[i]),
            "headline": measure.is_headline(values_of_slice["level"]),
        }
        for name in part.names:
            yield row | {"collection": name}


def _by_slice(values: pa.Table) -> dict[tuple[Any, ...], dict[str, np.ndarray]]:
    """A measure's rows by slice and collection: float [n, 3], numerator, denominator and floor.

    Items are in the order of their names.
    """
    columns = (*SLICE, "collection")
    ordered = values.sort_by([(name, "ascending") for name in (*columns, "item")])
    numbers = np.column_stack(
        [
            ordered[name].to_numpy(zero_copy_only=False).astype(float)
            for name in ("numerator", "denominator", "floor")
        ]
    )
    by_slice: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
    for (*key, collection), start, stop in _runs(ordered, columns):
        by_slice.setdefault(tuple(key), {})[collection] = numbers[start:stop]
    return by_slice


def _runs(ordered: pa.Table, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int, int]]:
    """Consecutive rows that are equal in some columns: their values, and from where to where."""
    if len(ordered) == 0:
        return
    changes = np.zeros(len(ordered), dtype=bool)
    for name in columns:
        codes = pc.dictionary_encode(ordered[name].combine_chunks()).indices.to_numpy()
        changes[1:] |= codes[1:] != codes[:-1]
    starts = [0, *np.flatnonzero(changes).tolist()]
    firsts = ordered.select(columns).take(pa.array(starts)).to_pylist()
    for first, start, stop in zip(firsts, starts, [*starts[1:], len(ordered)], strict=True):
        yield tuple(first[name] for name in columns), start, stop


def summary_asset(measures: Sequence[Measure]) -> TableAsset:
    """The asset of `summary`, over all measures."""
    by_table = {measure.table.name: measure for measure in measures}

    @contextmanager
    def rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
        versions = {
            by_table[name].name: digest([_CODE, stored.data_version])
            for name, upstream in context.upstream.items()
            if (stored := upstream.provenance(context.partition)) is not None
        }
        note_part_versions(context, versions)
        kept = finished_parts(context, SUMMARY, ["measure"], versions)
        tables = [
            kept[name]
            if name in kept
            else summarise(measure, context.lake.read(measure.table, context.partition))
            for measure in measures
            if (name := measure.name) in versions
        ]
        yield pa.concat_tables([SUMMARY.arrow_schema.empty_table(), *tables]).to_batches()

    return TableAsset(
        name=SUMMARY.name,
        group="summaries",
        description=SUMMARY.description,
        reads=tuple(by_table),
        optional=tuple(by_table),
        gathers=True,
        version=_CODE,
        code="how measures are summarised",
        table=SUMMARY,
        rows=rows,
        signature=lambda context: Signature.of(interval=95, resamples=RESAMPLES),
    )
