"""Measure files: what they say, what is wrong with them, and what is wrong with their values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouse.conftest import PROVENANCE
from warehouse import DeclarationError, Lake, RejectedError, write_table
from warehouse.measure_headers import COMPARABLE, FORMATS, GROUPS, ITEMS, KEYS, REQUIRED, STATISTICS
from warehouse.measures import measured, read_measures
from warehouse.schema import Column, Table
from warehouse.tables import BASE_TABLES, GENERATIONS, measure_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warehouse.measure_headers import Measure

LEAST = """\
-- Words of a generation.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    count
-- says:      a generation has {value} words
select
    checkpoint,
    prompt_set as collection,
    prompt_id as item,
    sum(len(words(text))) as numerator,
    count(*) as denominator
from generations
group by all
"""
WHOLE = """\
-- Share of generations
-- that begin alike.
--
-- A prompt with one generation is left out.
--
-- reads:      generations,
--               prompts
-- beside:     base
-- item:       prompt
-- statistic:  pooled
-- format:     share
-- title:      alike beginnings: of a prompt
-- group:      surface
-- says:       {value} of generations begin with
--             the same {level} characters
--
-- level:      n
-- headline:   10
-- leading:    yes
-- floor:      1 / denominator
-- comparable: same tokenizer, where unit is token
-- empty:      where nothing was sampled
select
    checkpoint, decoding, '-' as other, '-' as condition, 'word' as unit, 10 as level,
    prompt_set as collection, prompt_id as item, 1 as numerator, $samples_per_prompt as denominator
from generations
semi join prompts using (prompt_set, prompt_id)
"""
OF_ALL = Table("of_all", "All.", ("n",), (Column("n", "BIGINT"),), partitioned=False)
TABLES = {table.name: table for table in (*BASE_TABLES, OF_ALL)}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Measure]]:
    """A function that reads files of SQL, given by name."""

    def read_files(**files: str) -> list[Measure]:
        folder = tmp_path / "measures"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.sql").write_text(text)
        return read_measures([folder], TABLES, {"samples_per_prompt": 3})

    return read_files


def refusal(read: Callable[..., list[Measure]], text: str, name: str = "words") -> str:
    """The one sentence that refuses a file; it begins with the file's path, and ends there."""
    with pytest.raises(DeclarationError) as caught:
        read(**{name: text})
    path, _, sentence = str(caught.value).partition(f"/{name}.sql: ")
    assert "/" in path
    assert sentence
    return sentence


def test_a_file_without_anything_optional_is_a_measure(read: Callable) -> None:
    (measure,) = read(words=LEAST)
    assert (measure.name, measure.description) == ("words", "Words of a generation.")
    assert measure.reads == ("generations",)
    assert (measure.item, measure.statistic, measure.format) == ("prompt", "mean", "count")
    assert measure.says == "a generation has {value} words"
    assert (measure.title, measure.group) == ("words", "other")
    optional = [measure.level, measure.headline, measure.floor, measure.comparable, measure.empty]
    assert optional == [None] * 5
    assert not measure.leading
    assert measure.query == LEAST[LEAST.index("select") :]
    assert measure.header + measure.query == LEAST
    assert measure.is_quoted
    assert measure.is_headline(0)
    assert measure.are_comparable("token", "a", "b")
    assert measure.table.name == "measures/words"
    assert not measure.table.may_be_empty


def test_a_file_may_say_all_there_is_and_its_lines_may_go_on(read: Callable) -> None:
    (measure,) = read(alike=WHOLE)
    assert measure.description == (
        "Share of generations that begin alike. A prompt with one generation is left out."
    )
    assert measure.reads == ("generations", "prompts")
    assert measure.beside_base
    assert measure.says == "{value} of generations begin with the same {level} characters"
    assert (measure.title, measure.group) == ("alike beginnings: of a prompt", "surface")
    assert (measure.level, measure.headline, measure.floor) == ("n", 10, "1 / denominator")
    assert measure.comparable == COMPARABLE[1]
    assert measure.empty == "where nothing was sampled"
    assert measure.table.may_be_empty
    assert measure.is_quoted
    assert measure.leading
    assert [measure.is_headline(level) for level in (0, 5, 10)] == [False, False, True]
    assert set(re.findall(r"(?m)^-- ([a-z]+):", WHOLE)) == set(KEYS)


