"""What goes wrong with a request, and whether it may succeed later, otherwise or never.

A server's words come into one line here, and lose the key, before anything else sees them.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from models.errors import shortened

if TYPE_CHECKING:
    import httpx2
    from pydantic import SecretStr

_LONGEST_ASKED = 300.0
"""Seconds of waiting that a server may ask for."""
_TRANSIENT = frozenset({408, 409, 429})
_NEGOTIABLE = frozenset({400, 403, 422})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})


@dataclass(frozen=True)
class Fault:
    """What a server says is wrong.

    Attributes:
        status: Of HTTP.
        text: In a line; the key is not in it.
        param: The parameter that it names, if any.
        code: Its own name of what is wrong, if any.
        wait: Seconds that it asks to wait; 0 where it asks for none.
    """

    status: int
    text: str
    param: str = ""
    code: str = ""
    wait: float = 0.0

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _TRANSIENT or self.status >= 500

    @property
    def is_filter(self) -> bool:
        """Whether a filter withholds the generation."""
        return self.status == 400 and self.code in _FILTERED

    @property
    def is_negotiable(self) -> bool:
        """Whether a request with other parameters may succeed."""
        return self.status in _NEGOTIABLE

    def names(self, *parameters: str) -> bool:
        """Whether it complains of one of the parameters."""
        if self.param:
            return self.param.rpartition(".")[2] in parameters
        # A model may be called `seed-oss`: that names no parameter.
        return any(re.search(rf"(?<![\w/-]){name}(?![\w/-])", self.text) for name in parameters)

    def __str__(self) -> str:
        return f"{self.status} {shortened(self.text)}".strip()


class TransientError(Exception):
    """A failure after which the same request may succeed.

    Attributes:
        busy: Whether the server has too much to do, for all requests alike.
        wait: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, *, busy: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.busy = busy
        self.wait = wait


class RefusalError(Exception):
    """A response after which no request will succeed.

    Attributes:
        fault: What the server says.
        path: The endpoint that was asked, below the server's address.
    """

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.status)
        self.fault = fault
        self.path = path


def read_fault(response: httpx2.Response, key: SecretStr | None) -> Fault:
    """Reads an error response.

    Args:
        response: Any whose status is not 200.
        key: The key that the request bore, which the server may repeat.
    """
    text, param, code = _complaint(response)
    wait = _seconds_asked(response.headers.get("Retry-After", ""))
    return Fault(response.status_code, one_line(text, key), param, code, wait)


def one_line(text: str, key: SecretStr | None) -> str:
    """A text of the server in one line, without the key."""
    if key is not None:
        secret = key.get_secret_value()
        for written in (secret, json.dumps(secret)[1:-1], secret.replace("/", r"\/")):
            text = text.replace(written, "***")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _complaint(response: httpx2.Response) -> tuple[str, str, str]:
    """What an error response says: its text, the parameter and the code that it names."""
    phrase = response.reason_phrase
    if 300 <= response.status_code < 400:
        return f"{phrase} {response.headers.get('Location', '')}", "", ""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        text = response.text.strip()
        return (phrase if not text or text.startswith("<") else text), "", ""
    answer = answer if isinstance(answer, dict) else {"message": answer}
    error = answer.get("error")
    if isinstance(error, dict):
        answer = error
    elif isinstance(error, str):
        answer = {**answer, "message": error}
    message = answer.get("message") or answer.get("detail") or phrase
    if isinstance(message, list):  # FastAPI's: where, and what is wrong there
        message = "; ".join(
            f"{'.'.join(map(str, part.get('loc', [])))}: {part.get('msg', '')}"
            if isinstance(part, dict) and isinstance(part.get("loc", []), list)
            else str(part)
            for part in message
        )
    param, code = answer.get("param"), answer.get("code")
    return (
        message if isinstance(message, str) else json.dumps(message),
        param if isinstance(param, str) else "",
        code if isinstance(code, str) else "",
    )


def _seconds_asked(header: str) -> float:
    """The seconds that a Retry-After header asks for, as a number or a date; 0 without any."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_ASKED) if math.isfinite(seconds) else 0.0
