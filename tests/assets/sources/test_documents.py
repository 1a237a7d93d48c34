"""Corpora, what is cut from them, and the passages of the Shannon game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from assets.sources.documents import first_words, read_documents
from assets.sources.passages import cut_passages, joined, read_passages
from assets.sources.prompts import cut_prefixes
from assets.study import datasets as dataset_sources
from assets.study.datasets import DatasetSource
from assets.study.errors import InputError
from assets.study.parts import Corpus, ShannonGame
from tests.studies import Bench, write_jsonl
from warehouse.tables import DOCUMENTS, PASSAGES, PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def corpus(source: str, folder: Path, **rest: Any) -> Corpus:
    return Corpus.model_validate({"name": "c", "source": source} | rest, context={"folder": folder})


def read(source: str, folder: Path, **rest: Any) -> list[dict[str, Any]]:
    return list(read_documents(corpus(source, folder, **rest)))


def test_a_document_is_a_line_with_its_sizes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "c.jsonl", [{"text": "naïve  text\n"}, {"text": "b", "document_id": 7}])
    assert read("file:c.jsonl", tmp_path, category="web", split="s") == [
        {
            "corpus": "c",
            "document_id": "1",
            "category": "web",
            "split": "s",
            "text": "naïve  text\n",
            "n_bytes": 13,
            "n_words": 2,
        },
        {
            "corpus": "c",
            "document_id": "7",
            "category": "web",
            "split": "s",
            "text": "b",
            "n_bytes": 1,
            "n_words": 1,
        },
    ]


def test_text_files_are_a_document_each(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name} text")
    found = [(d["document_id"], d["text"]) for d in read("file:*.txt", tmp_path)]
    assert found == [("a", "a text"), ("b", "b text")]


def test_empty_documents_do_not_count(tmp_path: Path) -> None:
    texts = ["", "one", " \n ", "two", "three"]
    write_jsonl(tmp_path / "c.jsonl", [{"text": text} for text in texts])
    found = read("file:c.jsonl", tmp_path, documents=2)
    assert [d["text"] for d in found] == ["one", "two"]


@pytest.mark.parametrize(
    ("row", "fields", "text"),
    [
        ({"a": "x", "b": "y"}, ["a", "b"], "x--y"),
        ({"a": ["x", "y"]}, "a", "x--y"),
        (
            {"a": [{"role": "user", "content": "x"}, {"content": "y"}]},
            "a",
            "x--y",
        ),
        ({"a": "x", "b": None}, ["a", "b"], "x"),
    ],
)
def test_a_text_is_that_of_its_fields(
    tmp_path: Path, row: dict[str, Any], fields: Any, text: str
) -> None:
    write_jsonl(tmp_path / "c.jsonl", [row])
    (found,) = read("file:c.jsonl", tmp_path, text_field=fields, separator="--")
    assert found["text"] == text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"body": "x"}', ["row 1", "no 'text'", "it has 'body'", "text_field"]),
        (b'{"text": 3}', ["row 1", "'text' is 3", "must be a text"]),
        (b'{"text": ""}', ["'c'", "no document with text"]),
        (b"", ["'c'", "no document with text"]),
        (b'{"text": "x"', ["line 1", "no valid JSON"]),
        (b'{"text": "\xff"}', ["cannot be read as UTF-8"]),
        (b'{"text": "\\ud800"}', ["half a surrogate pair"]),
        (b'{"text": "x", "document_id": 1}\n{"text": "y", "document_id": 1}', ["'1' stands twice"]),
    ],
)
def test_what_is_wrong_with_a_corpus_is_said(
    tmp_path: Path, content: bytes, words: list[str]
) -> None:
    (tmp_path / "c.jsonl").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read("file:c.jsonl", tmp_path)
    for word in words:
        assert word in str(caught.value)


def test_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read("file:none*.txt", tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        corpus("file:none.jsonl", tmp_path).digest()
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        read("file:bad.txt", tmp_path)


@pytest.mark.parametrize(
    "source", ["pydoc:nothing", "metadata:x", "hf:name", "ftp:x", "file:", "plain"]
)
def test_sources_are_those_that_there_are(tmp_path: Path, source: str) -> None:
    with pytest.raises(ValueError, match="is not a source of texts") as caught:
        DatasetSource.parse(source, tmp_path)
    assert all(f"{scheme}:" in str(caught.value) for scheme in DatasetSource.SCHEMES)


@pytest.mark.parametrize("source", ["pydoc:topics", "metadata:readmes"])
def test_any_machine_has_documents_offline(tmp_path: Path, source: str) -> None:
    found = read(source, tmp_path, documents=5, max_words=50)
    assert len(found) == 5
    assert [d["document_id"] for d in found] == sorted(d["document_id"] for d in found)
    assert all(0 < d["n_words"] <= 50 and d["n_bytes"] == len(d["text"].encode()) for d in found)
    assert read(source, tmp_path, documents=5, max_words=50) == found


def test_readmes_are_prose(tmp_path: Path) -> None:
    texts = [d["text"] for d in read("metadata:readmes", tmp_path, documents=60, max_words=200)]
    assert not any("://" in text or "<img" in text or "\n.. image" in text for text in texts)
    assert sum("\n\n" in text for text in texts) > 30  # several paragraphs are left


@pytest.mark.parametrize(
    ("text", "n", "beginning"),
    [
        ("a b c", 2, "a b"),
        (" a\n\nb\u2003c", 2, " a\n\nb"),
        ("a b", 2, None),
        ("a b ", 2, None),
        ("", 1, None),
    ],
)
def test_a_beginning_keeps_its_spaces_and_leaves_something(
    text: str, n: int, beginning: str | None
) -> None:
    assert first_words(text, n) == beginning


class Hub:
    """Stands in for the hub: one dataset of two splits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import datasets

        self.asked: list[tuple[Any, ...]] = []
        self.splits = ["train", "validation"]
        self.failure: Exception | None = None
        monkeypatch.setattr(datasets, "load_dataset", self.load_dataset)
        monkeypatch.setattr(datasets, "get_dataset_split_names", self.get_dataset_split_names)
        monkeypatch.setattr(
            dataset_sources, "hub_commit", lambda name, *, kind: f"commit-of-{kind}-{name}"
        )

    def get_dataset_split_names(self, *arguments: Any, **rest: Any) -> list[str]:
        return self.splits

    def load_dataset(self, name: str, config: Any, **rest: Any) -> Iterator[dict[str, Any]]:
        self.asked.append((name, config, rest["split"], rest["revision"], rest["data_dir"]))
        assert rest["streaming"]
        if self.failure:
            raise self.failure
        for i in range(10**9):
            yield {"text": f"document {i}", "label": 3}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


