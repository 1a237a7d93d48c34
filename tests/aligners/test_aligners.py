from __future__ import annotations

import random
import shutil
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligners import AlignerError, NotInstalledError, open_aligner
from aligners.anchorlake import WordsFirst, _skeleton
from aligners.filling import _align, fill
from aligners.mafft import SYMBOLS, Mafft, symbols_for
from aligners.profile import put_in, take_out
from aligners.skeleton import _columns_before, _heaviest, common_order
from aligners.units import units
from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.study.errors import InputError
from tests.blueprints import overlap
from tests.studies import Bench, imported, write_jsonl
from warehouse.tables import ALIGNMENTS, GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from assets.lineage.asset import Materialization
    from assets.study.study import Study

pytestmark = pytest.mark.whole

HAS_MAFFT = shutil.which("mafft") is not None
needs_mafft = pytest.mark.skipif(not HAS_MAFFT, reason="the program mafft is not installed")
ALIGNERS = ["anchorlake", pytest.param("mafft", marks=needs_mafft)]

SENTENCES = (
    "Once upon a time there was a small house near the sea.",
    "It is important to keep in mind that nothing here is certain.",
    "On the other hand, many people would rather stay at home.",
    "There are several reasons why this may have happened before.",
    "In conclusion, we all have something to learn from each other.",
)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """What is timed, or has a deadline, does not wait for the compiler."""
    WordsFirst().columns(["ab cd", "ab  d"])


@pytest.fixture(autouse=True)
def _no_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """No derived table is made here, and declaring them all takes longer than all else."""
    monkeypatch.setattr("assets.registry.declared_measurements", lambda *_: [])


def align(name: str, texts: Sequence[str]) -> list[np.ndarray]:
    with open_aligner(name) as aligner:
        return aligner.columns(texts)


def check_valid(texts: Sequence[str], columns: Sequence[np.ndarray]) -> None:
    assert [len(c) for c in columns] == [len(text) for text in texts]
    assert all(c.dtype == np.int32 for c in columns)
    assert all((np.diff(c) > 0).all() for c in columns)
    used = {int(column) for c in columns for column in c}
    assert used == set(range(len(used)))


def as_rows(texts: Sequence[str], columns: Sequence[np.ndarray]) -> list[str]:
    width = max(int(c[-1]) + 1 for c in columns if len(c))
    rows = []
    for text, own in zip(texts, columns, strict=True):
        row = ["-"] * width
        for character, column in zip(text, own, strict=True):
            row[column] = character
        rows.append("".join(row))
    return rows


# Units


@given(st.text())
def test_units_joined_are_the_text(text: str) -> None:
    cut = units(text)
    assert "".join(cut) == text
    assert all(cut)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", [" "]),
        ("Well, yes: 3.5!", ["Well", ",", " yes", ":", " 3", ".", "5", "!"]),
        ("It (was) there.", ["It", " (", "was", ")", " there", "."]),
        ("I don't, it’s", ["I", " don", "'", "t", ",", " it", "’", "s"]),
        ("a  b\tc\n\nd", ["a", " ", " b", "\t", "c", "\n\n", "d"]),
        ("if x:\n    return", ["if", " x", ":", "\n", "   ", " return"]),
        ("---- ==\n   \n", ["----", " ==", "\n", "  ", " ", "\n"]),
        ("Wait... ?!", ["Wait", "...", " ?", "!"]),
        ("max_new_x = f(1)", ["max", "_", "new", "_", "x", " =", " f", "(", "1", ")"]),
        ("¿naïve café?", ["¿", "naïve", " café", "?"]),
        ("cafe\u0301 ole\u0301", ["cafe\u0301", " ole\u0301"]),
        ("привет, мир", ["привет", ",", " мир"]),
        ("नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ("السلام، عليكم؟", ["السلام", "،", " عليكم", "؟"]),
        ("दुनिया।", ["दुनिया", "।"]),
        ("한국어 단어", ["한국어", " 단어"]),
        ("你好，世界", ["你", "好", "，", "世", "界"]),
        ("こんにちは、カナ", list("こんにちは、カナ")),
        ("สวัสดี", list("สวัสดี")),
        ("ok👍😀 ok", ["ok", "👍", "😀", " ok"]),
        ("🇩🇪", ["🇩", "🇪"]),
    ],
)
def test_text_is_cut_into_words_and_what_stands_between(text: str, expected: list[str]) -> None:
    assert units(text) == expected


# What holds of every aligner

words = st.sampled_from(["a", "the", " of", "of ", " ", "\n", "tree", "x_1", "你", "नि", "é", ","])
word_texts = st.lists(words, max_size=8).map("".join)
few_texts = st.lists(st.text(max_size=12) | word_texts, min_size=1, max_size=7)


@pytest.mark.core
@settings(max_examples=400, deadline=None)
@given(few_texts)
def test_any_texts_are_aligned(texts: list[str]) -> None:
    columns = WordsFirst().columns(texts)
    check_valid(texts, columns)
    again = WordsFirst().columns(texts)
    assert [c.tolist() for c in again] == [c.tolist() for c in columns]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab ", max_size=20), min_size=8, max_size=24))
