"""What a prompt's generations share, found slowly and plainly from the definitions.

`texts` are a prompt's generations and `columns` their alignment: for every character of every text
the column that it stands in. `chosen` are the study's thresholds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise

from assets.study.thresholds import Thresholds

BINS = 100
PAPERS = Thresholds()

Path = list[tuple[str, int | None]]


@dataclass(frozen=True)
class Span:
    """A text and the generations that have it, each with the place where it starts in them."""

    start_column: int
    text: str
    starts: dict[int, int]

    def characters(self, sample: int) -> set[int]:
        return set(range(self.starts[sample], self.starts[sample] + len(self.text)))


@dataclass(frozen=True)
class Picked(Span):
    """An anchor span: `starts` has those generations alone that count for it."""

    pick: int


@cache
def is_frequent(holders: int, n_samples: int, share: float) -> bool:
    return holders >= 2 and Fraction(holders, n_samples) >= Fraction(str(share))


# Alignment


def kept_columns(
    texts: list[str], columns: list[list[int]], chosen: Thresholds = PAPERS
) -> list[dict[int, int]]:
    """The kept columns in order: for each the generations in it, and their place that is there."""
    places: dict[int, dict[int, int]] = {}
    for sample, (text, own) in enumerate(zip(texts, columns, strict=True)):
        assert len(text) == len(own)
        for place, column in enumerate(own):
            places.setdefault(column, {})[sample] = place
    return [
        places[column]
        for column in sorted(places)
        if max(Counter(texts[s][place] for s, place in places[column].items()).values())
        >= chosen.kept_by
    ]


def in_bins(values: list[int]) -> list[Fraction]:
    """Cuts a row of values into 100 equal bins: each value 100 times, and as many in each bin."""
    if not values:
        return [Fraction(0)] * BINS
    repeated = [value for value in values for _ in range(BINS)]
    n = len(values)
    return [Fraction(sum(repeated[b * n : (b + 1) * n]), n) for b in range(BINS)]


def overlap(
    texts: list[str], columns: list[list[int]], chosen: Thresholds = PAPERS
) -> list[tuple[Fraction, Fraction]]:
    """`pairwise_match` and `aligned_samples` of each bin."""
    matching = []
    aligned = []
    for places in kept_columns(texts, columns, chosen):
        characters = {sample: texts[sample][place] for sample, place in places.items()}
        equal = [(a, b) for a, b in combinations(characters, 2) if characters[a] == characters[b]]
        others = Counter(sample for pair in equal for sample in pair)
        matching.append(len(equal))
        aligned.append(sum(count >= chosen.aligned_with for count in others.values()))
    pairs = len(list(combinations(texts, 2)))
    shares = [value / pairs if pairs else value for value in in_bins(matching)]
    return list(zip(shares, in_bins(aligned), strict=True))


# Anchor spans


def frequent_spans(
    texts: list[str], columns: list[list[int]], chosen: Thresholds = PAPERS
) -> list[Span]:
    length = chosen.span_characters
    windows: dict[tuple[int, str], dict[int, int]] = {}
    for sample, (text, own) in enumerate(zip(texts, columns, strict=True)):
        for place in range(len(text) - length + 1):
            window = (own[place], text[place : place + length])
            windows.setdefault(window, {})[sample] = place
    frequent = [
        Span(column, text, starts)
        for (column, text), starts in windows.items()
        if is_frequent(len(starts), len(texts), chosen.span_share)
    ]
    by_starts = {frozenset(window.starts.items()): window for window in frequent}

    def beside(window: Span, step: int) -> Span | None:
        return by_starts.get(frozenset((s, start + step) for s, start in window.starts.items()))

    spans = []
    for first in frequent:
        if beside(first, -1):
            continue
        text = first.text
        after = beside(first, 1)
        while after:
            text += after.text[-1]
            after = beside(after, 1)
        spans.append(Span(first.start_column, text, first.starts))
    return spans


def anchor_spans(frequent: list[Span], n_samples: int, chosen: Thresholds = PAPERS) -> list[Picked]:
    """The picked spans; the first is span 1, and so on."""
    spans = [*frequent]
    picked: list[Picked] = []
    while spans and len(picked) < chosen.spans:
        spans.sort(key=lambda s: (-len(s.starts), -len(s.text), s.start_column, s.text))
        best = spans.pop(0)
        picked.append(Picked(best.start_column, best.text, best.starts, pick=len(picked) + 1))
        left = []
        for span in spans:
            counting = {
                sample: start
                for sample, start in span.starts.items()
                if sample not in best.starts
                or span.characters(sample).isdisjoint(best.characters(sample))
            }
            if is_frequent(len(counting), n_samples, chosen.span_share):
                left.append(Span(span.start_column, span.text, counting))
        spans = left
    return sorted(picked, key=lambda span: (span.start_column, span.pick))


def paths(picked: list[Picked], n_samples: int) -> list[Path]:
    """The spans that each generation passes, with the places where they start in it."""
    found: list[Path] = []
    for sample in range(n_samples):
        passed = [
            (span.starts[sample], str(number))
            for number, span in enumerate(picked, start=1)
            if sample in span.starts
        ]
        steps = [(number, start) for start, number in sorted(passed)]
        found.append([("START", None), *steps, ("END", None)])
    return found


def flows(passed: list[Path]) -> Counter[tuple[str, str]]:
    """How many generations go from one span directly to another."""
    return Counter(
        (source, target) for path in passed for (source, _), (target, _) in pairwise(path)
    )


def coverage(
    texts: list[str],
    columns: list[list[int]],
    frequent: list[Span],
    chosen: Thresholds = PAPERS,
) -> list[Fraction]:
    """`in_anchor` of each bin."""
    covered = {
        (sample, place)
        for span in frequent
        for sample in span.starts
        for place in span.characters(sample)
    }
    counts = [
        sum((sample, place) in covered for sample, place in places.items())
        for places in kept_columns(texts, columns, chosen)
    ]
    return [value / len(texts) for value in in_bins(counts)]
