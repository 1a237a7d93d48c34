"""Models and datasets on the Hugging Face hub: their commits, their files, and copies of them."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from models.errors import ModelError, sentence
from models.sources import folders
from models.sources.contents import ADAPTER, TEXT_FILES, ModelFiles, check_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER_LASTS = 60.0
"""Seconds for which the hub is not asked again what commit a revision is."""
_PATIENCE = 10.0
"""Seconds in which the hub says something, or is out of reach."""
_COMMIT = re.compile("[0-9a-f]{40}")


def cache_folder() -> Path:
    """Where what is made once is kept: `$ANCHORLAKE_CACHE`, or the user's cache folder."""
    named = os.environ.get("ANCHORLAKE_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("anchorlake")


def hub_commit(location: str, *, kind: str = "model") -> str:
    """The commit of a repository on the hub; the one last heard of where it is out of reach.

    Args:
        location: `org/name` or `org/name@revision`.
        kind: `model` or `dataset`.

    Raises:
        ModelError: There is no such repository or revision, or it is not known and out of reach.
    """
    revision = location.partition("@")[2]
    if _COMMIT.fullmatch(revision):
        return revision
    return _ask_hub(location, kind, int(time.monotonic() / _ANSWER_LASTS))


@lru_cache(maxsize=64)
def _ask_hub(location: str, kind: str, period: int) -> str:
    """Asks the hub once a period, as one command wants to know the same commit many times."""
    import huggingface_hub
    from huggingface_hub import constants

    name, _, revision = location.partition("@")
    ask = huggingface_hub.model_info if kind == "model" else huggingface_hub.dataset_info
    heard = cache_folder() / "commits" / f"{kind}--{location.replace('/', '--')}"
    try:
        with _absence_said(location):
            commit = ask(name, revision=revision or None, timeout=_PATIENCE).sha
        if commit:
            heard.parent.mkdir(parents=True, exist_ok=True)
            heard.write_text(commit)
            return str(commit)
    except ModelError:
        raise
    except Exception:  # any failure to reach the hub; each version raises others
        pass
    reference = Path(constants.HF_HUB_CACHE) / f"{kind}s--{name.replace('/', '--')}" / "refs"
    for cached in (reference / (revision or "main"), heard):
        if cached.is_file():
            return cached.read_text().strip()
    raise _out_of_reach(location)


def _out_of_reach(location: str) -> ModelError:
    return ModelError(f"hf:{location} is not in the local cache, and the hub cannot be reached")


def revisions(name: str) -> dict[str, str]:
    """The commits of a model's branches and tags on the hub, by their names.

    Raises:
        ModelError: There is no such repository, or it is out of reach.
    """
    from huggingface_hub import HfApi, get_session

    with _failure_said(name):
        get_session().timeout = _PATIENCE  # as this call takes none, and would wait for ever
        refs = HfApi().list_repo_refs(name)  # made anew, as the endpoint may be another by now
    return {ref.name: ref.target_commit for ref in (*refs.tags, *refs.branches)}


def check_commit(
    name: str, commit: str, *, allow_pickle: bool = False, allow_remote_code: bool = False
) -> None:
    """Looks whether a model on the hub is whole and safe to read, as `check_folder` does.

    The weights' headers are not looked at: what the hub has was uploaded as a whole.

    Args:
        name: `org/name`.
        commit: Of its history, which.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.

    Raises:
        IncompleteError: It is not wholly there.
        RefusedError: Reading it would run code, and that is not allowed.
        ModelError: There is no such commit, or it is out of reach.
    """
    check_files(
        _on_hub(name, commit), allow_pickle=allow_pickle, allow_remote_code=allow_remote_code
    )


def adapter_config(location: str) -> dict[str, Any] | None:
    """What an adapter on the hub says of itself; None of a whole model, or one not known to be one.

    Args:
        location: `org/name` or `org/name@revision`.

    Raises:
        ModelError: There is no such repository or revision, or it is not known and out of reach.
    """
    name, commit = location.partition("@")[0], hub_commit(location)
    return _ask_adapter_config(name, commit, int(time.monotonic() / _ANSWER_LASTS))


@lru_cache(maxsize=1 << 14)
def _ask_adapter_config(name: str, commit: str, period: int) -> dict[str, Any] | None:
    """Asks the hub once for good, as a commit never changes, or once a period in vain."""
    import huggingface_hub

    heard = cache_folder() / "adapters" / f"{name.replace('/', '--')}--{commit}.json"
    with suppress(OSError, ValueError):
        config: dict[str, Any] | None = json.loads(heard.read_text())
        return config
    try:
        files = _on_hub(name, commit)
        config = files.read_object(ADAPTER) if ADAPTER in files.sizes else None
    except ModelError:  # out of reach: what was downloaded tells
        try:
            folder = huggingface_hub.snapshot_download(name, revision=commit, local_files_only=True)
        except Exception:  # it was not
            return None
        return folders.adapter_config(Path(folder))
    heard.parent.mkdir(parents=True, exist_ok=True)
    heard.write_text(json.dumps(config))
    return config


def _on_hub(name: str, commit: str) -> ModelFiles:
    from huggingface_hub import hf_hub_download

    location = f"{name}@{commit}"

    def read(file: str) -> bytes:
        with _failure_said(location):
            return Path(hf_hub_download(name, file, revision=commit)).read_bytes()

    return ModelFiles(f"hf:{location}", _sizes(name, commit), read)


@lru_cache(maxsize=1 << 14)
def _sizes(name: str, commit: str) -> dict[str, int]:
    """The files of a commit, which never change, with their bytes; those in folders aside."""
    from huggingface_hub import HfApi

    with _failure_said(f"{name}@{commit}"):
        info = HfApi().model_info(name, revision=commit, files_metadata=True, timeout=_PATIENCE)
    files = {file.rfilename: file.size or 0 for file in info.siblings or []}
    return {file: size for file, size in files.items() if "/" not in file}


def download(
    location: str,
    *,
    allow_pickle: bool = False,
    allow_remote_code: bool = False,
    weights: bool = True,
) -> tuple[Path, str]:
    """Downloads what is to be read of a model, unless it is in the local cache.

    Args:
        location: `org/name` or `org/name@revision`.
        allow_pickle: Whether its weights may be a pickle, where it has none as safetensors.
        allow_remote_code: Whether code comes with it.
        weights: Whether they are wanted, or the tokenizer alone.

    Returns:
        The folder that holds it, and its commit.

    Raises:
        ModelError: It cannot be had.
    """
    import huggingface_hub
    from huggingface_hub import errors

    name, _, _ = location.partition("@")
    commit = hub_commit(location)
    wanted = [*TEXT_FILES, *["*.safetensors"] * weights]
    if allow_remote_code:
        wanted.append("*.py")

    def fetch() -> Path:
        return Path(huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=wanted))

    try:
        with _absence_said(location):
            folder = fetch()
            if allow_pickle and not any(folder.glob("*.safetensors")):
                wanted.append("*.bin")
                folder = fetch()
    except ModelError:
        raise
    except errors.LocalEntryNotFoundError as error:
        raise _out_of_reach(location) from error
    except Exception as error:  # network or disk: each has its own sentence
        raise ModelError(f"hf:{location} cannot be downloaded: {sentence(error)}") from error
    return folder, commit


@contextmanager
def _absence_said(location: str) -> Iterator[None]:
    """Says in a sentence what the hub does not have."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{location.partition('@')[0]}"
        raise ModelError(
            f"hf:{location} is gated: accept its terms at {page}, then say `hf auth login` or set "
            "HF_TOKEN"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"hf:{location} is not on the hub, or needs `hf auth login`: {sentence(error)}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"hf:{location} has no such revision") from error


@contextmanager
def _failure_said(location: str) -> Iterator[None]:
    """Says in a sentence what went wrong on the hub."""
    try:
        with _absence_said(location):
            yield
    except ModelError:
        raise
    except Exception as error:  # any failure to reach the hub; each version raises others
        raise ModelError(
            f"the hub cannot be asked for hf:{location}: {sentence(error)}; "
            "try again once it can be reached"
        ) from error
