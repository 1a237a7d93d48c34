"""`alignments`: all generations of a prompt in one multiple sequence alignment (section 4.2)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aligners import AlignerError, NotInstalledError, WordsFirst, open_aligner
from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_parts, note_part_versions, stage
from assets.sources.prompt_sets import prompt_set
from assets.study.digests import digest
from assets.study.errors import InputError
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from aligners import Aligner
    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_SCHEMA = tables.ALIGNMENTS.arrow_schema
_WAY = "1"
"""Changes when the same texts are aligned otherwise."""


@contextmanager
def opened(name: str) -> Iterator[Aligner]:
    """Opens the aligner that a study names.

    Raises:
        InputError: It is not installed, or it could not align.
    """
    try:
        with open_aligner(name) as aligner:
            yield aligner
    except NotInstalledError as error:
        raise InputError(
            f"aligner: {error}, or use `aligner: anchorlake`, which is built in"
        ) from error
    except AlignerError as error:
        raise InputError(f"{error}; what was there before is unchanged") from error


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Aligns the prompts whose alignments are not there yet, and keeps each that is finished."""
    assert context.checkpoint is not None
    answered = prompt_set(context.study, context.checkpoint).name
    prompts = _generations(context, context.checkpoint, answered)
    with opened(context.study.aligner) as aligner:
        part_versions = {
            prompt_id: digest(
                [
                    aligner.signature,
                    _WAY,
                    rows.select(["decoding", "sample", "text"]).to_pylist(),
                ]
            )
            for prompt_id, rows in prompts.items()
        }
        note_part_versions(context, part_versions)
        finished = {
            prompt_id: _of_set(answered, rows)
            for prompt_id, rows in finished_parts(
                context, tables.ALIGNMENTS, ["prompt_id"], part_versions, ["prompt_set"]
            ).items()
        }
        context.notes["prompts kept from before"] = len(finished)
        todo = {prompt_id: rows for prompt_id, rows in prompts.items() if prompt_id not in finished}
        finished.update(_aligned(context, aligner, todo))
    yield (batch for prompt_id in prompts for batch in finished[prompt_id].to_batches())


def _of_set(prompt_set_name: str, rows: pa.Table) -> pa.Table:
    """Rows under the name that their set of prompts has now; older ones have none.

    An alignment depends on texts, and not on what the set is called.
    """
    columns = {name: rows[name] for name in rows.column_names}
    columns["prompt_set"] = pa.repeat(pa.scalar(prompt_set_name, pa.string()), len(rows))
    return pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _generations(
    context: AssetContext, checkpoint: Checkpoint, answered: str
) -> dict[str, pa.Table]:
    """The generations that are aligned, by prompt: those that are compared, of the set answered.

    What continues beginnings of documents is left out: it answers no prompt.
    """
    (path,) = context.lake.files(tables.GENERATIONS, checkpoint.name)
    rows = pq.read_table(
        path,
        columns=["decoding", "prompt_set", "prompt_id", "sample", "text"],
        filters=(pc.field("decoding") == context.study.first_decoding(checkpoint))
        & (pc.field("prompt_set") == answered),
        partitioning=None,
    )
    return {
        prompt_id: rows.filter(pc.equal(rows["prompt_id"], prompt_id))
        for prompt_id in rows["prompt_id"].unique().to_pylist()
    }


def _aligned(
    context: AssetContext, aligner: Aligner, prompts: Mapping[str, pa.Table]
) -> Iterator[tuple[str, pa.Table]]:
    """Aligns prompts, one on each core: the aligners run outside of Python's lock."""
    if not prompts:
        return
    assert context.checkpoint is not None
    characters = {
        prompt_id: pc.sum(pc.utf8_length(rows["text"])).as_py()
        for prompt_id, rows in prompts.items()
    }
    context.progress.start(
        f"{context.checkpoint.name}: aligning", sum(characters.values()), "characters"
    )
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        running = {
            pool.submit(aligner.columns, rows["text"].to_pylist()): prompt_id
            for prompt_id, rows in prompts.items()
        }
        for done in as_completed([*running]):
            prompt_id = running.pop(done)
            piece = _table(prompts[prompt_id], done.result(), context.study.aligner)
            stage(context, tables.ALIGNMENTS, piece)
            context.progress.advance(characters[prompt_id], characters[prompt_id])
            yield prompt_id, piece
    finally:
        aligner.close()  # before the pool waits for what runs
        pool.shutdown(cancel_futures=True)
        context.progress.finish()


def _table(generations: pa.Table, columns: Sequence[np.ndarray], aligner: str) -> pa.Table:
    width = max((int(c[-1]) + 1 for c in columns if len(c)), default=0)
    n = generations.num_rows
    return pa.table(
        [
            generations["decoding"],
            generations["prompt_set"],
            generations["prompt_id"],
            generations["sample"],
            pa.array(columns, pa.list_(pa.int32())),
            pa.array([width] * n, pa.int32()),
            pa.array([aligner] * n, pa.string()),
        ],
        schema=_SCHEMA,
    )


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    # MAFFT's version is that of the machine; another one is not a reason to align anew.
    aligner = WordsFirst.signature if study.aligner == "anchorlake" else study.aligner
    return {
        "aligner": aligner,
        "decodings": study.first_decoding(checkpoint),
        "prompts": prompt_set(study, checkpoint).name,
    }


def _signature(context: AssetContext) -> Signature:
    generations = context.upstream["generations"].signature(context.partition)
    with opened(context.study.aligner) as aligner:
        return generations + Signature.of(aligner=aligner.signature)


ALIGNMENTS = TableAsset(
    name="alignments",
    group="blueprints",
    description=tables.ALIGNMENTS.description,
    reads=("generations",),
    version="2",
    parameters=_parameters,
    settings=("aligner",),
    table=tables.ALIGNMENTS,
    rows=_rows,
    signature=_signature,
)
