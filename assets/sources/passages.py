"""`passages`: what the Shannon game is played on, from a dataset or cut from the corpora."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.study.datasets import text_of
from assets.study.errors import InputError
from assets.study.files import is_text
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.datasets import DatasetSource
    from assets.study.parts import ShannonGame
    from assets.study.study import Study

Passage = dict[str, str | None]

_SCHEMA = tables.PASSAGES.arrow_schema
_FIELDS = ("context", "continuation")


def joined(context: str, target: str) -> str:
    """The passage, with a space before its last word unless one of the two brings its own."""
    has_space = context[-1:].isspace() or target[:1].isspace()
    return context + target if has_space else f"{context} {target}"


def read_passages(source: DatasetSource, game: ShannonGame) -> Iterator[Passage]:
    """Reads passages, of a file as `context` and `continuation`, of the hub as whole texts.

    The last word of a text is what stands after its last space; it may hold a newline.

    Raises:
        InputError: It cannot be read, or a row is not as it must be.
    """
    for row in source.rows(config=game.config, split=game.split):
        name, values = row
        if source.is_objects:
            for field in _FIELDS:
                if not isinstance(values.get(field), str):
                    raise InputError(
                        f"{source}, row {name}: needs {field!r}, a text; a passage's line holds "
                        f"{' and '.join(_FIELDS)}"
                    )
            context, target = values["context"], values["continuation"]
        else:
            context, _, target = text_of(source, row, game.text_field, " ").strip().rpartition(" ")
        if not context.strip() or not target.strip() or not is_text(context + target):
            raise InputError(f"{source}, row {name}: has no context, or no word to guess after it")
        yield {
            "passage_id": name,
            "context": context,
            "target": target,
            "corpus": None,
            "document_id": None,
        }


def cut_passages(documents: Iterable[dict[str, str]], n_words: int) -> Iterator[Passage]:
    """Cuts documents into passages of `n_words` words or a few more, one after the other.

    A passage ends with a word that is all letters, as LAMBADA's do; what follows a document's last
    such word is left out. First come the first passages of all documents, then the second.
    """
    cut = [_cut_document(document, n_words) for document in documents]
    for passages in itertools.zip_longest(*cut):
        yield from (passage for passage in passages if passage is not None)


def _cut_document(document: dict[str, str], n_words: int) -> list[Passage]:
    passages: list[Passage] = []
    text = document["text"]
    words = list(re.finditer(r"\S+", text))
    first = 0
    for i, word in enumerate(words):
        if i - first + 1 < n_words or not word.group().isalpha():
            continue
        passages.append(
            {
                "passage_id": f"{document['corpus']}/{document['document_id']}/{len(passages)}",
                "context": text[words[first].start() : words[i - 1].end()],
                "target": word.group(),
                "corpus": document["corpus"],
                "document_id": document["document_id"],
            }
        )
        first = i + 1
    return passages


def _passages(context: AssetContext) -> list[Passage]:
    game = context.study.shannon_game
    assert game is not None
    if game.source == "corpora":
        if not context.lake.has(tables.DOCUMENTS):
            raise InputError("passages are cut from documents, which the lake does not have yet")
        documents = context.lake.read(tables.DOCUMENTS).select(["corpus", "document_id", "text"])
        readable = cut_passages(documents.to_pylist(), game.words)
    else:
        readable = read_passages(game.source, game)
    passages = list(itertools.islice(readable, game.passages))
    if not passages:
        raise InputError(
            f"shannon_game: {game.source} holds no passage of {game.words} words or more"
        )
    return passages


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    yield pa.Table.from_pylist(_passages(context), _SCHEMA).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    game = study.shannon_game
    assert game is not None
    cut = [corpus.digest() for corpus in study.corpora] if game.source == "corpora" else None
    return {"shannon_game": game.digest(), "corpora": cut}


def _signature(context: AssetContext) -> Signature:
    game = context.study.shannon_game
    assert game is not None
    return Signature.of(passages=game.source if game.source == "corpora" else game.source.scheme)


PASSAGES = TableAsset(
    name="passages",
    group="sources",
    description=tables.PASSAGES.description,
    reads=("documents",),
    optional=("documents",),
    changes_with=(),  # a corpus that no passage is cut from changes nothing
    partitioned=False,
    parameters=_parameters,
    settings=("shannon_game", "corpora"),
    applies=lambda study, checkpoint: study.shannon_game is not None,
    table=tables.PASSAGES,
    rows=_rows,
    signature=_signature,
)
