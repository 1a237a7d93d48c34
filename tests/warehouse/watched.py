"""A folder with a lake, with files that no query may read, and with one that it may write."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import Lake
from warehouse.tables import GENERATIONS, PROMPTS

if TYPE_CHECKING:
    from pathlib import Path


def write_watched(folder: Path) -> tuple[Lake, str]:
    """Writes it, and gives the lake and the path of the one further file that may be read."""
    lake = Lake(folder / "lake")
    texts = [("a", 0, "one two one two"), ("a", 1, "one two three"), ("b", 0, "four")]
    rows = [
        {"decoding": "greedy", "prompt_set": "s", "prompt_id": p, "sample": i, "text": text}
        for p, i, text in texts
    ]
    for path, table in (
        (lake.path(GENERATIONS, "m"), pa.Table.from_pylist(rows, GENERATIONS.arrow_schema)),
        (lake.path(PROMPTS), PROMPTS.arrow_schema.empty_table()),
        (folder / "secret" / "secret.parquet", pa.table({"a": [1]})),
    ):
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
    (folder / "out").mkdir()
    for name in ("secret.csv", "secret.txt"):
        (folder / "secret" / name).write_text("a\n7\n")
    (folder / "secret" / "secret.json").write_text('{"a": 7}')
    readable = lake.root / "allowed.csv"
    readable.write_text("a\n0\n1\n")
    (lake.root / "notes.csv").write_text("a\n7\n")
    return lake, str(readable)


def placed(statement: str, folder: Path) -> str:
    """A statement with the folder's paths."""
    for name, place in {"OUT": "out", "SECRET": "secret", "LAKE": "lake"}.items():
        statement = statement.replace(f"{name}/", f"{folder / place}/")
    return statement.replace("FILE", f"{folder}/lake/allowed.csv")


def digest(folder: Path) -> dict[str, str]:
    """A digest of every file in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