def test_many_short_texts_of_few_characters_are_aligned(texts: list[str]) -> None:
    check_valid(texts, WordsFirst().columns(texts))


@needs_mafft
@settings(max_examples=8, deadline=None)
@given(few_texts)
def test_mafft_aligns_any_texts(texts: list[str]) -> None:
    check_valid(texts, Mafft().columns(texts))


@pytest.mark.parametrize("name", ALIGNERS)
@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", "", ""],
        ["one text, and no other"],
        ["", "one text among empty ones", ""],
        ["a", "b"],
        ["a", "a", "", "b"],
        ["\x00\x01\x7f\ufeff\u2028", "\x00\U0010ffff"],
    ],
)
def test_there_may_be_little_to_align(name: str, texts: list[str]) -> None:
    columns = align(name, texts)
    check_valid(texts, columns)
    if sum(map(bool, texts)) == 1:
        (own,) = [c for c in columns if len(c)]
        assert own.tolist() == list(range(len(own)))


@pytest.mark.parametrize(("n_holders", "in_skeleton"), [(2, False), (3, True)])
def test_a_word_of_the_skeleton_is_in_a_tenth_of_the_generations(
    n_holders: int, in_skeleton: bool
) -> None:
    texts = [f"{'common' if i < n_holders else f'own{i}'}" for i in range(21)]  # a tenth: 2.1
    columns = _skeleton(texts)
    assert (columns[: len("common")] >= 0).all() == in_skeleton


@pytest.mark.parametrize("name", ALIGNERS)
@pytest.mark.parametrize("n", [2, 3, 11])
def test_the_same_text_has_the_same_columns(name: str, n: int) -> None:
    text = "It was — as 世界 knows —\n\n    a tree; a tree, a tree > all = else < that - was.\r\n"
    for own in align(name, [text] * n):
        assert own.tolist() == list(range(len(text)))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | word_texts, st.integers(2, 12))
def test_any_text_has_the_same_columns_every_time(text: str, n: int) -> None:
    for own in WordsFirst().columns([text] * n):
        assert own.tolist() == list(range(len(text)))


@pytest.mark.parametrize("name", ALIGNERS)
def test_threads_do_not_disturb_each_other(name: str) -> None:
    prompts = [planted(seed, n_texts=3, sentences=SENTENCES[:2]).texts for seed in range(4)]
    with open_aligner(name) as aligner:
        alone = [aligner.columns(texts) for texts in prompts]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(aligner.columns, prompts))
    for expected, found in zip(alone, together, strict=True):
        assert [c.tolist() for c in found] == [c.tolist() for c in expected]


# Anchors that were planted come out


class Planted(NamedTuple):
    texts: list[str]
    starts: list[dict[int, int]]
    """Of each sentence the texts that have it, and where it starts in them."""


def planted(
    seed: int, *, n_texts: int = 20, sentences: Sequence[str] = SENTENCES, absent: float = 0.3
) -> Planted:
    """Texts of random words, with sentences between that stand in one order."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(300)]
    missing = [set(rng.sample(range(n_texts), int(n_texts * absent))) for _ in sentences]
    texts = []
    starts: list[dict[int, int]] = [{} for _ in sentences]
    for i in range(n_texts):
        text = ""
        for s, sentence in enumerate(sentences):
            text += " ".join(rng.choices(vocabulary, k=rng.randint(3, 25))) + ". "
            if i not in missing[s]:
                starts[s][i] = len(text)
                text += sentence + " "
        texts.append(text + " ".join(rng.choices(vocabulary, k=rng.randint(3, 25))))
    return Planted(texts, starts)


def columns_of_sentences(
    given: Planted, columns: Sequence[np.ndarray], sentences: Sequence[str]
) -> Iterator[set[tuple[int, ...]]]:
    for sentence, starts in zip(sentences, given.starts, strict=True):
        yield {
            tuple(columns[i][start : start + len(sentence)].tolist()) for i, start in starts.items()
        }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_sentences", [3, 5])
def test_planted_sentences_stand_in_columns_of_their_own(seed: int, n_sentences: int) -> None:
    sentences = SENTENCES[:n_sentences]
    given = planted(seed, sentences=sentences)
    columns = WordsFirst().columns(given.texts)
    check_valid(given.texts, columns)
    for places in columns_of_sentences(given, columns, sentences):
        assert len(places) == 1


@needs_mafft
def test_mafft_finds_sentences_that_are_easy_to_find() -> None:
    given = planted(0, n_texts=6, sentences=SENTENCES[:2], absent=0)
    columns = Mafft().columns(given.texts)
    check_valid(given.texts, columns)
    for places in columns_of_sentences(given, columns, SENTENCES[:2]):
        assert len({place[0] for place in places}) == 1


@needs_mafft
def test_both_aligners_see_the_same_overlap() -> None:
    rng = random.Random(4)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(300)]
    texts = [
        f"{SENTENCES[0]} {' '.join(rng.choices(words, k=rng.randint(25, 40)))} {SENTENCES[-1]}"
        for _ in range(12)
    ]
    curves = []
    for name in ("anchorlake", "mafft"):
        columns = align(name, texts)
        bins = overlap(texts, [c.tolist() for c in columns])
        curves.append([float(pairwise_match) for pairwise_match, _ in bins])
    assert statistics.correlation(*curves) > 0.8
    for curve in curves:
        assert min(curve[0], curve[-1]) > 0.99
        assert min(curve) < 0.5


# The kernels against slow and obvious ones


def starts_of(lengths: Sequence[int]) -> np.ndarray:
    return np.array([sum(lengths[:i]) for i in range(len(lengths) + 1)], dtype=np.int64)


def int32(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def int64(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


SIZES = (1, 2, 5, 1)
generation = st.lists(st.integers(0, len(SIZES) - 1), max_size=9)


def slow_common_subsequence(first: list[int], second: list[int]) -> int:
    """The heaviest: a pair weighs its characters, up to ten times as much as a run goes on."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    ending: dict[tuple[int, int], tuple[int, int]] = {}
    for i, a in enumerate(first, start=1):
        for j, b in enumerate(second, start=1):
            if a == b:
                before = [(best[i - 1][j - 1], 0)]
                if (i - 1, j - 1) in ending:
                    score, run = ending[i - 1, j - 1]
                    before.append((score + 3 * min(run, 30) * SIZES[a], run))
                score, run = max(before)
                ending[i, j] = score + 10 * SIZES[a], run + SIZES[a]
            best[i][j] = max(best[i - 1][j], best[i][j - 1], ending.get((i, j), (0, 0))[0])
    return best[-1][-1]


