"""A lake, and rows for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from warehouse import Lake, Provenance, write_table
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROVENANCE = Provenance("f00d", "p:0.9|v:0", "test", "0")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def put_generations(lake: Lake) -> Callable[..., None]:
    """A function that writes texts, and tokens where given, as a checkpoint's generations."""

    def put(
        texts: dict[str, list[str]],
        tokens: dict[str, list[list[int]]] | None = None,
        checkpoint: str = "model",
        decoding: str = "top_p=0.9",
    ) -> None:
        rows: list[dict[str, Any]] = [
            {
                "decoding": decoding,
                "prompt_set": "set",
                "prompt_id": prompt,
                "sample": i,
                "text": text,
                "token_ids": tokens[prompt][i] if tokens else None,
            }
            for prompt, samples in texts.items()
            for i, text in enumerate(samples)
        ]
        table = pa.Table.from_pylist(rows, GENERATIONS.arrow_schema)
        write_table(lake, GENERATIONS, table.to_batches(), PROVENANCE, checkpoint)

    return put
