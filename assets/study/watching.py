"""Looking for checkpoints where a study watches: which are there, whole, and new."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from assets.study.checkpoints import Registered
from assets.study.errors import InputError
from assets.study.registered import (
    alone,
    change,
    damaged_files,
    is_moved,
    read_registered,
    register,
    removed_origins,
    taken,
)
from assets.study.watches import words
from models import ModelError
from models.sources import hub
from models.sources.folders import snapshot, training_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from assets.study.study import Study
    from assets.study.watches import Watch
    from warehouse import Lake

_WILD = re.compile(r"(\*|\{step\})")


@dataclass(frozen=True)
class _Place:
    """Something that matches a pattern.

    Attributes:
        origin: `dir:PATH`, or `hf:org/name@REVISION`.
        source: The same, the commit instead of the revision's name.
        seen: What tells whether its files have changed between two looks; empty where it is gone.
        step: The step that its name tells.
    """

    origin: str
    source: str
    seen: str
    step: int | None


@dataclass
class Look:
    """What a look found.

    Attributes:
        ready: Checkpoints that are whole, unchanged since the look before, and not known yet.
        seen: Of those that are not registered as they are, by origin, what the next look is to
            compare with.
        waiting: Origins of those that were not there, or not the same, at the look before, or that
            there was no time for.
        problems: Of those that cannot be taken in, by origin, a sentence that says why.
        empty: Where nothing is at all.
    """

    ready: list[Registered] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        """What a person should know who wonders what is not there."""
        nothing = [f"nothing is there yet: {place}" for place in self.empty]
        return [*nothing, *self.problems.values()]


def look(study: Study, lake: Lake, before: Mapping[str, str], *, seconds: float = math.inf) -> Look:
    """Looks everywhere where a study watches.

    Args:
        study: The study, without what was registered.
        lake: The lake.
        before: `seen` of the look before; nothing is ready at the first.
        seconds: What takes longer is left for the next look, which knows what this one learned.
    """
    end = time.monotonic() + seconds
    known = {c.origin: c.seen for c in read_registered(study, lake) if not c.superseded}
    known |= dict.fromkeys(removed_origins(lake), "")
    known |= {str(checkpoint.source): "" for checkpoint in study.checkpoints}
    result = Look(problems={str(path): why for path, why in damaged_files(lake).items()})
    named: dict[str, str] = {}
    for watch in study.watch:
        try:
            places = list(_folders(watch) if watch.dir else _revisions(watch))
        except (ModelError, OSError) as error:
            result.problems[watch.place] = f"{watch.place}: {error}"
            continue
        if not places:
            result.empty.append(watch.place)
        for place in places:
            origin, seen = place.origin, place.seen
            if not seen or known.get(origin) in (seen, "") or origin in result.seen:
                continue
            result.seen[origin] = seen
            if time.monotonic() > end:
                result.waiting.append(origin)
                continue
            try:
                candidate = _found(study, watch, place)
                _check(candidate)
                if (lake.removed / candidate.name).exists():
                    raise InputError(
                        f"a checkpoint of its name, {candidate.name}, was removed; "
                        f"`anchorlake checkpoints add STUDY {candidate.name} {origin}` takes it in"
                    )
                if reason := taken(lake, study, candidate):
                    raise InputError(reason)
                if other := named.get(candidate.name):
                    raise InputError(f"the name {candidate.name} is taken by {other}")
            except (InputError, ModelError, OSError) as error:
                result.problems[origin] = f"{origin}: {error}"
                continue
            named[candidate.name] = origin
            if before.get(origin) == seen:
                result.ready.append(candidate)
            else:
                result.waiting.append(origin)
    return result


def take_in(study: Study, lake: Lake, found: Registered) -> Registered:
    """Registers what was found, or notes of what is registered what has changed of it.

    Where weights have changed, they are another checkpoint: of the same name if of the same step,
    and else of its own; what was measured of the one that stood there stays.

    Raises:
        InputError: It is gone meanwhile, or its name was taken.
    """
    with alone(lake):
        for there in read_registered(study, lake):
            if there.origin == found.origin and not there.superseded:
                if there.weights == found.digest():
                    return change(lake, there, seen=found.seen)
                if there.step == found.step:
                    found = found.model_copy(update={"name": there.name})
                else:
                    change(lake, there, superseded=True)
            elif there.name == found.name and is_moved(there, found.source):
                moved = {key: getattr(found, key) for key in ("origin", "source", "found_by")}
                return change(lake, there, seen=found.seen, **moved)
        return register(lake, study, found.model_dump(exclude={"weights"}))


def take_in_ready(
    study: Study, lake: Lake, looked: Look, *, most: int | None = None
) -> list[Registered]:
    """Takes in what is ready; what cannot be, becomes a problem.

    Args:
        study: The study.
        lake: The lake.
        looked: What was found.
        most: As many at the most; the others stay to be seen.
    """
    taken_in = []
    for found in looked.ready[:most]:
        try:
            taken_in.append(take_in(study, lake, found))
            looked.seen.pop(found.origin, None)
        except (InputError, OSError) as error:
            looked.problems[found.origin] = f"{found.origin}: {error}"
    return taken_in


def take_in_new(
    study: Study, lake: Lake, *, say: Callable[[str], None], pause: float = 2.0
) -> None:
    """Takes in what is whole, looking twice where anything is new.

    Args:
        study: The study.
        lake: The lake.
        say: Told what was taken in, and what could not be.
        pause: Seconds between the looks.

    Raises:
        InputError: As `read_registered` does.
    """
    first = look(study, lake, {})
    if not first.waiting:
        looked = first
    else:
        time.sleep(pause)
        looked = look(study, lake, first.seen)
    for checkpoint in take_in_ready(study, lake, looked):
        say(f"{checkpoint.name}: taken in from {checkpoint.origin}")
    for origin in looked.waiting:
        say(f"{origin} has changed meanwhile; it is left for the next time")
    for problem in looked.problems.values():
        say(problem)


def _folders(watch: Watch) -> Iterator[_Place]:
    """Folders that match a pattern, by name."""
    assert watch.dir is not None
    parts = Path(watch.dir).parts
    fixed = next((i for i, part in enumerate(parts) if _WILD.search(part)), len(parts))
    root, rest = Path(*parts[:fixed]), "/".join(parts[fixed:])
    wild = re.sub(r"\*+", "*", _WILD.sub("*", rest))
    matching = sorted(root.glob(wild)) if rest else [root]
    real = {folder.resolve() for folder in matching if not folder.is_symlink()}
    pattern = _regex(watch.dir)
    for folder in matching:
        if folder.is_symlink() and folder.resolve() in real:
            continue  # such as `latest`
        if (match := pattern.fullmatch(str(folder))) and folder.is_dir():
            origin, step = f"dir:{folder}", _step(match)
            yield _Place(
                origin=origin,
                source=origin,
                seen=snapshot(folder),
                step=training_step(folder) if step is None else step,
            )


def _revisions(watch: Watch) -> Iterator[_Place]:
    """Branches and tags of a repository that match a pattern, by name.

    Raises:
        ModelError: The repository is not there, or the hub is out of reach.
    """
    assert watch.hf is not None
    assert watch.revisions is not None
    pattern = _regex(watch.revisions)
    for revision, commit in sorted(hub.revisions(watch.hf).items()):
        if match := pattern.fullmatch(revision):
            yield _Place(
                origin=f"hf:{watch.hf}@{revision}",
                source=f"hf:{watch.hf}@{commit}",
                seen=commit,
                step=_step(match),
            )


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern's regular expression: a group for each `*`, and one named `step`."""
    wild = {"*": "([^/]*)", "{step}": r"(?<!\d)(?P<step>\d+)(?!\d)"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in _WILD.split(pattern)))