@pytest.mark.parametrize(
    ("comparable", "unit", "expected"),
    [
        (None, "token", [True, True, True]),
        (COMPARABLE[0], "word", [True, False, False]),
        (COMPARABLE[1], "word", [True, True, True]),
        (COMPARABLE[1], "token", [True, False, False]),
    ],
)
def test_tokenizers_say_what_may_be_compared(
    read: Callable, comparable: str | None, unit: str, expected: list[bool]
) -> None:
    line = f"-- comparable: {comparable}\n" if comparable else ""
    (measure,) = read(words=LEAST.replace("-- says", f"{line}-- says"))
    tokenizers = [("a", "a"), ("a", "b"), (None, None)]
    assert [measure.are_comparable(unit, *pair) for pair in tokenizers] == expected


def test_a_measure_with_levels_and_no_headline_is_a_curve_alone(read: Callable) -> None:
    (measure,) = read(alike=WHOLE.replace("-- headline:   10\n", ""))
    assert not measure.is_quoted
    assert not measure.is_headline(10)
    assert not measure.is_headline(0)


def test_measures_are_in_the_order_of_their_groups_and_names(read: Callable) -> None:
    grouped = {
        name: LEAST.replace("-- says", f"-- group: {group}\n-- says")
        for name, group in (("b", "surface"), ("z", "prediction"), ("a", "surface"))
    }
    assert [measure.name for measure in read(**grouped, c=LEAST)] == ["z", "a", "b", "c"]


def test_words_of_the_study_stand_in_what_is_said(read: Callable) -> None:
    (measure,) = read(words=LEAST.replace("a generation has", "each of $samples_per_prompt has"))
    assert measure.says == "each of 3 has {value} words"


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named_with_what_it_says(read: Callable, key: str) -> None:
    text = re.sub(rf"(?m)^-- {key}:.*\n", "", LEAST)
    assert refusal(read, text) == f"needs a line `-- {key}: ...`, {KEYS[key]}"


@pytest.mark.parametrize("key", [*REQUIRED, "title", "level", "headline"])
def test_a_key_without_a_value_is_named(read: Callable, key: str) -> None:
    text = re.sub(rf"(?m)^-- {key}:.*\n", "", LEAST).replace("--\n", f"--\n-- {key}:\n", 1)
    assert refusal(read, text) == f"{key}: has no value; it says {KEYS[key]}"


@pytest.mark.parametrize(
    ("right", "wrong", "meant"),
    [
        ("statistic: mean", "statistics: mean", "statistic"),
        ("reads:     generations", "read: generations", "reads"),  # the first of them, too
        ("format:    count", "formats: count", "format"),
        ("says:", "say:", "says"),
    ],
)
def test_a_misspelt_key_is_named_with_what_was_meant(
    read: Callable, right: str, wrong: str, meant: str
) -> None:
    assert right in LEAST
    key = wrong.partition(":")[0]
    assert refusal(read, LEAST.replace(right, wrong)) == (
        f"there is no key `{key}:` (did you mean {meant}?); keys are {', '.join(KEYS)}"
    )


VALUES = {
    "item": ("prompts", ITEMS),
    "statistic": ("means", STATISTICS),
    "format": ("shares", FORMATS),
    "group": ("surfaces", GROUPS),
    "comparable": ("same tokenizers", COMPARABLE),
    "reads": ("generation", (*(n for n, t in TABLES.items() if t.partitioned), "prompts")),
}


