"""Dagster's webserver, behind the gate, and what it shows: a code server, and the daemon.

It does what `dagster dev` does, whose webserver has no place for a gate. The webserver is this
process; code servers listen on Unix sockets, and the daemon does not listen.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import dagster as dg
import uvicorn
import yaml
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.cli import (
    DEFAULT_DB_STATEMENT_TIMEOUT,
    DEFAULT_POOL_MAX_OVERFLOW,
    DEFAULT_POOL_RECYCLE,
)
from dagster_webserver.version import __version__

from orchestration.gate import Gate

_DEFINITIONS, _ROOT = "orchestration.definitions", Path(__file__).parents[1]
_POLL_MILLISECONDS = 2000
_LOG_LEVEL = "warning"
_REQUESTS_END, _DAEMON_ENDS = 1, 1.5
"""Seconds that open requests have to end, and then the daemon."""


def serve(listener: socket.socket, location: str, allowed: list[str]) -> None:
    """Serves the UI of `$DAGSTER_HOME` until it is asked to end, or the daemon has ended.

    Args:
        listener: The socket that it answers on.
        location: What the code location is called.
        allowed: Hosts that it is reached by, beside the loopback names.
    """
    configure_loggers(log_level=_LOG_LEVEL.upper())
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        instance.optimize_for_webserver(
            DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW
        )
        definitions = ModuleTarget(
            module_name=_DEFINITIONS,
            attribute=None,
            working_directory=str(_ROOT),
            location_name=location,
        )
        code_servers = stack.enter_context(
            ProxyServerManager(instance, definitions, code_server_log_level=_LOG_LEVEL)
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text(yaml.dump({"load_from": code_servers.get_code_server_specs()}))
        daemon = _start_daemon(workspace)
        stack.callback(_end, daemon)
        context = stack.enter_context(
            WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)]), __version__)
        )
        app = create_app_from_workspace_process_context(
            context, live_data_poll_rate=_POLL_MILLISECONDS
        )
        gate = Gate(app, listener.getsockname()[1], allowed)
        server = uvicorn.Server(
            uvicorn.Config(
                gate, log_level=_LOG_LEVEL, timeout_graceful_shutdown=_REQUESTS_END, lifespan="off"
            )
        )
        threading.Thread(target=_end_with, args=(daemon, server), daemon=True).start()
        server.run([listener])


def _start_daemon(workspace: Path) -> subprocess.Popen[bytes]:
    command = ["dagster._daemon", "run", "--workspace", str(workspace), "--log-level", _LOG_LEVEL]
    return subprocess.Popen([sys.executable, "-m", *command])


def _end(daemon: subprocess.Popen[bytes]) -> None:
    """Asks the daemon to end; if it is in the middle of something, it is left to `services`."""
    daemon.terminate()
    with suppress(subprocess.TimeoutExpired):
        daemon.wait(_DAEMON_ENDS)


def _end_with(daemon: subprocess.Popen[bytes], server: uvicorn.Server) -> None:
    """Ends the server if the daemon ends, as nothing would run any more."""
    status = daemon.wait()
    if not server.should_exit:
        print(f"Dagster's daemon ended with status {status}", file=sys.stderr)
    server.should_exit = True


def _end_with_input() -> None:
    """Ends this process as SIGTERM does once nobody holds its standard input any more."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serves on the socket of the first argument the location of the second, under other hosts."""
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_input, daemon=True).start()
    with suppress(KeyboardInterrupt):
        serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3:])


if __name__ == "__main__":
    main()
