from __future__ import annotations

import math
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligners import AlignerError, NotInstalledError, open_aligner
from aligners.anchorlake import WordsFirst
from aligners.common_order import _columns_by_unit, _heaviest, common_order
from aligners.filling import fill
from aligners.mafft import SYMBOLS, Mafft, symbols_for
from aligners.profile import (
    BEFORE,
    NEXT,
    NONE,
    SYMBOL,
    TIMES,
    Profile,
    profile_of,
    put_in,
    take_out,
)
from aligners.run import align_run
from aligners.skeleton import skeleton
from aligners.units import units
from tests.aligners.mafft import ALIGNERS, align, check_sentence, fails, needs_mafft, until
from tests.blueprints import overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


pytestmark = pytest.mark.whole

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
        ("#" * 19 + "\n", ["#" * 8, "#" * 8, "###", "\n"]),
        ("\n" + " " * 12 + "x", ["\n", " " * 8, " " * 3, " x"]),
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
    columns = skeleton(texts)
    assert (columns[: len("common")] >= 0).all() == in_skeleton


@pytest.mark.parametrize(("length", "in_skeleton"), [(28, False), (29, True)])  # and a space
def test_so_is_what_two_share_if_it_is_long(length: int, in_skeleton: bool) -> None:
    shared = ("both have the same few words. " * 2)[:length]
    texts = [f"own{i} {shared if i < 2 else ''}" for i in range(10)]
    columns = skeleton(texts)
    assert (columns[len("own0 ") : len(texts[0])] >= 0).all() == in_skeleton


def test_so_is_the_character_that_most_have_after_a_word_of_it() -> None:
    texts = [f"common.{' ' if i < 5 else 'a' if i < 9 else 'b'}own{i}" for i in range(21)]
    columns = skeleton(texts).tolist()
    starts = starts_of([len(text) for text in texts])
    n = len("common.")
    for i, text in enumerate(texts):
        of_text = columns[starts[i] : starts[i + 1]]
        assert of_text[:n] == list(range(n))
        # Five and four of them are a tenth too, but fewer than twelve.
        assert of_text[n] == (n if text[n] == "b" else NONE)
        assert set(of_text[n + 1 :]) == {NONE}


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


def under_headings(seed: int, n_texts: int) -> tuple[Planted, list[str]]:
    """Sections of random words, most of which begin with a heading and a recurring sentence."""
    rng = random.Random(seed)
    vocabulary = [
        "".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(1000)
    ]
    weights = [1 / rank for rank in range(1, 1001)]
    anchors = [
        f"Anchor {chapter}.{section}: {' '.join(rng.choices(vocabulary, weights, k=7))}."
        for chapter in range(1, 6)
        for section in range(1, 5)
    ]
    texts = [""] * n_texts
    starts: list[dict[int, int]] = [{} for _ in anchors]
    for i in range(n_texts):
        for anchor, places in zip(anchors, starts, strict=True):
            texts[i] += " ".join(rng.choices(vocabulary, weights, k=rng.randint(3, 15))) + ". "
            if rng.random() < 0.8:
                places[i] = len(texts[i])
                texts[i] += anchor + " "
    return Planted(texts, starts), anchors


def test_sections_under_headings_that_are_alike_stay_whole() -> None:
    n_planted = n_whole = 0
    for seed in range(4):
        given, anchors = under_headings(seed, n_texts=40)
        columns = WordsFirst().columns(given.texts)
        check_valid(given.texts, columns)
        for anchor, starts in zip(anchors, given.starts, strict=True):
            places = Counter(
                tuple(columns[i][start : start + len(anchor)].tolist())
                for i, start in starts.items()
            )
            n_planted += len(starts)
            n_whole += places.most_common(1)[0][1]
    assert n_whole > 0.99 * n_planted


@needs_mafft
def test_mafft_finds_sentences_that_are_easy_to_find() -> None:
    given = planted(0, n_texts=6, sentences=SENTENCES[:2], absent=0)
    columns = Mafft().columns(given.texts)
    check_valid(given.texts, columns)
    for places in columns_of_sentences(given, columns, SENTENCES[:2]):
        assert len({place[0] for place in places}) == 1


