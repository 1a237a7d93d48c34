"""`preferences`: pairs of answers to one prompt, of which one was preferred."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.sources.documents import signature_of
from assets.sources.entries import Kind, entries, none_usable
from assets.sources.pairs import Answers, UnusableError, read_answers
from assets.study.errors import InputError, shown
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.parts import Preferences
    from assets.study.study import Study

_SCHEMA = tables.PREFERENCES.arrow_schema
_KIND = Kind(
    key="preferences",
    noun="pair",
    fields=("pair_id", "prompt", "chosen", "rejected"),
    # What UltraFeedback has beside these.
    passed_over=("prompt_id", "messages", "score_chosen", "score_rejected"),
)
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
    for place, pair_id, row in entries(_KIND, preferences):
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
        raise none_usable(_KIND, preferences, counted)


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