@settings(max_examples=300, deadline=None)
@given(generation, generation, st.integers(0, 2), st.permutations([0, 1]))
def test_two_generations_share_the_heaviest_common_subsequence(
    first: list[int], second: list[int], passes: int, order: list[int]
) -> None:
    starts = starts_of([len(first), len(second)])
    both = int32([*first, *second])
    columns = common_order(both, starts, int64(SIZES), int64(order), passes)
    own = columns[: len(first)].tolist(), columns[len(first) :].tolist()
    assert sorted(set(own[0]) | set(own[1])) == list(range(len({*own[0], *own[1]})))
    assert all(a < b for one in own for a, b in pairwise(one))
    pairs = [(own[0].index(c), own[1].index(c)) for c in own[0] if c in own[1]]
    assert all(first[i] == second[j] for i, j in pairs)
    weight = run = 0
    for last, (i, j) in zip([(-2, -2), *pairs], pairs, strict=False):
        run = run if last == (i - 1, j - 1) else 0
        weight += (10 + 3 * min(run, 30)) * SIZES[first[i]]
        run += SIZES[first[i]]
    assert weight == slow_common_subsequence(first, second)


@settings(max_examples=200, deadline=None)
@given(st.lists(generation, min_size=2, max_size=5), st.data())
def test_a_generation_joins_many_where_it_weighs_most(
    generations: list[list[int]], data: st.DataObject
) -> None:
    n = len(generations)
    starts = starts_of([len(one) for one in generations])
    every = int32([unit for one in generations for unit in one])
    columns = common_order(every, starts, int64(SIZES), np.arange(n), 1)
    placed = np.ones(len(every), dtype=np.bool_)
    g = data.draw(st.integers(0, n - 1))
    n_columns, weights = take_out(
        columns, placed, np.arange(starts[g], starts[g + 1]), int(max(columns, default=-1)) + 1
    )
    chosen = _heaviest(every, starts, int64(SIZES), columns, placed, weights, g).tolist()

    others = [columns[starts[i] : starts[i + 1]].tolist() for i in range(n) if i != g]
    texts = [generations[i] for i in range(n) if i != g]
    unit_of = {c: u for o, t in zip(others, texts, strict=True) for c, u in zip(o, t, strict=True)}
    held = {c: sum(c in other for other in others) for c in unit_of}
    follow = [step for other in others for step in pairwise(other)]
    assert weights.tolist() == [held[c] for c in range(n_columns)]
    first, before, times = (a.tolist() for a in _columns_before(starts, columns, placed, weights))
    assert {
        (before[e], c): times[e] for c in range(n_columns) for e in range(first[c], first[c + 1])
    } == Counter(follow)

    def after(last: tuple[int, int], score: int, run: int, c: int) -> tuple[int, int]:
        """Score and run where a match that ends in column c comes directly after another."""
        times = follow.count((last[1], c))
        return score + 3 * times * min(run, 30) * SIZES[unit_of[c]], run if times else 0

    matches = [(i, c) for i, u in enumerate(generations[g]) for c in unit_of if unit_of[c] == u]
    ending: dict[tuple[int, int], tuple[int, int]] = {}
    for i, c in sorted(matches):
        ways = [
            (score, 0) for (row, column), (score, _) in ending.items() if row < i and column < c
        ]
        ways += [after(m, *so_far, c) for m, so_far in ending.items() if m[0] == i - 1 and m[1] < c]
        score, run = max(ways, default=(0, 0))
        size = SIZES[unit_of[c]]
        ending[i, c] = score + 10 * held[c] * size, run + size

    taken = [(i, c) for i, c in enumerate(chosen) if c >= 0]
    assert all(match in matches for match in taken)
    assert all(a[1] < b[1] for a, b in pairwise(taken))
    score = run = 0
    for last, (i, c) in zip([(-2, -2), *taken], taken, strict=False):
        score, run = after(last, score, run, c) if last[0] == i - 1 else (score, 0)
        size = SIZES[unit_of[c]]
        score, run = score + 10 * held[c] * size, run + size
    assert score == max((score for score, _ in ending.values()), default=0)


