"""The tables of what generations share against plain functions, and answers worked by hand."""

from __future__ import annotations

import random
import shutil
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.study.thresholds import Thresholds
from tests import blueprints
from warehouse import Lake, Measurement, read_measurements
from warehouse.declarations import used_parameters
from warehouse.schema import Table, arrow_type
from warehouse.sessions import Limits, bind, create_view, session
from warehouse.tables import ALIGNMENTS, BASE_TABLES, GENERATIONS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from fractions import Fraction

pytestmark = pytest.mark.whole

SQL = Path(__file__).parent.parent.parent / "sql"
TABLES = (
    "alignment_overlap",
    "frequent_spans",
    "anchor_spans",
    "anchor_paths",
    "blueprint_flows",
    "anchor_coverage",
)

PAPERS = Thresholds()

Key = tuple[str, str, str, str]
"""Checkpoint, decoding, prompt_set, prompt_id."""

Row = dict[str, Any]


class Alignment(NamedTuple):
    texts: list[str]
    columns: list[list[int]]


class Blueprints(NamedTuple):
    """A lake to put alignments into, and what measures them."""

    lake: Lake
    measurements: dict[str, Measurement]

    def put(self, table: Table, rows: list[Row], row_group_size: int | None = None) -> None:
        for checkpoint in {row["checkpoint"] for row in rows}:
            own = [row for row in rows if row["checkpoint"] == checkpoint]
            path = self.lake.path(table, checkpoint)
            path.parent.mkdir(parents=True, exist_ok=True)
            written = pa.Table.from_pylist(own, table.arrow_schema)
            pq.write_table(written, path, row_group_size=row_group_size)

    def rows(
        self,
        generations: list[Row],
        alignments: list[Row],
        threads: int = 1,
        chosen: Thresholds = PAPERS,
        **how: Any,
    ) -> dict[str, list[Row]]:
        """The rows of every table, over all checkpoints at once."""
        shutil.rmtree(self.lake.root, ignore_errors=True)
        self.put(GENERATIONS, generations, **how)
        self.put(ALIGNMENTS, alignments, **how)
        found: dict[str, list[Row]] = {}
        with session(self.lake, Limits(threads=threads)) as connection:
            bind(connection, self.lake, [GENERATIONS, ALIGNMENTS])
            load_words(connection)
            for name in TABLES:
                measurement = self.measurements[name]
                used = used_parameters(measurement.query, chosen.values())
                given = connection.sql(measurement.query, params=used).to_arrow_table()
                for column in measurement.table.columns:
                    assert given.schema.field(column.name).type == arrow_type(column.type)
                found[name] = given.to_pylist()
                self.put(measurement.table, found[name], **how)
                files = [str(path) for path in self.lake.files(measurement.table)]
                create_view(connection, measurement.table, files)
        return found

    def of(
        self, prompts: dict[Key, Alignment], seed: int = 0, chosen: Thresholds = PAPERS
    ) -> dict[str, dict[Any, Row]]:
        """Every table by its grain, held against the plain functions."""
        found = {
            name: by_grain(self.measurements[name].table, rows)
            for name, rows in self.rows(*table_rows(prompts, seed), chosen=chosen).items()
        }
        for name, rows in expected(prompts, chosen).items():
            assert found[name] == by_grain(self.measurements[name].table, rows), name
        return found

    def of_one(self, texts: list[str], columns: list[list[int]] | None = None) -> Answer:
        """The tables of a single prompt; characters stand in the column of their place."""
        columns = columns or [list(range(len(text))) for text in texts]
        found = self.of({("m", "greedy", "s", "p"): Alignment(texts, columns)})
        return Answer(**{name: list(rows.values()) for name, rows in found.items()})


