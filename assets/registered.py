"""Checkpoints that came after their study was written: a file each, in the lake."""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import ValidationError

from assets.errors import InputError
from assets.study import explain
from assets.study_checkpoints import Registered
from models import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from assets.study import Study
    from warehouse import Lake, Table

_REGISTERED = "registered.json"


def folder(lake: Lake) -> Path:
    """Where those files are, named after their checkpoints."""
    return lake.root / "registered"


def alone(lake: Lake) -> FileLock:
    """Held while a checkpoint is taken in, which the sensor and a command may do at once."""
    folder(lake).mkdir(parents=True, exist_ok=True)
    return FileLock(folder(lake) / ".lock")


def removed(lake: Lake) -> Path:
    """Where checkpoints are that were removed: a folder each, with its tables."""
    return lake.root / "removed"


def as_it_stands(study: Study, lake: Lake) -> Study:
    """A study with the checkpoints that were registered for it, with what it says of them now.

    Raises:
        InputError: One of them cannot be read, or its base is not in the study any more.
    """
    return study.with_registered(read_registered(study, lake))


def read_registered(study: Study, lake: Lake) -> list[Registered]:
    """The checkpoints registered for a study, by series and step.

    Raises:
        InputError: As for `as_it_stands`.
    """
    places = {watch.place: watch for watch in study.watch}
    found = []
    for path in folder(lake).glob("*.json"):
        values = _read(path)
        if values.get("study") == study.name:
            watch = places.get(str(values.get("found_by")))
            now = watch.settings(str(values.get("origin"))) if watch else {}
            found.append(_parse(path, values | now))
    names = {checkpoint.name for checkpoint in study.checkpoints}
    for checkpoint in found:
        if checkpoint.base is not None and checkpoint.base not in names:
            raise InputError(
                f"the registered checkpoint {checkpoint.name} is compared with {checkpoint.base}, "
                "which the study does not have; put it back into the study, or say "
                f"`anchorlake checkpoints remove STUDY {checkpoint.name}`"
            )
    return sorted(found, key=lambda c: (c.series or "", c.step or 0, c.name))


def register(lake: Lake, study: Study, values: dict[str, Any]) -> Registered:
    """Takes a checkpoint in; one of its name that the study registered before is replaced.

    Args:
        lake: The lake.
        study: The study that it is measured for.
        values: What a study file would say of it, and of `Registered` what is known.

    Raises:
        InputError: It is not there, or something else has its name.
    """
    path = folder(lake) / f"{values['name']}.json"
    checkpoint = _parse(
        path,
        {"weights": "", "origin": values["source"]}
        | values
        | {"study": study.name, "entry": uuid.uuid4().hex[:12]},
    )
    if reason := taken(lake, study, checkpoint.name, checkpoint.origin):
        raise InputError(reason)
    try:
        weights = checkpoint.source.digest()
    except ModelError as error:
        raise InputError(f"{checkpoint.name}: {error}") from error
    checkpoint = checkpoint.model_copy(update={"weights": weights})
    _write(path, checkpoint)
    return checkpoint


def note_seen(lake: Lake, checkpoint: Registered, seen: str) -> None:
    """Has its file say that these are the files looked at; its weights are as they were."""
    path = folder(lake) / f"{checkpoint.name}.json"
    _write(path, checkpoint.model_copy(update={"seen": seen}))


def taken(lake: Lake, study: Study, name: str, origin: str) -> str | None:
    """Why a name cannot be given to a checkpoint; None where it can.

    What comes from the same place may have it: it was written over.
    """
    if any(c.name == name and not isinstance(c, Registered) for c in study.checkpoints):
        return f"the name {name} is taken by a checkpoint of the study"
    path = folder(lake) / f"{name}.json"
    if not path.exists():
        return None
    values = _read(path)
    if values.get("study") != study.name:
        return (
            f"the name {name} is taken by a checkpoint of the study {values.get('study')}; give "
            f"this one another, or delete {path} if there is no such study any more"
        )
    if values.get("origin") != origin:
        return f"the name {name} is taken by {values.get('origin')}; give one of them another"
    return None


def remove(lake: Lake, tables: Iterable[Table], name: str) -> Path:
    """Takes a checkpoint and its rows out of the lake, and keeps them aside.

    Returns:
        The folder where they are kept.

    Raises:
        InputError: The lake has nothing of it.
    """
    aside = removed(lake) / name
    moves = [(folder(lake) / f"{name}.json", aside / _REGISTERED)]
    moves += [(lake.path(table, name), aside / f"{table.name}.parquet") for table in tables]
    if not any(source.exists() for source, _ in moves):
        raise InputError(f"the lake has nothing of a checkpoint {name}")
    aside.mkdir(parents=True, exist_ok=True)
    _move(moves)
    return aside


def restored(lake: Lake, name: str) -> dict[str, Any] | None:
    """What was registered of a checkpoint that was removed; None where nothing was."""
    path = removed(lake) / name / _REGISTERED
    return _read(path) if path.exists() else None


def restore(lake: Lake, tables: Iterable[Table], name: str) -> None:
    """Brings back the rows of a checkpoint, if it was removed."""
    aside = removed(lake) / name
    if aside.exists():
        _move([(aside / f"{table.name}.parquet", lake.path(table, name)) for table in tables])
        shutil.rmtree(aside)


def removed_origins(lake: Lake) -> set[str]:
    """Where removed checkpoints were found, so that they are not taken in again."""
    return {str(_read(path).get("origin")) for path in removed(lake).glob(f"*/{_REGISTERED}")}


def _move(moves: Iterable[tuple[Path, Path]]) -> None:
    for source, target in moves:
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            with suppress(OSError):  # a folder that holds more stays
                source.parent.rmdir()


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; delete it, or put it right") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} does not hold a checkpoint; delete it")
    return values


def _parse(path: Path, values: dict[str, Any]) -> Registered:
    try:
        return Registered.model_validate(values, context={"folder": path.parent})
    except ValidationError as error:
        problems = "\n".join(f"{path}: {explain(problem)}" for problem in error.errors())
        raise InputError(problems) from None


def _write(path: Path, checkpoint: Registered) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{uuid.uuid4().hex}")
    unfinished.write_text(checkpoint.model_dump_json(indent=1), encoding="utf-8")
    unfinished.replace(path)
