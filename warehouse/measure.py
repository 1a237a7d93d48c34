"""Computing a derived table, whole or in blocks of prompts that memory has room for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.beside import create_pair
from warehouse.declarations import Measurement, used_parameters
from warehouse.sessions import Limits, bind, confine, session
from warehouse.tables import GENERATIONS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from warehouse.beside import BasePair
    from warehouse.lake import Lake
    from warehouse.schema import Table

_HERE = Path(__file__).parent
_BLOCKS = (_HERE / "blocks.sql").read_text(encoding="utf-8")
_OF_BLOCK = (_HERE / "of_block.sql").read_text(encoding="utf-8")
_ONE_BLOCK = (_HERE / "one_block.sql").read_text(encoding="utf-8")
_BATCH_ROWS = 100_000
_BLOCK_CHARACTERS = 16_000_000
"""Of generations, about 4 million tokens: n-gram tables take some 1.5 GB for them."""


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
    used = used_parameters(measurement.query, parameters)
    with session(lake, limits) as connection:
        if measurement.by_prompt:
            tables = [replace(GENERATIONS, name="all_generations", folder=GENERATIONS.name)]
        names = None if checkpoint is None else [checkpoint, *([pair.other] if pair else [])]
        files = bind(connection, lake, tables, names)
        if measurement.by_prompt:
            connection.execute(_BLOCKS, {"characters": _BLOCK_CHARACTERS})
            connection.execute(_OF_BLOCK)
        load_words(connection, measurement.query)
        if measurement.beside_base:
            create_pair(connection, pair)
        confine(connection, files)
        if measurement.by_prompt:
            yield _by_blocks(connection, measurement.query, used)
        else:
            yield _rows(connection, measurement.query, used)


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, used: Mapping[str, object]
) -> Iterator[pa.RecordBatch]:
    return iter(connection.sql(query, params=dict(used)).to_arrow_reader(_BATCH_ROWS))


def _by_blocks(
    connection: duckdb.DuckDBPyConnection, query: str, used: Mapping[str, object]
) -> Iterator[pa.RecordBatch]:
    """The rows of one block of prompts after the other, as the grain has them in order."""
    blocks = connection.sql("select distinct block from prompts_in_blocks order by block")
    for (block,) in blocks.fetchall():
        connection.execute(_ONE_BLOCK, {"block": block})
        yield from _rows(connection, query, used)