class Answer(NamedTuple):
    """A single prompt's tables."""

    alignment_overlap: list[Row]
    frequent_spans: list[Row]
    anchor_spans: list[Row]
    anchor_paths: list[Row]
    blueprint_flows: list[Row]
    anchor_coverage: list[Row]

    @property
    def frequent(self) -> list[tuple[int, str, int]]:
        return [(r["start_column"], r["text"], r["n_holders"]) for r in self.frequent_spans]

    @property
    def anchors(self) -> list[tuple[str, int, str, int]]:
        return [(r["span"], r["start_column"], r["text"], r["pick"]) for r in self.anchor_spans]

    @property
    def samples(self) -> dict[str, list[int]]:
        """Which texts count for each anchor span, by their place in the list of texts."""
        return {r["span"]: [index(s) for s in r["samples"]] for r in self.anchor_spans}

    @property
    def paths(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for row in sorted(self.anchor_paths, key=lambda row: row["step"]):
            found.setdefault(index(row["sample"]), []).append(row["span"])
        return found

    @property
    def flows(self) -> dict[tuple[str, str], int]:
        return {(r["source"], r["target"]): r["n_holders"] for r in self.blueprint_flows}

    @property
    def matches(self) -> list[float]:
        return [r["pairwise_match"] for r in sorted(self.alignment_overlap, key=bin_of)]

    @property
    def aligned(self) -> list[float]:
        return [r["aligned_samples"] for r in sorted(self.alignment_overlap, key=bin_of)]

    @property
    def covered(self) -> list[float]:
        return [r["in_anchor"] for r in sorted(self.anchor_coverage, key=bin_of)]


def bin_of(row: Row) -> int:
    return int(row["bin"])


# Numbers of samples have gaps, so that none is taken for a place in a list.


def number(index: int) -> int:
    return 3 * index + 2


def index(number: int) -> int:
    return (number - 2) // 3


def by_grain(table: Table, rows: list[Row]) -> dict[Any, Row]:
    keyed = {tuple(row[name] for name in table.grain): row for row in rows}
    assert len(keyed) == len(rows), f"{table.name}: its grain is not unique"
    return keyed


def table_rows(prompts: dict[Key, Alignment], seed: int) -> tuple[list[Row], list[Row]]:
    """Rows of `generations` and of `alignments`, in no order."""
    generations: list[Row] = []
    alignments: list[Row] = []
    for (checkpoint, decoding, prompt_set, prompt_id), (texts, columns) in prompts.items():
        width = max((own[-1] + 1 for own in columns if own), default=0)
        for i, (text, own) in enumerate(zip(texts, columns, strict=True)):
            row = {
                "checkpoint": checkpoint,
                "decoding": decoding,
                "prompt_set": prompt_set,
                "prompt_id": prompt_id,
                "sample": number(i),
            }
            generations.append({**row, "text": text})
            alignments.append({**row, "columns": own, "width": width, "aligner": "anchorlake"})
            # What is not aligned has no part in it.
            generations.append({**row, "text": text, "decoding": "other"})
            generations.append({**row, "text": text, "prompt_set": "unaligned"})
    chance = random.Random(seed)
    chance.shuffle(generations)
    chance.shuffle(alignments)
    return generations, alignments


def expected(prompts: dict[Key, Alignment], chosen: Thresholds) -> dict[str, list[Row]]:
    """What the plain functions make of it."""
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    for (checkpoint, decoding, prompt_set, prompt_id), (texts, columns) in prompts.items():
        key = {
            "checkpoint": checkpoint,
            "decoding": decoding,
            "prompt_set": prompt_set,
            "prompt_id": prompt_id,
        }

        def put(name: str, key: Row = key, **row: Any) -> None:
            rows[name].append({**key, **row})

        for i, (match, aligned) in enumerate(blueprints.overlap(texts, columns, chosen)):
            put(
                "alignment_overlap",
                bin=i,
                n_samples=len(texts),
                pairwise_match=near(match),
                aligned_samples=near(aligned),
            )
        frequent = blueprints.frequent_spans(texts, columns, chosen)
        for span in frequent:
            put("frequent_spans", **span_row(span, len(texts)))
        anchors = blueprints.anchor_spans(frequent, len(texts), chosen)
        for name, picked in enumerate(anchors, start=1):
            row = span_row(picked, len(texts))
            put("anchor_spans", span=str(name), pick=picked.pick, **row)
        paths = blueprints.paths(anchors, len(texts))
        for sample, path in enumerate(paths):
            for step, (span_name, start) in enumerate(path):
                put("anchor_paths", sample=number(sample), step=step, span=span_name, start=start)
        for (source, target), count in blueprints.flows(paths).items():
            put("blueprint_flows", source=source, target=target, n_holders=count)
        for i, share in enumerate(blueprints.coverage(texts, columns, frequent, chosen)):
            put("anchor_coverage", bin=i, n_samples=len(texts), in_anchor=near(share))
    return rows


def span_row(span: blueprints.Span, n_samples: int) -> Row:
    samples = sorted(span.starts)
    return {
        "start_column": span.start_column,
        "text": span.text,
        "length": len(span.text),
        "n_holders": len(samples),
        "n_samples": n_samples,
        "samples": [number(sample) for sample in samples],
        "starts": [span.starts[sample] for sample in samples],
    }


class Near(float):
    """A number that equals those near it; there are too many here for `pytest.approx`."""

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, float | int)
        return abs(self - other) <= max(1e-9 * abs(self), 1e-12)

    __hash__ = None  # type: ignore[assignment]


