"""A command that is asked to end does, whatever it is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.stopping import GRACE

ROOT = Path(__file__).parents[2]
_BEGIN = """
from orchestration import stopping
stopping.GRACE = 0.5
stopping.end_at_signals()
print("!", flush=True)
"""
_IN_PYTHON = "import time; time.sleep(60)"
_IN_C = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"


def stopped(code: str, number: int, *, ignored: bool = False) -> tuple[int, float, str]:
    """Exit status, seconds until the end, and standard error of code that gets a signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGIN + code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignored else None,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "!\n"
    time.sleep(0.1)
    start = time.monotonic()
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    return process.returncode, time.monotonic() - start, error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_python_code_gets_a_keyboard_interrupt_at_once(number: int) -> None:
    code = f"""
try:
    {_IN_PYTHON}
except KeyboardInterrupt:
    raise SystemExit(7)
"""
    status, seconds, error = stopped(code, number)
    assert (status, error) == (7, "")
    assert seconds < GRACE


def test_c_code_that_does_not_listen_ends_after_the_grace() -> None:
    status, seconds, error = stopped(_IN_C, signal.SIGTERM)
    assert (status, error) == (130, "stopped; what was finished is kept\n")
    assert 0.5 <= seconds < GRACE


def test_sigint_is_heeded_where_the_shell_had_it_ignored() -> None:
    status, seconds, _ = stopped(_IN_PYTHON, signal.SIGINT, ignored=True)
    assert status != 0
    assert seconds < GRACE
