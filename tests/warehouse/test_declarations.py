from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from warehouse import DeclarationError, Lake, read_measurements
from warehouse.schema import arrow_type
from warehouse.tables import BASE_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALID = """\
-- How long generations are.
--
-- grain:     checkpoint, decoding, prompt_id, long
-- reads:     generations
-- partition: checkpoint
-- columns:
--   n_samples  INTEGER [generations] how many of them,
--                      counted over the prompt
--   n_words    DOUBLE  their words on average
select
    checkpoint,
    decoding,
    prompt_id,
    avg(len(words(text))) > $samples_per_prompt as long,
    count(*) as n_samples,
    avg(len(words(text))) as n_words
from generations
group by checkpoint, decoding, prompt_id
"""


@pytest.fixture
def read(tmp_path: Path, lake: Lake) -> Callable:
    """A function that reads files of SQL, given by name."""

    def read_files(*, rehearse: bool = True, **files: str) -> list:
        for name, text in files.items():
            (tmp_path / f"{name}.sql").write_text(text)
        given = {"samples_per_prompt": 3}
        return read_measurements([tmp_path], BASE_TABLES, given, rehearse=rehearse)

    return read_files


def test_a_file_declares_all_there_is_to_a_table(read: Callable) -> None:
    (measurement,) = read(length=VALID)
    table = measurement.table
    assert table.name == "length"
    assert table.description == "How long generations are."
    assert table.grain == ("checkpoint", "decoding", "prompt_id", "long")
    assert table.partitioned
    assert [measurement] == read(length=VALID, rehearse=False)
    columns = {column.name: column for column in table.columns}
    assert columns["long"].type == "BOOLEAN"  # of the grain, not declared: what the query gives
    assert columns["prompt_id"].meaning == "identifies the prompt within its set"
    assert columns["n_samples"].unit == "generations"
    assert columns["n_samples"].meaning == "how many of them, counted over the prompt"
    assert columns["n_words"].type == "DOUBLE"


def test_a_measurement_may_read_another_and_comes_after_it(read: Callable) -> None:
    second = """\
-- How many lengths there are.
-- grain:     n
-- reads:     length
-- partition: none
-- columns:
--   n BIGINT rows
select count(*) as n from length
"""
    names = [m.table.name for m in read(length=VALID, a_summary=second)]
    assert names == ["length", "a_summary"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-- reads:     generations\n", ""), "no line `-- reads"),
        (("-- grain:     checkpoint, decoding, prompt_id, long", "-- grain:"), "names no column"),
        (("partition: checkpoint", "partition: model"), "must be checkpoint or none"),
        (("reads:     generations", "reads: generatons"), "generatons, which is no table"),
        (("n_words    DOUBLE", "n_words    FLOATY"), "no column type"),
        (("as n_words", "as n_word"), "declares the columns"),
        (("from generations", "from nothing"), "does not exist"),
        (("from generations", "from 'other.csv'"), "other.csv is none of the lake's tables"),
        (("select\n", "explain analyze select\n"), "declares the columns"),
        (("$samples_per_prompt", "$samples"), "uses \\$samples"),
        (("grain:     checkpoint, decoding", "grain:     decoding"), "not in its grain"),
        (("select\n", "selec\n"), "syntax error"),
        (("-- partition:", "-- beside: bass\n-- partition:"), "`beside: bass` must be base"),
        (("-- reads:", "-- beside:\n-- reads:"), "`beside: ` must be base"),
        (("-- partition:", "-- blocks: prompts\n-- partition:"), "`blocks: prompts` must be"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    read: Callable, change: tuple[str, str], message: str
) -> None:
    assert change[0] in VALID
    with pytest.raises(DeclarationError, match=message) as caught:
        read(length=VALID.replace(*change))
    assert "length.sql" in str(caught.value)


def test_a_file_named_like_a_table_is_refused(read: Callable) -> None:
    with pytest.raises(DeclarationError, match="generations already"):
        read(generations=VALID)


@pytest.mark.parametrize(
    ("sql_type", "arrow"),
    [("INTEGER", "int32"), ("bigint", "int64"), ("VARCHAR[]", "list<item: string>")],
)
def test_column_types(sql_type: str, arrow: str) -> None:
    assert str(arrow_type(sql_type)) == arrow


def test_an_unknown_column_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no column type"):
        arrow_type("FLOATY")
