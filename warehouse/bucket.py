"""A lake in a bucket of S3, Google Cloud Storage or Azure, of which its folder holds copies.

Each table is listed by one call, and what changed of it is fetched. A file is published by one
conditional put, so that of two machines that make the same partition only the first succeeds.
Credentials come from the environment. Messages of the library may repeat some of them, so that no
error of ours holds them.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from filelock import FileLock
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from warehouse.durable import make_folder, publish
from warehouse.places import BucketError, OvertakenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FRESH = 2.0
"""Seconds for which a listing holds in a process. A put fails where it was too old."""
_AT_ONCE = 16
_PAUSES = (0.5, 1, 2, 4, 8)
"""Seconds between tries, further to those that the library itself makes."""
_OVERTAKEN = (AlreadyExistsError, PreconditionError)
_REFUSED = (PermissionDeniedError, UnauthenticatedError)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the prefix in it.

    Attributes:
        url: Such as `s3://bucket/prefix`.
    """

    url: str

    def look(self, root: Path, folder: str) -> None:
        """Lists a folder, fetches what changed and removes copies of what is gone.

        Raises:
            BucketError: The bucket cannot be read.
        """
        looked = _looked.setdefault((self.url, str(root)), {})
        now = time.monotonic()
        if any(now - looked.get(seen, -_FRESH) < _FRESH for seen in ("", folder)):
            return
        with _lock(root):
            published = self._published(folder)
            for copy in root.glob(f"{folder or '[!.]*'}/**/data.parquet"):
                if copy.relative_to(root).as_posix() not in published:
                    copy.unlink()
            changed = [
                name
                for name, version in published.items()
                if not (root / name).exists() or _version(root, name) != version
            ]
            if changed:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(lambda name: self._fetch(root, name), changed))
        looked[folder] = time.monotonic()

    def folders(self, root: Path) -> set[str]:
        """Those of the bucket."""
        try:
            listed = self._tried(lambda: obstore.list_with_delimiter(_store(self.url)))
        except NotFoundError:
            return set()
        return {prefix.strip("/") for prefix in listed["common_prefixes"]}

    def _published(self, folder: str) -> dict[str, str]:
        """The names of the objects below a folder, and which version each is."""
        prefix = f"{folder}/" if folder else None

        def listed() -> dict[str, str]:
            pages = obstore.list(_store(self.url), prefix=prefix)
            return {
                meta["path"]: meta["e_tag"] or ""
                for page in pages
                for meta in page
                if meta["path"].endswith("/data.parquet")
            }

        try:
            return self._tried(listed)
        except NotFoundError:  # nor is there a bucket
            return {}

    def _fetch(self, root: Path, name: str) -> None:
        """Copies an object; one that is gone meanwhile is left out."""
        copy = root / name
        make_folder(copy.parent)
        unfinished = copy.with_name(f".{copy.name}.{uuid.uuid4().hex}")

        def fetched() -> str:
            answer = obstore.get(_store(self.url), name)
            with unfinished.open("wb") as file:
                for piece in answer.stream():
                    file.write(piece)
            return answer.meta["e_tag"] or ""

        try:
            with suppress(NotFoundError):
                version = self._tried(fetched)
                unfinished.replace(copy)
                _note_version(root, name, version)
        finally:
            unfinished.unlink(missing_ok=True)

    def publish(self, root: Path, unfinished: Path, target: Path) -> None:
        """Puts a file where the bucket still has the version that was copied, or none.

        Raises:
            OvertakenError: It has another one, which is copied.
            BucketError: The bucket cannot be written to.
        """
        name = target.relative_to(root).as_posix()
        with _lock(root):
            known = _version(root, name) if target.exists() else None
            mode: Any = "create" if known is None else {"e_tag": known}
            try:
                put = self._tried(
                    lambda: obstore.put(
                        _store(self.url), name, unfinished, mode=mode, use_multipart=False
                    )
                )
            except NotFoundError:
                raise BucketError(f"{self.url}: there is no such bucket") from None
            except _OVERTAKEN:
                self._fetch(root, name)
                raise OvertakenError(
                    f"{self.url}/{name} was published by another machine meanwhile, and is as it "
                    "left it; run again"
                ) from None
            publish(unfinished, target)
            _note_version(root, name, put["e_tag"] or "")

    def __str__(self) -> str:
        """The URL."""
        return self.url

    def _tried(self, ask: Callable[[], _Answer]) -> _Answer:
        """An answer of the bucket, asked again where it is busy or the connection is cut."""
        for pause in (*_PAUSES, None):
            try:
                return ask()
            except (NotFoundError, *_OVERTAKEN):
                raise
            except _REFUSED:
                raise BucketError(
                    f"{self.url} lets nobody in with the credentials of the environment"
                ) from None
            except (BaseError, OSError) as error:
                if pause is None:
                    raise BucketError(
                        f"{self.url} gave no answer ({type(error).__name__}); check the bucket's "
                        "name, the endpoint and the credentials in the environment"
                    ) from None
            time.sleep(pause)
        raise AssertionError


_looked: dict[tuple[str, str], dict[str, float]] = {}
"""When this process last listed each folder of each lake."""


@lru_cache
def _store(url: str) -> Any:
    return from_url(url)


def _lock(root: Path) -> FileLock:
    """Keeps processes on this machine from changing the copies at once."""
    folder = root / ".staging" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "copies")


def _version(root: Path, name: str) -> str | None:
    """Which version of an object its copy is; None where it is not known."""
    with suppress(FileNotFoundError):
        return (root / ".staging" / "versions" / name).read_text(encoding="utf-8")
    return None


def _note_version(root: Path, name: str, version: str) -> None:
    """Notes it after the copy is in place: where that is cut short, the copy is fetched again."""
    note = root / ".staging" / "versions" / name
    note.parent.mkdir(parents=True, exist_ok=True)
    unfinished = note.with_name(uuid.uuid4().hex)
    unfinished.write_text(version, encoding="utf-8")
    unfinished.replace(note)
