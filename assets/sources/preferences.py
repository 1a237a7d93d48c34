"""`preferences`: pairs of answers to one prompt, of which one was preferred."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.sources.documents import signature_of
from assets.sources.pairs import Answers, UnusableError, read_answers
from assets.study.errors import InputError, shown
from assets.study.files import is_text, read_jsonl
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.parts import Preferences
    from assets.study.study import Study

_SCHEMA = tables.PREFERENCES.arrow_schema
_FIELDS = ("pair_id", "prompt", "chosen", "rejected")
_PASSED_OVER = ("prompt_id", "messages", "score_chosen", "score_rejected")
"""What UltraFeedback has beside these."""
_TOO_LONG = "has more words than `max_words:`"


@dataclass(frozen=True)
class Pair:
    """A pair of answers.

    Attributes:
        place: Where it stands, as messages say it.
        pair_id: As in the table.
        answers: The prompt and the answers.
    """

    place: str
    pair_id: str
    answers: Answers


def read_pairs(preferences: Preferences, passed_over: Counter[str] | None = None) -> Iterator[Pair]:
    """Reads a set of pairs.

    In a file every pair must be usable. On the hub, where nobody can mend one, those that are not
    are passed over.

    Args:
        preferences: The set.
        passed_over: Told how many pairs were passed over, by reason.

    Raises:
        InputError: It cannot be read, a line is not as it must be, or there is no pair.
    """
    counted = Counter[str]() if passed_over is None else passed_over
    is_file = preferences.source.scheme == "file"
    seen: set[str] = set()
    for place, pair_id, row in _lines(preferences) if is_file else _rows_of_hub(preferences):
        try:
            answers = read_answers(row)
        except UnusableError as error:
            if is_file:
                raise InputError(f"{place}: {error}; mend the pair, or leave it out") from None
            counted[str(error)] += 1
            continue
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        if pair_id in seen:
            raise InputError(f"{place}: the pair_id {shown(pair_id)!r} stands twice; rename one")
        if preferences.max_words is not None and answers.n_words > preferences.max_words:
            counted[_TOO_LONG] += 1
            continue
        seen.add(pair_id)
        yield Pair(place, pair_id, answers)
        if len(seen) == preferences.pairs:
            return
    if not seen:
        why = "; ".join(f"{number:,}: {reason}" for reason, number in counted.most_common(3))
        raise InputError(
            f"preferences: {preferences.name!r} ({preferences.source}) holds no pair that can be "
            f"used{f' ({why})' if why else ''}"
        )


def _lines(preferences: Preferences) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The lines of files: where each stands, its id and what it holds."""
    files = preferences.source.files
    for path in files:
        for number, row in read_jsonl(path, {}):
            place = f"{path}, line {number}"
            for field in row:
                if field not in (*_FIELDS, *_PASSED_OVER):
                    raise InputError(
                        f"{place}: has the unknown field {shown(field)!r}; a pair has "
                        f"{', '.join(_FIELDS)}"
                    )
            in_file = str(number) if len(files) == 1 else f"{path.stem}/{number}"
            pair_id = row.get("pair_id", in_file)
            if not isinstance(pair_id, str) or not pair_id or not is_text(pair_id):
                raise InputError(f"{place}: 'pair_id' must be a text that is not empty")
            yield place, pair_id, row


def _rows_of_hub(preferences: Preferences) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    rows = preferences.source.rows(config=preferences.config, split=preferences.split)
    for name, row in rows:
        yield f"{preferences.source}, row {name}", name, row


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    for preferences in context.study.preferences:
        passed_over: Counter[str] = Counter()
        rows = [
            {
                "preference_set": preferences.name,
                "pair_id": pair.pair_id,
                "roles": [role for role, _ in pair.answers.turns],
                "turns": [content for _, content in pair.answers.turns],
                "chosen": pair.answers.chosen,
                "rejected": pair.answers.rejected,
            }
            for pair in read_pairs(preferences, passed_over)
        ]
        context.notes[f"pairs of {preferences.name}"] = len(rows)
        if passed_over:
            context.notes[f"pairs of {preferences.name} passed over"] = dict(passed_over)
        yield from pa.Table.from_pylist(rows, _SCHEMA).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    return {"preferences": [preferences.digest() for preferences in study.preferences]}


PREFERENCES = TableAsset(
    name="preferences",
    group="sources",
    description=tables.PREFERENCES.description,
    partitioned=False,
    parameters=_parameters,
    settings=("preferences",),
    applies=lambda study, checkpoint: bool(study.preferences),
    table=tables.PREFERENCES,
    rows=_rows,
    signature=lambda context: signature_of(context.study.preferences),
)
