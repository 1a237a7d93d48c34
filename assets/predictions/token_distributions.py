"""`token_distributions`: what a checkpoint makes of every token of a text."""

from __future__ import annotations

import hashlib
import itertools
import json
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.lineage.asset import TableRecipe, Work
from assets.lineage.staging import note_made_from, put_aside, read_made_from, staging
from assets.predictions.scored_texts import Part, can_score, tells_logprobs, texts_to_score
from assets.predictions.server_distributions import told_rows
from assets.sources.checkpoints import (
    load_model,
    model_parameters,
    model_signature,
    sampler_name,
)
from assets.study.digests import digest
from assets.study.errors import InputError
from models import ModelError, Text, score
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel, Scored

_SCHEMA = tables.TOKEN_DISTRIBUTIONS.arrow_schema


@contextmanager
def _rows(work: Work) -> Iterator[Iterator[pa.RecordBatch]]:
    checkpoint = work.checkpoint
    assert checkpoint is not None
    yield _scored(work, checkpoint) if can_score(work.study, checkpoint) else told_rows(work)


def _scored(work: Work, checkpoint: Checkpoint) -> Iterator[pa.RecordBatch]:
    """Scores what is not there yet, keeping every finished group of texts on the disk."""
    model = load_model(work, checkpoint)
    digests, n_tokens = _survey(work, model)
    note_made_from(work, {_name(part): d for part, d in digests.items()})
    kept = {part: _published(work, part, d) for part, d in digests.items()}
    missing = {part for part, rows in kept.items() if rows is None}
    work.notes["tokens kept from before"] = sum(n_tokens[part] for part in set(kept) - missing)
    n_scored, start = 0, perf_counter()
    n_missing = sum(n_tokens[part] for part in missing)
    if n_missing:
        work.progress.start(f"{checkpoint.name}: scoring", n_missing, "tokens")

    def on_tokens(scored: int) -> None:
        nonlocal n_scored
        n_scored += scored
        work.progress.advance(scored, scored)

    try:
        for part, texts in _texts_by_part(work, model):
            if part in missing:
                _score_part(work, model, part, digests[part], texts, on_tokens)
    finally:
        if n_missing:
            work.progress.finish()
    work.notes["tokens scored"] = n_scored
    work.notes["tokens per second"] = round(n_scored / (perf_counter() - start), 1)
    return itertools.chain.from_iterable(
        published or _staged(_staging(work, part, digests[part]), n_tokens[part])
        for part, published in kept.items()
    )


def _texts_by_part(work: Work, model: LanguageModel) -> Iterator[tuple[Part, Iterator[Text]]]:
    """The texts as the model reads them; each part's must be read before the next's."""
    checkpoint = work.checkpoint
    assert checkpoint is not None
    for part, texts in itertools.groupby(texts_to_score(work), key=lambda text: text.part):
        yield part, (Text(text.text_id, *text.tokens(model, checkpoint)) for text in texts)


def _survey(work: Work, model: LanguageModel) -> tuple[dict[Part, str], dict[Part, int]]:
    """For each part a digest of all that its rows depend on, and its number of tokens."""
    checkpoint = work.checkpoint
    assert checkpoint is not None
    shared = [checkpoint.digest(), checkpoint.dtype, TOKEN_DISTRIBUTIONS.version]
    digests: dict[Part, str] = {}
    n_tokens: dict[Part, int] = {}
    for part, texts in _texts_by_part(work, model):
        whole = hashlib.sha256(json.dumps(shared).encode())
        n_tokens[part] = 0
        for text in texts:
            if len(text.context_ids) > model.context_length:
                raise InputError(
                    f"the prompt of {text.name} has {len(text.context_ids)} tokens, more than the "
                    f"{model.context_length} that {checkpoint.name} reads; shorten it"
                )
            whole.update(
                json.dumps([text.name, *map(list, (text.context_ids, text.token_ids))]).encode()
            )
            n_tokens[part] += len(text.token_ids)
        digests[part] = whole.hexdigest()[:32]
    return digests, n_tokens


def _score_part(
    work: Work,
    model: LanguageModel,
    part: Part,
    made_from: str,
    texts: Iterable[Text],
    on_tokens: Any,
) -> None:
    folder = _staging(work, part, made_from)
    there = {
        text_id
        for path in folder.glob("*.parquet")
        for text_id in pc.unique(pq.read_table(path, columns=["text_id"])["text_id"]).to_pylist()
    }

    def left() -> Iterator[Text]:
        for text in texts:
            if text.name in there:
                work.progress.advance(0, len(text.token_ids))
            else:
                yield text

    try:
        for group in score(model, left(), on_tokens=on_tokens):
            rows = pa.Table.from_batches([_batch(part, scored) for scored in group])
            put_aside(work, tables.TOKEN_DISTRIBUTIONS, rows.combine_chunks(), folder.name)
    except ModelError as error:
        raise ModelError(f"{part.condition} text of {part.corpus}: {error}") from error