def test_the_hub_is_streamed_no_further_than_asked(tmp_path: Path, hub: Hub) -> None:
    found = read("hf:org/name/folder@v1", tmp_path, config="en", documents=3)
    assert [(d["document_id"], d["text"]) for d in found] == [
        (str(i), f"document {i}") for i in range(3)
    ]
    assert {d["split"] for d in found} == {"validation"}
    assert hub.asked == [
        ("org/name", "en", "validation", "commit-of-dataset-org/name@v1", "folder")
    ]


def test_a_split_is_chosen_where_it_is_not_clear(tmp_path: Path, hub: Hub) -> None:
    hub.splits = ["a", "b"]
    with pytest.raises(InputError, match=r"has the splits a, b; choose one with `split:`"):
        read("hf:org/name", tmp_path, documents=3)
    assert len(read("hf:org/name", tmp_path, documents=3, split="b")) == 3


def test_a_failing_hub_is_a_sentence(tmp_path: Path, hub: Hub) -> None:
    hub.failure = OSError("no route\nto host")
    with pytest.raises(InputError, match=r"hf:org/name cannot be read: no route; look whether"):
        read("hf:org/name", tmp_path, documents=3)


def test_passages_of_the_hub_end_with_their_last_word(tmp_path: Path, hub: Hub) -> None:
    game = ShannonGame(source="hf:org/name", passages=2)
    assert game.source != "corpora"
    first = next(iter(read_passages(game.source, game)))
    assert (first["context"], first["target"]) == ("document", "0")