def _step(match: re.Match[str]) -> int | None:
    """What `{step}` stands for, or else the first number in what the last `*` does."""
    if "step" in match.re.groupindex:
        return int(match["step"])
    number = re.search(r"\d+", match[match.re.groups]) if match.re.groups else None
    return int(number[0]) if number else None


def _found(study: Study, watch: Watch, place: _Place) -> Registered:
    """What would be registered of it.

    Raises:
        InputError: It cannot be called what the study says.
    """
    settings = watch.settings(place.origin)
    given: dict[str, object] = {**words(place.origin), "series": settings["series"]}
    if place.step is not None:
        given["step"] = place.step
    try:
        return Registered.model_validate(
            settings
            | {
                "name": watch.name.format(**given),
                "source": place.source,
                "step": place.step,
                "study": study.name,
                "entry": "",
                "weights": "",
                "origin": place.origin,
                "seen": place.seen,
                "found_by": watch.place,
            }
        )
    except KeyError:
        raise InputError("its name tells no training step") from None
    except ValidationError as error:
        reasons = "; ".join(
            problem["msg"].removeprefix("Value error, ") for problem in error.errors()
        )
        raise InputError(f"{reasons}; say in the study's `watch:` how") from None


def _check(found: Registered) -> None:
    """Looks whether it is whole, and can be loaded without running what comes with it.

    Raises:
        ModelError: It is not.
    """
    source = found.source
    if source.scheme == "dir":
        source.check()
    else:
        repository, _, commit = source.location.partition("@")
        hub.check_commit(
            repository,
            commit,
            allow_pickle=source.allow_pickle,
            allow_remote_code=source.allow_remote_code,
        )
        if base := source.base():
            base.check()
