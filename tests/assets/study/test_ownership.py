"""A lake belongs to the study that made it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from assets.study.errors import InputError
from assets.study.ownership import claim, owner
from assets.study.registered import as_it_stands

if TYPE_CHECKING:
    from tests.studies import Bench


def test_two_studies_on_one_lake_do_not_overwrite_each_other(bench: Bench) -> None:
    bench.run(bench.study(), only=("prompts",))
    assert owner(bench.lake) == "tiny"
    other = bench.study(name="other")
    before = (bench.lake.root / "prompts" / "data.parquet").read_bytes()
    with pytest.raises(InputError) as refused:
        bench.run(other, only=("checkpoints",))
    assert str(refused.value) == (
        f"the lake {bench.lake.root} belongs to the study 'tiny', and this one is 'other'; give "
        "another folder with --lake or, if the study was renamed, write its new name into "
        f"{bench.lake.root}/.study"
    )
    with pytest.raises(InputError, match="belongs to the study 'tiny'"):
        as_it_stands(other, bench.lake)
    assert (bench.lake.root / "prompts" / "data.parquet").read_bytes() == before


def test_a_study_that_was_renamed_keeps_its_lake_where_its_owner_says_so(bench: Bench) -> None:
    bench.run(bench.study(), only=("prompts",))
    (bench.lake.root / ".study").write_text("other\n")
    assert bench.run(bench.study(name="other"), only=("prompts",)) == {}


def test_a_lake_of_an_earlier_version_belongs_to_the_study_in_its_footers(bench: Bench) -> None:
    bench.run(bench.study(), only=("prompts",))
    (bench.lake.root / ".study").unlink()
    assert owner(bench.lake) == "tiny"
    with pytest.raises(InputError, match="belongs to the study 'tiny'"):
        claim(bench.lake, bench.study(name="other"))
    claim(bench.lake, bench.study())
    assert (bench.lake.root / ".study").read_text() == "tiny\n"


def test_of_two_studies_that_come_at_once_one_has_the_lake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench.study(), bench.study(name="second")

    def late(*arguments: object) -> None:  # both have looked, and neither has written
        monkeypatch.undo()
        claim(bench.lake, second)

    monkeypatch.setattr("assets.study.ownership.make_folder", late)
    with pytest.raises(InputError, match="belongs to the study 'second'"):
        claim(bench.lake, first)
    assert owner(bench.lake) == "second"
    assert [path.name for path in bench.lake.root.iterdir()] == [".study"]
    shutil.rmtree(bench.lake.root)
    assert owner(bench.lake) is None