def near(value: Fraction | float | list[float]) -> Any:
    return [Near(v) for v in value] if isinstance(value, list) else Near(value)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Blueprints:
    lake = Lake(tmp_path_factory.mktemp("blueprints") / "lake")
    found = read_measurements([SQL], BASE_TABLES, PAPERS.values())
    return Blueprints(lake, {measurement.table.name: measurement for measurement in found})


# Alignments by chance. Generations are made of the same few blocks, which they change a little:
# windows are shared, by some and not by others, and what is shared overlaps.

UNITS = ("a", "ab", "aab", "é ", "e\u0301", "😀", "👩\u200d👧", "שלום", "\u202eb", "🇫🇷", "a\0\n")
CHANGES = ("head", "head", "tail", "gone", "other", "replaced", "dropped", "later", "stutter")
CUTS = (1, 2, 8, 15, 20, 20, 30, 31)
LENGTHS = (1, 29, 30, 31, 40, 45, 60)


def changed(texts: tuple[str, str], change: str, cut: int) -> list[tuple[str, int]]:
    """A block's characters and how far from its start they stand: there is room between them."""
    placed = [(character, 2 * i) for i, character in enumerate(texts[change == "other"])]
    match change:
        case "gone":
            return []
        case "head":
            return placed[cut:]
        case "tail":
            return placed[: len(placed) - cut]
        case "replaced":
            return [(c if i != cut else "#", at) for i, (c, at) in enumerate(placed)]
        case "dropped":
            return placed[:cut] + placed[cut + 1 :]
        case "later":
            return [(c, at + 1) for c, at in placed]
        case "stutter":
            again = [(c, at + 1) for c, at in placed[cut : cut + 1]]
            return placed[: cut + 1] + again + placed[cut + 1 :]
    return placed


def alignment(chance: random.Random) -> Alignment:
    blocks = []
    for _ in range(chance.randint(1, 8)):
        units = chance.choices(UNITS, k=2)
        text, other = ((unit * 60)[: chance.choice(LENGTHS)] for unit in units)
        # Only a few changes to each block, or a generation would be like no other.
        changes = [(chance.choice(CHANGES), chance.choice(CUTS)) for _ in range(3)]
        blocks.append(((text, other), [("same", 0), *changes[: chance.randint(0, 3)]]))
    texts = []
    columns = []
    for _ in range(chance.randint(1, 12)):
        start = 0
        placed: list[tuple[str, int]] = []
        for block, changes in blocks if chance.random() < 0.9 else ():
            placed += [(c, start + at) for c, at in changed(block, *chance.choice(changes))]
            start += 2 * max(map(len, block))
        texts.append("".join(character for character, _ in placed))
        columns.append([column for _, column in placed])
    return Alignment(texts, columns)