class Run(NamedTuple):
    """A run of characters, and columns that it may take; as `_align` has them."""

    rows: list[int]
    pairs: list[list[int]]
    follows: list[list[int]]
    held: list[int]
    n_joined: int

    @property
    def cost_of_break(self) -> int:
        return self.n_joined // 5

    def score(self, chosen: Sequence[int]) -> int:
        taken = [c for c in chosen if c >= 0]
        assert all(a < b for a, b in pairwise(taken))
        total = -sum(h for c, h in enumerate(self.held) if c not in taken)
        for i, (c, row) in enumerate(zip(chosen, self.rows, strict=True)):
            if c < 0:
                total -= self.n_joined
            else:
                on = c == 0 if i == 0 else c > 0 and chosen[i - 1] == c - 1
                total += 2 * self.pairs[row][c]
                total += 2 * self.follows[row][c] if on else -self.cost_of_break
        return total

    def best_score(self) -> int:
        @cache
        def best(i: int, j: int, beside: bool) -> int:
            left, right = len(self.rows) - i, len(self.held) - j
            ways = [] if left or right else [0]
            if left:
                ways.append(best(i + 1, j, False) - self.n_joined)
            if right:
                ways.append(best(i, j + 1, False) - self.held[j])
            if left and right:
                row = self.rows[i]
                on = 2 * self.follows[row][j] if beside else -self.cost_of_break
                ways.append(best(i + 1, j + 1, True) + on + 2 * self.pairs[row][j])
            return max(ways)

        return best(0, 0, True)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    n, m, n_rows = draw(st.integers(1, 7)), draw(st.integers(0, 7)), 3
    held = draw(st.lists(st.integers(1, 6), min_size=m, max_size=m))
    pairs = [[draw(st.integers(0, h)) for h in held] for _ in range(n_rows)]
    follows = [[draw(st.integers(0, p)) for p in row] for row in pairs]
    rows = draw(st.lists(st.integers(0, n_rows - 1), min_size=n, max_size=n))
    return Run(rows, pairs, follows, held, draw(st.integers(0, 30)))


@settings(max_examples=400, deadline=None)
@given(runs())
def test_a_run_of_characters_is_aligned_as_well_as_can_be(run: Run) -> None:
    shape = (len(run.pairs), len(run.held) + 1)
    pairs, follows = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    pairs[:, 1:], follows[:, 1:] = run.pairs, run.follows
    # As in its use: parts of longer rows.
    chosen = _align(
        int32(run.rows),
        pairs[:, 1:],
        follows[:, 1:],
        int32(run.held),
        run.n_joined,
    )
    assert run.score(chosen.tolist()) == run.best_score()


class Profile(NamedTuple):
    """An alignment: each column's generations, and of each the character there."""

    n_generations: int
    columns: list[dict[int, int]]

    def text(self, g: int) -> list[tuple[int, int]]:
        """The columns that a generation has, and its characters there."""
        return [(c, column[g]) for c, column in enumerate(self.columns) if g in column]


@st.composite
def profiles(draw: st.DrawFn, max_generations: int = 6) -> Profile:
    n = draw(st.integers(2, max_generations))
    column = st.dictionaries(st.integers(0, n - 1), st.integers(0, 2), min_size=1, max_size=n)
    return Profile(n, draw(st.lists(column, min_size=1, max_size=9)))


@settings(max_examples=300, deadline=None)
@given(profiles(max_generations=12), st.data())
def test_a_generation_fills_the_room_between_its_words(
    profile: Profile, data: st.DataObject
) -> None:
    n = profile.n_generations
    last = n - 1
    # Of one generation some characters are fixed, and where nobody else is they have to be.
    free = [len(profile.columns[c]) > 1 and data.draw(st.booleans()) for c, _ in profile.text(last)]
    texts = [profile.text(g) for g in range(n)]
    starts = starts_of([len(text) for text in texts])
    codes = int32([code for text in texts for _, code in text])
    fixed = int32([c for text in texts for c, _ in text])
    fixed[starts[last] :][np.array(free, dtype=np.bool_)] = -1
    order = data.draw(st.permutations(range(n)))
    found = fill(codes, starts, fixed.copy(), int64(order), 3)

    now = {int(old): int(new) for old, new in zip(fixed, found, strict=True) if old >= 0}
    assert len(set(now.values())) == len(now) == len(profile.columns)
    assert all((fixed[k] < 0) or now[int(fixed[k])] == found[k] for k in range(len(fixed)))
    own = found[starts[last] :].tolist()
    assert all(a < b for a, b in pairwise(own))
    assert sorted({*now.values(), *own}) == list(range(len({*now.values(), *own})))

    was = {new: old for old, new in now.items()}
    chosen = [was.get(c, -1) for c in own]
    bounds = [-1, *(i for i, is_free in enumerate(free) if not is_free), len(free)]
    for start, end in pairwise(bounds):
        if end - start == 1:
            continue
        low = chosen[start] + 1 if start >= 0 else 0
        high = chosen[end] if end < len(free) else len(profile.columns)
        others = [{g: k for g, k in c.items() if g != last} for c in profile.columns]
        run = Run(
            [code for _, code in texts[last][start + 1 : end]],
            [[list(others[c].values()).count(k) for c in range(low, high)] for k in range(3)],
            [
                [
                    sum(g in others[c - 1] for g, code in others[c].items() if code == k)
                    if c
                    else 0
                    for c in range(low, high)
                ]
                for k in range(3)
            ],
            [len(others[c]) for c in range(low, high)],
            order.index(last),
        )
        parts = [c - low if c >= 0 else -1 for c in chosen[start + 1 : end]]
        assert all(-1 <= c < high - low for c in parts)
        assert run.score(parts) == run.best_score()


