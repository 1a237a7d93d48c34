"""Scores that other tools gave generations, and the file that they are written to."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assets.imports.outputs import losses, opened
from assets.study.errors import InputError, shown
from assets.study.files import is_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self, TextIO


@dataclass(frozen=True)
class Scored:
    """A score of a generation that was found before it.

    Attributes:
        where: The file and the place in it, as messages name it.
        prompt_id: What the tool calls the prompt.
        sample: The number of the generation.
        name: What scored it.
        value: What came out; only numbers are written, and true and false as 1 and 0.
    """

    where: str
    prompt_id: str
    sample: int
    name: str
    value: object


@dataclass
class WrittenScores:
    """What became of scores.

    Attributes:
        checkpoint: What the study calls the model.
        file: The file written; None where there is no score.
        written: How many were written, by name.
        dropped: How many were not, by reason.
    """

    checkpoint: str
    file: Path | None = None
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def losses(self) -> str:
        """Says what was dropped and why; nothing where all was written."""
        return losses("scores", self.dropped, self.written.total())


class ScoreFile:
    """A file that `read_scores` reads, which is opened for the first score.

    Attributes:
        counts: What is in it so far, and what not.
    """

    def __init__(self, place: Callable[[], Path], checkpoint: str) -> None:
        """Takes what gives the file's path, and what the study calls the model."""
        self.counts = WrittenScores(checkpoint)
        self._place = place
        self._stack = ExitStack()
        self._file: TextIO | None = None
        self._seen: set[tuple[str, int, str]] = set()

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(self, *error: object) -> bool | None:
        return self._stack.__exit__(*error)  # type: ignore[arg-type]

    def write(self, score: Scored, is_of_a_generation: bool) -> None:
        """Writes a score, or counts why it is left out.

        Args:
            score: The score.
            is_of_a_generation: Whether the generation that it is of was written.

        Raises:
            InputError: The generation has it already, or the file cannot be written.
        """
        value = _number(score.value)
        if not is_of_a_generation:
            self.counts.dropped["of generations that were dropped"] += 1
            return
        if not is_text(score.name):
            self.counts.dropped["whose names are no text"] += 1
            return
        if value is None:
            self.counts.dropped[f"{shown(score.name, 40)!r} that are no numbers"] += 1
            return
        key = (score.prompt_id, score.sample, score.name)
        if key in self._seen:
            raise InputError(
                f"{score.where}: sample {score.sample} of the prompt {score.prompt_id!r} has two "
                f"scores {shown(score.name, 40)!r}; import the files one by one"
            )
        self._seen.add(key)
        if self._file is None:
            self.counts.file = self._place()
            self._file = self._stack.enter_context(opened(self.counts.file))
        line = {
            "checkpoint": self.counts.checkpoint,
            "prompt_id": score.prompt_id,
            "sample": score.sample,
            "name": score.name,
            "value": value,
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.counts.written[score.name] += 1


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or not abs(value) < 1e300 or not math.isfinite(value):
        return None
    return float(value)
