"""`gguf:`, a GGUF file of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from models.errors import ModelError
from models.files import File, remembered
from models.names import local_path
from models.sources.digests import digest_files
from models.sources.headers import read_gguf
from models.sources.place import LocalWeights, Place
from models.sources.plausible import check_gguf


class GgufFile(Place):
    """A GGUF file."""

    SCHEME: ClassVar = "gguf"
    USAGE: ClassVar = "gguf:PATH, a GGUF file"
    RANK: ClassVar = 20

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Makes the path absolute."""
        return str(local_path(location, folder))

    def check(self) -> None:
        """Looks whether there is such a file, and holds its header against it."""
        path = Path(self.location)
        if not path.is_file():
            raise ModelError(f"there is no file {self.location}")
        _check((File.at(path),))

    def digest(self) -> str:
        """A digest of the file's name, size and content, samples of it where it is large."""
        return digest_files((File.at(Path(self.location)),))

    def locate(self) -> LocalWeights:
        """The file and the folder that it is in."""
        path = Path(self.location)
        return LocalWeights(path.parent, path.name, self.digest())


@remembered
def _check(files: tuple[File, ...]) -> None:
    (file,) = files
    try:
        check_gguf(file.path, read_gguf(file.path))
    except OSError as error:
        raise ModelError(f"{file.path} cannot be read: {error.strerror}") from error
