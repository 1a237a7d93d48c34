"""How far long work is, on a terminal, in a file of lines, or in a run's log."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from warehouse.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_EVERY_SECONDS = 10.0


def rate(done: int, seconds: float, unit: str) -> str:
    """How fast work goes, such as `1,200 tokens/s` or `0.25 texts/s`."""
    per_second = done / max(seconds, 1e-9)
    number = f"{per_second:,.0f}" if per_second >= 10 or not done else f"{per_second:.2g}"
    return f"{number} {unit}/s"


def duration(seconds: float) -> str:
    """A time as people say it: `40 seconds`, `12 minutes`, `5.5 hours`."""
    if seconds < 90:
        return f"{seconds:.0f} seconds" if round(seconds) > 1 else "a second"
    return f"{seconds / 60:.0f} minutes" if seconds < 5_400 else f"{seconds / 3_600:.1f} hours"


class LogProgress:
    """A line every ten seconds: how much is settled, the rate, and the time left."""

    def __init__(self, write: Callable[[str], object]) -> None:
        """Takes what writes a line."""

        def write_printable(line: str) -> None:
            write(printable(line))

        self._write = write_printable

    def start(self, label: str, total: int, unit: str) -> None:
        """Work begins."""
        self._label, self._total, self._unit = label, total, unit
        self._done = self._settled = 0
        self._began = self._written = perf_counter()

    def advance(self, done: int, settled: int) -> None:
        """Counts, and writes a line if the last one is ten seconds old."""
        self._done += done
        self._settled += settled
        if perf_counter() - self._written >= _EVERY_SECONDS:
            self._written = perf_counter()
            self._line()

    def finish(self) -> None:
        """Writes the last line."""
        self._line()

    def say(self, line: str) -> None:
        """Writes it."""
        self._write(line)

    def _line(self) -> None:
        seconds = perf_counter() - self._began
        left = seconds * (self._total / self._settled - 1) if self._settled else float("inf")
        ending = f", {left:.0f} s left" if 0 < left < float("inf") else ""
        self._write(
            f"{self._label}: {self._settled / self._total:.0%}, {self._done:,} {self._unit}, "
            f"{rate(self._done, seconds, self._unit)}{ending}"
        )


class BarProgress:
    """A bar with the rate and the time left."""

    def __init__(self, console: Console) -> None:
        """Takes the terminal."""
        self._console = console
        self._bar: Progress | None = None

    def start(self, label: str, total: int, unit: str) -> None:
        """Shows the bar."""
        self._bar = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._unit, self._done, self._began = unit, 0, perf_counter()
        self._task: TaskID = self._bar.add_task(printable(label), total=total, rate="")
        self._bar.start()

    def advance(self, done: int, settled: int) -> None:
        """Moves it."""
        assert self._bar is not None
        self._done += done
        speed = rate(self._done, perf_counter() - self._began, self._unit)
        self._bar.update(self._task, advance=settled, rate=speed)

    def say(self, line: str) -> None:
        """Prints it."""
        self._console.print(line)

    def finish(self) -> None:
        """Leaves it as it is."""
        with suppress(AttributeError):
            self._bar.stop()  # type: ignore[union-attr]
