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
from assets.measures import statistics
from assets.measures.statistics import RESAMPLES, Items, estimate
from assets.study.digests import digest
from warehouse.tables import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext
    from warehouse.measure_headers import Measure

ALL = "*"
"""The collection of a value over all collections."""
SLICE = ("decoding", "other", "condition", "unit", "level")
"""The columns that tell a measure's slices apart."""
_CODE = digest([code_version(Path(__file__), Path(statistics.__file__)), repr(SUMMARY)])
_SLICES_AT_ONCE = 200


def summarise(measure: Measure, values: pa.Table) -> pa.Table:
    """A measure's values over the items of each collection, and of all.

    Args:
        measure: The measure.
        values: Its rows of one checkpoint.

    Returns:
        Rows of `summary`.
    """
    rows: list[dict[str, Any]] = []
    for (collection, *_), keys, items, floors in _alike(values):
        rows += _rows(measure, collection, keys, {collection: items}, floors)
    by_slice: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_slice.setdefault(tuple(row[name] for name in SLICE), []).append(row)
    rows += [some[0] | {"collection": ALL} for some in by_slice.values() if len(some) == 1]
    rows += _over_several(measure, values)
    rows.sort(key=lambda row: tuple(row[name] for name in (*SLICE, "collection")))
    return pa.Table.from_pylist(rows, SUMMARY.arrow_schema)


def _rows(
    measure: Measure,
    collection: str,
    keys: Sequence[tuple[Any, ...]],
    collections: dict[str, Items],
    floors: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """A row for each slice."""
    over_items = estimate(measure.statistic, collections)
    n_items = sum(map(len, collections.values()))
    for i, key in enumerate(keys):
        slice_values = dict(zip(SLICE, key, strict=True))
        yield slice_values | {
            "measure": measure.name,
            "collection": collection,
            "value": float(over_items.value[i]),
            "low": float(over_items.low[i]),
            "high": float(over_items.high[i]),
            "n_items": n_items,
            "floor": None if np.isnan(floors[i]) else float(floors[i]),
            "headline": measure.is_headline(slice_values["level"]),
        }


def _alike(
    values: pa.Table,
) -> Iterator[tuple[tuple[str, int], list[tuple[Any, ...]], Items, np.ndarray]]:
    """Slices of one collection that have as many items, together: they share their draws."""
    by_slice = slices_of(values)
    groups: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for (collection, *values_of_slice), rows in by_slice.items():
        groups.setdefault((collection, len(rows)), []).append(tuple(values_of_slice))
    for (collection, n), keys in groups.items():
        for start in range(0, len(keys), _SLICES_AT_ONCE):
            some = keys[start : start + _SLICES_AT_ONCE]
            stacked = np.stack([by_slice[(collection, *key)] for key in some], axis=1)
            items = Items(stacked[..., 0], stacked[..., 1])
            yield (collection, n), some, items, stacked[..., 2].mean(axis=0)


def _over_several(measure: Measure, values: pa.Table) -> Iterator[dict[str, Any]]:
    """A row over all collections for each slice that has several; those of like ones together."""
    by_key: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
    for (collection, *values_of_slice), rows in slices_of(values).items():
        by_key.setdefault(tuple(values_of_slice), {})[collection] = rows
    alike: dict[tuple[tuple[str, int], ...], list[tuple[Any, ...]]] = {}
    for key, collections in by_key.items():
        sizes = tuple((name, len(rows)) for name, rows in sorted(collections.items()))
        alike.setdefault(sizes, []).append(key)
    for sizes, keys in alike.items():
        if len(sizes) == 1:
            continue
        for start in range(0, len(keys), _SLICES_AT_ONCE):
            some = keys[start : start + _SLICES_AT_ONCE]
            stacked = {
                name: np.stack([by_key[key][name] for key in some], axis=1) for name, _ in sizes
            }
            items = {name: Items(rows[..., 0], rows[..., 1]) for name, rows in stacked.items()}
            floors = np.mean([rows[..., 2].mean(axis=0) for rows in stacked.values()], axis=0)
            yield from _rows(measure, ALL, some, items, floors)


def slices_of(values: pa.Table) -> dict[tuple[Any, ...], np.ndarray]:
    """A measure's rows by collection and slice: float [n, 3] of numerator, denominator and floor.

    Items are in the order of their names.
    """
    ordered = values.sort_by([(name, "ascending") for name in ("collection", *SLICE, "item")])
    numbers = np.column_stack(
        [
            ordered[name].to_numpy(zero_copy_only=False).astype(float)
            for name in ("numerator", "denominator", "floor")
        ]
    )
    return {key: numbers[start:stop] for key, start, stop in runs(ordered, ("collection", *SLICE))}


def runs(ordered: pa.Table, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int, int]]:
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