@needs_mafft
def test_both_aligners_see_the_same_overlap() -> None:
    curves = []
    for seed in (4, 5):
        rng = random.Random(seed)
        words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(300)]
        texts = [
            f"{SENTENCES[0]} {' '.join(rng.choices(words, k=rng.randint(25, 40)))} {SENTENCES[-1]}"
            for _ in range(12)
        ]
        for name in ("anchorlake", "mafft"):
            bins = overlap(texts, [c.tolist() for c in align(name, texts)])
            curves.append([float(pairwise_match) for pairwise_match, _ in bins])
            assert min(curves[-1][0], curves[-1][-1]) > 0.99
            assert min(curves[-1]) < 0.5
    ours, theirs = np.add(curves[0], curves[2]), np.add(curves[1], curves[3])
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8
    assert abs(ours.mean() - theirs.mean()) < 0.1 * theirs.mean()


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
    profile = profile_of(every, starts, columns)
    g = data.draw(st.integers(0, n - 1))
    take_out(profile, g, np.zeros(len(every), dtype=np.bool_))
    first, by_unit = _columns_by_unit(profile, len(SIZES))
    chosen = _heaviest(profile, first, by_unit, int64(SIZES), g).tolist()

    there = profile.places[profile.columns]
    others = [there[starts[i] : starts[i + 1]].tolist() for i in range(n) if i != g]
    texts = [generations[i] for i in range(n) if i != g]
    unit_of = {c: u for o, t in zip(others, texts, strict=True) for c, u in zip(o, t, strict=True)}
    held = {c: sum(c in other for other in others) for c in unit_of}
    follow = [step for other in others for step in pairwise(other)]
    assert [by_unit[first[u] : first[u + 1]].tolist() for u in range(len(SIZES))] == [
        sorted(c for c in unit_of if unit_of[c] == u) for u in range(len(SIZES))
    ]

    def after(last: tuple[int, int], score: int, run: int, c: int) -> tuple[int, int]:
        """Score and run where a match that ends in column c comes directly after another."""
        times = follow.count((last[1], c))
        carried = run * times // held[last[1]]
        return score + 3 * min(carried, 30 * times) * SIZES[unit_of[c]], carried

    matches = [(i, c) for i, u in enumerate(generations[g]) for c in unit_of if unit_of[c] == u]
    ending: dict[tuple[int, int], tuple[int, int]] = {}
    for i, c in sorted(matches):
        ways = [
            (score, 0) for (row, column), (score, _) in ending.items() if row < i and column < c
        ]
        ways += [after(m, *so_far, c) for m, so_far in ending.items() if m[0] == i - 1 and m[1] < c]
        score, run = max(ways, default=(0, 0))
        size = SIZES[unit_of[c]]
        ending[i, c] = score + 10 * held[c] * size, run + held[c] * size

    taken = [(i, c) for i, c in enumerate(chosen) if c >= 0]
    assert all(match in matches for match in taken)
    assert all(a[1] < b[1] for a, b in pairwise(taken))
    score = run = 0
    for last, (i, c) in zip([(-2, -2), *taken], taken, strict=False):
        score, run = after(last, score, run, c) if last[0] == i - 1 else (score, 0)
        size = SIZES[unit_of[c]]
        score, run = score + 10 * held[c] * size, run + held[c] * size
    assert score == max((score for score, _ in ending.values()), default=0)


def test_of_many_generations_the_first_make_the_columns() -> None:
    rng = random.Random(0)
    generations = [
        [*rng.choices(range(4), k=3), 4, *rng.choices(range(4), k=3)] for _ in range(250)
    ]
    generations[::50] = [[5, *generation] for generation in generations[::50]]  # 200 have some
    generations[-1] = [6, 4, 7]  # and none of these
    starts = starts_of([len(generation) for generation in generations])
    every = int32([unit for generation in generations for unit in generation])
    columns = common_order(every, starts, int64([1] * 8), np.arange(250), 1)
    unit_of: dict[int, int] = {}
    for g, generation in enumerate(generations):
        places = columns[starts[g] : starts[g + 1]]
        assert (np.diff(places[places != NONE]) > 0).all()
        for unit, place in zip(generation, places.tolist(), strict=True):
            assert place == NONE or unit_of.setdefault(place, unit) == unit
    assert sorted(unit_of) == list(range(len(unit_of)))
    assert len(set(columns[every == 4])) == 1
    assert NONE not in columns[every == 4]
    assert set(columns[every >= 6]) == {NONE}
    n_without = sum(NONE in columns[starts[g] : starts[g + 1]] for g in range(250))
    assert 0 < n_without <= 50


