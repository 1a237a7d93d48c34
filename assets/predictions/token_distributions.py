"""`token_distributions`: how likely a checkpoint takes every token of a text to be."""

from __future__ import annotations

import hashlib
import itertools
import json
from array import array
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache, reduce
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.lineage.space import need_space
from assets.lineage.staging import note_part_versions, open_rows, stage, staged_files
from assets.predictions.scored_texts import Part, can_score, tells_logprobs, texts_to_score
from assets.predictions.server_distributions import server_rows
from assets.sources.checkpoints import (
    load_shards,
    model_parameters,
    model_signature,
    predicted_by,
    sampler_name,
)
from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.thresholds import written
from models import Kept, ModelError, Text, score
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel, Scored

    Encode = Callable[[str], array[int]]
    """Gives the tokens of a text of which none are known."""

_SCHEMA = tables.TOKEN_DISTRIBUTIONS.arrow_schema
_BYTES = 2 * 156
"""Of a token's row at most: in staging, and in its place before staging is emptied."""


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    yield (
        _scored(context, checkpoint)
        if can_score(context.study, checkpoint)
        else server_rows(context)
    )


def _scored(context: AssetContext, checkpoint: Checkpoint) -> Iterator[pa.RecordBatch]:
    """Scores what is not there yet, keeping every finished group of texts on the disk."""
    model = load_shards(context, checkpoint)

    # Texts are gone through twice, and encoded once: 4 bytes a token are kept meanwhile.
    @cache
    def encode(text: str) -> array[int]:
        return array("i", model.encode(text))

    digests, lengths = _survey(context, model, encode)
    n_tokens = {part: sum(of_texts.values()) for part, of_texts in lengths.items()}
    versions = {_name(part): version for part, version in digests.items()}
    note_part_versions(context, versions, predicted_by(checkpoint))
    published = _published(context, digests)
    missing = {part for part, rows in published.items() if rows is None}
    context.notes["tokens kept from before"] = sum(
        n_tokens[part] for part in set(published) - missing
    )
    n_scored, start = 0, perf_counter()
    n_missing = sum(n_tokens[part] for part in missing)
    need_space(context, n_missing * _BYTES, f"scoring {n_missing:,} tokens")
    if n_missing:
        context.progress.start(f"{checkpoint.name}: scoring", n_missing, "tokens")

    def on_tokens(scored: int) -> None:
        nonlocal n_scored
        n_scored += scored
        context.progress.advance(scored, scored)

    try:
        for part, texts in _texts_by_part(context, model, encode):
            if part in missing:
                folder = _folder(context, part, digests[part])
                staged = _staged_texts(context, folder, lengths[part])
                _score_part(context, model, part, folder, texts, staged, on_tokens)
    finally:
        if n_missing:
            context.progress.finish()
    context.notes["tokens scored"] = n_scored
    context.notes["tokens per second"] = round(n_scored / (perf_counter() - start), 1)
    return itertools.chain.from_iterable(
        rows or _staged(context, _folder(context, part, digests[part]), lengths[part])
        for part, rows in published.items()
    )


