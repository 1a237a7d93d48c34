"""`dir:`, a folder of this machine that transformers or peft can load."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from models.files import list_files
from models.names import local_path
from models.sources import folders
from models.sources.contents import TEXT_FILES
from models.sources.digests import digest_files
from models.sources.place import LocalWeights, Place


class Folder(Place):
    """A folder."""

    SCHEME: ClassVar = "dir"
    USAGE: ClassVar = "dir:PATH, a folder that transformers or peft can load"
    RANK: ClassVar = 30
    MAY_BE_ADAPTER: ClassVar = True

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Makes the path absolute."""
        return str(local_path(location, folder))

    def check(self) -> None:
        """Looks whether what is in the folder is whole and safe to read."""
        folders.check_folder(
            Path(self.location),
            allow_pickle=self.allow_pickle,
            allow_remote_code=self.allow_remote_code,
        )

    def digest(self) -> str:
        """A digest of the weights, and of what stands beside them."""
        folder = Path(self.location)
        weights = folders.weight_files(folder, allow_pickle=self.allow_pickle)
        patterns = [*TEXT_FILES, "*.safetensors", *["*.py"] * self.allow_remote_code]
        files = (
            file
            for file in list_files(folder)
            if file.path in weights or any(fnmatchcase(file.path.name, p) for p in patterns)
        )
        return digest_files(tuple(files))

    def locate(self) -> LocalWeights:
        """The folder itself."""
        return LocalWeights(Path(self.location), None, self.digest())

    def adapter_config(self) -> dict[str, Any] | None:
        """What stands in the folder of an adapter."""
        return folders.adapter_config(Path(self.location))
