"""Where rows of text come from: files, the hub, and what any machine has offline."""

from __future__ import annotations

import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from assets.study.digests import digest
from assets.study.errors import InputError, names_of
from assets.study.files import read_jsonl, unreadable_said
from models import ModelError
from models.errors import sentence
from models.files import file_digest
from models.names import check_repository, local_path
from models.sources.hub import hub_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[str, dict[str, Any]]
"""What identifies a row, and its fields."""

_PREFERRED_SPLITS = ("test", "validation", "train")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_MARKUP = re.compile(r"://|<[a-zA-Z!/]|^[ \t]*(?:\.\.[ \t]|:\w+:|\|[ \t]*$|\|\w.*\|)", re.MULTILINE)


@dataclass(frozen=True)
class DatasetSource:
    """A dataset's source, as a study file names it: `scheme:location`.

    Attributes:
        scheme: One of `SCHEMES`.
        location: What follows the colon; paths in it are absolute.
    """

    SCHEMES: ClassVar[dict[str, str]] = {
        "file": "file:PATH.jsonl, an object a line, or file:PATH*.txt, a document a file",
        "hf": "hf:org/name, hf:org/name/folder or either with @revision, a dataset on the hub",
        "pydoc": "pydoc:topics, the reference texts that come with Python",
        "metadata": "metadata:readmes, the prose of the installed packages' long descriptions",
    }

    scheme: str
    location: str

    @classmethod
    def parse(cls, text: str, folder: Path) -> DatasetSource:
        """Reads a source; relative paths in it start at `folder`.

        Raises:
            ValueError: The scheme or what follows it is unknown.
        """
        scheme, _, location = text.partition(":")
        known = {"pydoc": ["topics"], "metadata": ["readmes"]}
        if (
            scheme not in cls.SCHEMES
            or not location
            or location not in known.get(scheme, [location])
            or (scheme == "hf" and len(location.partition("@")[0].split("/")) < 2)
        ):
            raise ValueError(
                f"{text!r} is not a source of texts; use one of: " + "; ".join(cls.SCHEMES.values())
            )
        if scheme == "file":
            location = str(local_path(location, folder))
        if scheme == "hf":
            cls._check_dataset(location)
        return cls(scheme, location)

    @staticmethod
    def _check_dataset(location: str) -> None:
        """Looks at the names of a repository, of a folder in it, and of a revision."""
        path, at, revision = location.partition("@")
        organisation, name, *folders = path.split("/")
        try:
            check_repository(f"{organisation}/{name}{at}{revision}")
        except ValueError as error:
            raise ValueError(f"hf:{location} {error}") from None
        if ".." in folders:
            raise ValueError(f"hf:{location} leads out of the repository; name a folder in it")

    def __str__(self) -> str:
        return f"{self.scheme}:{self.location}"

    @property
    def files(self) -> list[Path]:
        """The files of a `file:` source, in order.

        Raises:
            InputError: There is none.
        """
        path = Path(self.location)
        found = [self.location] if os.path.exists(path) else sorted(glob.glob(self.location))
        files = [Path(name) for name in found]
        if not files:
            raise InputError(f"there is no file {path}")
        for file in files:
            if not file.is_file():  # but a folder, a device or a pipe, which may have no end
                raise InputError(f"{file} is no file, and texts are read from files; name one")
        return files

    @property
    def is_objects(self) -> bool:
        """Whether it is a file of JSON objects, rather than texts."""
        return Path(self.location).suffix in (".jsonl", ".json", ".ndjson")

    def digest(self) -> str:
        """Tells its content from any other, without reading all of a dataset on the hub.

        Raises:
            InputError: It is not there, or the hub cannot be reached.
        """
        if self.scheme == "file":
            whole = hashlib.sha256()
            for path in self.files:
                whole.update(path.name.encode())
                whole.update(_file_digest(path))
            return whole.hexdigest()[:32]
        if self.scheme == "hf":
            try:
                return f"{self._repository}@{self._commit}"
            except ModelError as error:
                raise InputError(str(error)) from None
        if self.scheme == "pydoc":
            return platform.python_version()
        return digest(_readmes())

    def rows(self, *, config: str | None = None, split: str | None = None) -> Iterator[Row]:
        """Reads it, as far as rows are asked for.

        Args:
            config: A dataset's configuration on the hub.
            split: Its split there; by default that of `default_split`.

        Raises:
            InputError: It cannot be read; the message says what to do.
        """
        if self.scheme == "file":
            yield from self._rows_of_files()
        elif self.scheme == "hf":
            yield from self._rows_of_hub(config, split or self.default_split(config))
        elif self.scheme == "pydoc":
            yield from ((name, {"text": text}) for name, text in _topics())
        else:
            yield from ((name, {"text": text}) for name, text in _readmes())

    def default_split(self, config: str | None = None) -> str:
        """The split that is read where a study names none: test, validation or train; - elsewhere.

        Raises:
            InputError: A dataset on the hub has none of them, or cannot be reached.
        """
        if self.scheme != "hf":
            return "-"
        splits = self.splits(config)
        for split in _PREFERRED_SPLITS:
            if split in splits:
                return split
        raise InputError(f"{self} has the splits {', '.join(splits)}; choose one with `split:`")

    def splits(self, config: str | None = None) -> list[str]:
        """The splits of a dataset on the hub.

        Raises:
            InputError: It cannot be reached.
        """
        import datasets

        with _hub_errors(self):
            return list(
                datasets.get_dataset_split_names(
                    self._repository, config, revision=self._commit, data_dir=self._folder
                )
            )

    def _rows_of_files(self) -> Iterator[Row]:
        for path in self.files:
            if self.is_objects:
                for number, row in read_jsonl(path, {}):
                    yield str(row.get("document_id", number)), row
            else:
                with unreadable_said(path):
                    text = path.read_text(encoding="utf-8-sig")
                yield path.stem, {"text": text}

    def _rows_of_hub(self, config: str | None, split: str) -> Iterator[Row]:
        import datasets

        with _hub_errors(self):
            rows = datasets.load_dataset(
                self._repository,
                config,
                split=split,
                revision=self._commit,
                data_dir=self._folder,
                streaming=True,
            )
            for number, row in enumerate(rows):
                yield str(number), row

    @property
    def _repository(self) -> str:
        return "/".join(self.location.partition("@")[0].split("/")[:2])

    @property
    def _folder(self) -> str | None:
        return "/".join(self.location.partition("@")[0].split("/")[2:]) or None

    @property
    def _commit(self) -> str:
        _, at, revision = self.location.partition("@")
        return hub_commit(f"{self._repository}{at}{revision}", kind="dataset")


