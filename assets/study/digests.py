"""What tells one set of inputs from any other."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

_SCALARS = (str, int, float, bool, type(None))


def digest(value: object) -> str:
    """32 hexadecimal digits that tell a JSON value from any other."""
    return _of_scalar(value) if isinstance(value, _SCALARS) else _digest(value)


@lru_cache(maxsize=1 << 12, typed=True)
def _of_scalar(value: object) -> str:
    """Of settings, which thousands of partitions have alike."""
    return _digest(value)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
