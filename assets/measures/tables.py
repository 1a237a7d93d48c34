"""One asset for every file in `sql/`: a file is a measurement, a table and its checks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.measures.declared import SQL_FOLDER, STUDY_PARAMETERS
from assets.study.digests import digest
from assets.study.thresholds import Thresholds, written
from warehouse import sessions
from warehouse.declarations import used_parameters
from warehouse.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from assets.lineage.context import AssetContext
    from assets.study.study import Study
    from warehouse import Measurement


def study_parameters(study: Study) -> dict[str, object]:
    """What measurements may use of the study as `$name`."""
    return {
        **{name: getattr(study, name) for name in STUDY_PARAMETERS},
        **study.thresholds.values(),
    }


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
    keys = [*STUDY_PARAMETERS, *Thresholds.model_fields]
    used = used_parameters(measurement.query, dict.fromkeys(keys))
    thresholds = [name for name in used if name in Thresholds.model_fields]

    def signature(context: AssetContext) -> Signature:
        read = {
            upstream.signature(partition)
            for upstream in context.upstream.values()
            for partition in upstream.partitions
        }
        entries = sum(sorted(read, key=str), Signature())
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
        code=f"{SQL_FOLDER.name}/{measurement.table.name}.sql",
        partitioned=measurement.table.partitioned,
        settings=tuple(f"thresholds.{name}" if name in thresholds else name for name in used),
        parameters=lambda study, checkpoint: {
            **used_parameters(measurement.query, study_parameters(study)),
            # A change in the words that it may use may change any result.
            "vocabulary": sessions.vocabulary_of(measurement.reads),
        },
        table=measurement.table,
        rows=rows,
        signature=signature,
    )
