"""`comparisons` against differences of the rows that measures have in the lake."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assets.measures.comparisons as comparing
import assets.measures.summary as summing
from assets.measures.declared import PLACEHOLDERS, declared_measures
from assets.measures.differences import adjusted, compare_slices
from assets.measures.pairs import Pair
from tests.assets.measures import reference
from tests.assets.measures.lakes import LACKING, MEASURES, Contents, Row, limited_to, rows_of
from tests.assets.measures.reference import Pairs
from tests.assets.measures.test_sentences import measure_of
from tests.assets.measures.test_summary import HEADLINES
from tests.studies import Bench, imported, write_jsonl
from tests.warehouse.test_matched import counted, n_words_of
from warehouse.matched import Sampled
from warehouse.tables import COMPARISONS

if TYPE_CHECKING:
    from pathlib import Path

    from assets.measures.differences import Values

pytestmark = pytest.mark.whole

TOKENIZED = {"llama", "gemma", "old", "new"}
"""Those that are known to have one tokenizer."""


class Expected(NamedTuple):
    """Two that are compared."""

    checkpoint: str
    decoding: str
    other: str
    other_decoding: str
    is_base: bool = False
    is_main: bool = False

    @property
    def unit(self) -> str:
        return "token" if {self.checkpoint, self.other} <= TOKENIZED else "word"


PAIRS = [
    Expected("llama", "top_p=0.7", "llama", "top_p=0.9"),
    Expected("gemma", "top_p=0.7", "llama", "top_p=0.9", is_base=True, is_main=True),
    Expected("gemma", "top_p=0.7", "llama", "top_p=0.7"),
    Expected("gemma", "top_p=0.9", "llama", "top_p=0.9"),
    Expected("gemma", "top_p=0.9", "gemma", "top_p=0.7"),
    Expected("new", "-", "old", "-", is_base=True, is_main=True),
    Expected("final", "-", "old", "-", is_base=True, is_main=True),
    Expected("final", "-", "new", "-", is_main=True),
    Expected("told", "-", "llama", "top_p=0.9", is_base=True, is_main=True),
    Expected("told", "-", "llama", "top_p=0.7"),
]
KEY = ("checkpoint", "decoding", "other", "other_decoding", "measure", "condition", "unit", "level")

Key = tuple[Any, ...]
Paired = dict[str, tuple[Pairs, Pairs]]
"""Of each collection the items that both have, of the one and of the other."""


def expected_slices(lake: Contents) -> dict[Key, Paired]:
    """What is compared with what, over cut generations aside."""
    values: dict[Key, dict[str, dict[str, tuple[float, float]]]]
    values = defaultdict(lambda: defaultdict(dict))
    for row in lake.measures:
        assert row["other"] == "-"
        key = tuple(
            row[name]
            for name in ("measure", "checkpoint", "decoding", "condition", "unit", "level")
        )
        text = lake.texts[row["collection"], row["item"]]
        values[key][row["collection"]][text] = row["numerator"], row["denominator"]
    slices = {}
    for pair in PAIRS:
        for (measure, checkpoint, decoding, *rest), ours in values.items():
            if checkpoint != pair.checkpoint:
                continue
            partners = {pair.decoding: pair.other_decoding}
            if pair.is_main and pair.checkpoint in ("llama", "gemma"):
                partners["-"] = "-"
            _, unit, level = rest
            theirs = values.get((measure, pair.other, partners.get(decoding), *rest))
            if theirs is None:
                continue
            if not pair.is_base and level != HEADLINES[measure]:
                continue
            if "ngram" in measure and unit == "token" and pair.unit != "token":
                continue
            key = (pair.checkpoint, decoding, pair.other, partners[decoding], measure, *rest)
            slices[key] = paired(ours, theirs)
    return {key: collections for key, collections in slices.items() if collections}


def paired(
    ours: dict[str, dict[str, tuple[float, float]]],
    theirs: dict[str, dict[str, tuple[float, float]]],
) -> Paired:
    every = {text: number for items in theirs.values() for text, number in items.items()}
    collections = {}
    for name, items in ours.items():
        others = theirs.get(name, every)
        common = sorted({*items} & {*others})
        if common:
            collections[name] = (
                np.array([items[text] for text in common]),
                np.array([others[text] for text in common]),
            )
    return collections


def p_of(statistic: str, collections: Paired) -> float:
    """The share of all swaps that leave as large a difference."""
    n = sum(len(one) for one, _ in collections.values())
    swaps = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(bool)[..., None]
    sides: tuple[list[Pairs], list[Pairs]] = ([], [])
    start = 0
    for one, two in collections.values():
        some = swaps[:, start : start + len(one)]
        sides[0].append(np.where(some, two, one))
        sides[1].append(np.where(some, one, two))
        start += len(one)
    values = [reference.statistic_of(statistic, side) for side in sides]
    differences = np.abs(values[0] - values[1])
    return float((differences >= differences[0] * (1 - 1e-9) - 1e-12).mean())


def check_row(row: Row, statistic: str, collections: Paired) -> None:
    ours = {name: one for name, (one, _) in collections.items()}
    theirs = {name: two for name, (_, two) in collections.items()}
    n_items = sum(map(len, ours.values()))
    expected = reference.compared(statistic, ours, theirs)
    numbers = {
        "value": expected.value,
        "other_value": expected.other,
        "difference": expected.difference.value,
        "difference_low": expected.difference.low,
        "difference_high": expected.difference.high,
        "ratio": expected.ratio.value,
        "ratio_low": expected.ratio.low,
        "ratio_high": expected.ratio.high,
        "n_items": n_items,
        "p": p_of(statistic, collections),
        "p_least": 2 / 2**n_items,
    }
    for name, number in numbers.items():
        assert row[name] == pytest.approx(number, rel=1e-8, abs=1e-10), name


def test_whatever_both_have_is_compared_and_nothing_else(compared: Contents) -> None:
    expected = set()
    for key, collections in expected_slices(compared).items():
        expected |= {(*key, name) for name in (*collections, "*")}
    made = [
        (*(row[name] for name in KEY), row["collection"])
        for row in compared.comparisons
        if row["condition"] != "matched"
    ]
    assert len(made) == len(set(made))
    assert set(made) == expected
    # Each of the pairs has rows, and tokens are compared where tokenizers are equal.
    assert {key[:4] for key in expected} >= {pair[:4] for pair in PAIRS}
    tokens = {key[:4:2] for key in expected if "ngram" in key[4] and key[6] == "token"}
    assert tokens == {("llama", "llama"), ("gemma", "llama"), ("gemma", "gemma"), ("new", "old")}


def test_a_row_is_about_the_items_that_both_have(compared: Contents) -> None:
    slices = expected_slices(compared)
    several = 0
    for row in compared.comparisons:
        if row["condition"] == "matched":
            continue
        collections = slices[tuple(row[name] for name in KEY)]
        if row["collection"] != "*":
            collections = {row["collection"]: collections[row["collection"]]}
        several += len(collections) > 1
        check_row(row, MEASURES[row["measure"]], collections)
    assert several >= 2


def test_prompts_are_paired_by_text_and_n_items_counts_those_of_both(compared: Contents) -> None:
    (row,) = (
        row
        for row in compared.comparisons
        if (row["checkpoint"], row["measure"], row["level"]) == ("new", "ngram_diversity", 1)
        and (row["unit"], row["collection"], row["condition"]) == ("word", "*", "-")
    )
    assert row["n_items"] == 9 - len(LACKING)
    values: dict[str, dict[str, float]] = {"new": {}, "old": {}}
    for item in compared.measures:
        if (
            item["checkpoint"] in values
            and item["measure"] == "ngram_diversity"
            and item["level"] == 1
            and item["unit"] == "word"
        ):
            text = compared.texts[item["collection"], item["item"]]
            values[item["checkpoint"]][text] = item["numerator"] / item["denominator"]
    common = [f"What is {i}?" for i in range(9) if i not in LACKING]
    for column, checkpoint in (("value", "new"), ("other_value", "old")):
        mean = sum(values[checkpoint][text] for text in common) / len(common)
        assert row[column] == pytest.approx(mean)
    # Which is another number than all of its own prompts give.
    (whole,) = (
        r
        for r in compared.summary
        if (r["checkpoint"], r["measure"], r["level"]) == ("new", "ngram_diversity", 1)
        and (r["unit"], r["collection"]) == ("word", "*")
    )
    assert whole["n_items"] == 9
    assert whole["value"] != pytest.approx(row["value"], rel=1e-4)


def test_p_is_adjusted_over_what_is_quoted_of_each_pair(compared: Contents) -> None:
    families: dict[Expected, list[Row]] = defaultdict(list)
    for row in compared.comparisons:
        decodings = row["decoding"], row["other_decoding"]
        pairs = [p for p in PAIRS if (p.checkpoint, p.other) == (row["checkpoint"], row["other"])]
        (pair,) = (
            p
            for p in pairs
            if (p.decoding, p.other_decoding) == decodings
            or (p.is_main and decodings == ("-", "-") and p.decoding != "-")
        )
        is_quoted = (
            row["collection"] == "*"
            and row["condition"] == "-"
            and row["level"] == HEADLINES[row["measure"]]
            and row["unit"] in ("-", pair.unit)
        )
        assert row["headline"] == is_quoted
        if is_quoted:
            families[pair].append(row)
        else:
            assert row["p_adjusted"] is None
    for rows in families.values():
        for row in rows:
            before = [
                min(1.0, r["p"] * sum(other["p"] >= r["p"] for other in rows))
                for r in rows
                if r["p"] <= row["p"]
            ]
            assert row["p_adjusted"] == pytest.approx(max(before))
    measures_of = {pair: {row["measure"] for row in rows} for pair, rows in families.items()}
    assert measures_of[PAIRS[1]] == {*MEASURES}  # with those that no decoding is behind
    assert measures_of[PAIRS[2]] == {"ngram_diversity"}


def test_matched_rows_are_of_texts_that_are_cut_to_the_smaller_median(compared: Contents) -> None:
    generations: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    folder = compared.bench.folder / "lake" / "generations"
    names = {"new": "-", "old": "-", "final": "-", "told": "-", "llama": "top_p=0.9"}
    names["gemma"] = "top_p=0.7"
    for row in rows_of(folder):
        if row["decoding"] == names[row["checkpoint"]]:
            text = compared.texts[row["prompt_set"], row["prompt_id"]]
            generations[row["checkpoint"]][text].append(row["text"])
    matched = [row for row in compared.comparisons if row["condition"] == "matched"]
    assert {row["checkpoint"] for row in matched} == {p.checkpoint for p in PAIRS if p.is_base}
    seen = set()
    for row in matched:
        ours, theirs = generations[row["checkpoint"]], generations[row["other"]]
        assert row["unit"] == "word"
        assert not row["headline"]
        seen.add((row["checkpoint"], row["measure"], row["level"]))
        both: tuple[list[Any], list[Any]] = ([], [])
        for text in sorted({*ours} & {*theirs}):
            k = n_words_of(ours[text], theirs[text])
            values = [
                counted(row["measure"], [" ".join(words.split()[:k]) for words in texts])
                for texts in (ours[text], theirs[text])
            ]
            if all(row["level"] in some for some in values):
                for side, some in zip(both, values, strict=True):
                    side.append(some[row["level"]])
        # Of one collection the items are all; its name seeds the draws.
        (name,) = {
            r["collection"]
            for r in matched
            if r["checkpoint"] == row["checkpoint"] and r["collection"] != "*"
        }
        one, two = (np.array(side, dtype=float) for side in both)
        check_row(row, "mean", {name: (one, two)})
    assert {("new", "ngram_diversity", n) for n in range(1, 6)} <= seen


# Slices and families without a lake.


def pair_of(
    one: Sampled,
    other: Sampled,
    tokenizers: tuple[str | None, str | None] = ("t", "t"),
    *,
    whole: bool = True,
    main: bool = True,
    base: str | None = None,
) -> Pair:
    return Pair(one, other, whole, main, tokenizers, base)


NEW, OLD = Sampled("new", "a"), Sampled("old", "b")


def values_at(decoding: str, unit: str = "-", level: int = 0, about: str = "-") -> Values:
    """Two items of one slice."""
    return {(decoding, about, "-", unit, level): {"s": {"x": (1.0, 2.0), "y": (1.0, 3.0)}}}


@pytest.mark.parametrize(
    ("comparable", "tokenizers", "units"),
    [
        (None, ("t", "u"), {"token", "word"}),
        ("same tokenizer, where unit is token", ("t", "t"), {"token", "word"}),
        ("same tokenizer, where unit is token", ("t", "u"), {"word"}),
        ("same tokenizer, where unit is token", (None, None), {"word"}),
        ("same tokenizer, where unit is token", ("t", None), {"word"}),
        ("same tokenizer", ("t", "t"), {"token", "word"}),
        ("same tokenizer", ("t", "u"), set()),
        ("same tokenizer", (None, None), set()),
    ],
)
def test_tokens_are_compared_where_tokenizers_are_equal(
    comparable: str | None, tokenizers: tuple[str | None, str | None], units: set[str]
) -> None:
    measure = measure_of("number", comparable=comparable)
    pair = pair_of(NEW, OLD, tokenizers)
    ours, theirs = (values_at(d, "token") | values_at(d, "word") for d in ("a", "b"))
    rows = compare_slices(measure, pair, ours, theirs).to_pylist()
    assert {row["unit"] for row in rows} == units
    quoted = {row["unit"] for row in rows if row["headline"]}
    assert quoted == units & {"token" if tokenizers == ("t", "t") else "word"}


def test_only_a_base_is_compared_at_levels_that_are_not_quoted() -> None:
    measure = measure_of("number", level="n", headline=2)
    ours, theirs = ({**values_at(d, level=1), **values_at(d, level=2)} for d in ("a", "b"))
    for whole, levels in ((True, {1, 2}), (False, {2})):
        rows = compare_slices(measure, pair_of(NEW, OLD, whole=whole), ours, theirs).to_pylist()
        assert {row["level"] for row in rows} == levels
        assert {(row["level"], row["headline"]) for row in rows if row["headline"]} == {(2, True)}


def test_what_has_no_decoding_belongs_to_the_main_pair_alone() -> None:
    both = values_at("-")
    assert len(compare_slices(measure_of("number"), pair_of(NEW, OLD), both, both)) == 2
    further = pair_of(NEW, OLD, main=False)
    assert len(compare_slices(measure_of("number"), further, both, both)) == 0


def test_texts_of_an_unknown_decoding_are_compared_with_those_of_a_known_one() -> None:
    unknown, known = Sampled("new", "-"), Sampled("old", "b")
    for one, other in ((unknown, known), (known, unknown)):
        ours, theirs = values_at(one.decoding), values_at(other.decoding)
        rows = compare_slices(measure_of("number"), pair_of(one, other), ours, theirs).to_pylist()
        assert {(r["decoding"], r["other_decoding"]) for r in rows} == {
            (one.decoding, other.decoding)
        }


@pytest.mark.parametrize("name", ["entropy", "support", "top_k_mass"])
def test_comparisons_on_human_text_count_documents(name: str) -> None:
    (measure,) = (m for m in declared_measures(PLACEHOLDERS) if m.name == name)
    assert (measure.item_of("-"), measure.item_of("gold")) == ("prompt", "document")


def test_a_number_about_two_is_compared_with_the_others_about_the_first() -> None:
    ours = values_at("a", about="old") | values_at("a", about="third")
    theirs = values_at("b", about="new") | values_at("b", about="third")
    rows = compare_slices(measure_of("number"), pair_of(NEW, OLD), ours, theirs)
    assert len(rows) == 2  # the collection and all
    assert len(compare_slices(measure_of("number"), pair_of(NEW, OLD), ours, {})) == 0


def test_two_stages_are_compared_in_what_both_are_from_one_base() -> None:
    stages = pair_of(NEW, OLD, base="base")
    kl = measure_of("number", name="kl")
    ours, theirs = (values_at(decoding, about="base") for decoding in ("a", "b"))
    theirs["b", "base", "-", "-", 0]["s"]["x"] = (2.0, 2.0)
    whole, _ = compare_slices(kl, stages, ours, theirs).to_pylist()
    assert (whole["value"], whole["other_value"]) == (pytest.approx(5 / 12), pytest.approx(2 / 3))
    assert whole["n_items"] == 2
    # The base has no KL from itself, and one from another base is another number.
    from_base = pair_of(NEW, Sampled("base", "b"), base="base")
    assert len(compare_slices(kl, from_base, ours, {})) == 0
    of_others = values_at("b", about="third")
    assert len(compare_slices(kl, stages, values_at("a", about="third"), of_others)) == 0
    # What the two have from each other comes first, as a row is about one number of each.
    each_other = ours | values_at("a", about="old")
    both = compare_slices(kl, stages, each_other, theirs | values_at("b", about="new")).to_pylist()
    assert [row["other_value"] for row in both] == [pytest.approx(5 / 12)] * 2


def test_a_collection_that_the_other_lacks_is_looked_for_in_all_of_its_own() -> None:
    key = ("a", "-", "-", "-", 0)
    ours: Values = {
        key: {
            "mine": {"x": (1.0, 1.0), "y": (2.0, 1.0), "z": (9.0, 1.0)},
            "both": {"x": (5.0, 1.0), "y": (7.0, 1.0)},
        }
    }
    theirs: Values = {("b", *key[1:]): {"both": {"x": (10.0, 1.0)}, "theirs": {"y": (20.0, 1.0)}}}
    rows = {
        row["collection"]: (row["value"], row["other_value"], row["n_items"])
        for row in compare_slices(measure_of("number"), pair_of(NEW, OLD), ours, theirs).to_pylist()
    }
    assert rows == {"mine": (1.5, 15, 2), "both": (5, 10, 1), "*": (3.25, 12.5, 3)}


def test_a_ratio_to_nothing_is_null() -> None:
    theirs: Values = {("b", "-", "-", "-", 0): {"s": {"x": (0.0, 1.0), "y": (0.0, 1.0)}}}
    rows = compare_slices(measure_of("number"), pair_of(NEW, OLD), values_at("a"), theirs)
    for row in rows.to_pylist():
        assert [row[name] for name in ("ratio", "ratio_low", "ratio_high")] == [None] * 3
        assert row["difference"] == pytest.approx(5 / 12)
        assert row["p"] == row["p_least"] == 0.5


def rows_with(*rows: tuple[str, str, str, float | None, bool]) -> pa.Table:
    """Rows of `comparisons` with a decoding, the other and its decoding, p, and whether quoted."""
    names = ("decoding", "other", "other_decoding", "p", "headline")
    values = [dict(zip(names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(values, COMPARISONS.arrow_schema)


def test_families_are_pairs_and_numbers_without_a_decoding_are_in_that_of_the_main_one() -> None:
    pairs = [
        pair_of(Sampled("new", "x"), Sampled("old", "y")),
        pair_of(Sampled("new", "a"), Sampled("old", "a"), main=False),
        pair_of(Sampled("new", "x"), Sampled("sft", "-"), whole=False),
        pair_of(Sampled("new", "a"), Sampled("new", "x"), main=False),
    ]
    rows = rows_with(
        ("-", "old", "-", 0.01, True),
        ("a", "new", "x", 0.02, True),
        ("a", "old", "a", 0.03, True),  # by name before the main pair
        ("x", "old", "y", 0.02, True),
        ("x", "old", "y", 0.001, False),
        ("x", "old", "y", None, True),
        ("-", "sft", "-", 0.3, True),
        ("x", "sft", "-", 0.2, True),
    )
    made = adjusted(rows, pairs)["p_adjusted"].to_pylist()
    assert made == pytest.approx([0.02, 0.02, 0.03, 0.02, None, None, 0.4, 0.4])


# Rows of measures that have not changed.

LENGTH = """-- How long generations are.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    count
-- says:      generations have {{value}} words
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    sum(len(words(text))) as numerator,
    {denominator} as denominator
