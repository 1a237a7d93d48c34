"""Checkpoints that came after their study was written: a file each, in the lake."""

from __future__ import annotations

import json
import shutil
import stat
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import ValidationError

from assets.study.checkpoints import Registered, check_name
from assets.study.errors import InputError
from assets.study.ownership import check_owner
from assets.study.problems import explain
from models import ModelError
from warehouse.durable import in_one_step
from warehouse.schema import PARTITION_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from assets.study.study import Study
    from models import Source
    from warehouse import Lake

_REGISTERED = "registered.json"


def alone(lake: Lake) -> FileLock:
    """Held while a checkpoint is taken in, which the sensor and a command may do at once."""
    lake.registered.mkdir(parents=True, exist_ok=True)
    return FileLock(lake.registered / ".lock")


def as_it_stands(study: Study, lake: Lake) -> Study:
    """A study with the checkpoints that were registered for it, with what it says of them now.

    Raises:
        InputError: The lake belongs to another study, one of them is not what it must be, or its
            base is not in the study any more.
    """
    check_owner(lake, study)
    return study.with_registered(read_registered(study, lake))


def read_registered(study: Study, lake: Lake) -> list[Registered]:
    """The checkpoints registered for a study, by series and step.

    Raises:
        InputError: As for `as_it_stands`.
    """
    places = {watch.place: watch for watch in study.watch}
    registered_checkpoints = []
    for path in lake.registered.glob("*.json"):
        values = _read(path)  # `damaged_files` tells of those that have none
        if values is not None and values.get("study") == study.name:
            watch = places.get(str(values.get("found_by")))
            now = watch.settings(str(values.get("origin"))) if watch else {}
            registered_checkpoints.append(_parse(str(path), values | now))
            if registered_checkpoints[-1].name != path.stem:
                raise InputError(
                    f"{path} is of {registered_checkpoints[-1].name}; name the file after it"
                )
    names = {checkpoint.name for checkpoint in study.checkpoints}
    for checkpoint in registered_checkpoints:
        if checkpoint.base is not None and checkpoint.base not in names:
            raise InputError(
                f"the registered checkpoint {checkpoint.name} is compared with {checkpoint.base}, "
                "which the study does not have; put it back into the study, or say "
                f"`anchorlake checkpoints remove STUDY {checkpoint.name}`"
            )
    return sorted(registered_checkpoints, key=lambda c: (c.series or "", c.step or 0, c.name))


def damaged_files(lake: Lake) -> dict[Path, str]:
    """Files of registered checkpoints that cannot be read, and a sentence on each.

    A checkpoint whose file is damaged is not in the study, and keeps its rows; taking it in again
    writes the file anew.
    """
    return {
        path: f"{path} is damaged, so its checkpoint is left out; take it in again with "
        f"`anchorlake checkpoints add STUDY {path.stem} SOURCE`"
        for path in sorted(lake.registered.glob("*.json"))
        if _read(path) is None and path.exists()
    }


def is_registered(lake: Lake, checkpoint: Registered) -> bool:
    """Whether a checkpoint has not been removed since it was read."""
    return (lake.registered / f"{checkpoint.name}.json").exists()


def registered(lake: Lake, study: Study, name: str) -> dict[str, Any] | None:
    """What is registered of a checkpoint, or was when it was removed; None where nothing was.

    Raises:
        InputError: It belongs to another study, or cannot be read.
    """
    for path in (lake.registered / f"{name}.json", lake.removed / name / _REGISTERED):
        values = _read(path)
        if values is not None:
            if values.get("study") != study.name:
                raise InputError(f"{name} belongs to the study {values.get('study')}")
            return values
    return None


def register(lake: Lake, study: Study, values: dict[str, Any]) -> Registered:
    """Takes a checkpoint in; one of its name that came from the same place is replaced.

    Args:
        lake: The lake.
        study: The study that it is measured for.
        values: What a study file would say of it, and of `Registered` what is known.

    Raises:
        InputError: It is not there, or something else has its name.
    """
    known = {"weights": "", "origin": values["source"], "superseded": False}
    fresh = {"study": study.name, "entry": uuid.uuid4().hex[:12]}
    checkpoint = _parse(str(values["name"]), known | values | fresh)
    if reason := taken(lake, study, checkpoint):
        raise InputError(reason)
    try:
        checkpoint = checkpoint.model_copy(update={"weights": checkpoint.source.digest()})
    except ModelError as error:
        if not checkpoint.weights:  # of one that comes back, what was measured may be all there is
            raise InputError(f"{checkpoint.name}: {error}") from error
    _write(lake, checkpoint)
    return checkpoint


def change(lake: Lake, checkpoint: Registered, **values: Any) -> Registered:
    """Has a checkpoint's file say something else of it; it is not measured anew for that."""
    changed = checkpoint.model_copy(update=values)
    _write(lake, changed)
    return changed


