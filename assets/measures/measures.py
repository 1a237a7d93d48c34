"""One asset for every measure: a file in `sql/measures/` is a measure, its table and its checks."""

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
from warehouse.measures import measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from assets.lineage.context import AssetContext
    from warehouse.measure_headers import Measure

LEFT_OUT = "anchorlake.left_out"
"""Footer key: how many values were left out, as their item has none."""


def measure_asset(measure: Measure) -> TableAsset:
    """The asset of a measure's values."""

    @contextmanager
    def rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
        assert context.partition is not None

        def note_left_out(n: int) -> None:
            total = n + int(context.footer.get(LEFT_OUT, 0))
            context.footer[LEFT_OUT] = str(total)
            if total:
                context.notes["values left out"] = total

        with measured(
            measure,
            context.lake,
            [context.tables[name] for name in measure.reads],
            checkpoint=context.partition,
            pair=pair_with_base(context.study, context.checkpoint) if measure.beside_base else None,
            parameters=study_parameters(context.study),
            left_out=note_left_out,
            limits=context.limits,
        ) as batches:
            yield batches

    version = digest([measure.header, measure.query])

    def signature(context: AssetContext) -> Signature:
        entries = context.upstream_signature()
        return (
            entries
            + thresholds_in(context.study, measure.query, entries)
            + Signature.named(measure.name, short(version))
        )

    return TableAsset(
        name=measure.table.name,
        group="measures",
        description=measure.description,
        reads=measure.reads,
        version=version,
        code=f"measures/{measure.path.name}",
        settings=keys_of(measure.query),
        parameters=query_parameters(measure.query, measure.reads, beside_base=measure.beside_base),
        of_partners=measure.reads if measure.beside_base else (),
        partners=base_of,
        table=measure.table,
        rows=rows,
        signature=signature,
    )
