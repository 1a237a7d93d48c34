"""`anchorlake tables`: the data dictionary, as a user meets it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from assets.measures.declared import PLACEHOLDERS, declared_measures, declared_tables
from orchestration import cli
from orchestration.commands import console
from warehouse.measure_headers import GROUPS

if TYPE_CHECKING:
    from pathlib import Path

MEASURES = declared_measures(PLACEHOLDERS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a lake."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(*arguments: str, status: int = 0) -> str:
    """What the command prints, on one line."""
    result = CliRunner().invoke(cli.app, ["tables", *arguments])
    assert result.exit_code == status, (result.output, result.exception)
    return " ".join(result.output.split())


def test_all_tables_are_listed_and_then_all_measures_by_group() -> None:
    listed, _, of_measures = tables().partition("measure what it measures, and how")
    for table in declared_tables():
        first = table.description.partition(". ")[0]
        assert f" {table.name} 0 {first}" in listed
        assert f" by {', '.join(table.grain)} " in listed
    places = []
    for measure in MEASURES:
        level = f", by {measure.level}" if measure.level else ""
        headline = "" if measure.headline is None else f", headline {measure.headline}"
        how = f"{measure.statistic} over {measure.item}s{level}{headline}, as {measure.format}"
        line = f"{measure.group}: {how}"
        begins = re.escape(f" {measure.name} {measure.description[:20]}")
        about = re.search(rf"{begins}.*?{re.escape(line)}", of_measures)
        assert about is not None
        places.append(about.start())
    assert places == sorted(places)
    groups = [measure.group for measure in MEASURES]
    assert groups == sorted(groups, key=GROUPS.index)


def test_the_list_of_tables_reads_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "out", console.Terminal(width=80, force_terminal=True))
    lines = CliRunner().invoke(cli.app, ["tables"]).output.splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines]
    assert max(map(len, plain)) <= 80
    assert "…" not in "".join(plain)
    # A name, what it holds in two or three lines, and the columns of its grain in two at most.
    assert len(plain) < 5 * (len(declared_tables()) + len(MEASURES))


@pytest.mark.parametrize("name", ["anchored", "measures/anchored"])
def test_a_measure_is_shown_by_its_name(name: str) -> None:
    shown = tables(name)
    assert shown.startswith("Share of a prompt's generations that pass an anchor span")
    assert "sql/measures/anchored.sql" in shown
    assert "`measures` where measure = 'anchored'" in shown
    assert "reads anchor_paths tables that the query reads" in shown
    assert "says {value} of a prompt's generations pass an anchor span" in shown
    assert "headline" not in shown  # it has no levels


def test_a_table_comes_before_a_measure_of_its_name() -> None:
    table = tables("ngram_sharing")
    assert "grain: checkpoint, decoding, prompt_set, prompt_id, unit, n" in table
    assert "a measure is called so too: anchorlake tables measures/ngram_sharing" in table
    assert "a measure is called so too" not in tables("generations")
    measure = tables("measures/ngram_sharing")
    assert "headline 10 the level that is quoted" in measure
    assert "comparable same tokenizer, where unit is token" in measure


def test_the_tables_of_measures_are_tables() -> None:
    for name in ("measures", "summary", "comparisons"):
        assert "grain: checkpoint" in tables(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("generation", "generations"),
        ("perplexitie", "perplexity"),
        ("measures/anchord", "anchored"),
        ("measures/generations", "generations"),
    ],
)
def test_a_name_of_nothing_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    refused = tables(name, status=2)
    assert refused.startswith(f"there is no table or measure {name!r} (did you mean {meant}?);")
    assert "--study FILE" in refused


def test_a_study_that_cannot_be_read_is_refused() -> None:
    assert "none.yaml" in tables("--study", "none.yaml", status=2)
