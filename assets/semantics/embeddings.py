"""`embeddings`: generations and their sentences as vectors, of each different text one."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.lineage.code import code_version
from assets.lineage.signature import Signature, short
from assets.lineage.staging import finished_rows, note_part_versions, stage
from assets.sources.prompt_sets import prompt_set
from assets.study.digests import digest
from models.devices import resolve_device
from models.embedding import encoder_digest, library_version, load_encoder
from warehouse import tables
from warehouse.sessions import bind, session
from warehouse.vocabulary import SENTENCES, load_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models.embedding import Embedded

_TABLE = tables.EMBEDDINGS
_QUERY = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_WAY = "1"
"""Changes when texts are embedded otherwise."""
_CHARACTERS = 1 << 19
"""Of texts that are embedded together, and then staged."""
_ROWS = 1000
_VERSION = "texts"
"""The one part that rows have a version for."""


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Embeds the texts that are not there yet, and keeps each group that is finished."""
    assert context.study.embedder is not None
    key = digest([encoder_digest(context.study.embedder), _WAY])
    note_part_versions(context, {_VERSION: key}, run_by())
    finished = {_name(text) for rows in _finished(context, key) for text in _texts_of(rows)}
    wanted: set[bytes] = set()
    n_characters = 0
    for text in _different(context, wanted):
        n_characters += len(text) if _name(text) not in finished else 0
    context.notes |= {"texts": len(wanted), "texts kept from before": len(wanted & finished)}
    if n_characters:
        context.progress.start(f"{context.partition}: embedding", n_characters, "characters")
        try:
            for group in _groups(_different(context, set())):
                if todo := [text for text in group if _name(text) not in finished]:
                    stage(context, _TABLE, _embedded(context, todo))
        finally:
            context.progress.finish()
    yield _published(context, key, wanted)


def _different(context: AssetContext, seen: set[bytes]) -> Iterator[str]:
    """The texts that are embedded, each once, in their order; their names are put into `seen`."""
    assert context.checkpoint is not None
    parameters = {
        "prompt_set": prompt_set(context.study, context.checkpoint).name,
        "first_decoding": context.study.first_decoding(context.checkpoint),
    }
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, [tables.GENERATIONS], [context.checkpoint.name])
        load_words(connection, _QUERY)
        for batch in connection.sql(_QUERY, params=parameters).to_arrow_reader(_ROWS):
            for text, parts in zip(*(column.to_pylist() for column in batch), strict=True):
                for part in (text, *parts):
                    if (name := _name(part)) not in seen:
                        seen.add(name)
                        yield part


def _name(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts that are embedded together, so many that there are few of each length alone."""
    group: list[str] = []
    n_characters = 0
    for text in texts:
        group.append(text)
        n_characters += len(text)
        if n_characters >= _CHARACTERS:
            yield group
            group, n_characters = [], 0
    if group:
        yield group


def _embedded(context: AssetContext, texts: list[str]) -> pa.Table:
    embedder = context.study.embedder
    assert embedder is not None
    encoder = load_encoder(embedder, encoder_digest(embedder))
    embedded = encoder.embed(texts, on_characters=lambda n: context.progress.advance(n, n))
    return as_table(texts, embedded)


def as_table(texts: list[str], embedded: Embedded) -> pa.Table:
    """Texts and their vectors as rows of the table."""
    n, width = embedded.vectors.shape
    numbers = pa.array(embedded.vectors.astype(np.float16).ravel(), pa.float16())
    offsets = pa.array(np.arange(0, n * width + 1, width), pa.int32())
    columns = {
        "text": pa.array(texts, pa.string()),
        "n_tokens": pa.array(embedded.n_tokens, pa.int32()),
        "is_cut": pa.array(embedded.is_cut, pa.bool_()),
        "embedding": pa.ListArray.from_arrays(offsets, numbers),
    }
    schema = _TABLE.arrow_schema
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _finished(context: AssetContext, key: str) -> Iterator[pa.Table]:
    """Rows that are published or staged, and would come out the same again."""
    for rows, versions in finished_rows(context, _TABLE):
        if versions.get(_VERSION) == key:
            yield rows


def _texts_of(rows: pa.Table) -> list[str]:
    texts: list[str] = rows["text"].to_pylist()
    return texts


def _published(context: AssetContext, key: str, wanted: Set[bytes]) -> Iterator[pa.RecordBatch]:
    """All rows that are wanted, a file of them after the other."""
    left = set(wanted)
    n_cut = 0
    for rows in _finished(context, key):
        chosen = []
        for text in _texts_of(rows):
            name = _name(text)
            chosen.append(name in left)
            left.discard(name)
        some = rows.filter(pa.array(chosen, pa.bool_()))
        n_cut += pc.sum(some["is_cut"]).as_py() or 0
        yield from some.to_batches()
    context.notes["texts that are cut"] = n_cut
    if n_cut:
        context.progress.say(
            f"{context.partition}: {n_cut:,} of {len(wanted):,} texts are longer than what the "
            "embedder reads; their embeddings are of their beginnings (`is_cut` in `embeddings`)"
        )


def run_by() -> Signature:
    """What runs the embedder on this machine."""
    return Signature.of(engine=f"st-{library_version()}", device=resolve_device(None).type)


def has_embedder(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether the study names an embedder."""
    return study.embedder is not None


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    assert study.embedder is not None
    return {
        "embedder": encoder_digest(study.embedder),
        **run_by().to_dict(),
        "decodings": study.first_decoding(checkpoint),
        "prompts": prompt_set(study, checkpoint).name,
    }


def _signature(context: AssetContext) -> Signature:
    embedder = context.study.embedder
    assert embedder is not None
    generations = context.upstream["generations"].signature(context.partition)
    named = f"{embedder.location.rpartition('/')[2]}@{short(encoder_digest(embedder))}"
    return generations + Signature.of(embedder=named) + run_by()


EMBEDDINGS = TableAsset(
    name="embeddings",
    group="semantics",
    description=_TABLE.description,
    reads=("generations",),
    version=code_version(SENTENCES),
    parameters=_parameters,
    settings=("embedder",),
    applies=has_embedder,
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
