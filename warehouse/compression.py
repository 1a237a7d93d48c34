"""How far texts compress: the one function of SQL that Python computes."""

from __future__ import annotations

import zlib
from contextlib import suppress

import duckdb
from duckdb.sqltypes import BIGINT, VARCHAR

NAME = "compressed_bytes"
"""What queries call it."""
_LEVEL = 9
MADE_WITH = f"{NAME}: zlib, level {_LEVEL}"
"""What changes its values."""


def compressed_bytes(text: str) -> int:
    """Bytes of a text's UTF-8 after DEFLATE at level 9, zlib's header and checksum included.

    DEFLATE knows a repetition within 32,768 bytes. An empty text takes 8 bytes.
    """
    return len(zlib.compress(text.encode(), _LEVEL))


def add_compression(connection: duckdb.DuckDBPyConnection) -> None:
    """Gives a session the function `compressed_bytes(text)`; of null it is null."""
    with suppress(duckdb.CatalogException, duckdb.NotImplementedException):  # it has it already
        connection.create_function(NAME, compressed_bytes, [VARCHAR], BIGINT)
