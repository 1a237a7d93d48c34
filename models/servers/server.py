"""The server that a model is behind: its address, its key, and how hard it is asked.

Nothing here sends anything.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from models.errors import ModelError

KEY_VARIABLE = re.compile("[A-Z_][A-Z0-9_]*")
"""Names of environment variables; keys are not written like them."""
_OPENAI, _OPENAI_KEY = "api.openai.com", "OPENAI_API_KEY"


@dataclass(frozen=True)
class Server:
    """A server, and how hard it is asked.

    Attributes:
        url: Its base, up to `/v1`.
        model: The name by which it knows the model.
        concurrency: Requests at once.
        timeout: Seconds for one whole answer, however slowly its bytes come.
        attempts: How often one request may fail.
        api_key_env: The name of the environment variable that holds the key. Where it is None no
            key is sent, but to api.openai.com, whose key is in `OPENAI_API_KEY`.

    Raises:
        ModelError: It cannot or should not be asked.
    """

    url: str
    model: str
    concurrency: int = 8
    timeout: float = 600.0
    attempts: int = 6
    api_key_env: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.rstrip("/"))
        check_url(self.url)
        if not self.model:
            raise ModelError(f"{self.url} is to be asked for a model, and none is named")
        for name in ("concurrency", "attempts"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name)}, and must be at least 1")
        if not 0 < self.timeout < math.inf:
            raise ModelError(f"timeout is {self.timeout}, and must be a number of seconds above 0")
        # Whoever gives the key for its name is not shown it.
        if self.api_key_env is not None and not KEY_VARIABLE.fullmatch(self.api_key_env):
            raise ModelError(
                "api_key_env must be the name of an environment variable, in capitals, "
                f"such as {_OPENAI_KEY}"
            )
        if self.key_variable and not (self.url.startswith("https:") or self.is_loopback):
            raise ModelError(
                f"a key is sent over https or to this machine alone, and {self.url} is neither: "
                "give its https address, or reach it through a tunnel"
            )

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None where none is sent."""
        if self.api_key_env is None and urlsplit(self.url).hostname == _OPENAI:
            return _OPENAI_KEY
        return self.api_key_env

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def read_key(server: Server) -> SecretStr | None:
    """The key of a server, if it takes one; read anew each time, as the variable may change.

    Raises:
        ModelError: It is not there.
    """
    if (variable := server.key_variable) is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(
            f"{server.url} is to be asked with the key in the environment variable {variable}, "
            "which is not set: export it"
        )
    if not re.fullmatch("[!-~]+", key):
        raise ModelError(
            f"the environment variable {variable} holds no key: it has spaces, or letters beyond "
            "ASCII, in it"
        )
    return SecretStr(key)


def check_url(url: str) -> None:
    """Looks whether a URL is the base of a server's, and holds no secret.

    Raises:
        ModelError: It is not, or does; it is not shown where it may.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:  # such as of a name that is too long
        raise ModelError("the server's URL cannot be read: give it as https://host/v1") from None
    if "@" in url or parts.query or parts.fragment or "?" in url:
        raise ModelError(
            "the server's URL must hold no user name, password, query or fragment: name the "
            "environment variable that holds the key in api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_plain(url):
        raise ModelError(f"the server's URL is {url!r}: give it as https://host/v1")
    if parts.path.endswith("/completions"):
        raise ModelError(f"the server's URL is {url}: give it up to /v1 only")


def _is_plain(url: str) -> bool:
    return url.isprintable() and " " not in url
