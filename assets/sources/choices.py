"""`choice_questions`: questions with options, of which checkpoints choose one."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.sources.documents import signature_of
from assets.sources.entries import Kind, entries, none_usable
from assets.sources.questions import (
    FIELDS,
    LETTERS,
    PASSED_OVER,
    Listed,
    Question,
    in_orders,
    read_question,
)
from assets.study.errors import InputError, shown
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.choices import Choices
    from assets.study.study import Study

_SCHEMA = tables.CHOICE_QUESTIONS.arrow_schema
_KIND = Kind("choices", "question", FIELDS, PASSED_OVER, other_id="id")


@dataclass(frozen=True)
class Placed:
    """A question, and where it comes from.

    Attributes:
        place: Where it stands, as messages say it.
        question_id: As in the table.
        question: The question.
    """

    place: str
    question_id: str
    question: Question


def read_questions(choices: Choices, passed_over: Counter[str] | None = None) -> Iterator[Placed]:
    """Reads a set of questions.

    In a file every question must be usable. On the hub, where nobody can mend one, those that are
    not are passed over.

    Args:
        choices: The set.
        passed_over: Told how many questions were passed over, by reason.

    Raises:
        InputError: It cannot be read, a line is not as it must be, or there is no question.
    """
    counted = Counter[str]() if passed_over is None else passed_over
    is_file = choices.source.scheme == "file"
    seen: set[str] = set()
    for place, question_id, row in entries(_KIND, choices):
        try:
            question = read_question(row)
            if choices.scored == "letters" and len(question.options) > len(LETTERS):
                raise InputError(
                    f"has {len(question.options)} options, and letters name {len(LETTERS)}; set "
                    "`scored: texts` for its set"
                )
        except InputError as error:
            if is_file:
                raise InputError(f"{place}: {error}; mend the question, or leave it out") from None
            counted[str(error)] += 1
            continue
        if question_id in seen:
            raise InputError(f"{place}: the question_id {shown(question_id)!r} stands twice")
        seen.add(question_id)
        yield Placed(place, question_id, question)
        if len(seen) == choices.questions:
            return
    if not seen:
        raise none_usable(_KIND, choices, counted)


def questions_in_lake(context: AssetContext) -> Iterator[Listed]:
    """Every question of the study's sets that the lake has, in each order that is asked for."""
    by_name = {choices.name: choices for choices in context.study.choices}
    for row in context.lake.read(tables.CHOICE_QUESTIONS).to_pylist():
        question = Question(row["question"], tuple(row["options"]), row["answer"])
        yield from in_orders(by_name[row["choice_set"]], row["question_id"], question)


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    for choices in context.study.choices:
        passed_over: Counter[str] = Counter()
        rows = [
            {
                "choice_set": choices.name,
                "question_id": placed.question_id,
                "question": placed.question.text,
                "options": list(placed.question.options),
                "answer": placed.question.answer,
            }
            for placed in read_questions(choices, passed_over)
        ]
        context.notes[f"questions of {choices.name}"] = len(rows)
        if passed_over:
            context.notes[f"questions of {choices.name} passed over"] = dict(passed_over)
        yield from pa.Table.from_pylist(rows, _SCHEMA).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    return {"choices": [choices.digest() for choices in study.choices]}


CHOICE_QUESTIONS = TableAsset(
    name="choice_questions",
    group="sources",
    description=tables.CHOICE_QUESTIONS.description,
    partitioned=False,
    parameters=_parameters,
    settings=("choices",),
    applies=lambda study, checkpoint: bool(study.choices),
    table=tables.CHOICE_QUESTIONS,
    rows=_rows,
    signature=lambda context: signature_of(context.study.choices),
)
