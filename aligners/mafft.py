"""The paper's aligner: MAFFT in its text mode (Katoh and Standley, 2013)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from aligners.errors import AlignerError, NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = ("--text", "--thread", "1")
SYMBOLS = bytes(symbol for symbol in range(1, 256) if symbol not in b">=<- \r\n")
"""The bytes that MAFFT takes for characters of text."""
_SYMBOL_SET = frozenset(SYMBOLS)
_GAP = ord("-")


class Mafft:
    """Runs the program `mafft`."""

    def __init__(self) -> None:
        """Looks for the program.

        Raises:
            NotInstalledError: It is not installed.
        """
        check_installed()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        self._lock = Lock()

    @cached_property
    def signature(self) -> str:
        """`mafft-7.505 --text ...`."""
        told = subprocess.run(["mafft", "--version"], capture_output=True, text=True, check=False)
        words = (told.stderr + told.stdout).split()
        return f"mafft-{words[0].removeprefix('v') if words else '?'} {' '.join(OPTIONS)}"

    def columns(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As `Aligner.columns`.

        Raises:
            AlignerError: MAFFT failed; the message holds what it said.
        """
        symbol = symbols_for(texts)
        rows = {i: bytes(symbol[c] for c in text) for i, text in enumerate(texts) if text}
        aligned = self._run(rows) if len(rows) > 1 else rows
        if set(aligned) != set(rows):
            raise AlignerError("mafft gave other texts than it was given; this is a bug")
        columns = [np.zeros(0, dtype=np.int32)] * len(texts)
        for i, row in aligned.items():
            symbols = np.frombuffer(row, dtype=np.uint8)
            columns[i] = np.flatnonzero(symbols != _GAP).astype(np.int32)
            if symbols[columns[i]].tobytes() != rows[i]:
                raise AlignerError("mafft gave other characters than it was given; this is a bug")
        return columns

    def close(self) -> None:
        """Kills what still runs."""
        with self._lock:
            self._closed = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _run(self, rows: dict[int, bytes]) -> dict[int, bytes]:
        with tempfile.TemporaryDirectory(prefix="anchorlake-mafft-") as folder:
            given = Path(folder) / "texts.fasta"
            given.write_bytes(b"".join(b">%d\n%s\n" % row for row in rows.items()))
            with self._lock:
                if self._closed:
                    raise AlignerError("mafft was stopped")
                process = subprocess.Popen(
                    ["mafft", *OPTIONS, str(given)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    # MAFFT is a script that runs programs; a group of their own ends together.
                    start_new_session=True,
                    env={**os.environ, "TMPDIR": folder, "MAFFT_TMPDIR": folder},
                )
                self._running.add(process)
            try:
                aligned, errors = process.communicate()
            finally:
                with self._lock:
                    self._running.discard(process)
        if process.returncode or not aligned:
            raise AlignerError(_explain(process.returncode, errors))
        return read_fasta(aligned)


def check_installed() -> None:
    """Looks for the program.

    Raises:
        NotInstalledError: It is not there.
    """
    if shutil.which("mafft") is None:
        raise NotInstalledError(
            "mafft is not installed; install it (Debian and Ubuntu: `apt-get install mafft`, "
            "macOS: `brew install mafft`)"
        )


def symbols_for(texts: Sequence[str]) -> dict[str, int]:
    """Gives each character of some texts one of MAFFT's symbols.

    Different characters get different symbols as far as there are any: of more than 248 the rarest
    share one, and so may be aligned with each other. Of the others, those that are symbols, as all
    but a few of Latin-1's are, stand for themselves.
    """
    counts = Counter(character for text in texts for character in text)
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    n_own = len(SYMBOLS) if len(counts) <= len(SYMBOLS) else len(SYMBOLS) - 1
    symbol = {c: ord(c) for c in by_frequency[:n_own] if ord(c) in _SYMBOL_SET}
    free = [s for s in SYMBOLS if s not in set(symbol.values())]
    others = [c for c in by_frequency if c not in symbol]
    return symbol | {c: free[min(i, len(free) - 1)] for i, c in enumerate(others)}


def read_fasta(aligned: bytes) -> dict[int, bytes]:
    """Reads records, lines joined; those that are not named by a number are left out."""
    records = {}
    for record in aligned.split(b">")[1:]:
        name, _, lines = record.partition(b"\n")
        if name.strip().isdigit():
            records[int(name)] = lines.replace(b"\n", b"")
    return records


def _explain(status: int, said: bytes) -> str:
    # A shell says of a program that was killed 128 more than the signal.
    killed_by = -status if status < 0 else status - 128 if status > 128 else 0
    how = f"was killed by signal {killed_by}" if killed_by else f"ended with status {status}"
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    last = " ".join([line for line in lines if line][-3:])
    return f"mafft {how}: {last or 'it said nothing'}"