@settings(max_examples=200, deadline=None)
@given(profiles(), st.data())
def test_symbols_leave_and_empty_columns_close(profile: Profile, data: st.DataObject) -> None:
    texts = [profile.text(g) for g in range(profile.n_generations)]
    columns = int32([c for text in texts for c, _ in text])
    n = len(columns)
    gone = set(data.draw(st.lists(st.integers(0, n - 1), unique=True)))
    leaving = data.draw(st.lists(st.integers(0, n - 1), unique=True))
    placed = np.array([t not in gone for t in range(n)], dtype=np.bool_)
    stay = [t for t in range(n) if t not in gone and t not in leaving]
    lists = [[t for t in stay if columns[t] == c] for c in range(len(profile.columns))]
    lists = [column for column in lists if column]
    left, held = take_out(columns, placed, int64(leaving), len(profile.columns))
    assert left == len(lists)
    assert held.tolist() == [len(column) for column in lists]
    assert np.flatnonzero(placed).tolist() == stay
    assert {t: int(columns[t]) for t in stay} == {
        t: c for c, column in enumerate(lists) for t in column
    }


@settings(max_examples=200, deadline=None)
@given(profiles(), st.data())
def test_symbols_come_in_and_columns_open(profile: Profile, data: st.DataObject) -> None:
    texts = [profile.text(g) for g in range(profile.n_generations)]
    others = int32([c for text in texts for c, _ in text])
    n_columns = len(profile.columns)
    taken = sorted(data.draw(st.sets(st.integers(0, n_columns - 1))))
    chosen: list[int] = []
    for c in [*taken, None]:
        chosen += [-1] * data.draw(st.integers(0, 2))
        chosen += [] if c is None else [c]
    # It stands between the others' symbols, with columns that mean nothing.
    start = data.draw(st.sampled_from(starts_of([len(text) for text in texts]).tolist()))
    columns = np.insert(others, start, int32([77] * len(chosen)))
    placed = np.ones(len(columns), dtype=np.bool_)
    placed[start : start + len(chosen)] = False

    there = np.flatnonzero(placed).tolist()
    old = [[t for t in there if columns[t] == c] for c in range(n_columns)]
    lists = list(old)
    place = 0
    for t, c in enumerate(chosen, start=start):
        if c >= 0:
            place = next(i for i, column in enumerate(lists) if column is old[c])
            lists[place].append(t)
        else:
            lists.insert(place, [t])
        place += 1

    assert put_in(columns, placed, start, int32(chosen), n_columns) == len(lists)
    assert placed.all()
    assert columns.tolist() == [
        next(c for c, column in enumerate(lists) if t in column) for t in range(len(columns))
    ]


@pytest.mark.parametrize("lengths", [(7000, 7000), (12_000, 4000)])
def test_very_long_runs_are_cut_into_parts(lengths: tuple[int, int]) -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abc", k=length)) for length in lengths]
    began = time.process_time()
    columns = WordsFirst().columns(texts)
    assert time.process_time() - began < 3
    check_valid(texts, columns)
    at = dict(zip(columns[0].tolist(), texts[0], strict=True))
    equal = sum(at.get(c) == x for c, x in zip(columns[1].tolist(), texts[1], strict=True))
    assert equal > min(lengths) / 2


# MAFFT


@needs_mafft
@pytest.mark.parametrize(
    "rows",
    [
        ["2008~K-------------ATO~Toh", "2005~Katoh~Kuma~MIYATA~Toh"],
        [
            "------Northern_part_of----_Cha_das_Caldeiras,_near_Fernao_Gomes.",
            "------Northern_part_of_the_Cha_das_Caldeiras-_near_Fernão_Gomes-",
            "----------------------------------------------Near_Fernão_Gomes-",
            "Fógo:_northern_part_of_the_Cha_das_Caldeiras._------------------",
        ],
    ],
)
def test_mafft_aligns_its_own_examples_as_it_says(rows: list[str]) -> None:
    texts = [row.replace("-", "") for row in rows]
    assert as_rows(texts, Mafft().columns(texts)) == rows


