"""`token_texts`: what each token adds to the text of a generation that its checkpoint predicts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.predictions.scored_texts import can_score
from assets.sources.checkpoints import facts_of_model, load_model
from models.pieces import pieces_of
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_SCHEMA = tables.TOKEN_TEXTS.arrow_schema
_KEY = ("decoding", "prompt_set", "prompt_id", "sample")


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    rows = context.lake.read(tables.GENERATIONS, checkpoint.name, [*_KEY, "token_ids"])
    compared = pa.array(context.study.compared_decodings(checkpoint), pa.string())
    # Of the model that the run has loaded for other steps: reading a large tokenizer takes seconds.
    tokenizer = load_model(context, checkpoint).tokenizer
    for batch in rows.filter(pc.is_in(rows["decoding"], compared)).to_batches(max_chunksize=1000):
        pieces = [pieces_of(tokenizer, token_ids) for token_ids in batch["token_ids"].to_pylist()]
        columns = {name: batch[name] for name in _KEY}
        columns["pieces"] = pa.array(pieces, pa.list_(pa.string()))
        yield from pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {"weights": checkpoint.digest(), "decodings": study.compared_decodings(checkpoint)}


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    return Signature.of(tokenizer=short(facts_of_model(context, context.checkpoint)["tokenizer"]))


TOKEN_TEXTS = TableAsset(
    name="token_texts",
    group="predictions",
    description=tables.TOKEN_TEXTS.description,
    reads=("checkpoints", "generations"),
    changes_with=("checkpoints", "generations"),
    unlabelled=("checkpoints",),
    uses_model=True,
    parameters=_parameters,
    applies=can_score,
    table=tables.TOKEN_TEXTS,
    rows=_rows,
    signature=_signature,
)
