"""How the processes of the UI end; here they are ones that only wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from orchestration.services import is_running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.whole

SUPERVISOR = """
import sys
from orchestration import services
services.SERVERS_END = services.RUNS_END = 0.2
services.heed_signals()
sys.exit(services.run_together([sys.executable, "-c", sys.argv[1]]))
"""
# Each process writes its number and waits. The leader ends as the webserver does, and has started
# one that does not heed SIGTERM, and one that has started another in a session of its own.
WAITING = "import os, signal, subprocess, sys, time; os.write(1, b'%9d' % os.getpid()); "
DEAF = WAITING + "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
MAFFT = WAITING + "time.sleep(600)"
RUN = WAITING + f"subprocess.run([sys.executable, '-c', {MAFFT!r}], start_new_session=True)"
LEADER = f"""
import subprocess, sys
for code in ({DEAF!r}, {RUN!r}):
    subprocess.Popen([sys.executable, "-c", code])
{WAITING}
sys.stdin.read()
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.terminate()
        process.wait()


def start(
    started: list[subprocess.Popen[bytes]], *, ignoring: tuple[int, ...] = ()
) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """Starts the supervisor, as a shell that ignores some signals, and gives its four processes."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which these tests may be run without
        for number in ignoring:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, LEADER],
        stdout=subprocess.PIPE,
        preexec_fn=ignore,
    )
    started.append(process)
    assert process.stdout is not None
    return process, [psutil.Process(int(process.stdout.read(9))) for _ in range(4)]


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(map(is_running, processes))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_was_started(
    started: list[subprocess.Popen[bytes]], number: int
) -> None:
    process, all_of_them = start(started)
    process.send_signal(number)
    assert process.wait(10) == 130
    assert are_gone(all_of_them)


def test_sigint_ends_it_although_the_shell_had_it_ignored(
    started: list[subprocess.Popen[bytes]],
) -> None:
    process, all_of_them = start(started, ignoring=(signal.SIGINT,))
    ignored = int(next(line for line in status_of(all_of_them[0]) if "SigIgn" in line)[7:], 16)
    assert not ignored & 1 << (signal.SIGINT - 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert are_gone(all_of_them)


def status_of(process: psutil.Process) -> list[str]:
    with open(f"/proc/{process.pid}/status") as file:
        return file.readlines()


def test_nohup_is_heeded(started: list[subprocess.Popen[bytes]]) -> None:
    process, all_of_them = start(started, ignoring=(signal.SIGHUP,))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    assert not are_gone(all_of_them)


@pytest.mark.core
def test_a_leader_that_ends_by_itself_takes_the_others_along(
    started: list[subprocess.Popen[bytes]],
) -> None:
    process, all_of_them = start(started)
    leader = next(p for p in all_of_them if p.ppid() == process.pid)
    leader.kill()
    assert process.wait(10) == 1
    assert are_gone(all_of_them)


def test_a_second_signal_does_not_leave_anything_behind(
    started: list[subprocess.Popen[bytes]],
) -> None:
    process, all_of_them = start(started)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert are_gone(all_of_them)


def test_what_listens_does_so_where_no_other_user_comes(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    code = "import os, tempfile; f = tempfile.gettempdir(); print(f, oct(os.stat(f).st_mode))"
    command = [sys.executable, "-c", SUPERVISOR, code]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    folder, mode = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout.split()
    assert folder.startswith(f"{tmp_path}/anchorlake-ui-")
    assert mode == "0o40700"
    assert list(tmp_path.iterdir()) == []
