"""`token_divergence`: how a checkpoint and its base differ at each token of its own text."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.lineage.space import need_space
from assets.lineage.staging import stage, staged_files, staging
from assets.predictions.scored_texts import can_score, own_texts
from assets.sources.checkpoints import (
    describe_model,
    facts_of_model,
    load_model,
    load_with,
    model_parameters,
    predicted_by,
    signature_of_facts,
)
from assets.study.digests import digest
from assets.study.errors import InputError
from models import ModelPool, Text
from models.divergence import bytes_of_logits, diverge_in_turn, diverge_together
from models.memory import free_memory
from models.reading import GROUP_TOKENS
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from assets.lineage.context import AssetContext
    from assets.predictions.scored_texts import ScoredText
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel
    from models.divergence import Divergences

_TABLE = tables.TOKEN_DIVERGENCE
_BYTES = 2 * 96
"""Of a token's row at most: in staging, and in its place before staging is emptied."""
_ITEMSIZES = {"float32": 4, "bfloat16": 2, "float16": 2}
_SPARE = 2 << 30
"""Bytes of memory beside the two models' weights that reading with both takes, and some more."""

Key = tuple[str, str, str]
"""What tells a text from any other of the checkpoint's own: decoding, corpus and text_id."""


@dataclass(frozen=True)
class _OwnText:
    """A text as both models read it."""

    key: Key
    item: str
    text: Text


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterable[pa.RecordBatch]]:
    checkpoint, base = _pair(context.study, context.checkpoint)
    if reason := why_not_compared(context, checkpoint):
        context.notes["not compared"] = reason
        context.progress.say(reason)
        yield ()
    else:
        yield _compared(context, checkpoint, base)


def why_not_compared(context: AssetContext, checkpoint: Checkpoint) -> str | None:
    """A sentence that says why a checkpoint's and its base's distributions cannot be compared.

    Returns:
        None where they can be, or where it is not known yet what the two are.
    """
    name, base = _pair(context.study, checkpoint)
    if not all(context.lake.has(tables.CHECKPOINTS, one.name) for one in (name, base)):
        return None
    ours, theirs = (facts_of_model(context, one) for one in (checkpoint, base))
    if ours["tokenizer"] != theirs["tokenizer"]:
        difference = "have different tokenizers"
    elif ours["vocab_size"] != theirs["vocab_size"]:
        difference = (
            f"give {ours['vocab_size']:,} and {theirs['vocab_size']:,} tokens a probability"
        )
    else:
        return None
    return (
        f"{checkpoint.name} and its base {base.name} {difference}, so kl and token_shift are not "
        "measured of them; name a base with the same tokenizer to have them"
    )


def _compared(
    context: AssetContext, checkpoint: Checkpoint, base: Checkpoint
) -> Iterator[pa.RecordBatch]:
    """Reads what is not staged yet, a piece after the other, and gives the rows of all of it."""
    model = load_model(context, checkpoint)
    together = _fit(model, facts_of_model(context, base))
    context_length = min(model.context_length, describe_model(base).context_length)
    texts = _texts(context, model, base, context_length)
    token_text = _token_text(model)
    n_tokens = {one.key: len(one.text.token_ids) for one in texts}
    at_once = GROUP_TOKENS if together else _held_by_disk(context, model, n_tokens)
    folder = _folder(checkpoint, base, texts)
    staged = _staged(context, folder, n_tokens)
    left = [one for one in texts if one.key not in staged]
    n_left = sum(len(one.text.token_ids) for one in left)
    need_space(context, n_left * _BYTES, f"reading {n_left:,} tokens with two models")
    del model  # it makes room for its base, where there is none for both
    read = (
        _read_together(context, checkpoint, base)
        if together
        else _read_in_turn(context, checkpoint, base, context_length)
    )
    context.notes["both models in memory"] = together
    context.notes["tokens kept from before"] = sum(n_tokens.values()) - n_left
    context.progress.start(f"{checkpoint.name}: reading with {base.name}", n_left, "tokens")
    try:
        for piece in _pieces(left, at_once):
            batches = [
                _batch(one, base.name, divergences, token_text)
                for one, divergences in zip(piece, read([one.text for one in piece]), strict=True)
            ]
            stage(context, _TABLE, pa.Table.from_batches(batches).combine_chunks(), folder)
    finally:
        context.progress.finish()
    context.notes["tokens read"] = n_left
    for path in staged_files(context, _TABLE, folder):
        yield from pq.ParquetFile(path).iter_batches()


