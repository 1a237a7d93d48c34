"""The processes of `anchorlake ui`, which end together: their start, signals, and their end.

What they do is in `webserver`. This process loads little and only waits, so that it stays small
and answers a signal at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import psutil

from orchestration.stopping import STOPPED

SERVERS_END, RUNS_END = 3.0, 3.0
"""Seconds that the webserver and the daemon have to end, and then code servers and runs."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed_signals() -> None:
    """Makes signals that ask for an end a `KeyboardInterrupt`.

    A shell that is not interactive starts commands with `&` so that they ignore SIGINT, and Dagster
    then ignores SIGTERM, too. Processes that are started after this call ignore neither.
    """
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as of `nohup`
            signal.signal(number, signal.default_int_handler)


def run_together(command: list[str], pass_fds: tuple[int, ...] = ()) -> int:
    """Runs a process until it ends or a signal comes; all that it started ends with it.

    Its standard input ends, which asks it to end; what is left of its session gets SIGTERM, and
    what is left then is killed.

    Args:
        command: The process.
        pass_fds: Open files that it is given, and that are closed here.

    Returns:
        `STOPPED` where a signal asked for it, else 1.
    """
    # What listens on a Unix socket, as code servers do, has it here, where no other user can come.
    with tempfile.TemporaryDirectory(prefix="anchorlake-ui-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            env=os.environ | {"TMPDIR": folder},
            start_new_session=True,
            pass_fds=pass_fds,
        )
        for number in pass_fds:
            os.close(number)
        try:
            process.wait()
            return 1
        except KeyboardInterrupt:
            return STOPPED
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its session, within the seconds above."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    started = _session(process.pid)
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SERVERS_END)
    started |= _session(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    _wait(started, RUNS_END)
    started |= _session(process.pid)
    for left in started:
        with suppress(psutil.NoSuchProcess):
            left.kill()
    process.wait()
    _wait(started, 1.0)


def _session(leader: int) -> set[psutil.Process]:
    """The processes of a session, and what they started in others, as MAFFT and vLLM are."""
    started = set()
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader:
                started |= {process, *process.children(recursive=True)}
    return started


def _wait(processes: set[psutil.Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < end:
        time.sleep(0.05)


def is_running(process: psutil.Process) -> bool:
    """Whether it still does something; in a container it may stay a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Runs `webserver` with the arguments that it is given: socket, location, hosts."""
    heed_signals()
    command = [sys.executable, "-m", "orchestration.webserver", *sys.argv[1:]]
    status = run_together(command, pass_fds=(int(sys.argv[1]),))
    if status != STOPPED:
        print("the UI ended by itself; why is said above", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