from generations
group by all
"""


class Calls:
    """What has been computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[tuple[str, str]] = []
        for module, function in ((summing, "summarise"), (comparing, "compare_slices")):
            monkeypatch.setattr(module, function, self._counted(getattr(module, function)))

    def _counted(self, function: Any) -> Any:
        def call(measure: Any, *arguments: Any) -> Any:
            self.names.append((function.__name__, measure.name))
            return function(measure, *arguments)

        return call

    def made(self) -> dict[str, set[str]]:
        """The measures that each function was called for since this was asked."""
        calls: dict[str, set[str]] = defaultdict(set)
        for function, measure in self.names:
            calls[function].add(measure)
        self.names.clear()
        return dict(calls)


def only(*measures: str) -> dict[str, set[str]]:
    return {"summarise": {*measures}, "compare_slices": {*measures}}


def run(bench: Bench, *measures: str) -> dict[tuple[str, str], pa.Table]:
    """Runs a study of two files, and gives both tables' partitions."""
    texts = ["so it goes and goes on", "a b c d e f", "a b c d e f g", "so it goes and goes"]
    rows = [row for p in ("one", "two", "three") for row in imported(p, *texts)]
    for name, cut in (("old", 9), ("new", 14)):
        some = [row | {"text": row["text"][: cut + len(row["prompt"])]} for row in rows]
        write_jsonl(bench.folder / f"{name}.jsonl", some)
    checkpoints = [
        {"name": "old", "source": "file:old.jsonl"},
        {"name": "new", "source": "file:new.jsonl", "base": "old"},
    ]
    study = bench.study(checkpoints=checkpoints, sql="sql")
    with limited_to("ngram_diversity", *measures):
        bench.run(study, only=("summary", "comparisons"))
    lake = bench.folder / "lake"
    return {
        (table, name): pq.read_table(lake / table / f"checkpoint={name}" / "data.parquet")
        for table in ("summary", "comparisons")
        for name in ("old", "new")
    }


