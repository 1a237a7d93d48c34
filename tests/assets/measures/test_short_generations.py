"""Generations that are shorter than what measures are about leave measures empty, and fail none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from assets.measures.measures import LEFT_OUT
from assets.registry import build_graph
from models import Source
from tests.studies import Bench, imported, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a b", "c", ""], {"ngram_sharing": (0, 4), "ngram_diversity": (2, 3)}),
        (["", ""], {"ngram_sharing": (0, 4), "ngram_diversity": (0, 5)}),
    ],
)
def test_short_generations_are_measured(
    tmp_path: Path, texts: list[str], expected: dict[str, tuple[int, int]]
) -> None:
    bench = Bench(tmp_path, Source("dir", "none"))
    write_jsonl(tmp_path / "short.jsonl", imported("p", *texts))
    study = bench.study(checkpoints=[{"name": "short", "source": "file:short.jsonl"}])
    made = bench.run(study, only=("measures",))
    measures = build_graph(study, bench.lake).assets
    assert sum(name.startswith("measures/") for name, _ in made) >= len(expected)
    for name, (n_rows, n_left_out) in expected.items():
        (file,) = bench.lake.files(measures[f"measures/{name}"].table, "short")
        metadata = pq.read_metadata(file)
        assert metadata.num_rows == n_rows, name
        assert json.loads(metadata.metadata[LEFT_OUT.encode()]) == n_left_out, name