def _batch(part: Part, scored: Scored) -> pa.RecordBatch:
    """The rows of one text."""
    found = scored.distributions
    n = len(found)

    def every(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), n)

    columns = {
        "condition": every(part.condition),
        "decoding": every(part.decoding),
        "corpus": every(part.corpus),
        "text_id": every(scored.text.name),
        "position": np.arange(n, dtype=np.int32),
        "token_id": np.asarray(scored.text.token_ids, dtype=np.int32),
        "logprob": found.logprob,
        "rank": found.rank,
        "entropy": found.entropy,
        "support": found.support,
        "top_mass": _lists(found.top_mass),
        "top_ids": _lists(found.top_ids),
        "top_logprobs": _lists(found.top_logprobs),
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(column) for column in columns.values()], names=list(columns)
    )


def _lists(values: np.ndarray) -> pa.Array:
    """A list a row of [n, width]."""
    n, width = values.shape
    return pa.ListArray.from_arrays(
        pa.array(np.arange(n + 1, dtype=np.int32) * width), pa.array(values.ravel())
    )


def _name(part: Part) -> str:
    return json.dumps([part.condition, part.decoding, part.corpus])


def _published(work: Work, part: Part, made_from: str) -> Iterator[pa.RecordBatch] | None:
    """The part's rows in the lake, if they would come out the same again; else None."""
    path = work.lake.path(tables.TOKEN_DISTRIBUTIONS, work.partition)
    if work.force or not path.exists():
        return None
    found = read_made_from(path)
    if found is None or found[1].get(_name(part)) != made_from:
        return None
    return _rows_of_part(found[0], part)


def _rows_of_part(file: pq.ParquetFile, part: Part) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches():
        mine = pc.and_(
            pc.and_(
                pc.equal(batch["condition"], part.condition),
                pc.equal(batch["decoding"], part.decoding),
            ),
            pc.equal(batch["corpus"], part.corpus),
        )
        some = batch.filter(mine)
        if some.num_rows:
            yield some


def _staged(folder: Path, n_tokens: int) -> Iterator[pa.RecordBatch]:
    """The part's rows as they were staged; of texts that two processes scored, those of one."""
    seen: set[str] = set()
    n_rows = 0
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path)  # of one group of texts
        new = set(pc.unique(rows["text_id"]).to_pylist()) - seen
        seen |= new
        some = rows.filter(pc.is_in(rows["text_id"], pa.array(sorted(new), pa.string())))
        n_rows += some.num_rows
        yield from some.to_batches()
    if n_rows != n_tokens:
        raise RuntimeError(
            f"{n_rows} of {n_tokens} tokens are staged: another process works on the same "
            "checkpoint; run again once it is done"
        )


def _staging(work: Work, part: Part, made_from: str) -> Path:
    """A part's folder; two parts may be the same texts, where two models write the same."""
    return staging(work, tables.TOKEN_DISTRIBUTIONS) / digest([_name(part), made_from])


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        **model_parameters(checkpoint),
        "prompt_format": checkpoint.format_of_prompts.parameters,
    }


def _signature(work: Work) -> str:
    assert work.checkpoint is not None
    texts = work.inventory.source_signature("scored_texts", work.partition)
    if not can_score(work.study, work.checkpoint):
        return f"{texts}|engine:{sampler_name(work.checkpoint)}"
    model = load_model(work, work.checkpoint)
    return "|".join([texts, f"ctx:{model.context_length}", model_signature(model)])


TOKEN_DISTRIBUTIONS = TableRecipe(
    name="token_distributions",
    group="predictions",
    description=tables.TOKEN_DISTRIBUTIONS.description,
    reads=("documents", "prompts", "checkpoints", "generations", "scored_texts"),
    optional=("documents",),
    changes_with=("documents", "checkpoints", "generations", "scored_texts"),
    uses_model=True,
    parameters=_parameters,
    applies=tells_logprobs,
    of_partners=("checkpoints", "generations"),
    table=tables.TOKEN_DISTRIBUTIONS,
    rows=_rows,
    signature=_signature,
)