def _texts_by_part(
    context: AssetContext, model: LanguageModel, encode: Encode
) -> Iterator[tuple[Part, Iterator[Text]]]:
    """The texts as the model reads them; each part's must be read before the next's."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    for part, texts in itertools.groupby(texts_to_score(context), key=lambda text: text.part):
        yield part, (Text(text.text_id, *text.tokens(model, checkpoint, encode)) for text in texts)


def _survey(
    context: AssetContext, model: LanguageModel, encode: Encode
) -> tuple[dict[Part, str], dict[Part, dict[str, int]]]:
    """For each part a digest of all that its rows depend on, and the tokens of each text."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    shared: list[object] = [checkpoint.digest(), checkpoint.dtype, TOKEN_DISTRIBUTIONS.version]
    if changed := _changed_thresholds(context.study, checkpoint):
        shared.append(changed)
    digests: dict[Part, str] = {}
    lengths: dict[Part, dict[str, int]] = {}
    for part, texts in _texts_by_part(context, model, encode):
        whole = hashlib.sha256(json.dumps(shared).encode())
        lengths[part] = {}
        for text in texts:
            if len(text.context_ids) > model.context_length:
                raise InputError(
                    f"the prompt of {text.name} has {len(text.context_ids)} tokens, more than the "
                    f"{model.context_length} that {checkpoint.name} reads; shorten it"
                )
            whole.update(
                json.dumps([text.name, *map(list, (text.context_ids, text.token_ids))]).encode()
            )
            lengths[part][text.name] = len(text.token_ids)
        digests[part] = whole.hexdigest()[:32]
    return digests, lengths


def _staged_texts(context: AssetContext, folder: str, lengths: Mapping[str, int]) -> set[str]:
    """The texts that are staged; files with one that has other tokens now are removed."""
    staged: set[str] = set()
    for path in staged_files(context, tables.TOKEN_DISTRIBUTIONS, folder):
        counts = pc.value_counts(pq.read_table(path, columns=["text_id"])["text_id"]).to_pylist()
        if all(lengths.get(count["values"]) == count["counts"] for count in counts):
            staged.update(count["values"] for count in counts)
        else:
            path.unlink(missing_ok=True)
    return staged


def _score_part(
    context: AssetContext,
    model: LanguageModel,
    part: Part,
    folder: str,
    texts: Iterable[Text],
    staged: Set[str],
    on_tokens: Any,
) -> None:
    def counted() -> Iterator[Text]:
        for text in texts:
            if text.name in staged:
                context.progress.advance(0, len(text.token_ids))
            yield text

    thresholds = context.study.thresholds
    kept = Kept(thresholds.top_k, thresholds.support)
    try:
        for group in score(model, counted(), finished=staged, on_tokens=on_tokens, kept=kept):
            batches = [_batch(part, scored, thresholds.likeliest) for scored in group]
            rows = pa.Table.from_batches(batches)
            stage(context, tables.TOKEN_DISTRIBUTIONS, rows.combine_chunks(), folder)
    except ModelError as error:
        raise ModelError(f"{part.condition} text of {part.corpus}: {error}") from error


