"""Long work does not begin where there is no room for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from assets.study.errors import InputError

if TYPE_CHECKING:
    from tests.studies import Bench


def test_long_work_does_not_begin_where_the_disk_has_no_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(bench.folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError) as error:
        bench.run(bench.study(max_new_tokens=12), only=("generations",))
    assert str(error.value) == (
        "sampling up to 144 tokens takes up to 0.0 GB of disk, and where "
        f"{bench.lake.root} is 0.0 GB are free; free some, or name another folder with --lake"
    )