@needs_mafft
def test_every_symbol_survives_mafft() -> None:
    assert len(set(SYMBOLS)) == len(SYMBOLS) == 248
    text = SYMBOLS.decode("latin-1")
    assert symbols_for([text]) == {c: ord(c) for c in text}
    texts = [text, text, text[100:], text[:60] + text[90:]]
    columns = Mafft().columns(texts)
    check_valid(texts, columns)
    assert columns[0].tolist() == columns[1].tolist() == list(range(248))


@needs_mafft
def test_mafft_aligns_what_its_symbols_do_not_suffice_for() -> None:
    han = [chr(0x4E00 + i) for i in range(400)]
    texts = ["".join(han), "".join(han[:150] + han[200:]), "".join(han[30:])]
    columns = Mafft().columns(texts)
    check_valid(texts, columns)
    # The most frequent have symbols of their own.
    assert set(columns[0][:30].tolist()).isdisjoint(columns[2].tolist())
    assert columns[0].tolist()[:150] == columns[1].tolist()[:150]


@needs_mafft
def test_mafft_takes_what_means_something_to_it_for_text() -> None:
    text = ">1\r\n> a = b - c <= d\n-----\n=====\n  > 2\r\n" * 3
    assert len(text) > 60
    texts = [text, text[4:], text.replace("-", ""), text.replace(" ", "")]
    columns = Mafft().columns(texts)
    check_valid(texts, columns)
    assert (np.diff(columns[0]) == 1).all()
    assert columns[1].tolist() == columns[0].tolist()[4:]


@given(st.lists(st.text(max_size=30), max_size=4))
def test_characters_have_symbols_of_their_own(texts: list[str]) -> None:
    symbol = symbols_for(texts)
    assert set(symbol) == {c for text in texts for c in text}
    assert set(symbol.values()) <= set(SYMBOLS)
    assert len(set(symbol.values())) == len(symbol)
    assert all(symbol[c] == ord(c) for c in symbol if ord(c) < 256 and ord(c) in SYMBOLS)


@pytest.mark.parametrize("n", [247, 248, 249, 300, 1000])
@pytest.mark.parametrize("first", [0, 0x4E00])
def test_the_rarest_characters_share_a_symbol(n: int, first: int) -> None:
    rng = random.Random(n)
    characters = [chr(first + i) for i in range(n)]
    times = {c: rng.randint(1, 3) for c in characters}
    symbol = symbols_for(["".join(c * times[c] for c in characters)])
    by_symbol: dict[int, list[str]] = {}
    for c in characters:
        by_symbol.setdefault(symbol[c], []).append(c)
    assert len(by_symbol) == min(n, 248)
    shared = [alike for alike in by_symbol.values() if len(alike) > 1]
    assert len(shared) == (n > 248)
    for alike in shared:
        alone = [times[c] for c in characters if c not in alike]
        assert max(times[c] for c in alike) <= min(alone)


# MAFFT's failures, for which it need not be there

FAILS = {
    "says why": ("echo first >&2; echo; echo '  no room left ' >&2; exit 1", "no room left"),
    "is killed": ("kill -9 $$", "was killed by signal 9"),
    "has a part killed": ("sh -c 'kill -9 $$'; exit $?", "was killed by signal 9"),
    "says nothing": ("exit 0", "it said nothing"),
    "loses a text": ('for file; do :; done; head -n 2 "$file"', "other texts"),
    "changes a text": ('for file; do :; done; tr abc xyz < "$file"', "other characters"),
}
fails = pytest.mark.parametrize(("does", "message"), FAILS.values(), ids=FAILS)


@pytest.fixture
def fake_mafft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that puts a shell script in the place of MAFFT."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(does: str) -> None:
        path = folder / "mafft"
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo v0.fake && exit\n{does}\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return put


def check_sentence(error: pytest.ExceptionInfo[Exception], part: str) -> None:
    message = str(error.value)
    assert part in message
    assert message.startswith("mafft ")
    assert "\n" not in message


@fails
def test_mafft_fails_in_a_sentence(
    fake_mafft: Callable[[str], None], does: str, message: str
) -> None:
    fake_mafft(does)
    with open_aligner("mafft") as aligner, pytest.raises(AlignerError) as error:
        aligner.columns(["abc abc", "abc xyz", "cab"])
    check_sentence(error, message)
    assert aligner.signature == "mafft-0.fake --text --thread 1"


def test_mafft_that_hangs_is_ended(fake_mafft: Callable[[str], None]) -> None:
    fake_mafft("sleep 60; echo")
    aligner = Mafft()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(aligner.columns, ["abc", "abd"])
        until(lambda: bool(aligner._running))
        began = time.monotonic()
        aligner.close()
        with pytest.raises(AlignerError) as error:
            running.result(timeout=5)
    assert time.monotonic() - began < 5
    check_sentence(error, "was killed by signal 9")
    with pytest.raises(AlignerError, match="mafft was stopped"):
        aligner.columns(["abc", "abd"])


def until(there: Callable[[], bool]) -> None:
    for _ in range(500):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")


