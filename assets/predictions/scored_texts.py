"""`scored_texts`: what a checkpoint predicts, and how long it is."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.digests import digest
from assets.recipe import TableRecipe, Work
from assets.sources.prompts import Prompt, prompt_format
from models import encode_prompt
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.study import Study
    from assets.study_checkpoints import Checkpoint
    from models import LanguageModel

GOLD, OWN = "gold", "own"
_BATCH = 1000
_SCHEMA = tables.SCORED_TEXTS.arrow_schema


@dataclass(frozen=True)
class Part:
    """Texts that are scored together: of one condition, decoding and corpus, as the table says."""

    condition: str
    decoding: str
    corpus: str


@dataclass(frozen=True)
class ScoredText:
    """A text that a checkpoint predicts.

    Attributes:
        part: What it belongs to.
        text_id: As in the table.
        category: The corpus's category, or `prompts` where it continues a prompt of the study's.
        text: The text.
        prompt: What it continues; None for human text.
        token_ids: Its tokens, where the scorer's tokenizer made them; else None.
    """

    part: Part
    text_id: str
    category: str
    text: str
    prompt: Prompt | None = None
    token_ids: list[int] | None = None

    @property
    def item(self) -> str:
        """The document or prompt: what figures average over."""
        return self.text_id if self.prompt is None else str(self.prompt["prompt_id"])

    def tokens(self, model: LanguageModel, checkpoint: Checkpoint) -> tuple[list[int], list[int]]:
        """What comes before it and its own tokens, as the scorer reads them.

        Human text comes after BOS. A generation comes after its prompt, given as this checkpoint is
        given it.
        """
        token_ids = model.encode(self.text) if self.token_ids is None else self.token_ids
        if self.prompt is None:
            return [model.start_token_id], token_ids
        format_ = prompt_format(checkpoint, self.prompt)
        return encode_prompt(model.tokenizer, str(self.prompt["text"]), format_), token_ids


def texts_to_score(work: Work) -> Iterator[ScoredText]:
    """What a checkpoint predicts, a part after the other: documents, its own text, its partners'.

    Its own generations are scored token by token as they were drawn, the end included. Of others'
    the end is left out, as each model ends a text in its own way, and they are encoded anew where
    the tokenizer is another.
    """
    yield from _documents(work)
    yield from generated_texts(work)


def generated_texts(work: Work) -> Iterator[ScoredText]:
    """Of those the generations: a checkpoint's own and its partners', a part after the other."""
    checkpoint = work.checkpoint
    assert checkpoint is not None
    prompts = {
        (prompt["prompt_set"], prompt["prompt_id"]): prompt
        for prompt in work.lake.read(tables.PROMPTS).to_pylist()
    }
    for writer in (checkpoint, *work.study.partners(checkpoint)):
        if work.lake.files(tables.GENERATIONS, writer.name):
            yield from _generations(work, checkpoint, writer, prompts)


def _documents(work: Work) -> Iterator[ScoredText]:
    if not work.lake.files(tables.DOCUMENTS) or not work.study.corpora:
        return
    for batch in pq.ParquetFile(work.lake.path(tables.DOCUMENTS)).iter_batches(_BATCH):
        for row in batch.to_pylist():
            part = Part(GOLD, "-", row["corpus"])
            yield ScoredText(part, row["document_id"], row["category"], row["text"])


def _generations(
    work: Work,
    scorer: Checkpoint,
    writer: Checkpoint,
    prompts: dict[tuple[str | None, str | None], Prompt],
) -> Iterator[ScoredText]:
    own = writer.name == scorer.name
    same_tokens = own or _tokenizer(work, scorer) == _tokenizer(work, writer)
    rows = work.lake.read(tables.GENERATIONS, writer.name)
    for decoding in work.study.compared_decodings(writer):
        some = rows.filter(pc.equal(rows["decoding"], decoding))
        # A part is one set of prompts; the table's order keeps each together.
        for prompt_set in dict.fromkeys(some["prompt_set"].to_pylist()):
            part = Part(OWN if own else writer.name, decoding, prompt_set)
            for batch in some.filter(pc.equal(some["prompt_set"], prompt_set)).to_batches(_BATCH):
                for row in batch.to_pylist():
                    prompt = prompts.get((prompt_set, row["prompt_id"]))
                    if prompt is None:  # of generations older than the prompts
                        continue
                    yield ScoredText(
                        part,
                        f"{row['prompt_id']}/{row['sample']}",
                        str(prompt["category"]) if prompt["corpus"] else "prompts",
                        row["text"],
                        prompt,
                        _token_ids(row, own) if same_tokens else None,
                    )


def _token_ids(row: dict[str, Any], own: bool) -> list[int]:
    ids: list[int] = row["token_ids"]
    return ids if own or row["finish_reason"] == "length" else ids[:-1]


def _tokenizer(work: Work, checkpoint: Checkpoint) -> str | None:
    """The digest of its tokenizer; one of its own where it is not known, equal to no other."""
    rows = work.lake.read(tables.CHECKPOINTS, checkpoint.name)
    return rows["tokenizer"][0].as_py() or checkpoint.name


@contextmanager
def _rows(work: Work) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(work)


def _batches(work: Work) -> Iterator[pa.RecordBatch]:
    texts = texts_to_score(work)
    while some := list(itertools.islice(texts, _BATCH)):
        rows = [
            {
                "condition": text.part.condition,
                "decoding": text.part.decoding,
                "corpus": text.part.corpus,
                "text_id": text.text_id,
                "category": text.category,
                "item": text.item,
                "n_bytes": len(text.text.encode()),
                "n_words": len(text.text.split()),
            }
            for text in some
        ]
        yield from pa.Table.from_pylist(rows, _SCHEMA).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    writers = [checkpoint, *study.partners(checkpoint)]
    return {"decodings": [[writer.name, study.compared_decodings(writer)] for writer in writers]}


def _signature(work: Work) -> str:
    assert work.checkpoint is not None
    writers = [partner.name for partner in work.study.partners(work.checkpoint)]
    texts = "+".join([*([GOLD] if work.study.corpora else []), OWN, *writers])
    corpora = digest([corpus.digest() for corpus in work.study.corpora])
    return f"texts:{texts}|corpora:{corpora[:8]}"


def has_model(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether there is a model to predict with, and not only generations made elsewhere."""
    return checkpoint is not None and not checkpoint.source.is_generations


SCORED_TEXTS = TableRecipe(
    name="scored_texts",
    group="predictions",
    description=tables.SCORED_TEXTS.description,
    reads=("documents", "prompts", "checkpoints", "generations"),
    optional=("documents",),
    changes_with=("documents", "checkpoints", "generations"),
    parameters=_parameters,
    applies=has_model,
    of_partners=("checkpoints", "generations"),
    table=tables.SCORED_TEXTS,
    rows=_rows,
    signature=_signature,
)
