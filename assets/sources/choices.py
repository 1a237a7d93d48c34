"""`choice_questions`: questions with options, of which checkpoints choose one."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.sources.documents import signature_of
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
from assets.study.files import is_text, read_jsonl
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.choices import Choices
    from assets.study.study import Study

_SCHEMA = tables.CHOICE_QUESTIONS.arrow_schema


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
    for place, question_id, row in _lines(choices) if is_file else _rows_of_hub(choices):
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
        why = "; ".join(f"{number:,}: {reason}" for reason, number in counted.most_common(3))
        raise InputError(
            f"choices: {choices.name!r} ({choices.source}) holds no question that can be "
            f"used{f' ({why})' if why else ''}"
        )


def _lines(choices: Choices) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The lines of files: where each stands, its id and what it holds."""
    files = choices.source.files
    for path in files:
        for number, row in read_jsonl(path, {}):
            place = f"{path}, line {number}"
            for field in row:
                if field not in (*FIELDS, *PASSED_OVER):
                    raise InputError(
                        f"{place}: has the unknown field {shown(field)!r}; a question has "
                        f"{', '.join(FIELDS)}"
                    )
            in_file = str(number) if len(files) == 1 else f"{path.stem}/{number}"
            question_id = row.get("question_id", row.get("id", in_file))
            if not isinstance(question_id, str) or not question_id or not is_text(question_id):
                raise InputError(f"{place}: 'question_id' must be a text that is not empty")
            yield place, question_id, row


def _rows_of_hub(choices: Choices) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, row in choices.source.rows(config=choices.config, split=choices.split):
        own = row.get("id")
        yield f"{choices.source}, row {name}", own if isinstance(own, str) and own else name, row


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