KEYS: list[Key] = [
    ("m", "greedy", "s", "p"),
    ("m", "greedy", "s", "q"),
    ("m", "greedy", "t", "p"),
    ("n", "greedy", "s", "p"),
    ("m", "top_p=0.9", "s", "q"),
    ("n", "greedy", "s", "a"),
    ("m", "greedy", "s", "a/b"),
]


# An alignment takes thousands of numbers, which Hypothesis would draw and remember one by one.
RANDOM = st.integers(0, 1 << 32).map(random.Random)


@pytest.mark.core
@settings(max_examples=10, deadline=None)
@given(chance=RANDOM, n=st.integers(1, len(KEYS)))
def test_the_tables_equal_plain_functions(
    tables: Blueprints, chance: random.Random, n: int
) -> None:
    tables.of({key: alignment(chance) for key in KEYS[:n]}, seed=n)


CHOSEN = st.builds(
    Thresholds,
    kept_by=st.integers(1, 8),
    aligned_with=st.integers(1, 8),
    span_characters=st.sampled_from([1, 2, 7, 29, 31, 50]),
    span_share=st.sampled_from([0.001, 0.07, 0.1, 0.3, 1 / 3, 0.5, 0.6, 1.0]),
    spans=st.integers(1, 12),
)


@settings(max_examples=10, deadline=None)
@given(chance=RANDOM, n=st.integers(1, len(KEYS)), chosen=CHOSEN)
def test_so_they_do_at_thresholds_that_a_study_chooses(
    tables: Blueprints, chance: random.Random, n: int, chosen: Thresholds
) -> None:
    tables.of({key: alignment(chance) for key in KEYS[:n]}, seed=n, chosen=chosen)


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.29, 0.56, 0.57, 0.58])
def test_a_share_is_exact_where_its_binary_fraction_is_not(
    tables: Blueprints, share: float
) -> None:
    # Times 100 these are more, or less, than whole numbers to a processor.
    enough = round(100 * share)
    keys = {enough - 1: ("m", "greedy", "s", "less"), enough: ("m", "greedy", "s", "enough")}
    prompts = {
        key: Alignment(
            [LETTERS[:30] if i < holders else own(i) for i in range(100)], [list(range(30))] * 100
        )
        for holders, key in keys.items()
    }
    found = tables.of(prompts, chosen=Thresholds(span_share=share))
    for name in ("frequent_spans", "anchor_spans"):
        assert [key[:4] for key in found[name]] == [keys[enough]]


@pytest.mark.parametrize("seed", range(3))
def test_so_they_do_with_many_prompts(tables: Blueprints, seed: int) -> None:
    chance = random.Random(seed)
    tables.of(
        {(m, d, s, f"{p}/{i}"): alignment(chance) for m, d, s, p in KEYS for i in range(6)}, seed
    )


# Answers worked by hand.

LETTERS = string.ascii_letters + string.digits + "!?"
"""64 characters, each another: no window of it is like another."""


def own(sample: int, n: int = 30) -> str:
    """Text that no other generation has a character of."""
    return "".join(chr(0x4E00 + 100 * sample + i) for i in range(n))


def test_equal_generations_are_one_span(tables: Blueprints) -> None:
    text = LETTERS[:40]
    answer = tables.of_one([text] * 5)
    assert answer.frequent == [(0, text, 5)]
    (span,) = answer.frequent_spans
    assert (span["length"], span["n_samples"]) == (40, 5)
    assert [index(sample) for sample in span["samples"]] == [0, 1, 2, 3, 4]
    assert span["starts"] == [0, 0, 0, 0, 0]
    assert answer.anchors == [("1", 0, text, 1)]
    assert answer.paths == {i: ["START", "1", "END"] for i in range(5)}
    assert answer.flows == {("START", "1"): 5, ("1", "END"): 5}
    assert answer.matches == near([1] * 100)
    assert answer.aligned == near([0] * 100)  # only 4 others have the same
    assert answer.covered == near([1] * 100)