def _fit(model: LanguageModel, base: Mapping[str, Any]) -> bool:
    """Whether memory holds the base, of which there is a row of `checkpoints`, beside a model."""
    weights = base["n_parameters"] * _ITEMSIZES.get(base["dtype"], 4)
    return bool(weights * 1.25 + _SPARE <= free_memory(model.device))


def _read_together(
    context: AssetContext, checkpoint: Checkpoint, base: Checkpoint
) -> Callable[[list[Text]], list[Divergences]]:
    model, models = load_model(context, checkpoint), ModelPool()
    other = load_with(models, base)
    return lambda texts: diverge_together(
        model, other, texts, on_tokens=lambda n: context.progress.advance(n, n)
    )


def _read_in_turn(
    context: AssetContext, checkpoint: Checkpoint, base: Checkpoint, context_length: int
) -> Callable[[list[Text]], list[Divergences]]:
    folder = staging(context, _TABLE)
    folder.mkdir(parents=True, exist_ok=True)
    return lambda texts: diverge_in_turn(
        lambda: load_model(context, checkpoint),
        lambda: load_model(context, base),
        texts,
        folder / "logits",
        context_length=context_length,
        on_tokens=lambda n: context.progress.advance(n, n),
    )


def _held_by_disk(context: AssetContext, model: LanguageModel, n_tokens: Mapping[Key, int]) -> int:
    """Tokens whose logits the study gives disk for.

    Raises:
        InputError: They are fewer than one text has, or the disk has not so much.
    """
    settings = context.study.divergence
    assert settings is not None
    of_a_token = bytes_of_logits(model.vocab_size, model.dtype)
    held = int(settings.disk_gb * 1e9 / of_a_token)
    longest = max(n_tokens.values(), default=0)
    if held < longest:
        least = math.ceil(longest * of_a_token / 1e6) / 1e3
        raise InputError(
            f"divergence.disk_gb: memory does not hold both models, and {settings.disk_gb:g} GB of "
            f"disk hold the probabilities of {held:,} tokens, of which a text has {longest:,}; "
            f"give {least:g} or more"
        )
    needed = min(held, sum(n_tokens.values())) * of_a_token
    need_space(context, needed, "what one model gives each token, while the other is read,")
    return held


def _pieces(texts: list[_OwnText], at_once: int) -> Iterator[list[_OwnText]]:
    """Texts that have together no more than some number of tokens; or one."""
    piece: list[_OwnText] = []
    size = 0
    for one in texts:
        n = len(one.text.token_ids)
        if piece and size + n > at_once:
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += n
    if piece:
        yield piece


def _texts(
    context: AssetContext, model: LanguageModel, base: Checkpoint, context_length: int
) -> list[_OwnText]:
    """The texts that are read, as they were drawn: after the prompt that was sent, to the end.

    Raises:
        InputError: A prompt is longer than what one of the models reads.
    """
    checkpoint = context.checkpoint
    assert checkpoint is not None
    chosen = _chosen(context, checkpoint)
    texts = []
    for scored in own_texts(context):
        key = _key(scored)
        if key in chosen:
            context_ids, token_ids = scored.tokens(model, checkpoint)
            if len(context_ids) > context_length:
                raise InputError(
                    f"the prompt of {scored.text_id} has {len(context_ids)} tokens, more than the "
                    f"{context_length} that both {checkpoint.name} and {base.name} read; shorten it"
                )
            if token_ids:
                texts.append(
                    _OwnText(key, scored.item, Text(scored.text_id, context_ids, token_ids))
                )
    return texts


def _key(scored: ScoredText) -> Key:
    return scored.part.decoding, scored.part.corpus, scored.text_id


def _chosen(context: AssetContext, checkpoint: Checkpoint) -> set[Key]:
    """The generations that are read: of each decoding as many as the study asks for.

    A first generation of every prompt comes before a second of any.
    """
    settings = context.study.divergence
    assert settings is not None
    columns = ["decoding", "prompt_set", "prompt_id", "sample", "n_tokens"]
    rows = context.lake.read(tables.GENERATIONS, checkpoint.name, columns).to_pylist()
    chosen: set[Key] = set()
    for decoding in context.study.compared_decodings(checkpoint):
        of_decoding = [row for row in rows if row["decoding"] == decoding]
        n_tokens = 0
        for row in sorted(of_decoding, key=lambda row: int(row["sample"])):
            if n_tokens >= settings.tokens:
                break
            chosen.add((decoding, row["prompt_set"], f"{row['prompt_id']}/{row['sample']}"))
            n_tokens += row["n_tokens"]
    return chosen