def _batch(part: Part, scored: Scored, likeliest: int) -> pa.RecordBatch:
    """The rows of one text, with so many of the most likely tokens at each place."""
    distributions = scored.distributions
    n = len(distributions)

    def every(value: str) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.string()), n)

    columns = {
        "condition": every(part.condition),
        "decoding": every(part.decoding),
        "corpus": every(part.corpus),
        "text_id": every(scored.text.name),
        "position": np.arange(n, dtype=np.int32),
        "token_id": np.asarray(scored.text.token_ids, dtype=np.int32),
        "logprob": distributions.logprob,
        "rank": distributions.rank,
        "entropy": distributions.entropy,
        "support": distributions.support,
        "top_mass": _lists(distributions.top_mass),
        "top_ids": _lists(distributions.top_ids[:, :likeliest]),
        "top_logprobs": _lists(distributions.top_logprobs[:, :likeliest]),
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


def _published(
    context: AssetContext, versions: Mapping[Part, str]
) -> dict[Part, Iterator[pa.RecordBatch] | None]:
    """Each part's rows in the lake, if they would come out the same again; else None."""
    opened = None
    if not context.force:
        for path in context.lake.files(tables.TOKEN_DISTRIBUTIONS, context.partition):
            opened = open_rows(context, path) if context.lake.is_whole(path) else None
    if opened is None:
        return dict.fromkeys(versions)
    file, known = opened
    return {
        part: _rows_of_part(file, part) if known.get(_name(part)) == version else None
        for part, version in versions.items()
    }


def _rows_of_part(file: pq.ParquetFile, part: Part) -> Iterator[pa.RecordBatch]:
    """Its rows, of the row groups alone that may have any: parts are written one by one."""
    values = asdict(part)
    for group in range(file.num_row_groups):
        if _may_have(file.metadata.row_group(group), values):
            for batch in file.iter_batches(row_groups=[group]):
                of_part = reduce(pc.and_, (pc.equal(batch[k], v) for k, v in values.items()))
                some = batch.filter(of_part)
                if some.num_rows:
                    yield some


def _may_have(group: pq.RowGroupMetaData, values: Mapping[str, str]) -> bool:
    """Whether a row group's statistics leave room for rows with these values."""
    for i in range(group.num_columns):
        column = group.column(i)
        value, bounds = values.get(column.path_in_schema), column.statistics
        known = value is not None and bounds is not None and bounds.has_min_max
        if known and not bounds.min <= value <= bounds.max:
            return False
    return True


def _staged(
    context: AssetContext, folder: str, lengths: Mapping[str, int]
) -> Iterator[pa.RecordBatch]:
    """The part's rows, in the order of the texts; of those that two processes scored, of one."""
    seen: set[str] = set()
    n_rows, n_tokens = 0, sum(lengths.values())
    place = {text_id: i for i, text_id in enumerate(lengths)}

    def first_place(path: Path) -> int:
        file = pq.ParquetFile(path)
        (batch,) = itertools.islice(file.iter_batches(1, columns=["text_id"]), 1)
        return place[batch["text_id"][0].as_py()]

    paths = staged_files(context, tables.TOKEN_DISTRIBUTIONS, folder)
    for path in sorted(paths, key=first_place):  # stable: of the same texts, the older comes first
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


def _folder(context: AssetContext, part: Part, version: str) -> str:
    """A part's folder in staging; two parts may be the same texts, where two models write alike."""
    assert context.checkpoint is not None
    run_by = str(predicted_by(context.checkpoint))
    return digest([_name(part), version, run_by])


def _thresholds(study: Study, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Keys of the thresholds that its rows are made with; of servers all that they told is kept."""
    return ("top_k", "support", "likeliest") if can_score(study, checkpoint) else ("top_k",)


def _changed_thresholds(study: Study, checkpoint: Checkpoint) -> dict[str, object]:
    """Those that are not the default: at the defaults, rows of before there were keys stay."""
    keys = _thresholds(study, checkpoint)
    return {key: value for key, value in study.thresholds.changed().items() if key in keys}


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        **model_parameters(checkpoint),
        "prompt_format": checkpoint.format_of_prompts.parameters,
        **_changed_thresholds(study, checkpoint),
    }


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    texts = context.upstream["scored_texts"].signature(context.partition)
    keys = _thresholds(context.study, context.checkpoint)
    kept = Signature.of(**{key: written(getattr(context.study.thresholds, key)) for key in keys})
    if not can_score(context.study, context.checkpoint):
        return texts + kept + Signature.of(engine=sampler_name(context.checkpoint))
    model = load_shards(context, context.checkpoint)
    return texts + kept + Signature.of(context_length=model.context_length) + model_signature(model)


TOKEN_DISTRIBUTIONS = TableAsset(
    name="token_distributions",
    version="2",
    group="predictions",
    description=tables.TOKEN_DISTRIBUTIONS.description,
    reads=("documents", "prompts", "checkpoints", "generations", "scored_texts"),
    optional=("documents",),
    changes_with=("documents", "checkpoints", "generations", "scored_texts"),
    unlabelled=("checkpoints",),
    uses_model=True,
    parameters=_parameters,
    settings=("thresholds.top_k", "thresholds.support", "thresholds.likeliest"),
    applies=tells_logprobs,
    of_partners=("checkpoints", "generations"),
    table=tables.TOKEN_DISTRIBUTIONS,
    rows=_rows,
    signature=_signature,
)