def test_two_spans_of_which_some_have_one(tables: Blueprints) -> None:
    first, second = LETTERS[:30], LETTERS[30:60]
    answer = tables.of_one(
        [first + own(i, 10) + (second if i < 8 else own(i + 20)) for i in range(10)]
    )
    assert answer.frequent == [(0, first, 10), (40, second, 8)]
    assert answer.anchors == [("1", 0, first, 1), ("2", 40, second, 2)]
    assert answer.samples == {"1": list(range(10)), "2": list(range(8))}
    assert answer.anchor_spans[1]["starts"] == [40] * 8
    assert answer.flows == {("START", "1"): 10, ("1", "2"): 8, ("1", "END"): 2, ("2", "END"): 8}
    starts = [r["start"] for r in answer.anchor_paths if index(r["sample"]) == 0]
    assert starts == [None, 0, 40, None]
    # 60 columns are kept, the second half of them with 28 pairs of 45.
    assert answer.matches == near([1] * 50 + [28 / 45] * 50)
    assert answer.aligned == near([10] * 50 + [8] * 50)
    assert answer.covered == near([1] * 50 + [0.8] * 50)


def test_what_more_have_comes_before_what_is_longer(tables: Blueprints) -> None:
    most, long = LETTERS[:30], LETTERS[30:]
    answer = tables.of_one([long + most] * 3 + [own(9, 34) + most])
    # Of the windows in the first three, only the last is in the fourth too.
    assert answer.frequent == [(0, long + most[:29], 3), (34, most, 4)]
    # The longer span overlaps the other in all that have it.
    assert answer.anchors == [("1", 34, most, 1)]
    assert answer.samples == {"1": [0, 1, 2, 3]}


def test_of_equally_many_the_longer_comes_first_then_the_one_before(tables: Blueprints) -> None:
    spans = [LETTERS[:30], LETTERS[:31], LETTERS[30:60]]
    answer = tables.of_one(["".join(span + own(i, 9) for span in spans) for i in range(3)])
    assert answer.anchors == [
        ("1", 0, spans[0], 2),
        ("2", 39, spans[1], 1),
        ("3", 79, spans[2], 3),
    ]


def test_spans_of_one_column_go_by_their_text(tables: Blueprints) -> None:
    # In Unicode's order, whatever the order of the generations.
    texts = ["😀" * 30, "b" * 30, "é" * 30, "B" * 30]
    answer = tables.of_one([text for text in texts for _ in range(3)])
    assert answer.anchors == [
        (str(pick), 0, text, pick) for pick, text in enumerate(sorted(texts), start=1)
    ]
    assert [row["text"][0] for row in answer.anchor_spans] == ["B", "b", "é", "😀"]


def test_six_are_picked_and_numbered_by_their_columns(tables: Blueprints) -> None:
    lengths = [33, 30, 36, 31, 35, 32, 34]
    answer = tables.of_one(
        ["".join(LETTERS[:n] + own(i, 40 - n) for n in lengths) for i in range(4)]
    )
    assert [row["length"] for row in answer.frequent_spans] == lengths
    assert [
        (r["span"], r["start_column"], r["length"], r["pick"]) for r in answer.anchor_spans
    ] == [
        ("1", 0, 33, 4),
        ("2", 80, 36, 1),
        ("3", 120, 31, 6),
        ("4", 160, 35, 2),
        ("5", 200, 32, 5),
        ("6", 240, 34, 3),
    ]
    assert answer.paths[0] == ["START", "1", "2", "3", "4", "5", "6", "END"]
    # No column is kept, so there is nothing to cover.
    assert answer.covered == near([0] * 100)


