"""Files that cannot be written end a run with a sentence, and lose nothing."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from models import ModelPool
from tests.soak.faults import Faults
from tests.soak.lakes import Tally, few_assets, materialize_all, report, write_study

if TYPE_CHECKING:
    from pathlib import Path

    from models import Source


def soak(folder: Path, sources: tuple[Source, Source], *, whole: bool, every: int) -> Tally:
    """Has the storage layer's operations fail, and goes on until all is there."""
    base, aligned = map(str, sources)
    study = write_study(folder, base, aligned, whole=whole)
    tally, pool = Tally(), ModelPool()
    with few_assets():
        materialize_all(study, folder / "undisturbed", pool)
        faults = Faults(folder / "faulty", (errno.EIO, errno.ENOSPC), every)
        with faults.on():
            for _ in range(3000):
                try:
                    materialize_all(study, folder / "faulty", pool)
                except OSError as error:
                    if error.errno not in (errno.EIO, errno.ENOSPC):
                        raise
                    tally.resumed += 1
                else:
                    break
            else:
                pytest.fail("an operation fails again and again, so it is not known by its name")
        tally.faults = faults.injected
    tally.compare(folder / "faulty", folder / "undisturbed")
    staged = (folder / "faulty" / ".staging").rglob("*")
    assert not [path for path in staged if path.suffix in (".parquet", ".unfinished")]
    report(tally)
    return tally


@pytest.mark.slow
def test_files_that_cannot_be_written_lose_nothing(
    tmp_path: Path, llama_source: Source, gemma: Source
) -> None:
    tally = soak(tmp_path, (llama_source, gemma), whole=False, every=23)
    assert tally.faults.total() > 5
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())


@pytest.mark.soak
def test_every_operation_of_our_storage_layer_may_fail(
    tmp_path: Path, llama_source: Source, gemma: Source
) -> None:
    tally = soak(tmp_path, (llama_source, gemma), whole=True, every=1)
    assert tally.faults.total() > 400
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())