class Run(NamedTuple):
    """A run of characters, and columns that it may take; as `align_run` has them."""

    rows: list[int]
    pairs: list[list[int]]
    follows: list[list[int]]
    held: list[int]
    n_joined: int
    lowest: Sequence[int] = ()
    highest: Sequence[int] = ()
    """How many columns may have passed after each number of characters; anything if empty."""

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
                total += 3 * self.follows[row][c] if on else -self.cost_of_break
        return total

    def best_score(self) -> float:
        @cache
        def best(i: int, j: int, beside: bool) -> float:
            if self.lowest and not self.lowest[i] <= j <= self.highest[i]:
                return -math.inf
            left, right = len(self.rows) - i, len(self.held) - j
            ways: list[float] = [] if left or right else [0]
            if left:
                ways.append(best(i + 1, j, False) - self.n_joined)
            if right:
                ways.append(best(i, j + 1, False) - self.held[j])
            if left and right:
                row = self.rows[i]
                on = 3 * self.follows[row][j] if beside else -self.cost_of_break
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
    near = sorted(draw(st.lists(st.integers(0, m), min_size=n, max_size=n)))
    width = draw(st.integers(1, 7))
    lowest = [near[i - width] if i > width else 0 for i in range(n + 1)]
    highest = [near[i + width] if i + width < n else m for i in range(n + 1)]
    return Run(rows, pairs, follows, held, draw(st.integers(0, 30)), lowest, highest)


@settings(max_examples=400, deadline=None)
@given(runs())
def test_a_run_of_characters_is_aligned_as_well_as_can_be(run: Run) -> None:
    shape = (len(run.pairs), len(run.held) + 1)
    pairs, follows = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    pairs[:, 1:], follows[:, 1:] = run.pairs, run.follows
    # As in its use: parts of longer rows.
    chosen = align_run(
        int32(run.rows),
        pairs[:, 1:],
        follows[:, 1:],
        int32(run.held),
        int32(run.lowest),
        int32(run.highest),
        run.n_joined,
    )
    assert run.score(chosen.tolist()) == run.best_score()


class Aligned(NamedTuple):
    """An alignment: each column's generations, and of each the character there."""

    n_generations: int
    columns: list[dict[int, int]]

    def text(self, g: int) -> list[tuple[int, int]]:
        """The columns that a generation has, and its characters there."""
        return [(c, column[g]) for c, column in enumerate(self.columns) if g in column]


@st.composite
def alignments(draw: st.DrawFn, max_generations: int = 6) -> Aligned:
    n = draw(st.integers(2, max_generations))
    column = st.dictionaries(st.integers(0, n - 1), st.integers(0, 2), min_size=1, max_size=n)
    return Aligned(n, draw(st.lists(column, min_size=1, max_size=9)))


@settings(max_examples=300, deadline=None)
@given(alignments(max_generations=12), st.data())
def test_a_generation_fills_the_room_between_its_words(
    aligned: Aligned, data: st.DataObject
) -> None:
    n = aligned.n_generations
    texts = [aligned.text(g) for g in range(n)]
    starts = starts_of([len(text) for text in texts])
    codes = int32([code for text in texts for _, code in text])
    fixed = int32([c for text in texts for c, _ in text])
    # Of one generation some characters are fixed, and where nobody else is they have to be.
    for k in range(starts[-2], starts[-1]):
        if np.count_nonzero(fixed == fixed[k]) > 1 and data.draw(st.booleans()):
            fixed[k] = -1
    order = data.draw(st.permutations(range(n)))
    found = fill(codes, starts, fixed, int64(order), 3)
    columns = [found[starts[g] : starts[g + 1]].tolist() for g in range(n)]
    assert all(a < b for own in columns for a, b in pairwise(own))
    assert sorted(set(found.tolist())) == list(range(len(set(found.tolist()))))

    # The one that was put in again last is where it weighs most, beside all others.
    last = order[-1]
    others = {
        c: {
            g: code
            for g in range(n)
            if g != last
            for c_, (_, code) in zip(columns[g], texts[g], strict=True)
            if c_ == c
        }
        for c in sorted({c for g in range(n) if g != last for c in columns[g]})
    }
    renumbered = {c: i for i, c in enumerate(others)}
    held = list(others.values())
    run = Run(
        [code for _, code in texts[last]],
        [[list(column.values()).count(k) for column in held] for k in range(3)],
        [
            [
                sum(g in before for g, code in column.items() if code == k)
                for before, column in zip([{}, *held], held, strict=False)
            ]
            for k in range(3)
        ],
        [len(column) for column in held],
        n - 1,
    )
    chosen = [renumbered.get(c, -1) for c in columns[last]]
    assert run.score(chosen) == run.best_score()


