"""One asset for every file in `sql/`: a file is a measurement, a table and its checks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.lineage.asset import TableRecipe, Work
from assets.measures.declared import SQL_FOLDER, STUDY_PARAMETERS
from assets.study.digests import digest
from warehouse import sessions
from warehouse.declarations import used_parameters
from warehouse.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from assets.study.study import Study
    from warehouse import Measurement


def study_parameters(study: Study) -> dict[str, object]:
    """What measurements may use of the study as `$name`."""
    return {name: getattr(study, name) for name in STUDY_PARAMETERS}


def measurement_recipe(measurement: Measurement) -> TableRecipe:
    """How the table of a measurement comes to be."""

    @contextmanager
    def rows(work: Work) -> Iterator[Iterator[pa.RecordBatch]]:
        with measure(
            measurement,
            work.lake,
            [work.inventory.table(name) for name in measurement.reads],
            checkpoint=work.partition,
            parameters=study_parameters(work.study),
            limits=work.limits,
        ) as batches:
            yield batches

    version = digest(measurement.query)

    def signature(work: Work) -> str:
        sources = {
            work.inventory.source_signature(name, partition)
            for name, partitions in work.inventory.inputs(measurement.table.name, work.partition)
            for partition in partitions
        }
        return "|".join([*sorted(sources), f"{measurement.table.name}:{version[:8]}"])

    return TableRecipe(
        name=measurement.table.name,
        group="measurements",
        description=measurement.table.description,
        reads=measurement.reads,
        version=version,
        code=f"{SQL_FOLDER.name}/{measurement.table.name}.sql",
        partitioned=measurement.table.partitioned,
        parameters=lambda study, checkpoint: {
            **used_parameters(measurement.query, study_parameters(study)),
            # A change in the words that it may use may change any result.
            "vocabulary": sessions.vocabulary_of(measurement.reads),
        },
        table=measurement.table,
        rows=rows,
        signature=signature,
    )
