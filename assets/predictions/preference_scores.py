"""`preference_scores`: how likely a checkpoint finds the chosen and the rejected answer of a pair.

An answer is scored after its prompt, which the checkpoint is given in its own format, as the text
that it is: what ends an answer is left out, as each model ends one in its own way.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.staging import finished_rows, note_part_versions, stage
from assets.predictions.scored_texts import can_score
from assets.sources.checkpoints import (
    load_model,
    model_parameters,
    model_signature,
    predicted_by,
)
from assets.sources.pairs import AS_TEXT
from assets.sources.prompts import AS_IT_IS
from assets.study.digests import digest
from assets.study.errors import InputError
from models import Text, score
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from assets.lineage.context import AssetContext
    from assets.lineage.signature import Signature
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel, Scored
    from models.prompting import Turns

    Key = tuple[str, str]
    """A pair: the set and its id there."""
    Row = dict[str, Any]

_TABLE = tables.PREFERENCE_SCORES
_SIDES = ("chosen", "rejected")


def encode_prompt(model: LanguageModel, checkpoint: Checkpoint, turns: Turns) -> tuple[int, ...]:
    """A prompt's tokens as a checkpoint is given it; a text that is continued comes as it is.

    Raises:
        InputError: The model reads less than that.
        ModelError: Its chat template refuses the conversation.
    """
    (role, first), *_ = turns
    if role == AS_TEXT:
        token_ids = AS_IT_IS.send(model.tokenizer, first).token_ids
    else:
        token_ids = checkpoint.format_of_prompts.send(model.tokenizer, turns).token_ids
    if len(token_ids) > model.context_length:
        raise InputError(
            f"the prompt has {len(token_ids):,} tokens, more than the {model.context_length:,} "
            f"that {checkpoint.name} reads; shorten it, leave the pair out, or set `max_words:`"
        )
    return token_ids


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Scores the pairs that are not there yet, and keeps every finished group of them."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    pairs = {
        (pair["preference_set"], pair["pair_id"]): pair
        for pair in context.lake.read(tables.PREFERENCES).to_pylist()
    }
    versions = _versions(checkpoint, pairs.values())
    note_part_versions(context, versions, predicted_by(checkpoint))
    rows = {
        (row["preference_set"], row["pair_id"]): row
        for finished, of_rows in finished_rows(context, _TABLE)
        for row in finished.to_pylist()
        if versions.get(row["preference_set"]) == of_rows.get(row["preference_set"], "")
    }
    context.notes["pairs kept from before"] = len(rows)
    if len(rows) < len(pairs):
        _score(context, checkpoint, pairs, rows)
    yield iter(_table(rows[key] for key in pairs).to_batches())


def _score(
    context: AssetContext, checkpoint: Checkpoint, pairs: Mapping[Key, Row], rows: dict[Key, Row]
) -> None:
    """Adds the rows that are missing, a group after the other, and stages them."""
    model = load_model(context, checkpoint)
    keys = list(pairs)
    contexts = [_context(model, checkpoint, pair) for pair in pairs.values()]
    # Both answers of a pair stand one after the other, so that they are mostly of one group.
    texts = [
        Text(f"{number} {side}", contexts[number], _encode(model, pair, side))
        for number, pair in enumerate(pairs.values())
        for side in _SIDES
    ]
    finished = {f"{n} {side}" for n, key in enumerate(keys) if key in rows for side in _SIDES}
    n_tokens = sum(len(text.token_ids) for text in texts if text.name not in finished)
    context.progress.start(f"{checkpoint.name}: scoring pairs", n_tokens, "tokens")
    answers: dict[int, dict[str, Scored]] = {}
    try:
        for group in score(
            model, texts, finished=finished, on_tokens=lambda n: context.progress.advance(n, n)
        ):
            for scored in group:
                number, side = scored.text.name.split()
                answers.setdefault(int(number), {})[side] = scored
            whole = [number for number, scored in answers.items() if len(scored) == len(_SIDES)]
            new = {keys[n]: _row(pairs[keys[n]], len(contexts[n]), answers.pop(n)) for n in whole}
            stage(context, _TABLE, _table(row for key, row in new.items() if key not in rows))
            rows.update(new)
    finally:
        context.progress.finish()


def _context(model: LanguageModel, checkpoint: Checkpoint, pair: Row) -> tuple[int, ...]:
    turns = tuple(zip(pair["roles"], pair["turns"], strict=True))
    try:
        return encode_prompt(model, checkpoint, turns)
    except InputError as error:
        raise InputError(f"{_place(pair)}: {error}") from None


def _encode(model: LanguageModel, pair: Row, side: str) -> list[int]:
    token_ids = model.encode(pair[side])
    if not token_ids:
        raise InputError(
            f"{_place(pair)}: the model has no token for its {side} answer; leave it out"
        )
    return token_ids


def _place(pair: Row) -> str:
    return f"preferences: the pair {pair['pair_id']!r} of {pair['preference_set']!r}"


def _row(pair: Row, prompt_tokens: int, answers: Mapping[str, Scored]) -> Row:
    row: Row = {
        "preference_set": pair["preference_set"],
        "pair_id": pair["pair_id"],
        "prompt_tokens": prompt_tokens,
    }
    for side, scored in answers.items():
        row[f"{side}_logprob"] = float(scored.distributions.logprob.sum(dtype="float64"))
        row[f"{side}_tokens"] = len(scored.text.token_ids)
    return row


def _table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), _TABLE.arrow_schema)


def _versions(checkpoint: Checkpoint, pairs: Iterable[Row]) -> dict[str, str]:
    """For each set a digest of all that its rows depend on."""
    by_set: dict[str, list[Row]] = {}
    for pair in pairs:
        by_set.setdefault(pair["preference_set"], []).append(pair)
    shared = [
        *(checkpoint.digest(), checkpoint.dtype, PREFERENCE_SCORES.version),
        checkpoint.format_of_prompts.parameters,
    ]
    return {name: digest([*shared, of_set]) for name, of_set in by_set.items()}


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    prompts = checkpoint.format_of_prompts.parameters
    return {**model_parameters(checkpoint), "prompt_format": prompts}


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    preferences = context.upstream["preferences"].signature()
    return preferences + model_signature(load_model(context, context.checkpoint))


PREFERENCE_SCORES = TableAsset(
    name="preference_scores",
    group="predictions",
    description=_TABLE.description,
    reads=("preferences", "checkpoints"),
    changes_with=("preferences",),
    uses_model=True,
    parameters=_parameters,
    applies=can_score,
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