def test_only_long_runs_of_what_was_given_stay() -> None:
    # Two generations of equal characters, and what is given has the second one a column behind.
    for n, stays in ((29, False), (30, True)):
        fixed = int32([*range(n), *range(1, n + 1)])
        found = fill(int32([*range(n)] * 2), starts_of([n, n]), fixed, int64([0, 1]), n)
        assert (found[:n].tolist() != found[n:].tolist()) == stays


def check_profile(profile: Profile, columns: list[list[int]], out: int | None = None) -> None:
    """It has these symbols in each column, and counts those of all generations but the one out."""
    n_symbols, n_columns = len(profile.symbols), len(columns)
    place_of = {t: place for place, symbols in enumerate(columns) for t in symbols}
    first_of = {int(start) for start in profile.starts}
    counted: list[Counter[tuple[int, int]]] = [Counter() for _ in columns]
    for t, place in place_of.items():
        if np.searchsorted(profile.starts, t, side="right") - 1 != out:
            before = NONE if t in first_of else place_of.get(t - 1, NONE)
            counted[place][int(profile.symbols[t]), before] += 1

    assert profile.sizes[0] == n_columns
    assert sorted(profile.order.tolist()) == list(range(n_symbols))
    order = profile.order[:n_columns]
    assert profile.places[order].tolist() == list(range(n_columns))
    assert profile.held[order].tolist() == [len(symbols) for symbols in columns]
    for t, column in enumerate(profile.columns.tolist()):
        assert (NONE if column == NONE else profile.places[column]) == place_of.get(t, NONE)
    n_entries = 0
    for number, counts in zip(order, counted, strict=True):
        entries = chain(profile, profile.first[number])
        n_entries += len(entries)
        assert len(entries) == len(counts)
        assert counts == {
            (
                entry[SYMBOL],
                NONE if entry[BEFORE] == NONE else profile.places[entry[BEFORE]],
            ): entry[TIMES]
            for entry in entries
        }
    assert len(chain(profile, profile.sizes[1])) == n_symbols - n_entries


def chain(profile: Profile, first: int) -> list[list[int]]:
    """The entries of a column, or those of none."""
    entries = []
    while first not in (NONE, len(profile.entries)):
        entries.append(profile.entries[first].tolist())
        first = entries[-1][NEXT]
    return entries


@settings(max_examples=300, deadline=None)
@given(alignments(), st.data())
def test_generations_leave_and_come_back(aligned: Aligned, data: st.DataObject) -> None:
    texts = [aligned.text(g) for g in range(aligned.n_generations)]
    starts = starts_of([len(text) for text in texts])
    given = int32([c for text in texts for c, _ in text])
    profile = profile_of(int32([code for text in texts for _, code in text]), starts, given)
    columns = [np.flatnonzero(given == c).tolist() for c in range(len(aligned.columns))]
    check_profile(profile, columns)
    for _ in range(data.draw(st.integers(1, 4))):
        g = data.draw(st.integers(0, len(texts) - 1))
        its = range(starts[g], starts[g + 1])
        n = len(given)
        stays: list[bool] = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
        numbers = profile.order[: len(columns)].copy()
        take_out(profile, g, np.array(stays))
        left = [[t for t in symbols if t not in its or stays[t]] for symbols in columns]
        assert profile.places[numbers].tolist() == [
            sum(map(bool, left[:c])) for c in range(len(left))
        ]
        columns = [symbols for symbols in left if symbols]
        check_profile(profile, columns, out=g)

        chosen = [next((c for c, symbols in enumerate(columns) if t in symbols), NONE) for t in its]
        for i in range(len(its)):
            if chosen[i] == NONE:
                low = max(chosen[:i], default=NONE) + 1
                high = next((c for c in chosen[i:] if c != NONE), len(columns))
                chosen[i] = data.draw(st.sampled_from([NONE, *range(low, high)]))
        put_in(profile, g, int32(chosen))
        after = list(columns)
        place = 0
        for t, c in zip(its, chosen, strict=True):
            if c == NONE:
                after.insert(place, [t])
            else:
                place = next(i for i, symbols in enumerate(after) if symbols is columns[c])
                after[place] += [] if t in after[place] else [t]
            place += 1
        columns = after
        check_profile(profile, columns)


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


def test_without_mafft_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match="apt-get install mafft") as error:
        align("mafft", ["a", "b"])
    assert "\n" not in str(error.value)