def overlapping(n_first: int, n_both: int, n_second: int, at: int) -> Alignment:
    """Generations with the first 40 of the letters, with those from `at` on, or with both."""
    n = n_first + n_both + n_second
    first = [LETTERS[:40] + own(i, len(LETTERS) - 40) for i in range(n_first)]
    both = [LETTERS] * n_both
    second = [own(i, at) + LETTERS[at:] for i in range(n_first + n_both, n)]
    return Alignment(first + both + second, [list(range(len(LETTERS)))] * n)


def test_a_generation_counts_for_one_of_overlapping_spans(tables: Blueprints) -> None:
    answer = tables.of_one(*overlapping(2, 1, 2, at=25))
    assert answer.frequent == [(0, LETTERS[:40], 3), (25, LETTERS[25:], 3)]
    assert answer.anchors == [("1", 0, LETTERS[:40], 1), ("2", 25, LETTERS[25:], 2)]
    assert answer.samples == {"1": [0, 1, 2], "2": [3, 4]}
    assert [row["n_holders"] for row in answer.anchor_spans] == [3, 2]
    assert answer.paths[2] == ["START", "1", "END"]
    assert answer.paths[3] == ["START", "2", "END"]


@pytest.mark.parametrize(
    ("lengths", "gap", "samples"),
    [
        ((31, 30), 0, {"1": [0, 1, 2], "2": [2, 3, 4]}),
        ((30, 31), 0, {"1": [0, 1, 2], "2": [2, 3, 4]}),
        ((31, 30), -1, {"1": [0, 1, 2], "2": [3, 4]}),
        ((30, 31), -1, {"1": [0, 1], "2": [2, 3, 4]}),  # the longer one is picked first
    ],
)
def test_spans_overlap_where_they_share_a_character(
    tables: Blueprints, lengths: tuple[int, int], gap: int, samples: dict[str, list[int]]
) -> None:
    start = lengths[0] + gap
    stop = start + lengths[1]
    first = LETTERS[: lengths[0]]
    second = [own(i, start) + LETTERS[start:stop] for i in (3, 4)]
    answer = tables.of_one([first, first, LETTERS[:stop], *second])
    assert answer.samples == samples


def test_overlap_is_of_characters_not_of_columns(tables: Blueprints) -> None:
    # The third generation has both spans one after the other, though they share columns.
    first, second = LETTERS[:30], LETTERS[30:60]
    texts = [first, first, first + second, second, second]
    wide = [*range(0, 60, 2)]
    columns = [wide, wide, [*range(60)], [*range(30, 90, 2)], [*range(30, 90, 2)]]
    answer = tables.of_one(texts, columns)
    assert answer.samples == {"1": [0, 1, 2], "2": [2, 3, 4]}
    assert answer.paths[2] == ["START", "1", "2", "END"]


def test_a_span_that_too_few_still_count_for_is_dropped(tables: Blueprints) -> None:
    # Of 15, 4 have the first and 3 the second; one of these has both, and 2 are too few.
    texts, columns = overlapping(3, 1, 2, at=25)
    others = [own(i) for i in range(6, 15)]
    answer = tables.of_one(texts + others, columns + [list(range(30))] * 9)
    assert answer.frequent == [(0, LETTERS[:40], 4), (25, LETTERS[25:], 3)]
    assert answer.anchors == [("1", 0, LETTERS[:40], 1)]
    assert answer.flows == {("START", "1"): 4, ("1", "END"): 4, ("START", "END"): 11}
    # It covers all the same. The 15 letters that both have stand in the columns that are kept.
    assert answer.covered == near([6 / 15] * 100)
    assert answer.matches == near([15 / 105] * 100)
    assert answer.aligned == near([6] * 100)


