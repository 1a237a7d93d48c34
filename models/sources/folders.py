"""What a folder with a model holds: whether it is whole, and whether reading it would run code."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any

from models.errors import IncompleteError, ModelError, RefusedError
from models.files import list_files, remembered
from models.sources.contents import ADAPTER, TEXT_FILES, ModelFiles, check_files, find_weights
from models.sources.headers import SAVE_IT, read_safetensors
from models.sources.plausible import check_adapter, check_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.files import File
    from models.sources.headers import Shapes

_SAFE = ".safetensors"
_MOST_TENSORS = 200_000
_ARE_READ = (*TEXT_FILES, f"*{_SAFE}", "*.bin", "*.py")
"""What of a folder is read, if it is allowed."""


def check_folder(
    folder: Path, *, allow_pickle: bool = False, allow_remote_code: bool = False
) -> None:
    """Looks whether a model is whole and safe to read, without reading its weights.

    Args:
        folder: Where it is.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.

    Raises:
        IncompleteError: It is not wholly there.
        RefusedError: Reading it would run code, and that is not allowed.
    """
    _check_folder(list_files(folder), folder, allow_pickle, allow_remote_code)


def weight_files(folder: Path, *, allow_pickle: bool = False) -> list[Path]:
    """The files that hold a model's weights.

    Raises:
        IncompleteError: They are not all there.
        RefusedError: They are a pickle, and that is not allowed.
    """
    return [folder / name for name in _weights_in(list_files(folder), folder, allow_pickle)]


def count_weights(files: Sequence[Path]) -> int:
    """How many numbers files of weights have.

    Raises:
        IncompleteError: One is not whole.
    """
    return sum(prod(shape) for file in files for shape in _shapes_of(file).values())


def adapter_config(folder: Path) -> dict[str, Any] | None:
    """What an adapter says of itself; None where the folder holds a whole model, or none.

    Raises:
        IncompleteError: It is not wholly there.
    """
    return _adapter_config(list_files(folder), folder)


def training_step(folder: Path) -> int | None:
    """The step at which a Trainer saved a checkpoint; None where it does not say so."""
    path = folder / "trainer_state.json"
    try:
        step = json.loads(path.read_bytes())["global_step"] if path.is_file() else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return step if type(step) is int else None


def snapshot(folder: Path) -> str:
    """16 hexadecimal digits that change as files are written; none where there are no files."""
    files = [f"{file.path.name}\x1f{file.size}\x1f{file.modified}" for file in list_files(folder)]
    return hashlib.sha256(os.fsencode("\x1e".join(files))).hexdigest()[:16] if files else ""


def _on_disk(files: tuple[File, ...], folder: Path) -> ModelFiles:
    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise IncompleteError(
                f"{folder / name} cannot be read: {error.strerror}; {SAVE_IT}"
            ) from error

    return ModelFiles(str(folder), {file.path.name: file.size for file in files}, read)


@remembered
def _adapter_config(files: tuple[File, ...], folder: Path) -> dict[str, Any] | None:
    checkpoint = _on_disk(files, folder)
    return checkpoint.read_object(ADAPTER) if ADAPTER in checkpoint.sizes else None


@remembered
def _weights_in(files: tuple[File, ...], folder: Path, allow_pickle: bool) -> list[str]:
    return list(find_weights(_on_disk(files, folder), allow_pickle=allow_pickle))


@remembered
def _check_folder(
    files: tuple[File, ...], folder: Path, allow_pickle: bool, allow_remote_code: bool
) -> None:
    _check_links(files, folder)
    checkpoint = _on_disk(files, folder)
    weights = check_files(
        checkpoint, allow_pickle=allow_pickle, allow_remote_code=allow_remote_code
    )
    shapes: Shapes = {}
    for name, tensors in weights.items():
        path = folder / name
        shapes_of_file = _shapes_of(path)
        for tensor in sorted(tensors - shapes_of_file.keys()) if path.suffix == _SAFE else ():
            raise IncompleteError(f"{path} lacks {tensor}, which the index says it has; {SAVE_IT}")
        shapes |= shapes_of_file
        if len(shapes) > _MOST_TENSORS:
            raise ModelError(f"{folder} has over {_MOST_TENSORS:,} tensors, as no model has")
    if ADAPTER in checkpoint.sizes:
        check_adapter(f"{folder}/{ADAPTER}", checkpoint.read_object(ADAPTER), shapes)
    else:
        config = checkpoint.read_object("config.json")
        check_config(f"{folder}/config.json", config, len(shapes))


def _shapes_of(path: Path) -> Shapes:
    """The shapes of the tensors of a file of weights; of a pickle, the bytes of each.

    Raises:
        IncompleteError: It is not whole.
    """
    try:
        if path.suffix == _SAFE:
            return read_safetensors(path)
        with zipfile.ZipFile(path) as archive:  # whose directory is at its end
            return {member.filename: (member.file_size,) for member in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError):
        raise IncompleteError(f"{path} is not a whole file of torch.save; {SAVE_IT}") from None
    except OSError as error:
        raise IncompleteError(f"{path} cannot be read: {error.strerror}; {SAVE_IT}") from error


def _check_links(files: tuple[File, ...], folder: Path) -> None:
    """Looks whether what is in a folder is there, and not a link that leads elsewhere.

    The hub's cache is folders of links; those may lead to where it keeps the files of the same
    repository.

    Raises:
        RefusedError: A link leads out of it.
    """
    links = [file.path for file in files if file.path.is_symlink()]
    if not links:
        return
    root = folder.resolve()
    if root.parent.name == "snapshots" and root.parents[1].name.startswith("models--"):
        root = root.parents[1]
    for link in links:
        target = link.resolve()
        if not target.is_relative_to(root) and any(
            fnmatchcase(link.name, read) for read in _ARE_READ
        ):
            raise RefusedError(
                f"{link} is a link that leads out of the folder, to {target}; put a copy of that "
                "file in its place"
            )
