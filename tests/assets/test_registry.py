"""Every table has an asset that fills it, and every asset a table that is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from assets.figures import FIGURES
from assets.lineage.asset import TableAsset
from assets.measures.declared import PLACEHOLDERS, declared_measures, declared_tables
from assets.registry import BASE_ASSETS, assets_of
from warehouse import declarations
from warehouse.tables import BASE_TABLES

if TYPE_CHECKING:
    import pytest

    from tests.studies import Bench


def test_the_assets_that_python_makes_fill_the_tables_that_it_declares() -> None:
    assert [asset.table for asset in BASE_ASSETS] == list(BASE_TABLES)
    assert all(asset.name == asset.table.name for asset in BASE_ASSETS)


def test_all_tables_and_figures_are_assets(bench: Bench) -> None:
    assets = assets_of(bench.study())
    tables = [asset.table for asset in assets if isinstance(asset, TableAsset)]
    # The table `measures` looks at the files of all measures, which have an asset each.
    whole = [table.name for table in tables if not table.folder]
    assert whole == [table.name for table in declared_tables() if not table.folder]
    measures = declared_measures(PLACEHOLDERS)
    assert [t.name for t in tables if t.folder] == [f"measures/{m.name}" for m in measures]
    others = [asset.name for asset in assets if not isinstance(asset, TableAsset)]
    assert others == [*(f"figures/{figure.name}" for figure in FIGURES), "report"]


def test_tables_are_known_without_running_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsed = declared_tables()

    def fail(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a query was run")

    monkeypatch.setattr(declarations, "rehearsal", fail)
    declarations._columns_of.cache_clear()
    assert declared_tables(rehearse=False) == rehearsed


def test_a_prompt_is_identified_by_its_set_and_its_id() -> None:
    for table in declared_tables():
        columns = {column.name for column in table.columns}
        assert "prompt_set" in columns or "prompt_id" not in columns, table.name
        assert "prompt_set" in table.grain or "prompt_id" not in table.grain, table.name


def test_n_samples_is_the_number_of_a_prompts_generations() -> None:
    columns = [column for table in declared_tables() for column in table.columns]
    samples = [column for column in columns if column.name == "n_samples"]
    assert len(samples) == 7
    assert {(c.meaning, c.unit) for c in samples} == {("generations of this prompt", "generations")}
    assert not [column for column in columns if column.name == "total_samples"]
