"""What tells one set of inputs from any other."""

from __future__ import annotations

import hashlib
import json


def digest(value: object) -> str:
    """32 hexadecimal digits that tell a JSON value from any other."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
