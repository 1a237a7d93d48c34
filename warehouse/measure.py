"""Computing a derived table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from warehouse.beside import create_pair
from warehouse.declarations import Measurement, used_parameters
from warehouse.sessions import Limits, bind, confine, session
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from warehouse.beside import BasePair
    from warehouse.lake import Lake
    from warehouse.schema import Table

_BATCH_ROWS = 100_000


@contextmanager
def measure(
    measurement: Measurement,
    lake: Lake,
    tables: Sequence[Table],
    *,
    checkpoint: str | None = None,
    pair: BasePair | None = None,
    parameters: Mapping[str, object],
    limits: Limits | None = None,
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Runs a measurement's query over the lake.

    Args:
        measurement: The measurement.
        lake: The lake.
        tables: The tables that it reads.
        checkpoint: The partition that they are limited to; None for all.
        pair: The checkpoint and its base, for a query that reads the base beside it.
        parameters: What the query may use as `$name`.
        limits: The session's limits.

    Yields:
        Its rows in batches; they can be read until the context ends.
    """
    with session(lake, limits) as connection:
        names = None if checkpoint is None else [checkpoint, *([pair.other] if pair else [])]
        files = bind(connection, lake, tables, names)
        load_words(connection, measurement.query)
        if measurement.beside_base:
            create_pair(connection, pair)
        confine(connection, files)
        used = used_parameters(measurement.query, parameters)
        yield iter(connection.sql(measurement.query, params=used).to_arrow_reader(_BATCH_ROWS))
