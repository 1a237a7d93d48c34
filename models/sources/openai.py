"""`openai:`, a model behind an OpenAI-compatible server, of which there are no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from models.errors import ModelError
from models.servers.server import check_url
from models.sources.digests import digest_text
from models.sources.place import LocalWeights, Place

if TYPE_CHECKING:
    from pathlib import Path


class ServedModel(Place):
    """A server's URL and the model's name there."""

    SCHEME: ClassVar = "openai"
    USAGE: ClassVar = "openai:URL#MODEL, a model behind an OpenAI-compatible server"
    RANK: ClassVar = 50
    GIVES: ClassVar = "server"
    ON_DISK: ClassVar = False

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Looks at the URL; one that is wrong may hold a key, and is not shown."""
        url, _, model = location.partition("#")
        if not model:
            raise ValueError(
                "names no model behind a server; write openai:URL#MODEL, such as "
                "openai:http://127.0.0.1:8000/v1#my-model"
            )
        url = url.rstrip("/")
        check_url(url)
        return f"{url}#{model}"

    def check(self) -> None:
        """Does not ask the server."""

    def digest(self) -> str:
        """A digest of its name: which weights stand behind it, only the server knows."""
        return digest_text(str(self))

    def locate(self) -> LocalWeights:
        """Finds nothing."""
        raise ModelError(f"{self} gives generations, and no weights")