@pytest.mark.parametrize("key", VALUES)
def test_a_value_that_is_not_allowed_is_named_with_those_that_are(read: Callable, key: str) -> None:
    value, allowed = VALUES[key]
    text = re.sub(rf"(?m)^-- {key}:.*\n", "", LEAST).replace("--\n", f"--\n-- {key}: {value}\n", 1)
    sentence = refusal(read, text)
    assert sentence.startswith(f"{key}: {value!r} is not allowed (did you mean ")
    meant = sentence.partition("did you mean ")[2].partition("?)")[0]
    assert meant in allowed
    for one in allowed:
        assert one in sentence.partition("; allowed are ")[2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("-- says", "-- item: prompt\n-- says"), "the key `item:` stands twice; leave one"),
        (
            ("item:      prompt", "item: prompt, document gold"),
            "item: 'document gold' does not say",
        ),
        (
            ("item:      prompt", "item: prompt, text of gold"),
            "item: 'text' is not allowed; allowed",
        ),
        (("-- Words of a generation.", "--"), "its first comment line must say what it measures"),
        (("-- says", "-- Mean.\n-- says"), "'Mean.' is neither `key: value` nor goes on with"),
        (("generations\n", "of_all\n"), "reads: of_all is of all checkpoints together; allowed"),
        (("generations\n", "prompts\n"), "reads: prompts is the same for every checkpoint; name"),
        (("{value} words", "many words"), "says: needs {value}, where the value is to stand"),
        (("words\nselect", "{words}\nselect"), "says: {words} is not allowed; allowed are {value}"),
        (("words\nselect", "{level}\nselect"), "and {level} where there is a line `-- level: ...`"),
        (("{value}", "{value:.2f}"), "says: {value:.2f} is not allowed; allowed are {value}"),
        (("{value}", "{value!r}"), "says: {value!r} is not allowed; allowed are {value}"),
        (("{value}", "{value} {}"), "says: {} is not allowed; allowed are {value}"),
        (("{value}", "{value"), "says: 'a generation has {value words': expected '}'"),
        (("-- says", "-- headline: 5\n-- says"), "headline: 5 is a level, and there is no line"),
        (
            ("-- says", "-- level: n\n-- headline: ten\n-- says"),
            "headline: 'ten' must be a whole number",
        ),
        (
            ("-- says", "-- level: n\n-- headline: ²\n-- says"),
            "headline: '²' must be a whole number",
        ),
        (("-- says", "-- level: n\n-- says"), "level: is n, and its query has no column `level`"),
        (("count(*)", "1 as level, count(*)"), "its query has a column `level`; say what that is"),
        (("-- says", "-- floor: 1 / items\n-- says"), "floor: 1 / items: Binder Error"),
        (("as item", "as items"), "its query lacks the column item; a measure's columns are"),
        (("count(*)", "1 as weight, count(*)"), "its query has a column weight; a measure's"),
        (("count(*)", "1 as item, count(*)"), "its query has the column item twice; leave one"),
        (("sum(", "summ("), "there is no function summ(); did you mean sum()?"),
        (("select\n", "selec\n"), "Parser Error: syntax error"),
        (("from generations", "from nothing"), "Catalog Error: Table with name nothing does not"),
        (("from generations", "from generations join prompts using (prompt_id)"), "reads prompts;"),
        (("from generations", "from main.Prompts"), "reads prompts; name it in `reads:`"),
        (("count(*)", "(select count(*) from aligned_characters())"), "reads alignments; name it"),
        (("count(*)", "$seed"), "the query uses $seed; there are $samples_per_prompt"),
        (("{value} words", "{value} of $n words"), "says: uses $n; there are $samples_per_prompt"),
        (("-- Words", "-- $n words"), "its first line: uses $n; there are $samples_per_prompt"),
        (("group by all\n", "group by all; select 1"), "give one query; this text holds 2"),
        (("from generations", "from 'other.csv'"), "other.csv is none of the lake's tables"),
        (("count(*)", "(from read_text('/etc/passwd'))"), "read_text() is not allowed here"),
        (
            ("-- says", "-- floor: (select 1 from read_text('/etc/passwd'))\n-- says"),
            "floor: (select 1 from read_text('/etc/passwd')): read_text() is not allowed here",
        ),
        (("-- says", "-- floor: 1 from generations\n-- says"), "floor: 1 from generations: "),
    ],
)
def test_a_wrong_file_is_refused_with_one_sentence(
    read: Callable, change: tuple[str, str], sentence: str
) -> None:
    assert LEAST.count(change[0])
    assert sentence in refusal(read, LEAST.replace(*change))


