"""An object store on this machine, SeaweedFS, and faults between it and those who use it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY, SECRET = "its-key", "its-secret"


def environment_of(endpoint: str) -> dict[str, str]:
    """The variables that tell a store and its credentials."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """Runs a store; gives its address.

    Raises:
        FileNotFoundError: It is not installed.
    """
    weed = shutil.which("weed")
    if weed is None:
        raise FileNotFoundError("weed")
    credentials = f'[{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}]'
    (folder / "s3.json").write_text(
        f'{{"identities": [{{"name": "t", "credentials": {credentials}, "actions": ["Admin"]}}]}}'
    )
    ports = _free_ports(4)
    options = ("master.port", "volume.port", "filer.port", "s3.port")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *("-filer", "-s3", f"-s3.config={folder}/s3.json", "-master.telemetry=false"),
                *("-s3.port.iceberg=0", "-s3.port.lance=0"),
                *("-volume.max=50", "-master.volumeSizeLimitMB=64"),
                *(f"-{option}={port}" for option, port in zip(options, ports, strict=True)),
            ],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(ports[-1])
            yield f"http://127.0.0.1:{ports[-1]}"
        finally:
            server.kill()  # asked to end, it takes half a minute
            server.wait()


def _free_ports(n: int) -> list[int]:
    """Ports that are free, and of which SeaweedFS's second ones, 10,000 above, exist."""
    sockets: list[socket.socket] = []
    while len(sockets) < n:
        sockets.append(socket.create_server(("127.0.0.1", 0)))
        if sockets[-1].getsockname()[1] > 55_000:
            sockets.pop().close()
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError


class Fault(Enum):
    """What may happen to a request."""

    BUSY = "it is answered with 503, SlowDown"
    CUT_BEFORE = "the connection is cut in the middle of the request's body"
    CUT_WITHIN = "the connection is cut in the middle of the answer's body"
    CUT_AFTER = "the store does what it is asked, and the connection is cut before its answer"
    LATE = "it reaches the store once it is let go"
    HELD_BEFORE = "it never reaches the store, and is never answered"
    HELD_AFTER = "the store does what it is asked, and its answer is held back"


@dataclass
class Proxy:
    """Stands between a store and those who use it.

    Attributes:
        address: Where it listens.
        let_go: Lets go the requests that are late.
        choose: Gives the fault of a request, by its method and path; None for none.
        seen: Told of each answer of the store: the method, the path and the body.
        injected: Each fault that a request had, with its method.
    """

    address: str
    let_go: threading.Event = field(default_factory=threading.Event)
    choose: Callable[[str, str], Fault | None] = lambda method, path: None
    seen: Callable[[str, str, bytes], object] = lambda method, path, content: None
    injected: list[tuple[str, Fault]] = field(default_factory=list)

    def once(self, method: str, *faults: Fault) -> None:
        """Has the next requests of a method for files of rows have these faults, one each."""
        left = list(faults)
        self.choose = lambda asked, path: (
            left.pop(0) if left and asked == method and path.endswith("data.parquet") else None
        )


@contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """Runs one before a store."""
    upstream = endpoint.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            fault = running.choose(self.command, self.path.partition("?")[0])
            if fault is not None:
                running.injected.append((self.command, fault))
            if fault is Fault.CUT_BEFORE:
                self.rfile.read(length // 2)
                return self._cut()
            body = self.rfile.read(length)
            if fault is Fault.BUSY:
                content = b"<Error><Code>SlowDown</Code></Error>"
                return self._answer(503, {"Content-Length": str(len(content))}, content)
            if fault is Fault.HELD_BEFORE:
                return stopped.wait() and None
            if fault is Fault.LATE:
                running.let_go.wait()
            store = HTTPConnection(upstream)
            # The request is signed with the proxy's address as its host's.
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                store.putheader(name, value)
            store.endheaders(body)
            answer = store.getresponse()
            content = answer.read()
            headers = {name: value for name, value in answer.getheaders() if name not in _OF_A_HOP}
            if self.command != "HEAD":
                headers["Content-Length"] = str(len(content))
            store.close()
            running.seen(self.command, self.path.partition("?")[0], content)
            if fault is Fault.CUT_AFTER:
                return self._cut()
            if fault is Fault.HELD_AFTER:
                return stopped.wait() and None
            if fault is Fault.CUT_WITHIN:
                self._answer(answer.status, headers, content[: len(content) // 2])
                return self._cut()
            return self._answer(answer.status, headers, content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            with suppress(OSError):  # who asked may be gone
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def _cut(self) -> None:
            with suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    stopped = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running = Proxy(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            stopped.set()
            server.shutdown()


_OF_A_HOP = ("Transfer-Encoding", "Connection", "Content-Length")
"""Headers that a proxy says by itself."""
