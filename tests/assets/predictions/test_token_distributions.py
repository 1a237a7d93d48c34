from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.predictions.scored_texts import Part
from assets.predictions.token_distributions import _rows_of_part

if TYPE_CHECKING:
    from pathlib import Path

PARTS = [Part("gold", "-", "news"), Part("own", "greedy", "prompts"), Part("own", "top_p=0.9", "é")]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(("part", "row_groups"), [(0, [0]), (1, [0, 1, 2]), (2, [2, 3])])
def test_of_the_published_file_a_part_reads_its_own_row_groups(
    part: int, row_groups: list[int], statistics: bool, tmp_path: Path
) -> None:
    of_row = [PARTS[0]] * 2 + [PARTS[1]] * 7 + [PARTS[2]] * 6
    columns = {key: [getattr(p, key) for p in of_row] for key in PARTS[0].__annotations__}
    rows = pa.table({**columns, "position": range(15)})
    pq.write_table(rows, tmp_path / "file", row_group_size=4, write_statistics=statistics)
    file = pq.ParquetFile(tmp_path / "file")
    with patch.object(file, "iter_batches", wraps=file.iter_batches) as read:
        batches = [*_rows_of_part(file, PARTS[part])]
    expected = {0: range(2), 1: range(2, 9), 2: range(9, 15)}[part]
    assert [n for batch in batches for n in batch["position"].to_pylist()] == [*expected]
    assert [call.kwargs["row_groups"][0] for call in read.call_args_list] == (
        row_groups if statistics else [0, 1, 2, 3]
    )
