"""`shannon_guesses`: how a checkpoint guesses the last words of passages (appendix D)."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.predictions.scored_texts import can_score
from assets.sources.checkpoints import load_model, model_parameters, model_signature
from assets.sources.passages import joined
from assets.study.errors import InputError
from models import Decoding, Request, Text, sample, score
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext
    from assets.lineage.signature import Signature
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel, Scored

_SCHEMA = tables.SHANNON_GUESSES.arrow_schema


def encode_passage(model: LanguageModel, passage_id: str, context: str, target: str) -> Text:
    """A passage's tokens, cut in two as lm-evaluation-harness cuts them.

    The whole is encoded, with the special tokens that the tokenizer puts before a text, and as many
    tokens as the context has by itself, without spaces at its end, are the context. Where that is
    more than the model reads, its beginning is left out.

    Raises:
        InputError: The target is no token of its own, or is longer than what the model reads.
    """
    whole = list(model.tokenizer(joined(context, target), verbose=False)["input_ids"])
    n_context = len(model.tokenizer(context.rstrip(), verbose=False)["input_ids"])
    target_ids = whole[n_context:]
    room = model.context_length + 1 - len(target_ids)
    context_ids = whole[max(0, n_context - max(room, 0)) : n_context]
    if not target_ids or not context_ids:
        raise InputError(
            f"the passage {passage_id!r} cannot be guessed by this model: its last word is "
            f"{len(target_ids)} tokens after {n_context} of context; leave it out"
        )
    return Text(passage_id, context_ids, target_ids)


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    model = load_model(context, checkpoint)
    passages = context.lake.read(tables.PASSAGES).to_pylist()
    targets = {passage["passage_id"]: passage["target"] for passage in passages}
    texts = [
        encode_passage(model, passage["passage_id"], passage["context"], passage["target"])
        for passage in passages
    ]
    n_tokens = sum(len(text.token_ids) for text in texts)
    context.progress.start(f"{checkpoint.name}: guessing", n_tokens, "tokens")
    rows = []
    try:
        for group in score(model, texts, on_tokens=lambda n: context.progress.advance(n, n)):
            greedy = greedy_continuations(model, group)
            rows += [
                guess(scored, greedy[scored.text.name]) | {"target": targets[scored.text.name]}
                for scored in group
            ]
    finally:
        context.progress.finish()
    yield pa.Table.from_pylist(rows, _SCHEMA).to_batches()


def guess(scored: Scored, greedy: Sequence[int]) -> dict[str, object]:
    """What the table says of one passage.

    Args:
        scored: The target, scored after its context.
        greedy: The greedy continuation of the context, as many tokens as the target, or fewer where
            the model ended it.
    """
    distributions = scored.distributions
    target_ids = list(scored.text.token_ids)
    overlap = (Counter(target_ids) & Counter(greedy)).total()
    return {
        "passage_id": scored.text.name,
        "n_target_tokens": len(target_ids),
        "guesses": float((distributions.rank - 1).mean()),
        "exact": bool((distributions.rank == 1).all()),
        "f1": 2 * overlap / (len(target_ids) + len(greedy)),
        "logprob": float(distributions.logprob.sum(dtype="float64")),
    }


def greedy_continuations(model: LanguageModel, group: Sequence[Scored]) -> dict[str, list[int]]:
    """Each context's greedy continuation, as long as the target.

    As long as the target's tokens are the likeliest ones, scoring it has shown what comes next;
    only what goes another way before its last token is generated.
    """
    continuations: dict[str, list[int]] = {}
    left: dict[int, list[Request]] = {}
    known: dict[str, list[int]] = {}
    for scored in group:
        likeliest = scored.distributions.top_ids[:, 0].tolist()
        right = scored.distributions.rank == 1
        n_known = len(right) if right[:-1].all() else int(right.argmin()) + 1
        name = scored.text.name
        known[name] = likeliest[:n_known]
        n_left = len(likeliest) - n_known
        if n_left and not model.stop_token_ids.intersection(known[name]):
            ids = (*scored.text.context_ids, *known[name])
            left.setdefault(n_left, []).append(Request(name, ids, 0, Decoding.greedy()))
        continuations[name] = known[name]
    for n_left, requests in left.items():
        for completions in sample(model, requests, max_new_tokens=n_left, seed=0):
            for completion in completions:
                name = completion.request.prompt_key
                continuations[name] = [*known[name], *completion.token_ids]
    return continuations


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return model_parameters(checkpoint)


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    passages = context.upstream["passages"].signature()
    return passages + model_signature(load_model(context, context.checkpoint))


SHANNON_GUESSES = TableAsset(
    name="shannon_guesses",
    group="predictions",
    description=tables.SHANNON_GUESSES.description,
    reads=("passages", "checkpoints"),
    changes_with=("passages",),
    uses_model=True,
    parameters=_parameters,
    applies=can_score,
    table=tables.SHANNON_GUESSES,
    rows=_rows,
    signature=_signature,
)
