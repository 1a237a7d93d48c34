"""`scored_texts`: what a checkpoint predicts, and how long it is."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.sources.prompts import prompt_format
from assets.study.digests import digest
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from assets.lineage.context import AssetContext
    from assets.sources.prompt_sets import Prompt
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
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
        reasoning_ids: The scorer's own reasoning trace, which stands before its answer.
        logprobs: Of its tokens, where a server told them.
        top_logprobs: Of the likeliest tokens at each place, where a server told them.
    """

    part: Part
    text_id: str
    category: str
    text: str
    prompt: Prompt | None = None
    token_ids: list[int] | None = None
    reasoning_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    top_logprobs: tuple[tuple[float, ...], ...] = ()

    @property
    def item(self) -> str:
        """The document or prompt: what figures average over."""
        return self.text_id if self.prompt is None else str(self.prompt["prompt_id"])

    def tokens(
        self,
        model: LanguageModel,
        checkpoint: Checkpoint,
        encode: Callable[[str], Iterable[int]] | None = None,
    ) -> tuple[list[int], list[int]]:
        """What comes before it and its own tokens, as the scorer reads them.

        Human text comes after BOS. A generation comes after its prompt, given as this checkpoint is
        given it.

        Args:
            model: The scorer.
            checkpoint: The scorer's checkpoint.
            encode: Encodes the text, if it must be; by default the model does.
        """
        token_ids = self.token_ids
        if token_ids is None:
            token_ids = list((encode or model.encode)(self.text))
        if self.prompt is None:
            return [model.start_token_id], token_ids
        sent = model.sent(prompt_format(checkpoint, self.prompt), str(self.prompt["text"]))
        return [*sent.token_ids, *self.reasoning_ids], token_ids


def texts_to_score(context: AssetContext) -> Iterator[ScoredText]:
    """What a checkpoint predicts, a part after the other: documents, its own text, its partners'.

    Its own generations are scored token by token as they were drawn, the end included. Of others'
    the end is left out, as each model ends a text in its own way, and they are encoded anew where
    the tokenizer is another. A server predicts nothing but what it wrote, and of that the texts
    that it told log-probabilities of.
    """
    checkpoint = context.checkpoint
    assert checkpoint is not None
    if can_score(context.study, checkpoint):
        yield from _documents(context)
        yield from generated_texts(context)
    else:
        yield from (text for text in generated_texts(context) if text.logprobs)


def own_texts(context: AssetContext) -> Iterator[ScoredText]:
    """Of those a checkpoint's own generations, a part after the other."""
    texts = generated_texts(context)
    return itertools.takewhile(lambda text: text.part.condition == OWN, texts)


def generated_texts(context: AssetContext) -> Iterator[ScoredText]:
    """Of those the generations: a checkpoint's own and its partners', a part after the other."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    prompts = {
        (prompt["prompt_set"], prompt["prompt_id"]): prompt
        for prompt in context.lake.read(tables.PROMPTS).to_pylist()
    }
    for writer in _writers(context.study, checkpoint):
        if context.lake.has(tables.GENERATIONS, writer.name):
            yield from _generations(context, checkpoint, writer, prompts)


def _documents(context: AssetContext) -> Iterator[ScoredText]:
    files = context.lake.files(tables.DOCUMENTS)
    if not files or not context.study.corpora:
        return
    # with pre_buffer, pyarrow keeps every row group that it has read
    for batch in pq.ParquetFile(files[0], pre_buffer=False).iter_batches(_BATCH):
        for row in batch.to_pylist():
            part = Part(GOLD, "-", row["corpus"])
            yield ScoredText(part, row["document_id"], row["category"], row["text"])


def _generations(
    context: AssetContext,
    scorer: Checkpoint,
    writer: Checkpoint,
    prompts: dict[tuple[str | None, str | None], Prompt],
) -> Iterator[ScoredText]:
    is_own = writer.name == scorer.name
    same_tokens = is_own or _tokenizer(context, scorer) == _tokenizer(context, writer)
    rows = context.lake.read(tables.GENERATIONS, writer.name)
    for decoding in context.study.compared_decodings(writer):
        some = rows.filter(pc.equal(rows["decoding"], decoding))
        # A part is one set of prompts; the table's order keeps each together.
        for prompt_set in dict.fromkeys(some["prompt_set"].to_pylist()):
            part = Part(OWN if is_own else writer.name, decoding, prompt_set)
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
                        _token_ids(row, writer, is_own) if same_tokens else None,
                        *_own_facts(row) if is_own else (),
                    )


def _writers(study: Study, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
    """Whose generations it predicts: its own, and where it can its partners'."""
    partners = study.partners(checkpoint) if can_score(study, checkpoint) else ()
    return (checkpoint, *partners)


def _own_facts(row: dict[str, Any]) -> tuple[tuple[Any, ...], ...]:
    """`reasoning_ids`, `logprobs` and `top_logprobs` of a row of the scorer's own."""
    trace, told, top = (row[name] or () for name in ("reasoning_ids", "logprobs", "top_logprobs"))
    return tuple(trace), tuple(told), tuple(map(tuple, top))


def _token_ids(row: dict[str, Any], writer: Checkpoint, own: bool) -> list[int]:
    """A generation's tokens; of another's without the stop token, should it have one."""
    ids: list[int] = row["token_ids"]
    drawn = writer.source.has_weights  # and not made of the text
    return ids[:-1] if drawn and not own and row["finish_reason"] == "stop" else ids


def _tokenizer(context: AssetContext, checkpoint: Checkpoint) -> str | None:
    """The digest of its tokenizer; one of its own where it is not known, equal to no other."""
    rows = context.lake.read(tables.CHECKPOINTS, checkpoint.name)
    return rows["tokenizer"][0].as_py() or checkpoint.name


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    texts = texts_to_score(context)
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
    writers = _writers(study, checkpoint)
    return {"decodings": [[writer.name, study.compared_decodings(writer)] for writer in writers]}


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    writers = [writer.name for writer in _writers(context.study, context.checkpoint)[1:]]
    documents = context.study.corpora and can_score(context.study, context.checkpoint)
    texts = "+".join([*([GOLD] if documents else []), OWN, *writers])
    corpora = digest([corpus.digest() for corpus in context.study.corpora])
    return Signature.of(texts=texts, corpora=short(corpora))


def can_score(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether there is a model here that predicts any text."""
    return checkpoint is not None and "score" in checkpoint.abilities


def has_states(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether there is a model here whose hidden states can be read."""
    return checkpoint is not None and "hidden_states" in checkpoint.abilities


def tells_logprobs(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether it predicts text, or a server may tell how likely its own was."""
    return checkpoint is not None and bool({"score", "logprobs"} & checkpoint.abilities)


SCORED_TEXTS = TableAsset(
    name="scored_texts",
    group="predictions",
    description=tables.SCORED_TEXTS.description,
    reads=("documents", "prompts", "checkpoints", "generations"),
    optional=("documents",),
    changes_with=("documents", "checkpoints", "generations"),
    unlabelled=("checkpoints",),
    parameters=_parameters,
    applies=tells_logprobs,
    of_partners=("checkpoints", "generations"),
    table=tables.SCORED_TEXTS,
    rows=_rows,
    signature=_signature,
)
