"""The numbers that derived tables are defined with, as a study may choose them.

Nothing here loads what runs models: the tables are known without a study.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt

from assets.study.part import Part

MOST_TOP_K = 20
"""Values of k that `top_k` may have; `sql/text_statistics.sql` lists as many."""


def _rising(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if any(number >= following for number, following in pairwise(numbers)):
        raise ValueError("must rise from number to number, each once")
    return numbers


def _from_one(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if numbers[0] != 1:
        raise ValueError("must begin with 1, the most likely token alone")
    return numbers


def _number(value: Any) -> Any:
    """What YAML takes for text, as `1e-8` has no point."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Length = Annotated[StrictInt, Field(ge=1, le=10_000)]
Lengths = Annotated[tuple[Length, ...], Field(min_length=1, max_length=20), AfterValidator(_rising)]
TopK = Annotated[
    tuple[Annotated[StrictInt, Field(ge=1, le=1_000_000)], ...],
    Field(min_length=1, max_length=MOST_TOP_K),
    AfterValidator(_rising),
    AfterValidator(_from_one),
]
Words = Annotated[StrictInt, Field(ge=1, le=1_000)]
Times = Annotated[StrictInt, Field(ge=2, le=100)]
Vocabulary = Annotated[StrictInt, Field(ge=2, le=10_000_000)]
Generations = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
FewWords = Annotated[StrictInt, Field(ge=1, le=5)]
PhraseLengths = Annotated[
    tuple[Annotated[StrictInt, Field(ge=2, le=5)], ...],
    Field(min_length=1),
    AfterValidator(_rising),
]
Prior = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]
Probability = Annotated[float, BeforeValidator(_number), Field(gt=0, lt=1, strict=True)]


class Thresholds(Part):
    """What derived tables are defined with; the defaults are the paper's.

    SQL has each as `$key`.

    Attributes:
        ngram_lengths: Lengths at which the most common n-gram is looked for (figure 7A).
        ngram_spread_length: Length of the n-grams whose holders are counted (figure 7B).
        ngram_diversity_lengths: Lengths at which different n-grams are counted (table 4).
        ngram_similarity_length: Length of the n-grams that a checkpoint shares with its base.
        phrase_lengths: Lengths of the n-grams of words that may be stock phrases.
        phrase_share: Share of a set's prompts that must hold a stock phrase, and at least two.
        phrase_prior: N-grams that the prior of a stock phrase's log-odds weighs.
        distinct_vocabulary: Size of the vocabulary that `expectation_adjusted_distinct` supposes.
        opening_words: Words that a generation's opening has.
        loop_times: How often a generation's last words must repeat for it to end in a loop.
        repetitions: Times up to which `self_reinforcement` follows a sentence that repeats.
        kept_by: Generations that must have one same character in a column for it to be kept.
        aligned_with: Others that must share a generation's character for it to count as aligned.
        span_characters: Characters of a window, and so the least of an anchor span.
        span_share: Share of a prompt's generations that must hold a window, and at least two.
        spans: Anchor spans that are picked at most.
        top_k: Numbers of most likely tokens whose probability together is kept.
        support: A token is in a distribution's support if it is more probable than this.
        likeliest: Most likely tokens of which `token_distributions` keeps the ids and the
            log-probabilities at each place. Measures read the first; 10 take a third of the room.
        same_answer: Cosine similarity, or the classifier's score, from which on two generations
            are one answer.
        same_sentence: Cosine similarity from which on two sentences say the same.
        draws: Numbers of samples at which distinct answers and coverage are given.
    """

    ngram_lengths: Lengths = (5, 10, 25, 50)
    ngram_spread_length: Length = 10
    ngram_diversity_lengths: Lengths = (1, 2, 3, 4, 5)
    ngram_similarity_length: FewWords = 3
    phrase_lengths: PhraseLengths = (3, 4, 5)
    phrase_share: Share = 0.1
    phrase_prior: Prior = 1000
    distinct_vocabulary: Vocabulary = 50_257
    opening_words: Words = 5
    loop_times: Times = 3
    repetitions: Times = 10
    kept_by: Generations = 5
    aligned_with: Generations = 5
    span_characters: Length = 30
    span_share: Share = 0.2
    spans: Annotated[StrictInt, Field(ge=1, le=100)] = 6
    top_k: TopK = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100)
    support: Probability = 1e-8
    likeliest: Annotated[StrictInt, Field(ge=1, le=10)] = 1
    same_answer: Share = 0.8
    same_sentence: Share = 0.6
    draws: Lengths = (1, 2, 3, 5, 10, 20, 50, 100)

    def values(self) -> dict[str, Any]:
        """All of them by their keys."""
        return {key: getattr(self, key) for key in type(self).model_fields}

    def changed(self) -> dict[str, Any]:
        """Those that are not the default.

        What took hours to make counts these alone, so that a lake which is older than a key is not
        stale for it.
        """
        default = type(self)().values()
        return {key: value for key, value in self.values().items() if value != default[key]}


def written(value: object) -> str:
    """A value as signatures show it, such as `5,10,25,50`."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
