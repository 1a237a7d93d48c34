"""The forms that questions with options come in, and how a model is asked them.

A row has its question, its options and, where there is one, the right answer:

- `question`, `options` and `answer`, which is the place of the right option from 0, its letter or
  its text. A question without a right answer leaves it out.
- MMLU: the same with `choices` for `options`, `answer` a place.
- ARC: `choices` has the lists `text` and `label`, and `answerKey` is a label.
- TruthfulQA: `mc1_targets` has the lists `choices` and `labels`, 1 for the right one. As that is
  always the first, the options are put in alphabetical order.
"""

from __future__ import annotations

import itertools
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.study.errors import InputError, names_of, shown
from assets.study.files import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from assets.study.choices import Choices

FIELDS = ("question_id", "question", "options", "answer")
PASSED_OVER = ("id", "subject", "choices", "answerKey", "mc1_targets", "mc2_targets")
"""What MMLU, ARC and TruthfulQA have beside these, or in their place."""
LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Question:
    """A question with options.

    Attributes:
        text: What is asked.
        options: What there is to choose from, at least two.
        answer: The place of the right one, from 0; None where none is right.
    """

    text: str
    options: tuple[str, ...]
    answer: int | None


def read_question(row: Mapping[str, Any]) -> Question:
    """Reads a row in any of the forms.

    Raises:
        InputError: Something is missing or no text, options are fewer than two or alike, or the
            answer is no option.
    """
    text = row.get("question")
    if not isinstance(text, str) or not text.strip():
        raise InputError("'question' must be a text that is not empty")
    if "mc1_targets" in row:
        targets = _lists(row["mc1_targets"], "mc1_targets", ("choices", "labels"))
        options = _texts("mc1_targets", targets[0])
        right = [option for option, label in zip(*targets, strict=True) if label == 1]
        if len(right) != 1:
            raise InputError(f"'mc1_targets' has {len(right)} right options, and must have one")
        ordered = tuple(sorted(options))
        question = Question(text.strip(), ordered, ordered.index(right[0].strip()))
    elif isinstance(row.get("choices"), dict):
        listed, labels = _lists(row["choices"], "choices", ("text", "label"))
        options, key = _texts("choices", listed), row.get("answerKey")
        if key is not None and key not in labels:
            raise InputError(
                f"its answer {shown(str(key))!r} is no option; its labels are "
                f"{names_of(map(str, labels))}"
            )
        question = Question(text.strip(), options, None if key is None else labels.index(key))
    else:
        field = "options" if "options" in row else "choices"
        if field not in row:
            raise InputError(
                f"has no 'options'; it has {names_of(map(repr, row))}, and a question has "
                f"{', '.join(FIELDS[1:])}"
            )
        options = _texts(field, row[field])
        question = Question(text.strip(), options, _place(row.get("answer"), options))
    if not all(map(is_text, (question.text, *question.options))):
        raise InputError("holds half a surrogate pair, which is no text")
    return question


def _lists(value: Any, field: str, names: tuple[str, str]) -> tuple[list[Any], list[Any]]:
    one, two = (value.get(name) if isinstance(value, dict) else None for name in names)
    if not isinstance(one, list) or not isinstance(two, list):
        raise InputError(f"{field!r} must have the lists {' and '.join(map(repr, names))}")
    if len(one) != len(two):
        raise InputError(f"{field!r} has {len(one)} {names[0]} and {len(two)} {names[1]}")
    return one, two


def _texts(field: str, value: Any) -> tuple[str, ...]:
    """Options, without white space around them."""
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        raise InputError(f"{field!r} is {shown(repr(value), 40)}, and must be a list of texts")
    options = tuple(option.strip() for option in value)
    if len(options) < 2:
        raise InputError(f"has {len(options)} option{'s' * (len(options) != 1)}, and needs two")
    for place, option in enumerate(options):
        if not option:
            raise InputError(f"its option {place} is empty")
        if option in options[:place]:
            first = options.index(option)
            raise InputError(f"its options {first} and {place} are alike: {shown(option)!r}")
    return options


def _place(answer: Any, options: tuple[str, ...]) -> int | None:
    """Where the right option is, of its place, its letter or its text."""
    if answer is None:
        return None
    places: set[int] = set()
    if type(answer) is int and 0 <= answer < len(options):
        places = {answer}
    elif isinstance(answer, str):
        letters = LETTERS[: len(options)]
        places |= {letters.index(answer)} if len(answer) == 1 and answer in letters else set()
        places |= {options.index(answer.strip())} if answer.strip() in options else set()
    if len(places) == 1:
        return places.pop()
    last = len(options) - 1
    allowed = f"its place from 0 to {last}, its letter or its text"
    if places:
        raise InputError(
            f"its answer {answer!r} is the letter of one option and the text of another; give its "
            f"place, from 0 to {last}"
        )
    raise InputError(f"its answer {shown(str(answer))!r} is no option; give {allowed}")


def orders_of(n_options: int, most: int) -> Iterator[tuple[int, ...]]:
    """Different orders of so many options, that of the question first; all of them if so many.

    The orders that follow each other are rotations, so that among as many as there are options each
    stands in each place once.
    """
    every = (
        (*order[start:], *order[:start])
        for others in itertools.permutations(range(1, n_options))
        for order in [(0, *others)]
        for start in range(n_options)
    )
    return itertools.islice(every, most)


@dataclass(frozen=True)
class Listed:
    """A question with its options in one order.

    Attributes:
        choices: How its set is asked.
        question_id: As in the table.
        ordering: The number of the order.
        question: The question.
        order: The order: the options' places in the question.
    """

    choices: Choices
    question_id: str
    ordering: int
    question: Question
    order: tuple[int, ...]

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies it: its set, its id there, and the order."""
        return self.choices.name, self.question_id, self.ordering

    @property
    def place(self) -> str:
        """Where the question stands, as messages say it."""
        return f"choices: the question {self.question_id!r} of {self.choices.name!r}"

    @property
    def options(self) -> list[str]:
        """The options in this order."""
        return [self.question.options[place] for place in self.order]

    @property
    def names(self) -> list[str]:
        """What the options are chosen by, in this order: their letters or their texts."""
        return list(LETTERS[: len(self.order)]) if self._by_letter else self.options

    @property
    def prompt(self) -> str:
        """The question with its options below it."""
        marks = [f"{letter}." for letter in LETTERS] if self._by_letter else ["-"] * len(self.order)
        lines = [f"{mark} {option}" for mark, option in zip(marks, self.options, strict=False)]
        return "\n".join([self.question.text, *lines])

    @property
    def prompt_to_reason(self) -> str:
        """The prompt that a checkpoint's own reasoning is sampled with."""
        return f"{self.prompt}\n{self.choices.reasoning_prompt}"

    @property
    def _by_letter(self) -> bool:
        return self.choices.scored == "letters"


def in_orders(choices: Choices, question_id: str, question: Question) -> Iterator[Listed]:
    """A question in each order that its set asks for."""
    for number, order in enumerate(orders_of(len(question.options), choices.orders)):
        yield Listed(choices, question_id, number, question, order)
