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
from assets.lineage.asset import TableRecipe, Work
from assets.lineage.staging import kept_parts, note_made_from, put_aside
from assets.sources.prompts import prompt_set
from assets.study.digests import digest
from assets.study.errors import InputError
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from aligners import Aligner
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_SCHEMA = tables.ALIGNMENTS.arrow_schema


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
def _rows(work: Work) -> Iterator[Iterator[pa.RecordBatch]]:
    """Aligns the prompts whose alignments are not there yet, and keeps each that is finished."""
    prompts = _generations(work)
    with opened(work.study.aligner) as aligner:
        made_from = {
            prompt_id: digest(
                [aligner.signature, ALIGNMENTS.version, rows.drop_columns("prompt_id").to_pylist()]
            )
            for prompt_id, rows in prompts.items()
        }
        note_made_from(work, made_from)
        found = kept_parts(work, tables.ALIGNMENTS, ["prompt_id"], made_from)
        work.notes["prompts kept from before"] = len(found)
        todo = {prompt_id: rows for prompt_id, rows in prompts.items() if prompt_id not in found}
        found.update(_aligned(work, aligner, todo))
    yield (batch for prompt_id in prompts for batch in found[prompt_id].to_batches())


def _generations(work: Work) -> dict[str, pa.Table]:
    """The generations that are aligned, by prompt: those that are compared, of the study's prompts.

    What continues beginnings of documents is left out: it answers no prompt.
    """
    checkpoint = work.checkpoint
    assert checkpoint is not None
    (path,) = work.lake.files(tables.GENERATIONS, checkpoint.name)
    rows = pq.read_table(
        path,
        columns=["decoding", "prompt_id", "sample", "text"],
        filters=(pc.field("decoding") == work.study.first_decoding(checkpoint))
        & (pc.field("prompt_set") == prompt_set(work.study, checkpoint)),
        partitioning=None,
    )
    return {
        prompt_id: rows.filter(pc.equal(rows["prompt_id"], prompt_id))
        for prompt_id in rows["prompt_id"].unique().to_pylist()
    }


def _aligned(
    work: Work, aligner: Aligner, prompts: Mapping[str, pa.Table]
) -> Iterator[tuple[str, pa.Table]]:
    """Aligns prompts, one on each core: the aligners run outside of Python's lock."""
    if not prompts:
        return
    assert work.checkpoint is not None
    characters = {
        prompt_id: pc.sum(pc.utf8_length(rows["text"])).as_py()
        for prompt_id, rows in prompts.items()
    }
    work.progress.start(f"{work.checkpoint.name}: aligning", sum(characters.values()), "characters")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        running = {
            pool.submit(aligner.columns, rows["text"].to_pylist()): prompt_id
            for prompt_id, rows in prompts.items()
        }
        for done in as_completed([*running]):
            prompt_id = running.pop(done)
            piece = _table(prompts[prompt_id], done.result(), work.study.aligner)
            put_aside(work, tables.ALIGNMENTS, piece)
            work.progress.advance(characters[prompt_id], characters[prompt_id])
            yield prompt_id, piece
    finally:
        aligner.close()  # before the pool waits for what runs
        pool.shutdown(cancel_futures=True)
        work.progress.finish()


def _table(generations: pa.Table, columns: Sequence[np.ndarray], aligner: str) -> pa.Table:
    width = max((int(c[-1]) + 1 for c in columns if len(c)), default=0)
    n = generations.num_rows
    return pa.table(
        [
            generations["decoding"],
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
        "prompts": prompt_set(study, checkpoint),
    }


def _signature(work: Work) -> str:
    with opened(work.study.aligner) as aligner:
        generations = work.inventory.source_signature("generations", work.partition)
        return f"{generations}|aligner:{aligner.signature}"


ALIGNMENTS = TableRecipe(
    name="alignments",
    group="blueprints",
    description=tables.ALIGNMENTS.description,
    reads=("generations",),
    parameters=_parameters,
    table=tables.ALIGNMENTS,
    rows=_rows,
    signature=_signature,
)
