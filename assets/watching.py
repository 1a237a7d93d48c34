"""Looking for checkpoints where a study watches: which are there, whole, and new."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from assets.errors import InputError
from assets.registered import (
    alone,
    as_it_stands,
    note_seen,
    read_registered,
    register,
    removed,
    removed_origins,
    taken,
)
from assets.study_checkpoints import words
from models import ModelError, Source, hub
from models.folders import snapshot, training_step
from warehouse.lake import check_checkpoint_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from assets.study import Study
    from assets.study_checkpoints import Registered, Watch
    from warehouse import Lake

_WILD = re.compile(r"(\*|\{step\})")


@dataclass(frozen=True)
class _Place:
    """Something that matches a pattern.

    Attributes:
        origin: As in `Found`.
        source: As in `Found`.
        seen: As in `Found`; empty where it is gone meanwhile.
        step: The step that its name tells.
    """

    origin: str
    source: Source
    seen: str
    step: int | None


@dataclass(frozen=True)
class Found:
    """A checkpoint that stands where a study watches.

    Attributes:
        watch: The study's entry.
        origin: `dir:PATH`, or `hf:org/name@REVISION`.
        source: The same, the commit instead of the revision's name.
        seen: What tells whether its files have changed between two looks.
        name: What it is to be called.
        step: Its training step, where known.
    """

    watch: Watch
    origin: str
    source: Source
    seen: str
    name: str
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
    """

    ready: list[Found] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def look(study: Study, lake: Lake, before: Mapping[str, str], *, seconds: float = math.inf) -> Look:
    """Looks everywhere where a study watches.

    Args:
        study: The study.
        lake: The lake.
        before: `seen` of the look before; nothing is ready at the first.
        seconds: What takes longer is left for the next look, which knows what this one learned.
    """
    end = time.monotonic() + seconds
    known = {checkpoint.origin: checkpoint.seen for checkpoint in read_registered(study, lake)}
    known |= dict.fromkeys(removed_origins(lake), "")
    result = Look()
    named: dict[str, str] = {}
    for watch in study.watch:
        try:
            places = list(_folders(watch) if watch.dir else _revisions(watch))
        except ModelError as error:
            result.problems[watch.place] = str(error)
            continue
        for place in places:
            origin, seen = place.origin, place.seen
            if not seen or known.get(origin) in (seen, "") or origin in result.seen:
                continue
            result.seen[origin] = seen
            if time.monotonic() > end:
                result.waiting.append(origin)
                continue
            try:
                found = _named(watch, place)
                _check(found)
                if reason := taken(lake, study, found.name, origin):
                    raise InputError(f"{origin}: {reason}")
                if (removed(lake) / found.name).exists():
                    raise InputError(
                        f"{origin}: a checkpoint of its name, {found.name}, was removed; "
                        f"`anchorlake checkpoints add STUDY {found.name} {origin}` takes it in"
                    )
                if other := named.get(found.name):
                    raise InputError(f"{origin}: the name {found.name} is taken by {other}")
            except InputError as error:
                result.problems[origin] = str(error)
                continue
            except ModelError as error:
                result.problems[origin] = f"{origin}: {error}"
                continue
            named[found.name] = origin
            if before.get(origin) == seen:
                result.ready.append(found)
            else:
                result.waiting.append(origin)
    return result


def take_in(study: Study, lake: Lake, found: Found) -> Registered:
    """Registers what was found; where only its files' dates changed, nothing but these.

    Raises:
        InputError: It is gone meanwhile, or its name was taken.
    """
    with alone(lake):
        name = found.name
        for checkpoint in read_registered(study, lake):
            if checkpoint.origin == found.origin:
                name = checkpoint.name  # though the study may call others of its kind otherwise now
                if checkpoint.weights == _digest(found):
                    note_seen(lake, checkpoint, found.seen)
                    return checkpoint
        return register(
            lake,
            study,
            found.watch.settings(found.origin)
            | {
                "name": name,
                "source": str(found.source),
                "step": found.step,
                "origin": found.origin,
                "seen": found.seen,
                "found_by": found.watch.place,
            },
        )


def _digest(found: Found) -> str:
    try:
        return found.source.digest()
    except ModelError as error:
        raise InputError(f"{found.origin}: {error}") from error


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
        InputError: As `as_it_stands` does.
    """
    first = look(as_it_stands(study, lake), lake, {})
    if not first.waiting:
        looked = first
    else:
        time.sleep(pause)
        looked = look(as_it_stands(study, lake), lake, first.seen)
    for found in looked.ready:
        say(f"{take_in(study, lake, found).name}: taken in from {found.origin}")
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
    matching = root.glob(_WILD.sub("*", rest)) if rest else [root]
    pattern = _regex(watch.dir)
    for folder in sorted(matching):
        if (match := pattern.fullmatch(str(folder))) and folder.is_dir():
            source = watch.source("dir", str(folder))
            step = _step(match)
            yield _Place(
                origin=str(source),
                source=source,
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
                source=watch.source("hf", f"{watch.hf}@{commit}"),
                seen=commit,
                step=_step(match),
            )


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern's regular expression: a group for each `*`, and one named `step`."""
    wild = {"*": "([^/]*)", "{step}": r"(?P<step>\d+)"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in _WILD.split(pattern)))


def _step(match: re.Match[str]) -> int | None:
    """What `{step}` stands for, or else the first number in what the last `*` does."""
    if "step" in match.re.groupindex:
        return int(match["step"])
    number = re.search(r"\d+", match[match.re.groups]) if match.re.groups else None
    return int(number[0]) if number else None


def _named(watch: Watch, place: _Place) -> Found:
    """Gives it its name.

    Raises:
        InputError: What the study says gives none that can be a partition key.
    """
    series = watch.settings(place.origin)["series"]
    if place.step is None and "{step}" in watch.name:
        raise InputError(f"{place.origin}: its name tells no training step")
    name = watch.name.format(**words(place.origin), series=series, step=place.step)
    try:
        check_checkpoint_name(name)
    except ValueError as error:
        raise InputError(f"{place.origin}: {error}; say in the study's `watch:` how") from None
    return Found(watch, place.origin, place.source, place.seen, name, place.step)


def _check(found: Found) -> None:
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