def declare(bench: Bench, name: str, denominator: str = "count(*)") -> None:
    folder = bench.folder / "sql" / "measures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.sql").write_text(LENGTH.format(denominator=denominator))


def test_only_measures_that_change_are_computed_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = Calls(monkeypatch)
    declare(bench, "length")
    before = run(bench, "length")
    assert calls.made() == only("ngram_diversity", "length")
    assert run(bench, "length") == before
    assert calls.made() == {}

    declare(bench, "length", "2 * count(*)")
    after = run(bench, "length")
    assert calls.made() == only("length")
    for key, table in after.items():
        kept, was = (
            t.filter(pa.compute.field("measure") == "ngram_diversity").drop_columns(
                [name for name in ("p_adjusted",) if name in t.column_names]
            )
            for t in (table, before[key])
        )
        assert kept == was
        values, others = (
            t.filter(pa.compute.field("measure") == "length")["value"].to_pylist()
            for t in (table, before[key])
        )
        assert [2 * value for value in values] == pytest.approx(others)

    # A further one that comes of generations too, and is of the pair's family.
    declare(bench, "breadth", "3")
    further = run(bench, "length", "breadth")
    assert calls.made() == only("breadth")
    (tmp_path / "anew").mkdir()
    anew = Bench(tmp_path / "anew", bench.llama)
    declare(anew, "length", "2 * count(*)")
    declare(anew, "breadth", "3")
    assert run(anew, "length", "breadth") == further


def test_prompts_whose_text_recurs_are_each_compared(bench: Bench) -> None:
    texts = ["a b c d e f", "a b c d e f g"]
    rows = [
        {"prompt_id": f"p{i}", "prompt": "Why?" if i < 2 else "How?", "sample": k}
        | {"text": f"{text} {i}"}
        for i in range(3)
        for k, text in enumerate(texts)
    ]
    for name in ("old", "new"):
        write_jsonl(bench.folder / f"{name}.jsonl", rows)
    checkpoints = [
        {"name": "old", "source": "file:old.jsonl"},
        {"name": "new", "source": "file:new.jsonl", "base": "old"},
    ]
    with limited_to("ngram_diversity"):
        bench.run(bench.study(checkpoints=checkpoints), only=("comparisons",))
    made = rows_of(bench.folder / "lake" / "comparisons")
    assert {row["condition"] for row in made} == {"-", "matched"}
    assert {row["n_items"] for row in made} == {3}
