"""A lake in a bucket of S3, Google Cloud Storage or Azure, of which its folder holds copies.

A table is listed by one call. Of what changed, what data versions need is fetched when they are
asked for: small files whole, of others the footer. All rows are fetched when they are read. A file
is published by one conditional put, so that of two machines that make the same partition only the
first succeeds.
"""

from __future__ import annotations

import filecmp
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

from warehouse.asking import answer_of, store_at
from warehouse.copies import Copies
from warehouse.places import BucketError, OvertakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_FRESH = 2.0
"""Seconds for which a listing holds in a process. A put fails where it was too old."""
_AT_ONCE = 16
_SMALL = 256 << 10
"""Bytes of a file that takes hardly longer to fetch than its footer does."""
_TAIL = 32 << 10
"""Bytes that are fetched for a footer, at first; the longest are longer."""


@dataclass
class _Listing:
    """What a folder of a bucket had.

    Attributes:
        at: When it was listed.
        objects: Tag and size of each object, by its name.
        with_footers: Folders of which all footers are here.
    """

    at: float
    objects: dict[str, tuple[str, int]]
    with_footers: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the prefix in it.

    Attributes:
        url: Such as `s3://bucket/prefix`.
    """

    url: str

    def exists(self, root: Path) -> bool:
        """Whether the bucket has any folder below the prefix."""
        return bool(self.folders(root))

    def files(self, root: Path, pattern: str) -> list[Path]:
        """Those in the bucket.

        Raises:
            BucketError: The bucket cannot be read.
        """
        parts = pattern.split("/")
        objects = self._listing(root, parts[0]).objects
        if "*" not in pattern:
            return [root / pattern] if pattern in objects else []
        begins = pattern.partition("*")[0].partition("[")[0]
        names = (name.split("/") for name in objects if name.startswith(begins))
        return sorted(
            root.joinpath(*name)
            for name in names
            if len(name) == len(parts) and all(map(fnmatchcase, name, parts))
        )

    def fetch(self, root: Path, files: Sequence[Path]) -> None:
        """Copies those that changed.

        Raises:
            BucketError: The bucket cannot be read.
        """
        copies = Copies(root)
        changed = []
        for file in files:
            name = file.relative_to(root).as_posix()
            known = self._listing(root, name.partition("/")[0]).objects.get(name)
            if known is not None and not copies.has(name, known[0]):
                changed.append(name)
        self._copy(root, [(name, self._fetch_whole) for name in changed])

    def footer(self, root: Path, file: Path) -> Path:
        """Its copy, or a file without rows.

        Raises:
            BucketError: The bucket cannot be read.
        """
        name = file.relative_to(root).as_posix()
        folder = name.partition("/")[0]
        listing = self._listing(root, folder)
        copies = Copies(root)
        if folder not in listing.with_footers:  # of all at once
            unknown = [
                (other, self._fetch_whole if size <= _SMALL else self._fetch_footer)
                for other, (e_tag, size) in listing.objects.items()
                if other.startswith(f"{folder}/") and not copies.has_footer(other, e_tag)
            ]
            self._copy(root, unknown)
            listing.with_footers.add(folder)
        return copies.footer(name)

    def folders(self, root: Path) -> set[str]:
        """Those in the bucket.

        Raises:
            BucketError: The bucket cannot be read.
        """
        with suppress(NotFoundError):
            listed = answer_of(self.url, lambda: obstore.list_with_delimiter(store_at(self.url)))
            return {prefix.strip("/") for prefix in listed["common_prefixes"]}
        return set()

    def publish(self, root: Path, unfinished: Path, target: Path) -> None:
        """Puts a file where the bucket still has the version that was seen last, or none.

        Raises:
            OvertakenError: It has another one.
            BucketError: The bucket cannot be written to.
        """
        name = target.relative_to(root).as_posix()
        copies = Copies(root)
        seen = copies.seen(name)
        mode: Any = "create" if seen is None else {k: v for k, v in seen.items() if v is not None}
        try:
            put = answer_of(
                self.url,
                lambda: obstore.put(
                    store_at(self.url), name, unfinished, mode=mode, use_multipart=False
                ),
            )
        except NotFoundError:
            raise BucketError(f"{self.url}: there is no such bucket") from None
        except (AlreadyExistsError, PreconditionError):
            self._copy(root, [(name, self._fetch_whole)])
            # The answer to an earlier try may have been lost, which put what is there.
            if not (target.exists() and filecmp.cmp(unfinished, target, shallow=False)):
                raise OvertakenError(
                    f"{self.url}/{name} was published by another machine meanwhile, and is as it "
                    "left it; run again"
                ) from None
        else:
            copies.keep(unfinished, name, put)
        for listing in _listings.get((self.url, root), {}).values():
            listing.at = -math.inf

    def __str__(self) -> str:
        """The URL."""
        return self.url

    def _listing(self, root: Path, folder: str) -> _Listing:
        """What a folder of the lake has; all of it where the folder is a pattern.

        Copies of what is gone are removed.
        """
        folder = "" if "*" in folder else folder
        known = _listings.setdefault((self.url, root), {})
        for held in ("", folder):
            if held in known and time.monotonic() - known[held].at < _FRESH:
                return known[held]

        def listed() -> dict[str, tuple[str, int]]:
            pages = obstore.list(store_at(self.url), prefix=f"{folder}/" if folder else None)
            return {
                meta["path"]: (meta["e_tag"] or "", meta["size"])
                for page in pages
                for meta in page
                if meta["path"].endswith("/data.parquet")
            }

        objects: dict[str, tuple[str, int]] = {}
        with suppress(NotFoundError):  # nor is there a bucket
            objects = answer_of(self.url, listed)
        Copies(root).forget_others(folder, objects)
        known[folder] = _Listing(time.monotonic(), objects)
        return known[folder]

    def _copy(self, root: Path, names: Iterable[tuple[str, Callable[..., None]]]) -> None:
        """Fetches files, several at once; one that is gone meanwhile is left out."""
        if not (names := list(names)):
            return
        copies = Copies(root)

        def fetch(name: str, how: Callable[..., None]) -> None:
            with copies.unfinished() as unfinished, suppress(NotFoundError):
                answer_of(self.url, lambda: how(copies, name, unfinished))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(fetch, *zip(*names, strict=True)))

    def _fetch_whole(self, copies: Copies, name: str, unfinished: Path) -> None:
        answer = obstore.get(store_at(self.url), name)
        with unfinished.open("wb") as file:
            for piece in answer.stream():
                file.write(piece)
        copies.keep(unfinished, name, answer.meta)

    def _fetch_footer(self, copies: Copies, name: str, unfinished: Path) -> None:
        length = _TAIL
        while True:
            options: Any = {"range": {"suffix": length}}
            answer = obstore.get(store_at(self.url), name, options=options)
            tail = bytes(answer.bytes())
            needed = int.from_bytes(tail[-8:-4], "little") + 8
            if needed <= len(tail) or len(tail) < length:
                break
            length = needed
        copies.keep_footer(tail[-needed:], unfinished, name, answer.meta)


_listings: dict[tuple[str, Path], dict[str, _Listing]] = {}
"""What this process listed last of each folder of each lake."""
