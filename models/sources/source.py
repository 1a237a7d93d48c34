"""A checkpoint's source, as a study file names it, and what it is an adapter on."""

from __future__ import annotations

import importlib
import os
import pkgutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import models.sources
from models.errors import ModelError
from models.names import check_repository, is_repository
from models.sources.digests import digest_text
from models.sources.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.sources.place import LocalWeights

_SHOWN = 200
"""Characters of a name that are shown."""


def _places() -> dict[str, type[Place]]:
    """The places, by scheme: a module of this package that holds one adds it."""
    for module in pkgutil.iter_modules(models.sources.__path__, f"{models.sources.__name__}."):
        if module.name != __name__:
            importlib.import_module(module.name)
    places = sorted(Place.__subclasses__(), key=lambda place: place.RANK)
    return {place.SCHEME: place for place in places}


_PLACES = _places()


@dataclass(frozen=True)
class Source:
    """A checkpoint's source, as a study file names it: `scheme:location`.

    Attributes:
        scheme: One of `SCHEMES`.
        location: What follows the colon; paths in it are absolute.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.
        adapter_on: Where it is an adapter, what that is put on instead of what it names itself.
    """

    SCHEMES: ClassVar[dict[str, str]] = {scheme: place.USAGE for scheme, place in _PLACES.items()}

    scheme: str
    location: str
    allow_pickle: bool = False
    allow_remote_code: bool = False
    adapter_on: Source | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        folder: Path,
        *,
        allow_pickle: bool = False,
        allow_remote_code: bool = False,
        adapter_on: Source | None = None,
    ) -> Source:
        """Reads a source; relative paths in it start at `folder`.

        Raises:
            ValueError: The scheme is unknown, or nothing follows it, or it cannot be an adapter and
                is said to be on something.
        """
        scheme, colon, location = text.partition(":")
        if not colon or scheme not in cls.SCHEMES or not location:
            meant = "" if colon else _meant(text, folder)
            raise ValueError(
                f"{text!r} is not a checkpoint source{meant}; use one of: "
                + "; ".join(cls.SCHEMES.values())
            )
        place = _PLACES[scheme]
        location = place.parse(location, folder)
        if adapter_on and not (place.MAY_BE_ADAPTER and adapter_on.has_weights):
            raise ValueError(f"{scheme}: cannot be an adapter on {adapter_on.scheme}:")
        return cls(scheme, location, allow_pickle, allow_remote_code, adapter_on)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.location}"

    @cached_property
    def _place(self) -> Place:
        return _PLACES[self.scheme](self.location, self.allow_pickle, self.allow_remote_code)

    @property
    def is_generations(self) -> bool:
        """Whether it is generations made elsewhere rather than a model."""
        return self._place.GIVES == "generations"

    @property
    def is_on_disk(self) -> bool:
        """Whether looking at it takes no more than this machine's disk."""
        return self._place.ON_DISK

    @property
    def is_server(self) -> bool:
        """Whether the model is behind a server."""
        return self._place.GIVES == "server"

    @property
    def has_weights(self) -> bool:
        """Whether the model's weights can be had."""
        return self._place.GIVES == "weights"

    def base(self) -> Source | None:
        """What it is put on where it is an adapter; None where it is a whole model.

        Raises:
            ModelError: The adapter does not say, or not of something that is there.
        """
        config = self._place.adapter_config()
        if config is None:
            return None
        return self.adapter_on or self._named_base(config)

    def _named_base(self, config: dict[str, Any]) -> Source:
        """The base that an adapter names: a folder by its whole path, or else a repository."""
        name, revision = config.get("base_model_name_or_path"), config.get("revision")
        if not isinstance(name, str) or not name:
            raise ModelError(f"{self} is an adapter that names no base; name it with `adapter_on:`")
        allowed = (self.allow_pickle, self.allow_remote_code)
        # A relative path started where the adapter was trained, which nobody knows here.
        if os.path.isabs(name) and os.path.isdir(name):
            base = Source("dir", os.path.abspath(name), *allowed)
        elif is_repository(name):
            base = self._on_hub(f"{name}@{revision}" if revision else name)
        else:
            raise ModelError(
                f"{self} is an adapter on {name[:_SHOWN]}, which is no folder here by its whole "
                "path, and no repository; say with `adapter_on:` where its base is"
            )
        # Adapters that name each other would have no end.
        with self._on(base):
            is_adapter = base._place.adapter_config() is not None
        if is_adapter:
            raise ModelError(
                f"{self} is an adapter on {base}, which is one itself; name it with `adapter_on:` "
                "if that is meant"
            )
        return base

    def _on_hub(self, location: str) -> Source:
        try:
            check_repository(location)
        except ValueError as error:
            raise ModelError(
                f"{self} is an adapter on {location[:_SHOWN]}, which {error}; say with "
                "`adapter_on:` where its base is"
            ) from None
        return Source("hf", location, self.allow_pickle, self.allow_remote_code)

    @contextmanager
    def _on(self, base: Source) -> Iterator[None]:
        """Says of what goes wrong with an adapter's base that it is that."""
        try:
            yield
        except ModelError as error:
            raise type(error)(
                f"{self} is an adapter on {base}: {error}; `adapter_on:` names another base"
            ) from error

    def check(self) -> None:
        """Looks whether the checkpoint is there, without loading or downloading it.

        Raises:
            ModelError: It is not; the message says what to do.
        """
        self._place.check()
        if self._place.ON_DISK and (base := self.base()):
            with self._on(base):
                base.check()

    def digest(self) -> str:
        """Tells this checkpoint's content from any other, without loading it.

        Raises:
            ModelError: The checkpoint is not there.
        """
        self.check()
        digest = self._place.digest()
        if base := self.base():
            with self._on(base):
                return digest_text(f"{digest}\x1f{base.digest()}")
        return digest

    def locate(self) -> LocalWeights:
        """Finds the weights on this machine, downloading them where that is what it takes.

        Raises:
            ModelError: They are not there, or cannot be had.
        """
        self.check()
        base = self.base()
        if base is None:
            return self._place.locate()
        with self._on(base):
            located = base.locate()
        return replace(self._place.locate(), digest=self.digest(), base=located)

    def tokenizer_folder(self) -> Path | None:
        """A folder with its tokenizer alone; None where it comes with the weights.

        Raises:
            ModelError: It is not there, or cannot be had.
        """
        return self._place.tokenizer_folder()


def _meant(text: str, folder: Path) -> str:
    """The source that a path or a repository without its scheme was meant to be."""
    by_ending = {".jsonl": "file", ".gguf": "gguf"}
    scheme = by_ending.get(Path(text).suffix)
    if scheme is None and text and (folder / text).is_dir():
        scheme = "dir"
    if scheme is None and "/" in text and is_repository(text):
        scheme = "hf"
    return f" (did you mean '{scheme}:{text}'?)" if scheme else ""
