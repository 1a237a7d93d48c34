"""A table that reads a checkpoint's base beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from assets.registry import build_graph
from models import Source
from tests.studies import Bench, imported, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole

ONLY = ("stock_phrases",)


def write(bench: Bench, checkpoint: str, text: str) -> None:
    rows = [row for prompt in ("p", "q") for row in imported(prompt, text, text)]
    write_jsonl(bench.folder / f"{checkpoint}.jsonl", rows)


def study_of(bench: Bench) -> Any:
    return bench.study(
        checkpoints=[
            {"name": "base", "source": "file:base.jsonl", "decodings": [{"top_p": 0.7}]},
            {"name": "dpo", "source": "file:dpo.jsonl", "role": "aligned", "base": "base"},
            {"name": "alone", "source": "file:dpo.jsonl", "role": "aligned"},
        ]
    )


def test_it_is_stale_when_the_base_has_other_generations(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Source("dir", "none"))
    write(bench, "base", "it was as it was")
    write(bench, "dpo", "it was said before")
    study = study_of(bench)
    bench.run(study, only=ONLY)
    table = build_graph(study, bench.lake).tables["stock_phrases"]
    assert bench.lake.read(table, "base").num_rows == 0
    assert bench.lake.read(table, "alone").num_rows == 0

    def phrases() -> dict[str, tuple[int, int]]:
        rows = bench.lake.read(table, "dpo").to_pylist()
        assert {(row["other"], row["decoding"], row["other_decoding"]) for row in rows} == {
            ("base", "-", "top_p=0.7")
        }
        return {row["phrase"]: (row["n_places"], row["other_n_places"]) for row in rows}

    assert phrases() == {
        "it was said": (4, 0),
        "was said before": (4, 0),
        "it was said before": (4, 0),
    }
    assert bench.run(study_of(bench), only=ONLY) == {}

    write(bench, "base", "it was said and it was said")
    made = bench.run(study_of(bench), only=ONLY)
    assert {partition for name, partition in made if name == "stock_phrases"} == {"base", "dpo"}
    assert phrases() == {
        "it was said": (4, 8),
        "was said before": (4, 0),
        "it was said before": (4, 0),
    }
