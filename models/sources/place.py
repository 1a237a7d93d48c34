"""A place that checkpoints come from: what each of them can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class LocalWeights:
    """A checkpoint on this machine's disk.

    Attributes:
        folder: The folder that transformers loads, or peft where it is an adapter.
        gguf: The name of the GGUF file in it, where the weights are one.
        digest: Tells these weights from others.
        revision: The commit or version, where known.
        base: What an adapter is put on; None of a whole model.
    """

    folder: Path
    gguf: str | None
    digest: str
    revision: str | None = None
    base: LocalWeights | None = None


@dataclass(frozen=True)
class Place(ABC):
    """A place, and what of it a source names.

    A module of this package that holds a subclass adds its scheme; nothing else needs to know.

    Attributes:
        SCHEME: What stands before the colon of a source.
        USAGE: What is written to name a source, and what it is.
        RANK: Where the scheme stands among the others in messages.
        GIVES: What is had from there: a model's weights, a server that runs a model, or
            generations made elsewhere.
        MAY_BE_ADAPTER: Whether what is there may be an adapter of peft.
        ON_DISK: Whether looking at it takes no more than this machine's disk.
        location: What follows the colon; paths in it are absolute.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.
    """

    SCHEME: ClassVar[str]
    USAGE: ClassVar[str]
    RANK: ClassVar[int]
    GIVES: ClassVar[Literal["weights", "server", "generations"]] = "weights"
    MAY_BE_ADAPTER: ClassVar[bool] = False
    ON_DISK: ClassVar[bool] = True

    location: str
    allow_pickle: bool = False
    allow_remote_code: bool = False

    def __str__(self) -> str:
        return f"{self.SCHEME}:{self.location}"

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """A location as sources are told apart by; relative paths in it start at `folder`.

        Raises:
            ValueError: It is not one of this place.
        """
        return location

    @abstractmethod
    def check(self) -> None:
        """Looks whether the checkpoint is there, without loading or downloading it.

        Raises:
            ModelError: It is not; the message says what to do.
        """

    @abstractmethod
    def digest(self) -> str:
        """Tells the checkpoint's own content from any other, without loading it.

        Raises:
            ModelError: The checkpoint is not there.
        """

    @abstractmethod
    def locate(self) -> LocalWeights:
        """Finds the weights on this machine, downloading them where that is what it takes.

        What an adapter is put on is left out.

        Raises:
            ModelError: They are not there, or cannot be had.
        """

    def adapter_config(self) -> dict[str, Any] | None:
        """What an adapter says of itself; None where it is a whole model.

        Raises:
            ModelError: It cannot be read.
        """
        return None

    def tokenizer_folder(self) -> Path | None:
        """A folder with the tokenizer alone; None where it comes with the weights.

        Raises:
            ModelError: It is not there, or cannot be had.
        """
        return None
