"""Asking a bucket: who may, how often, and what is said where it gives no answer.

Credentials come from the environment. Messages of the library may repeat some of them, so that no
error of ours holds them.
"""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import from_url

from warehouse.places import BucketError

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15, 30, 30, 30)
"""Seconds between tries: a store that is busy may be so for minutes."""
_PAUSES_AT_FIRST = _PAUSES[:3]
"""The same of a store that never answered this process: its address may be wrong."""
_LONGEST = "10m"
"""That a request may take: the largest put needs 9 MB/s."""
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_BUSY = (408, 409, 429)
_Answer = TypeVar("_Answer")
_answered: set[str] = set()
"""The buckets that have answered this process."""


def answer_of(url: str, ask: Callable[[], _Answer]) -> _Answer:
    """An answer of a bucket, asked again where it is busy or the connection is cut.

    Raises:
        NotFoundError: It has no such object, or there is no such bucket.
        AlreadyExistsError: A conditional put found an object. It may be that of an earlier try.
        PreconditionError: The same, where another version was expected.
        BucketError: It gave no answer, or refused.
    """
    tries = 0
    while True:
        try:
            answer = ask()
        except (NotFoundError, AlreadyExistsError, PreconditionError):
            _answered.add(url)
            raise
        except BucketError:
            raise
        except (BaseError, OSError) as error:
            if getattr(error, "errno", None) is not None:  # of this machine's disk
                raise
            status = int(match[1]) if (match := _STATUS.search(str(error))) else None
            if status == 404:
                raise NotFoundError("there is no such bucket") from None
            if status in (401, 403):
                raise BucketError(
                    f"{url} lets nobody in with the credentials of the environment ({status})"
                ) from None
            if status is not None:
                _answered.add(url)
            pauses = _PAUSES if url in _answered else _PAUSES_AT_FIRST
            is_final = status is not None and status < 500 and status not in _BUSY
            if is_final or tries >= len(pauses):
                what = f"status {status}" if status else type(error).__name__
                raise BucketError(
                    f"{url} gave no answer ({what}); check the bucket's name, the endpoint and the "
                    "credentials in the environment"
                ) from None
            time.sleep(pauses[tries])
            tries += 1
        else:
            _answered.add(url)
            return answer


@lru_cache
def store_at(url: str) -> Any:
    """The library's client of a bucket, which tries nothing twice by itself.

    Raises:
        BucketError: The endpoint in the environment is no URL.
    """
    for name in _ENDPOINTS:
        if not re.match(r"https?://.|$", os.environ.get(name, "")):
            raise BucketError(f"${name} is no URL: write http://HOST:PORT or https://HOST")
    return from_url(
        url,
        retry_config={"max_retries": 0},
        client_options={"timeout": _LONGEST, "allow_http": True},
    )