def test_a_query_can_only_read(read: Callable, tmp_path: Path) -> None:
    header = LEAST[: LEAST.index("select")]
    stolen = tmp_path / "stolen.csv"
    sentence = refusal(read, f"{header}copy (select 1) to '{stolen}'")
    assert "only reading is allowed here" in sentence
    assert not stolen.exists()


@pytest.mark.parametrize("name", ["Words", "my words", "2words", "wörter", "_words", "a-b"])
def test_a_bad_name_is_refused(read: Callable, name: str) -> None:
    assert refusal(read, LEAST, name) == (
        "a measure is named in small letters, digits and _, a letter first; rename the file"
    )


def test_two_files_of_one_name_are_refused(read: Callable, tmp_path: Path) -> None:
    read(words=LEAST)
    second = tmp_path / "second"
    second.mkdir()
    (second / "words.sql").write_text(LEAST)
    with pytest.raises(DeclarationError) as caught:
        read_measures([tmp_path / "measures", second], TABLES, {})
    assert str(caught.value) == (
        f"{second}/words.sql: there is a measure words already, in "
        f"{tmp_path}/measures/words.sql; rename the file"
    )


def test_a_file_that_is_no_text_is_refused(read: Callable, tmp_path: Path) -> None:
    read(words=LEAST)
    (tmp_path / "measures" / "words.sql").write_bytes(b"-- \xff\n")
    with pytest.raises(DeclarationError, match=r"words\.sql cannot be read as UTF-8 text"):
        read()


VALUES_OF_TEXT = """\
-- The number that a text is.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    number
-- says:      {value}
select
    checkpoint,
    prompt_set as collection,
    prompt_id as item,
    nullif(split_part(text, ' ', 1), 'null')::double as numerator,
    nullif(split_part(text, ' ', 2), 'null')::double as denominator
from generations
order by item, sample
"""


@pytest.fixture
def values(read: Callable, lake: Lake, put_generations: Callable) -> Callable[..., Any]:
    """A function that gives the rows of a measure of texts such as `1 2`, its value 1 / 2."""

    def ask(
        texts: dict[str, list[str]], text: str = VALUES_OF_TEXT
    ) -> tuple[list[dict[str, Any]], int]:
        put_generations(texts)
        (measure,) = read(numbers=text)
        counted: list[int] = []
        with measured(
            measure,
            lake,
            [GENERATIONS],
            checkpoint="model",
            parameters={},
            left_out=counted.append,
        ) as batches:
            write_table(lake, measure.table, batches, PROVENANCE, "model")
        return lake.read(measure.table, "model").to_pylist(), sum(counted)

    return ask


def test_rows_have_every_column_and_what_is_left_out_is_filled_in(values: Callable) -> None:
    rows, n_left_out = values({"p": ["1 2"]})
    rest = {"decoding": "-", "other": "-", "condition": "-", "unit": "-", "level": 0}
    numbers = {"numerator": 1.0, "denominator": 2.0, "floor": None}
    assert rows == [rest | {"collection": "set", "item": "p"} | numbers]
    assert n_left_out == 0


def test_a_floor_is_of_each_item(values: Callable) -> None:
    text = VALUES_OF_TEXT.replace("-- says", "-- floor: 1 / denominator\n-- says")
    rows, _ = values({"p": ["1 2"], "q": ["1 4"]}, text)
    assert [row["floor"] for row in rows] == [0.5, 0.25]


