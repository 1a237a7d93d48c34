"""How a command ends when a signal asks it to: soon, whatever it is doing.

SIGINT and SIGTERM raise `KeyboardInterrupt` as soon as Python code runs again. C code and modules
that are loading can hold that up, so a thread waits beside them and ends the process as `kill -9`
would. Nothing is lost by that: what is finished is in its place or in staging.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

STOPPED = 130
"""Exit status of a command that was stopped."""
GRACE = 3.0
"""Seconds that a command has to end by itself."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_at_signals() -> None:
    """Has this process end at SIGINT and SIGTERM, also where a shell had it ignore them."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    # Python writes a signal's number there at once, and calls the handler when it next can.
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    threading.Thread(target=_end_in_time, args=(readable,), daemon=True).start()


def _end_in_time(signals: int) -> None:
    while os.read(signals, 1)[0] not in _SIGNALS:
        pass
    time.sleep(GRACE)
    print("stopped; what was finished is kept", file=sys.stderr, flush=True)
    os._exit(STOPPED)