def test_the_order_is_taken_anew_after_each_pick(tables: Blueprints) -> None:
    # The letters from 25 on are in 4, but 2 of them count for the first span.
    texts, columns = overlapping(3, 2, 2, at=25)
    third = own(99)
    answer = tables.of_one(texts + [third] * 3, columns + [list(range(100, 130))] * 3)
    assert answer.frequent == [
        (0, LETTERS[:40], 5),
        (11, LETTERS[11:54], 2),
        (25, LETTERS[25:], 4),
        (100, third, 3),
    ]
    assert answer.anchors == [
        ("1", 0, LETTERS[:40], 1),
        ("2", 25, LETTERS[25:], 3),
        ("3", 100, third, 2),
    ]
    assert answer.samples == {"1": [0, 1, 2, 3, 4], "2": [5, 6], "3": [7, 8, 9]}


def test_one_text_at_two_places_is_two_spans(tables: Blueprints) -> None:
    text = LETTERS[:30]
    answer = tables.of_one([text + own(i, 20) + text for i in range(3)])
    assert answer.anchors == [("1", 0, text, 1), ("2", 50, text, 2)]
    assert answer.flows == {("START", "1"): 3, ("1", "2"): 3, ("2", "END"): 3}


def test_one_text_in_different_columns_is_not_shared(tables: Blueprints) -> None:
    text = LETTERS[:30]
    answer = tables.of_one([text] * 5, [[*range(at, at + 30)] for at in (0, 0, 7, 7, 9)])
    assert answer.samples == {"1": [0, 1], "2": [2, 3]}
    assert answer.paths[4] == ["START", "END"]


def test_only_the_first_character_of_a_window_must_stand_in_the_same_column(
    tables: Blueprints,
) -> None:
    text = LETTERS[:30]
    answer = tables.of_one([text, text], [[*range(30)], [0, *range(50, 79)]])
    assert answer.frequent == [(0, text, 2)]
    # The sixth character stands elsewhere: the window that starts there is not shared.
    text = LETTERS[:40]
    columns = [*range(0, 80, 2)]
    answer = tables.of_one([text, text], [columns, [*columns[:5], 11, *columns[6:]]])
    assert answer.frequent == [(0, text[:34], 2), (12, text[6:], 2)]
    assert answer.anchors == [("1", 0, text[:34], 1)]


def test_windows_join_where_they_are_consecutive_in_every_generation(tables: Blueprints) -> None:
    # The second generation has a character between the first window and the next.
    answer = tables.of_one(["a" * 31, "a" * 32], [[0, *range(5, 35)], [0, 2, *range(5, 35)]])
    assert answer.frequent == [(0, "a" * 30, 2), (5, "a" * 30, 2)]
    assert [row["starts"] for row in answer.frequent_spans] == [[0, 0], [1, 2]]


@pytest.mark.parametrize(
    ("n_samples", "holders", "is_frequent"),
    [(10, 2, True), (11, 2, False), (15, 3, True), (16, 3, False), (5, 1, False), (2, 2, True)],
)
def test_a_fifth_is_enough_and_less_is_not(
    tables: Blueprints, n_samples: int, holders: int, is_frequent: bool
) -> None:
    text = LETTERS[:30]
    # Empty generations count too.
    answer = tables.of_one([text] * holders + [""] * (n_samples - holders))
    assert answer.frequent == [(0, text, holders)] * is_frequent
    assert answer.anchors == [("1", 0, text, 1)] * is_frequent
    assert len(answer.paths) == n_samples


def test_a_window_is_30_characters_of_unicode(tables: Blueprints) -> None:
    text = "e\u0301😀\u202eש👩\u200d👧\0\n" * 3
    assert len(text) == 30
    answer = tables.of_one([text + own(i) for i in range(6)] + [text[:29]] * 2)
    assert answer.frequent == [(0, text, 6)]
    assert answer.frequent_spans[0]["length"] == 30
    # All 30 columns are kept. In the last stand 6, and in a third of the bin that it begins in.
    assert answer.aligned == near([8] * 96 + [2 / 3 * 8 + 1 / 3 * 6] + [6] * 3)
    answer = tables.of_one([text[:29]] * 6)
    assert answer.frequent == []
    assert answer.matches == near([1] * 100)