def test_without_mafft_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match="apt-get install mafft") as error:
        align("mafft", ["a", "b"])
    assert "\n" not in str(error.value)


# The table

TEXTS = {
    "p": ["The tree is tall.", "The tree was not so tall.", "", "A tree, 树: tall\n"],
    "q": ["only one"],
    "r": ["", ""],
}


def made_elsewhere(bench: Bench, prompts: dict[str, list[str]], **changes: Any) -> Study:
    rows = [row for prompt, texts in prompts.items() for row in imported(prompt, *texts)]
    path = write_jsonl(bench.folder / "made.jsonl", rows)
    checkpoint = {"name": "made", "source": f"file:{path}"} | changes.pop("checkpoint", {})
    return bench.study(checkpoints=[checkpoint], **changes)


def make(bench: Bench, study: Study) -> Materialization | None:
    """Brings the alignments and what they are made from up to date."""
    graph = build_graph(study, bench.lake)
    made = None
    for name, partition in graph.stale(graph.select(["alignments"])):
        made = materialize(graph, name, partition)
        made = made if name == "alignments" else None
    return made


def rows_of(bench: Bench, checkpoint: str = "made") -> list[dict[str, Any]]:
    return bench.lake.read(ALIGNMENTS, checkpoint).to_pylist()


def is_stale(bench: Bench, study: Study) -> bool:
    graph = build_graph(study, bench.lake)
    return ("alignments", "made") in graph.stale(graph.select(["alignments"]))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the built-in aligner was given."""
    given: list[list[str]] = []
    columns = WordsFirst.columns

    def counting(self: WordsFirst, texts: Sequence[str]) -> list[np.ndarray]:
        given.append(list(texts))
        return columns(self, texts)

    monkeypatch.setattr(WordsFirst, "columns", counting)
    return given


@pytest.mark.parametrize("name", ALIGNERS)
def test_every_generation_has_its_columns(bench: Bench, name: str) -> None:
    made = make(bench, made_elsewhere(bench, TEXTS, aligner=name))
    assert made is not None
    assert all(finding.passed for finding in made.findings)
    assert made.notes["prompts kept from before"] == 0
    found = rows_of(bench)
    expected = []
    for prompt, texts in TEXTS.items():
        columns = align(name, texts)
        width = max((int(c[-1]) + 1 for c in columns if len(c)), default=0)
        expected += [
            {
                "decoding": "-",
                "prompt_id": prompt,
                "sample": sample,
                "columns": own.tolist(),
                "width": width,
                "aligner": name,
            }
            for sample, own in enumerate(columns)
        ]
    assert [{name: row[name] for name in expected[0]} for row in found] == expected
    assert made.rows == len(expected)
    signature = bench.lake.provenance(ALIGNMENTS, "made").signature
    assert f"|aligner:{name}-" in signature
    assert make(bench, made_elsewhere(bench, TEXTS, aligner=name)) is None


@pytest.mark.parametrize(
    "prompts", [{"p": [""]}, {"p": ["", ""], "q": [""]}, {"p": ["one"], "q": ["one"]}]
)
def test_there_may_be_nothing_to_align(bench: Bench, prompts: dict[str, list[str]]) -> None:
    made = make(bench, made_elsewhere(bench, prompts))
    assert made is not None
    assert all(finding.passed for finding in made.findings)
    for row in rows_of(bench):
        text = prompts[row["prompt_id"]][row["sample"]]
        assert row["columns"] == list(range(len(text)))
        assert row["width"] == len(text)


def test_the_first_decoding_answering_prompts_is_aligned(
    bench: Bench, asked: list[list[str]]
) -> None:
    write_jsonl(bench.folder / "notes.jsonl", [{"text": "one two three four five"}])
    decodings = [{"top_p": 0.9}, "greedy"]
    study = bench.study(
        checkpoints=[{"name": "llama", "source": str(bench.llama), "decodings": decodings}],
        diversity_sweep={"top_p": [0.5], "prompts": 1},
        corpora=[{"name": "notes", "source": "file:notes.jsonl"}],
        prefixes={"documents": 1, "words": 2},
    )
    make(bench, study)
    found = rows_of(bench, "llama")
    generations = bench.lake.read(GENERATIONS, "llama").to_pylist()
    assert {"greedy", "top_p=0.5"} <= {row["decoding"] for row in generations}
    assert {"notes", "prompts"} == {row["prompt_set"] for row in generations}
    texts = {
        (row["prompt_id"], row["sample"]): row["text"]
        for row in generations
        if row["decoding"] == "top_p=0.9" and row["prompt_set"] == "prompts"
    }
    assert {row["decoding"] for row in found} == {"top_p=0.9"}
    assert [(row["prompt_id"], row["sample"]) for row in found] == list(texts)
    assert len(texts) == 12
    assert [len(r["columns"]) for r in found] == [len(text) for text in texts.values()]
    assert sorted(map(len, asked)) == [4, 4, 4]


def test_what_other_prompts_have_is_kept(bench: Bench, asked: list[list[str]]) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    before = rows_of(bench)
    assert sorted(asked) == sorted(TEXTS.values())
    asked.clear()
    more = {"new": ["a new one", "a new two"], **TEXTS}
    made = make(bench, made_elsewhere(bench, more))
    assert made is not None
    assert made.notes["prompts kept from before"] == 3
    assert asked == [more["new"]]
    after = rows_of(bench)
    assert [row for row in after if row["prompt_id"] != "new"] == before
    assert [row["prompt_id"] for row in after[:2]] == ["new", "new"]

    asked.clear()
    changed = {**TEXTS, "p": [*TEXTS["p"], "The tree"]}
    made = make(bench, made_elsewhere(bench, changed))
    assert made is not None
    assert made.notes["prompts kept from before"] == 2
    assert asked == [changed["p"]]
    assert {row["prompt_id"] for row in rows_of(bench)} == set(TEXTS)


def test_what_was_kept_is_called_as_the_study_calls_it_now(bench: Bench) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    named = made_elsewhere(bench, TEXTS, checkpoint={"decodings": [{"top_p": 0.95}]})
    make(bench, named)
    assert {row["decoding"] for row in rows_of(bench)} == {"top_p=0.95"}


def test_what_is_forced_is_aligned_again(bench: Bench, asked: list[list[str]]) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    before = rows_of(bench)
    asked.clear()
    graph = build_graph(study, bench.lake)
    materialize(graph, "alignments", "made", force=True)
    assert sorted(asked) == sorted(TEXTS.values())
    assert rows_of(bench) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_stopped_run_goes_on_where_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    whole = rows_of(bench)
    bench.lake.path(ALIGNMENTS, "made").unlink()
    staged = bench.lake.staging / "alignments" / "made"
    asked: list[int] = []
    columns = WordsFirst.columns

    def stopping(self: WordsFirst, texts: Sequence[str]) -> list[np.ndarray]:
        asked.append(len(texts))
        if len(asked) == 2:
            until(lambda: bool(list(staged.glob("*.parquet"))))
            raise error("stopped")
        return columns(self, texts)

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(WordsFirst, "columns", stopping)
    with pytest.raises(error, match="stopped"):
        make(bench, study)
    assert bench.lake.files(ALIGNMENTS, "made") == []
    (done,) = staged.glob("*.parquet")

    # What a kill has left half written is no hindrance.
    (staged / "torn.parquet").write_bytes(done.read_bytes()[:100])
    (staged / "torn.unfinished").write_bytes(b"")
    n_asked = len(asked)
    made = make(bench, study)
    assert made is not None
    assert made.notes["prompts kept from before"] == 1
    assert len(asked) - n_asked == 2
    assert rows_of(bench) == whole
    assert not staged.exists()


def test_another_version_of_the_aligner_makes_it_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    assert not is_stale(bench, study)
    monkeypatch.setattr(WordsFirst, "signature", "anchorlake-0")
    assert is_stale(bench, study)


def test_another_aligner_makes_it_anew(
    bench: Bench, fake_mafft: Callable[[str], None], asked: list[list[str]]
) -> None:
    make(bench, made_elsewhere(bench, TEXTS))
    other = made_elsewhere(bench, TEXTS, aligner="mafft")
    assert is_stale(bench, other)
    asked.clear()
    fake_mafft('for file; do :; done; cat "$file"')  # texts side by side, all from column 0
    made = make(bench, other)
    assert made is not None
    assert made.notes["prompts kept from before"] == 0
    assert asked == []
    for row in rows_of(bench):
        assert row["aligner"] == "mafft"
        assert row["columns"] == list(range(len(row["columns"])))
    signature = bench.lake.provenance(ALIGNMENTS, "made").signature
    assert "|aligner:mafft-0.fake --text --thread 1|v:" in signature
    assert not is_stale(bench, other)
    assert is_stale(bench, made_elsewhere(bench, TEXTS))


@fails
def test_where_mafft_fails_nothing_is_changed(
    bench: Bench, fake_mafft: Callable[[str], None], does: str, message: str
) -> None:
    study = made_elsewhere(bench, TEXTS)
    make(bench, study)
    path = bench.lake.path(ALIGNMENTS, "made")
    before = path.read_bytes()
    fake_mafft(does)
    with pytest.raises(InputError) as error:
        make(bench, made_elsewhere(bench, TEXTS, aligner="mafft"))
    check_sentence(error, message)
    assert path.read_bytes() == before
    assert bench.lake.files(ALIGNMENTS, "made") == [path]
    assert make(bench, made_elsewhere(bench, TEXTS)) is None


def test_an_interrupt_ends_mafft(
    bench: Bench, fake_mafft: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_mafft("sleep 60; echo")
    columns = Mafft.columns
    began = time.monotonic()
    hanging: list[Mafft] = []

    def interrupted(self: Mafft, texts: Sequence[str]) -> list[np.ndarray]:
        if len(texts) == 4:
            hanging.append(self)
            return columns(self, texts)
        until(lambda: bool(hanging and hanging[0]._running))
        raise KeyboardInterrupt

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(Mafft, "columns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(bench, made_elsewhere(bench, TEXTS, aligner="mafft"))
    assert time.monotonic() - began < 10
    assert not hanging[0]._running
