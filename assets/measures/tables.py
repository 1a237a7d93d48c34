"""One asset for every file in `sql/`: a file is a measurement, a table and its checks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.measures.declared import (
    keys_of,
    query_parameters,
    study_parameters,
    thresholds_in,
)
from assets.measures.pairs import base_of, pair_with_base
from assets.study.digests import digest
from warehouse.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from assets.lineage.context import AssetContext
    from warehouse import Measurement


def measurement_asset(measurement: Measurement) -> TableAsset:
    """The asset of a measurement's table."""
    beside_base = measurement.beside_base

    @contextmanager
    def rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
        with measure(
            measurement,
            context.lake,
            [context.tables[name] for name in measurement.reads],
            checkpoint=context.partition,
            pair=pair_with_base(context.study, context.checkpoint) if beside_base else None,
            parameters=study_parameters(context.study),
            limits=context.limits,
        ) as batches:
            yield batches

    version = digest(measurement.query)

    def signature(context: AssetContext) -> Signature:
        entries = context.upstream_signature()
        return (
            entries
            + thresholds_in(context.study, measurement.query, entries)
            + Signature.named(measurement.table.name, short(version))
        )

    return TableAsset(
        name=measurement.table.name,
        group="measurements",
        description=measurement.table.description,
        reads=measurement.reads,
        version=version,
        code=f"{measurement.path.parent.name}/{measurement.path.name}",
        partitioned=measurement.table.partitioned,
        settings=keys_of(measurement.query),
        parameters=query_parameters(measurement.query, measurement.reads, beside_base=beside_base),
        of_partners=measurement.reads if beside_base else (),
        partners=base_of,
        table=measurement.table,
        rows=rows,
        signature=signature,
    )
