"""Which requests reach Dagster's web application: those that its own pages, or a program, sent.

A port of 127.0.0.1 is open to every web page that the user's browser shows, and Dagster's
application answers all of them: it runs mutations by GET, reads JSON in forms, under any host name.
The gate is ASGI middleware around that application, in its process, so that no port leads past it.
It decides by what a browser does not let a page choose: `Host`, `Origin`, `Sec-Fetch-Site`, and
content types that need the server's consent. It does not know users: whoever connects to the port
from a program, on this machine, is let in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_FORBIDDEN, _METHOD_NOT_ALLOWED, _UNSUPPORTED_MEDIA_TYPE = 403, 405, 415


class Gate:
    """Refuses what a page of another origin can make a browser send.

    - `Host` is a loopback name with the port, or a name that the user allows: a page whose own name
      comes to resolve to 127.0.0.1 reads nothing.
    - `Origin`, of a WebSocket too, is absent or one of these.
    - `Sec-Fetch-Site` is absent, `same-origin` or `none`, except where a link is followed.
    - GET changes nothing: a `query` that holds more than GraphQL queries is refused.
    - POST is JSON, which no form can send. There is no other method.
    - No page of another origin shows the UI in a frame, to have its buttons clicked.
    """

    def __init__(self, app: ASGIApp, port: int, allowed: Iterable[str] = ()) -> None:
        """Stands in front of an application.

        Args:
            app: Dagster's.
            port: Where it listens.
            allowed: Further hosts that it is reached by: `NAME:PORT`, or `NAME` with the default
                port or this one.
        """
        self._app = app
        self._hosts = {f"{name}:{port}" for name in _LOOPBACK}
        if port == 80:  # which browsers leave out
            self._hosts.update(_LOOPBACK)
        for name in map(str.lower, allowed):
            self._hosts |= {name} if re.search(r":\d+$", name) else {name, f"{name}:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a connection on, or answers it with why it is refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif refusal := self._refusal(HTTPConnection(scope)):
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, _not_in_a_frame(send))

    def _refusal(self, request: HTTPConnection) -> PlainTextResponse | None:
        headers = request.headers
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            host = ", ".join(hosts)
            return _refuse(
                f"This UI does not go by the host {host!r}. If you want it to, start it with "
                f"`anchorlake ui --allow-host {host}`."
            )
        for origin in headers.getlist("origin"):
            if not self._is_known(origin):
                return _refuse(f"A page of {origin} sent this, and only the UI's own pages may.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not (
            _is_followed_link(request)
        ):
            return _refuse("A page of another site sent this, and only the UI's own pages may.")
        if request.scope["type"] == "websocket":
            return None  # over which Dagster runs subscriptions alone
        method = request.scope["method"]
        if method in ("GET", "HEAD"):
            # On any path, as Dagster also serves GraphQL at `/graphql%0A`, and of several all.
            if not all(map(_only_reads, request.query_params.getlist("query"))):
                return _refuse("GET is for queries; send a mutation by POST.", _METHOD_NOT_ALLOWED)
        elif method != "POST":
            return _refuse(f"{method} does nothing here.", _METHOD_NOT_ALLOWED)
        elif _media_type(headers.get("content-type", "")) != "application/json":
            # Dagster would find the JSON in `text/plain; application/json`, too.
            return _refuse("Send it with Content-Type: application/json.", _UNSUPPORTED_MEDIA_TYPE)
        return None

    def _is_known(self, origin: str) -> bool:
        try:
            scheme, host, *more = urlsplit(origin.lower())
        except ValueError:
            return False
        return scheme in ("http", "https") and host in self._hosts and not any(more)


def _is_followed_link(request: HTTPConnection) -> bool:
    """Whether a browser goes to a page of the UI, in a window of its own."""
    headers = request.headers
    return (
        request.scope["type"] == "http"
        and request.scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _only_reads(document: str) -> bool:
    """Whether GraphQL holds queries alone; what cannot be read does not."""
    try:
        definitions = parse(document).definitions
    except (GraphQLError, RecursionError):
        return False
    return all(
        isinstance(definition, FragmentDefinitionNode)
        or (
            isinstance(definition, OperationDefinitionNode)
            and definition.operation is OperationType.QUERY
        )
        for definition in definitions
    )


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _refuse(why: str, status: int = _FORBIDDEN) -> PlainTextResponse:
    return PlainTextResponse(why + "\n", status, {"X-Content-Type-Options": "nosniff"})


def _not_in_a_frame(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Frame-Options"] = "SAMEORIGIN"
        await send(message)

    return send_with_header
