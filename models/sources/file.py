"""`file:`, generations made elsewhere, of which there are no weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from models.errors import ModelError
from models.files import file_digest
from models.names import local_path
from models.sources.place import LocalWeights, Place


class GenerationsFile(Place):
    """A file of generations."""

    SCHEME: ClassVar = "file"
    USAGE: ClassVar = "file:PATH.jsonl, generations made elsewhere"
    RANK: ClassVar = 60
    GIVES: ClassVar = "generations"

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Makes the path absolute."""
        return str(local_path(location, folder))

    def check(self) -> None:
        """Looks whether there is such a file."""
        if not Path(self.location).is_file():
            raise ModelError(f"there is no file {self.location}")

    def digest(self) -> str:
        """A digest of all of the file."""
        try:
            return file_digest(Path(self.location))[:32]
        except OSError as error:
            raise ModelError(f"{self.location} cannot be read: {error.strerror}") from error

    def locate(self) -> LocalWeights:
        """Finds nothing."""
        raise ModelError(f"{self} gives generations, and no weights")
