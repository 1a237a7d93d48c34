"""One asset for every file in `sql/`: a file is a measurement, a table and its checks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.measures.declared import keys_of, query_parameters, study_parameters
from assets.study.digests import digest
from assets.study.thresholds import written
from warehouse.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from assets.lineage.context import AssetContext
    from warehouse import Measurement


def measurement_asset(measurement: Measurement) -> TableAsset:
    """The asset of a measurement's table."""

    @contextmanager
    def rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
        with measure(
            measurement,
            context.lake,
            [context.tables[name] for name in measurement.reads],
            checkpoint=context.partition,
            parameters=study_parameters(context.study),
            limits=context.limits,
        ) as batches:
            yield batches

    version = digest(measurement.query)
    keys = keys_of(measurement.query)
    thresholds = [key.removeprefix("thresholds.") for key in keys if "." in key]

    def signature(context: AssetContext) -> Signature:
        entries = context.upstream_signature()
        values = {name: written(getattr(context.study.thresholds, name)) for name in thresholds}
        known = entries.to_dict()
        new = {name: value for name, value in values.items() if known.get(name) != value}
        return (
            entries + Signature.of(**new) + Signature.named(measurement.table.name, short(version))
        )

    return TableAsset(
        name=measurement.table.name,
        group="measurements",
        description=measurement.table.description,
        reads=measurement.reads,
        version=version,
        code=f"{measurement.path.parent.name}/{measurement.path.name}",
        partitioned=measurement.table.partitioned,
        settings=keys,
        parameters=query_parameters(measurement.query, measurement.reads),
        table=measurement.table,
        rows=rows,
        signature=signature,
    )