def test_passages_of_a_file(tmp_path: Path) -> None:
    rows = [
        {"context": "he could make it on his", "continuation": "own"},
        {"context": "a symbol", "continuation": "of\n\nPower"},
    ]
    write_jsonl(tmp_path / "p.jsonl", rows)
    game = ShannonGame.model_validate({"source": "file:p.jsonl"}, context={"folder": tmp_path})
    assert game.source != "corpora"
    found = [(p["passage_id"], p["target"]) for p in read_passages(game.source, game)]
    assert found == [("1", "own"), ("2", "of\n\nPower")]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x"}, ["row 1", "needs 'context'", "context and continuation"]),
        ({"context": "x", "continuation": 1}, ["needs 'continuation'"]),
        ({"context": " ", "continuation": "x"}, ["has no context"]),
        ({"context": "x", "continuation": ""}, ["no word to guess"]),
    ],
)
def test_wrong_passages_are_refused(tmp_path: Path, row: dict[str, Any], words: list[str]) -> None:
    write_jsonl(tmp_path / "p.jsonl", [row])
    game = ShannonGame.model_validate({"source": "file:p.jsonl"}, context={"folder": tmp_path})
    assert game.source != "corpora"
    with pytest.raises(InputError) as caught:
        list(read_passages(game.source, game))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("context", "target", "whole"),
    [("on his", "own", "on his own"), ("on his ", "own", "on his own"), ("a", "\nb", "a\nb")],
)
def test_one_space_stands_before_the_last_word(context: str, target: str, whole: str) -> None:
    assert joined(context, target) == whole


def test_passages_cut_from_documents_end_with_a_word_of_letters() -> None:
    documents = [
        {"corpus": "c", "document_id": "x", "text": "a b  c, d\ne f g h. i"},
        {"corpus": "c", "document_id": "y", "text": "one two three"},
    ]
    found = [(p["passage_id"], p["context"], p["target"]) for p in cut_passages(documents, 3)]
    assert found == [
        ("c/x/0", "a b  c,", "d"),  # `c,` is not all letters
        ("c/y/0", "one two", "three"),
        ("c/x/1", "e f", "g"),
    ]


def test_prefixes_are_cut_from_the_first_documents_that_are_long_enough(bench: Bench) -> None:
    study = bench.study(
        corpora=[{"name": "c", "source": "pydoc:topics"}], prefixes={"documents": 2, "words": 2}
    )
    documents = [
        {"corpus": "c", "document_id": str(i), "category": "k", "text": text}
        for i, text in enumerate(["one two", "one two three", "a b c", "d e f"])
    ]
    found = [(p["prompt_set"], p["prompt_id"], p["text"]) for p in cut_prefixes(study, documents)]
    assert found == [("c", "c/1", "one two"), ("c", "c/2", "a b")]


def test_tables_of_what_comes_in(bench: Bench) -> None:
    bench.run(
        bench.study(
            corpora=[{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 30}],
            prefixes={"documents": 2, "words": 4},
            shannon_game={"source": "corpora", "passages": 4, "words": 8},
        ),
        only=("prompts", "passages"),
    )
    documents = {row["document_id"]: row for row in bench.lake.read(DOCUMENTS).to_pylist()}
    assert len(documents) == 3
    cut = [row for row in bench.lake.read(PROMPTS).to_pylist() if row["corpus"]]
    assert len(cut) == 2
    for row in cut:
        assert documents[row["document_id"]]["text"].startswith(row["text"])
        assert len(row["text"].split()) == 4
    passages = bench.lake.read(PASSAGES).to_pylist()
    assert len(passages) == 4
    for row in passages:
        whole = documents[row["document_id"]]["text"].split()
        words = [*row["context"].split(), row["target"]]
        assert any(whole[i : i + len(words)] == words for i in range(len(whole)))