def taken(lake: Lake, study: Study, checkpoint: Registered) -> str | None:
    """Why a checkpoint cannot have its name; None where it can.

    What comes from the same place may have it, as it was written over; and what has the same
    weights as one that is gone, as it was moved.
    """
    name = checkpoint.name
    if any(c.name == name and not isinstance(c, Registered) for c in study.checkpoints):
        return f"the name {name} is taken by a checkpoint of the study"
    if name in {study.prompts.stem, *(corpus.name for corpus in study.corpora)}:
        return f"the name {name} is taken by a corpus, or the file of prompts"
    path = lake.registered / f"{name}.json"
    values = _read(path)
    if values is None:
        return None
    if values.get("study") != study.name:
        return (
            f"the name {name} is taken by a checkpoint of the study {values.get('study')}; give "
            f"this one another, or delete {path} if there is no such study any more"
        )
    other = _parse(str(path), values)
    if other.origin == checkpoint.origin or is_moved(other, checkpoint.source):
        return None
    return f"the name {name} is taken by {other.origin}; give one of them another"


def is_moved(checkpoint: Registered, source: Source) -> bool:
    """Whether a checkpoint is gone from where it was, and its weights are elsewhere now."""
    try:
        return checkpoint.is_gone and checkpoint.weights == source.digest()
    except ModelError:
        return False


def remove(lake: Lake, study: Study, names: Iterable[str]) -> list[Path]:
    """Takes checkpoints and their rows out of the lake, and keeps them aside.

    Returns:
        The folders where they are kept.

    Raises:
        InputError: One of them is the study's own, or another study's, or the lake has nothing of
            it; nothing was removed.
    """
    moves = {name: _moves(lake, study, name) for name in names}
    kept = []
    with alone(lake):
        for name, own in moves.items():
            aside = lake.removed / name
            aside.mkdir(parents=True, exist_ok=True)
            _move(own)
            kept.append(aside)
    return kept


def _moves(lake: Lake, study: Study, name: str) -> list[tuple[Path, Path]]:
    _check(name)
    if name in {checkpoint.name for checkpoint in study.checkpoints}:
        raise InputError(
            f"{name} is in the study's file, and the next run would measure it again; take it out "
            "there first"
        )
    registered(lake, study, name)
    aside = lake.removed / name
    moves = [(lake.registered / f"{name}.json", aside / _REGISTERED)]
    for folder, file in lake.files_of(name).items():
        moves.append((file, aside / f"{folder.replace('/', '.')}.parquet"))
        made = lake.provenance_at(file)
        if made is not None and made.study != study.name:
            raise InputError(f"{name} belongs to the study {made.study}")
    if not any(source.exists() for source, _ in moves):
        raise InputError(f"the lake has nothing of a checkpoint {name}")
    return moves


def restore(lake: Lake, name: str) -> None:
    """Brings back the rows of a checkpoint, if it was removed."""
    aside = lake.removed / name
    if aside.exists():
        partition = f"{PARTITION_COLUMN}={name}"
        _move(
            (file, lake.root / file.stem.replace(".", "/") / partition / "data.parquet")
            for file in sorted(aside.glob("*.parquet"))
        )
        shutil.rmtree(aside, ignore_errors=True)


def removed_origins(lake: Lake) -> set[str]:
    """Where removed checkpoints were found, so that they are not taken in again."""
    files = map(_read, lake.removed.glob(f"*/{_REGISTERED}"))
    return {str(values.get("origin")) for values in files if values is not None}


def _move(moves: Iterable[tuple[Path, Path]]) -> None:
    for source, target in moves:
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            with suppress(OSError):  # a folder that holds more stays
                source.parent.rmdir()


def _read(path: Path) -> dict[str, Any] | None:
    """What a file says of a checkpoint; None where it is damaged, or not there.

    Raises:
        InputError: It cannot be read.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)  # of a pipe there is no end
        values = json.loads(path.read_text(encoding="utf-8")) if is_file else None
    except (ValueError, RecursionError, FileNotFoundError):
        values = None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; make it readable") from None
    if not isinstance(values, dict):
        return None
    if values.get("engine") == "hf":  # what transformers was called when it was the only one
        values["engine"] = None
    return values


def _check(name: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise InputError(str(error)) from None


def _parse(where: str, values: dict[str, Any]) -> Registered:
    try:
        return Registered.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(where, error, Registered)) from None


def _write(lake: Lake, checkpoint: Registered) -> None:
    lake.registered.mkdir(parents=True, exist_ok=True)
    with in_one_step(lake.registered / f"{checkpoint.name}.json") as path:
        path.write_text(checkpoint.model_dump_json(indent=1), encoding="utf-8")