@pytest.mark.parametrize("texts", [[LETTERS], [""], ["", "", "", "", "", ""], ["a"] * 4])
def test_without_anything_shared_all_is_0(tables: Blueprints, texts: list[str]) -> None:
    answer = tables.of_one(texts)
    assert answer.frequent == answer.anchors == []
    assert answer.matches == answer.aligned == answer.covered == [0] * 100
    assert answer.paths == {i: ["START", "END"] for i in range(len(texts))}
    assert answer.flows == {("START", "END"): len(texts)}


# Columns, kept and cut into bins.


def test_a_column_is_kept_where_5_have_one_character(tables: Blueprints) -> None:
    # Columns of 5, of 4 + 2, of 5 + 2 and of 6 + 1 that are the same, in 7 generations.
    columns = ["aaaaa", "bbbbcc", "dddddee", "ffffffg"]
    texts = ["".join(column[i : i + 1] for column in columns) for i in range(7)]
    present = [[j for j, column in enumerate(columns) if i < len(column)] for i in range(7)]
    answer = tables.of_one(texts, present)
    # 3 are kept, of a third of the bins each; two bins lie in two of them.
    assert answer.matches[:33] == near([10 / 21] * 33)
    assert answer.matches[33] == near((10 / 21 + 2 * 11 / 21) / 3)
    assert answer.matches[34:66] == near([11 / 21] * 32)
    assert answer.matches[66] == near((2 * 11 / 21 + 15 / 21) / 3)
    assert answer.matches[67:] == near([15 / 21] * 33)
    assert answer.aligned == near([0] * 66 + [2] + [6] * 33)  # five have four others


def test_bins_of_more_columns_than_bins(tables: Blueprints) -> None:
    # 150 columns: a bin is one and a half. In the first column and the last, one differs.
    text = "a" * 150
    answer = tables.of_one([text] * 5 + ["b" + text[2:] + "b"])
    first = (1 * 10 / 15 + 0.5) / 1.5
    assert answer.matches == near([first, *[1] * 98, first])
    assert answer.aligned == near([(0 + 0.5 * 6) / 1.5, *[6] * 98, 2])
    # All have the windows that start in the columns 1 to 119, and five those of 0 and of 120.
    assert answer.frequent == [(0, "a" * 30, 5), (1, "a" * 148, 6), (120, "a" * 30, 5)]
    covered = (5 / 6 + 0.5) / 1.5
    assert answer.covered == near([covered, *[1] * 98, covered])


# Rows in any order, and next to others.


def test_the_order_of_rows_does_not_matter(tables: Blueprints) -> None:
    chance = random.Random(5)
    prompts = {key: alignment(chance) for key in KEYS}
    first = tables.rows(*table_rows(prompts, seed=0))
    assert all(first.values())
    for seed, threads in ((1, 1), (2, 3)):
        rows = table_rows(prompts, seed)
        assert tables.rows(*rows, threads=threads, row_group_size=7) == {
            name: [
                {k: near(v) if isinstance(v, float) else v for k, v in row.items()} for row in of
            ]
            for name, of in first.items()
        }


def test_a_prompt_is_measured_by_itself(tables: Blueprints) -> None:
    # What one prompt, set, decoding or checkpoint has in common with another is not shared.
    text = LETTERS[:40]
    alone = Alignment([text, own(1)], [list(range(40)), list(range(30))])
    shared = Alignment([text] * 6, [list(range(40))] * 6)
    found = tables.of({**dict.fromkeys(KEYS[1:], alone), KEYS[0]: shared})
    assert list(found["frequent_spans"]) == [(*KEYS[0], 0, text)]
    assert list(found["anchor_spans"]) == [(*KEYS[0], "1")]
    assert len(found["alignment_overlap"]) == len(found["anchor_coverage"]) == 100 * len(KEYS)
    for name, value in (("alignment_overlap", "pairwise_match"), ("anchor_coverage", "in_anchor")):
        for (*key, _), row in found[name].items():
            assert row[value] == (tuple(key) == KEYS[0])