def _token_text(model: LanguageModel) -> Callable[[int], str]:
    """A function that gives a token's text, special ones as they are written."""
    tokenizer = model.tokenizer

    @cache
    def text_of(token_id: int) -> str:
        return str(tokenizer.decode([token_id], clean_up_tokenization_spaces=False))

    return text_of


def _batch(
    one: _OwnText, base: str, divergences: Divergences, token_text: Callable[[int], str]
) -> pa.RecordBatch:
    """The rows of one text."""
    token_ids = one.text.token_ids
    n = len(token_ids)

    def every(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), n)

    decoding, corpus, text_id = one.key
    columns = {
        "decoding": every(decoding),
        "corpus": every(corpus),
        "text_id": every(text_id),
        "position": np.arange(n, dtype=np.int32),
        "item": every(one.item),
        "other": every(base),
        "token_id": np.asarray(token_ids, dtype=np.int32),
        "token": [token_text(token_id) for token_id in token_ids],
        "kl": divergences.kl,
        "base_rank": divergences.rank,
        "base_logprob": divergences.logprob,
    }
    arrays = [pa.array(columns[field.name], field.type) for field in _TABLE.arrow_schema]
    return pa.RecordBatch.from_arrays(arrays, schema=_TABLE.arrow_schema)


def _folder(checkpoint: Checkpoint, base: Checkpoint, texts: list[_OwnText]) -> str:
    """The folder in staging of rows that would come out the same again."""
    models = [[one.digest(), one.dtype, str(predicted_by(one))] for one in (checkpoint, base)]
    read = digest([[*one.key, one.text.context_ids, one.text.token_ids] for one in texts])
    return digest([TOKEN_DIVERGENCE.version, models, read])


def _staged(context: AssetContext, folder: str, n_tokens: Mapping[Key, int]) -> set[Key]:
    """The texts that are staged; files with others, or with some twice, are removed."""
    staged: set[Key] = set()
    for path in staged_files(context, _TABLE, folder):
        keys = ["decoding", "corpus", "text_id"]
        counted = pq.read_table(path, columns=keys).group_by(keys).aggregate([([], "count_all")])
        counts = {
            (row["decoding"], row["corpus"], row["text_id"]): row["count_all"]
            for row in counted.to_pylist()
        }
        if staged.isdisjoint(counts) and all(n_tokens.get(k) == n for k, n in counts.items()):
            staged.update(counts)
        else:
            path.unlink(missing_ok=True)
    return staged


def _pair(study: Study, checkpoint: Checkpoint | None) -> tuple[Checkpoint, Checkpoint]:
    """A checkpoint and its base."""
    assert checkpoint is not None
    assert checkpoint.base is not None
    return checkpoint, study.whole.checkpoint(checkpoint.base)


def applies(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether a study asks for it, and there are models here of a checkpoint and of its base."""
    if study.divergence is None or checkpoint is None or checkpoint.base is None:
        return False
    return all(can_score(study, one) for one in _pair(study, checkpoint))


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    ours, base = _pair(study, checkpoint)
    assert study.divergence is not None
    return {
        **model_parameters(ours),
        "base": [base.name, model_parameters(base)],
        "prompt_format": ours.format_of_prompts.parameters,
        "divergence": study.divergence.tokens,
        "decodings": study.compared_decodings(ours),
    }


def _signature(context: AssetContext) -> Signature:
    checkpoint, base = _pair(context.study, context.checkpoint)
    assert context.study.divergence is not None
    settings = Signature.of(
        base=f"{base.name}@{short(base.digest())}", tokens=context.study.divergence.tokens
    )
    return settings + signature_of_facts(context, checkpoint)


TOKEN_DIVERGENCE = TableAsset(
    name="token_divergence",
    group="predictions",
    description=_TABLE.description,
    reads=("prompts", "checkpoints", "generations"),
    changes_with=("checkpoints", "generations"),
    unlabelled=("checkpoints",),
    uses_model=True,
    parameters=_parameters,
    settings=("divergence",),
    applies=applies,
    of_partners=("checkpoints",),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