@contextmanager
def _hub_errors(source: DatasetSource) -> Iterator[None]:
    """Says in a sentence what went wrong with the hub; the library's errors have no common type."""
    try:
        yield
    except ModelError as error:
        raise InputError(str(error)) from error
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{source} cannot be read: {sentence(error)}; look whether its name, `config`, `split` "
            "and the network are as they must be"
        ) from error


def text_of(source: DatasetSource, row: Row, fields: tuple[str, ...], separator: str) -> str:
    """The text of a row: that of its fields, joined.

    A field may hold a text, a list of texts, or a conversation, a list of objects with `content`.

    Raises:
        InputError: The row has no such field, or there is no text in it.
    """
    name, values = row
    parts: list[str] = []
    for field in fields:
        if field not in values:
            raise InputError(
                f"{source}, row {name}: has no {field!r}; it has {names_of(map(repr, values))}; "
                "name the right one with `text_field:`"
            )
        value = values[field]
        turns = value if isinstance(value, list) else [value]
        parts += [turn["content"] if _is_turn(turn) else turn for turn in turns]
    if not all(part is None or isinstance(part, str) for part in parts):
        written = json.dumps(values[fields[0]], default=str)
        raise InputError(
            f"{source}, row {name}: {fields[0]!r} is {written[:40]}, and must be a text"
        )
    return separator.join(part for part in parts if part)


def _is_turn(value: object) -> bool:
    return isinstance(value, dict) and "content" in value


def _file_digest(path: Path) -> bytes:
    try:
        return bytes.fromhex(file_digest(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _topics() -> list[tuple[str, str]]:
    from pydoc_data.topics import topics

    return sorted(topics.items())


@cache
def _readmes() -> list[tuple[str, str]]:
    """Name and long description of every installed package but this one, by name.

    Paragraphs with links, HTML or directives are left out: badges are no human text.
    """
    descriptions = {}
    for distribution in importlib.metadata.distributions():
        name = str(distribution.metadata["Name"])
        description = str(distribution.metadata.json.get("description", ""))
        paragraphs = _BLANK_LINES.split(description)
        text = "\n\n".join(p for p in paragraphs if not _MARKUP.search(p))
        if name != "anchorlake" and text.strip():
            descriptions[name.lower()] = text
    return sorted(descriptions.items())
