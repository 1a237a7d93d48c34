"""One of a model's processes: it loads the model, and works on what it is sent until nobody sends.

It is told over a connection, the number of whose descriptor it is started with. First comes what to
load. Each run begins with its work and the tokens of a batch; it answers with how much its memory
holds, is told how much all of them hold, and then gets pieces, the last of which is None.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from models.loading import load
from models.shards import sendable

_TOLD_EVERY = 0.2
"""Seconds from one word on how far it is to the next."""
_LOOK_EVERY = 2.0
"""Seconds from one look at whether the process that it works for is there to the next."""


def main() -> None:
    """Works until the connection ends."""
    connection = Connection(int(sys.argv[1]))
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, messages), daemon=True).start()
    try:
        source, device, dtype = messages.get()
        model = load(source, device=device, dtype=dtype)
        while True:
            work, model.batch_tokens = messages.get()
            connection.send(("room", work.room(model)))
            room = messages.get()
            teller = _Teller(connection)
            for result in work.results(model, room, iter(messages.get, None), teller.tell):
                teller.send()
                connection.send(("result", result))
            teller.send()
            connection.send(("end", None))
    except Exception as error:
        connection.send(("failed", (sendable(error), traceback.format_exc())))


def _read(connection: Connection, messages: queue.SimpleQueue[Any]) -> None:
    """Passes messages on, and ends this process at once when nobody is there to send any."""
    parent = os.getppid()
    try:
        while True:
            # A process that was forked from it may hold the connection open.
            while not connection.poll(_LOOK_EVERY):
                if os.getppid() != parent:
                    os._exit(1)
            messages.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


class _Teller:
    """Adds up how much was done, and tells it now and then."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sums: tuple[int, ...] = ()
        self._last = time.monotonic()

    def tell(self, *numbers: int) -> None:
        sums = self._sums or (0,) * len(numbers)
        self._sums = tuple(a + b for a, b in zip(sums, numbers, strict=True))
        if time.monotonic() - self._last >= _TOLD_EVERY:
            self.send()

    def send(self) -> None:
        if self._sums:
            self._connection.send(("told", self._sums))
        self._sums, self._last = (), time.monotonic()


if __name__ == "__main__":
    main()