def test_items_without_a_numerator_are_left_out_and_counted(values: Callable) -> None:
    rows, n_left_out = values({"p": ["null 2"], "q": ["0 2"], "r": ["null null"], "s": ["null 0"]})
    assert [row["item"] for row in rows] == ["q"]
    assert n_left_out == 3


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        ("1 0", "number", "its denominator must be over 0; of set/q it gives 1 / 0"),
        ("1 -2", "number", "its denominator must be over 0; of set/q it gives 1 / -2"),
        ("1 null", "number", "its denominator must be over 0; of set/q it gives 1 / null"),
        ("1 inf", "number", "its denominator must be over 0; of set/q it gives 1 / inf"),
        ("1 nan", "number", "its denominator must be over 0; of set/q it gives 1 / nan"),
        ("inf 1", "number", "its value must be a finite number; of set/q it gives inf / 1"),
        ("nan 1", "number", "its value must be a finite number; of set/q it gives nan / 1"),
        ("-inf 1", "signed", "its value must be a finite number; of set/q it gives -inf / 1"),
        ("-1 2", "share", "format: share: its value cannot be negative"),
        ("-1 2", "bits", "format: bits: its value cannot be negative; signed is what may be"),
        ("3 2", "share", "format: share: its value cannot be over 1; of set/q it gives 3 / 2"),
        ("x 2", "number", "Could not convert string 'x' to DOUBLE"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_file_and_item(
    values: Callable,
    number: str,
    kind: str,
    reason: str,
) -> None:
    text = VALUES_OF_TEXT.replace("number\n", f"{kind}\n")
    with pytest.raises(DeclarationError) as caught:
        values({"p": ["1 2"], "q": [number], "r": ["1 2"]}, text)
    assert "/numbers.sql: " in str(caught.value)
    assert reason in str(caught.value)


def test_values_at_their_limits_are_taken(values: Callable) -> None:
    text = VALUES_OF_TEXT.replace("number\n", "share\n")
    rows, _ = values({"p": ["0 2"], "q": ["2 2"]}, text)
    assert [row["numerator"] for row in rows] == [0, 2]
    rows, _ = values({"p": ["-3 2"]}, VALUES_OF_TEXT.replace("number\n", "signed\n"))
    assert [row["numerator"] for row in rows] == [-3]


@pytest.mark.parametrize(
    ("texts", "text", "reason"),
    [
        (
            {"p": ["1 2"], "q": ["1 2", "1 3"]},
            VALUES_OF_TEXT,
            "gives model 2 rows of set/q, and an item has one for each decoding, other, "
            "condition, unit, level",
        ),
        (
            {"p": ["1 2"]},
            VALUES_OF_TEXT.replace("prompt_id as", "nullif(prompt_id, 'p') as"),
            "gives model a row without item",
        ),
        (
            {"p": ["null 2"]},
            VALUES_OF_TEXT,
            "gives model no value; where that is right, say when with a line `-- empty: ...`",
        ),
    ],
)
def test_rows_that_are_not_one_an_item_are_refused_and_the_old_ones_stay(
    values: Callable, lake: Lake, texts: dict[str, list[str]], text: str, reason: str
) -> None:
    values({"p": ["5 6"]})
    with pytest.raises(RejectedError) as caught:
        values(texts, text)
    path, _, sentence = str(caught.value).partition("/numbers.sql: ")
    assert path
    assert sentence == reason
    assert not all(finding.passed for finding in caught.value.findings)
    table = measure_table("numbers", "", may_be_empty=False)
    assert [row["numerator"] for row in lake.read(table, "model").to_pylist()] == [5]


def test_a_measure_that_says_when_it_is_empty_may_be(values: Callable) -> None:
    text = VALUES_OF_TEXT.replace("-- says", "-- empty: where texts say nothing\n-- says")
    assert values({"p": ["null 2"]}, text) == ([], 1)
