"""What every import has in common: what it finds, what it drops, and how the rest is written."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from assets.imports.outputs import losses, opened
from assets.imports.scored import Scored
from assets.study.errors import InputError
from assets.study.files import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import TextIO

    from assets.imports.scored import ScoreFile, WrittenScores

_ID_DIGITS = 12
_MOST_FILES = 100


@dataclass(frozen=True)
class Options:
    """What a user may say about a file; every format takes some of it.

    Attributes:
        columns: What columns the fields of a generation are in; "" for in none.
        where: Columns and the value that rows must have there; others are dropped.
        split_by: The column whose every value has a file of its own.
        generator: Whose outputs are meant, where a file has those of several models.
        config: A configuration of a dataset on the hub.
        split: A split of a dataset.
        checkpoint: What the study calls the model whose scores come along; by default as the file
            of its generations is called.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    split_by: str | None = None
    generator: str | None = None
    config: str | None = None
    split: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True)
class Found:
    """A generation, as another tool wrote it.

    Attributes:
        where: The file and the place in it, as messages name it.
        prompt: The prompt.
        text: The generation; an empty one is one too.
        prompt_id: What the tool calls the prompt; by default it is made from the prompt.
        sample: Its number among those of the prompt; by default the next one.
        model: What made it, where the file tells, or the value that files are split by.
    """

    where: str
    prompt: str
    text: str
    prompt_id: str | None = None
    sample: int | None = None
    model: str | None = None


@dataclass(frozen=True)
class Dropped:
    """What cannot be used, and why: "without text".

    Attributes:
        why: The reason, as it follows a number.
        what: What is dropped.
    """

    why: str
    what: Literal["rows", "scores"] = "rows"


@dataclass
class WrittenFile:
    """A file that was written.

    Attributes:
        model: What its generations are of, where that is known.
        prompts: Prompts in it.
        samples: Generations in it.
    """

    model: str | None
    prompts: int = 0
    samples: int = 0


@dataclass
class Written:
    """What became of what was found.

    Attributes:
        files: The files written.
        dropped: How many generations were not written, by reason.
        scores: What became of their scores; None where the format has none.
    """

    files: dict[Path, WrittenFile] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    scores: WrittenScores | None = None

    @property
    def samples(self) -> int:
        """Generations in all files."""
        return sum(file.samples for file in self.files.values())

    @property
    def prompts(self) -> int:
        """Prompts in all files; one that is in several counts in each."""
        return sum(file.prompts for file in self.files.values())

    def losses(self) -> str:
        """Says what was dropped and why; nothing where all was written."""
        return losses("rows", self.dropped, self.samples)


def write_generations(
    found: Iterable[Found | Scored | Dropped],
    target: Path | Callable[[str], Path],
    scores: ScoreFile | None = None,
) -> Written:
    """Writes generations as `read_generations` reads them, each file in one step.

    Args:
        found: Generations, their scores, and what is neither.
        target: The file, or that of the generations of a model; one that is there is replaced.
        scores: Where the scores of what is written go; without it they are left out.

    Returns:
        What was written and what dropped.

    Raises:
        InputError: A generation is not like the ones before it, none is left, or a file cannot
            be written. There is no file then, or the old one.
    """
    written = Written()
    outputs: dict[Path, _Output] = {}
    with ExitStack() as stack:
        if scores:
            written.scores = stack.enter_context(scores).counts
        for one in found:
            if isinstance(one, Scored):
                if scores:
                    scores.write(one, any(o.has_written(one) for o in outputs.values()))
                continue
            if isinstance(one, Found) and not _is_text(one):
                one = Dropped("with half a surrogate pair, which is no text")
            if isinstance(one, Dropped):
                if one.what == "rows":
                    written.dropped[one.why] += 1
                elif scores:
                    scores.counts.dropped[one.why] += 1
                continue
            path = target(str(one.model)) if callable(target) else target
            if path not in outputs:
                if len(outputs) == _MOST_FILES:
                    raise InputError(
                        f"{one.where}: is of the {_MOST_FILES + 1}th model, and each would have a "
                        "file of its own; split by another column, or choose rows with --where"
                    )
                outputs[path] = _Output(stack.enter_context(opened(path)))
                written.files[path] = outputs[path].counts
            outputs[path].write(one)
        if not written.samples:
            raise InputError(f"no generation is left; {written.losses() or 'there is no row'}")
    return written


class _Output:
    """A file that generations are written to, and what is in it so far."""

    def __init__(self, file: TextIO) -> None:
        self.counts = WrittenFile(model=None)
        self._file = file
        self._prompts = _Prompts()

    def write(self, one: Found) -> None:
        """Writes a generation; raises `InputError` where it is not like the ones before it."""
        line = self._prompts.place(one) | {"text": one.text}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.counts.samples += 1
        self.counts.prompts = len(self._prompts.texts)
        self.counts.model = one.model

    def has_written(self, score: Scored) -> bool:
        """Whether the generation that is scored is in the file."""
        return self._prompts.has(score.prompt_id, score.sample)


def reason(error: Exception) -> str:
    """The beginning of the message of another library's error."""
    from models.errors import sentence  # with it comes what runs models, which takes seconds

    return sentence(error)


def _is_text(one: Found) -> bool:
    return all(is_text(value) for value in (one.prompt, one.text, one.prompt_id or ""))


class _Prompts:
    """The prompts so far, and which of their samples there are."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}  # by prompt_id
        self._made: dict[str, str] = {}  # prompt_id by prompt, where the tool has none
        self._samples: dict[str, dict[int, str]] = {}  # where each sample stands, by prompt_id
        self._next: Counter[str] = Counter()  # the number after the highest so far, by prompt_id
        self._model: tuple[str, str] | None = None

    def place(self, one: Found) -> dict[str, object]:
        """Gives a generation its prompt_id and sample; raises `InputError` where it has none."""
        if one.model is not None:
            first, where = self._model = self._model or (one.model, one.where)
            if one.model != first:
                raise InputError(
                    f"{one.where}: is of {one.model!r}, and {where} of {first!r}; import every "
                    "model into a file of its own"
                )
        prompt_id = one.prompt_id if one.prompt_id is not None else self._id_of(one.prompt)
        if self.texts.setdefault(prompt_id, one.prompt) != one.prompt:
            raise InputError(
                f"{one.where}: the prompt_id {prompt_id!r} has another prompt than before; import "
                "files whose prompts have the same names one by one"
            )
        samples = self._samples.setdefault(prompt_id, {})
        sample = one.sample if one.sample is not None else self._next[prompt_id]
        if not 0 <= sample < 1 << 31:
            raise InputError(f"{one.where}: the sample is {sample}, and counts from 0")
        if sample in samples:
            raise InputError(
                f"{one.where}: sample {sample} of the prompt {prompt_id!r} stands twice, first in "
                f"{samples[sample]}"
            )
        samples[sample] = one.where
        self._next[prompt_id] = max(self._next[prompt_id], sample + 1)
        return {"prompt_id": prompt_id, "prompt": one.prompt, "sample": sample}

    def has(self, prompt_id: str, sample: int) -> bool:
        """Whether there was this sample of this prompt."""
        return sample in self._samples.get(prompt_id, ())

    def _id_of(self, prompt: str) -> str:
        """A name for a prompt, the same in every import, and no other prompt's."""
        if prompt not in self._made:
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            lengths = range(_ID_DIGITS, len(digest) + 1)
            names = (digest[:length] for length in lengths)
            # Names that are cut short, or the tool's own, may be taken by another prompt.
            self._made[prompt] = next(n for n in names if self.texts.get(n, prompt) == prompt)
        return self._made[prompt]
