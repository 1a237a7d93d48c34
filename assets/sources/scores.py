"""`scores`: what verifiers, reward models or judges made of generations, as the user brings it."""

from __future__ import annotations

import csv
import json
import math
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.sources.generation_files import read_generations
from assets.sources.prompt_sets import prompt_set
from assets.study.digests import digest
from assets.study.errors import InputError, names_of, shown
from assets.study.files import read_jsonl, unreadable_said
from models.files import read_once
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_FIELDS = {"checkpoint": str, "prompt_id": str, "sample": int, "name": str}
_COLUMNS = (*_FIELDS, "value")
_FILES_HELD = 4


class Score(NamedTuple):
    """A line of the file.

    Attributes:
        line: Its number, from 1.
        checkpoint: The checkpoint that wrote the generation.
        prompt_id: Of which prompt.
        sample: And which of its generations.
        name: What scored it.
        value: The score.
    """

    line: int
    checkpoint: str
    prompt_id: str
    sample: int
    name: str
    value: float


@partial(read_once, size=_FILES_HELD)
def read_scores(path: Path) -> tuple[Score, ...]:
    """Reads a file of scores: CSV with a header if its name ends in .csv, else JSON Lines.

    Raises:
        InputError: There is no such file, a line is wrong, a generation has two scores of one name,
            or there is no line.
    """
    lines = _csv_lines(path) if path.suffix == ".csv" else _json_lines(path)
    scores: dict[tuple[str, str, int, str], Score] = {}
    for number, row in lines:
        named = {name: row[name] for name in _FIELDS}
        score = Score(line=number, value=_number(path, number, row), **named)
        key = score[1:5]
        if key in scores:
            raise InputError(
                f"{path}, line {number}: {_generation(score)} has the score {score.name!r} already "
                f"in line {scores[key].line}; leave one"
            )
        scores[key] = score
    if not scores:
        raise InputError(f"{path} holds no score")
    return tuple(scores.values())


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from read_jsonl(path, _FIELDS)


def _csv_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with unreadable_said(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise InputError(
                    f"{path}, line 1: lacks the column {', '.join(missing)}; the first line names "
                    f"the columns {', '.join(_COLUMNS)}"
                )
            for row in reader:
                number = reader.line_num
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}, line {number}: has not as many fields as the first line"
                    )
                if not row["sample"].isdecimal():
                    raise InputError(
                        f"{path}, line {number}: 'sample' is {shown(row['sample'], 40)!r}, and "
                        "must be a whole number"
                    )
                yield number, row | {"sample": int(row["sample"]), "value": _read(row["value"])}
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}; mend its quotes") from None


def _read(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _number(path: Path, line: int, row: dict[str, Any]) -> float:
    if "value" not in row:
        raise InputError(
            f"{path}, line {line}: has no 'value'; every line needs {', '.join(_COLUMNS)}"
        )
    value = row["value"]
    if type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value):
        return float(value)
    written = shown(json.dumps(value, ensure_ascii=False), 40)
    hint = "; write 1 or 0" if isinstance(value, bool) else ""
    raise InputError(f"{path}, line {line}: 'value' is {written}, and must be a number{hint}")


def _generation(score: Score) -> str:
    return f"sample {score.sample} of the prompt {shown(score.prompt_id)!r} of {score.checkpoint}"


def scores_of(study: Study, checkpoint: Checkpoint) -> list[Score]:
    """The scores that a study brings of a checkpoint's generations."""
    if study.scores is None:
        return []
    return [s for s in read_scores(study.scores.file) if s.checkpoint == checkpoint.name]


def check_scores(study: Study) -> None:
    """Looks whether scores are of the study's checkpoints, and of generations that are in files.

    Raises:
        InputError: The file is not as it must be.
    """
    if study.scores is None:
        return
    path = study.scores.file
    scores = read_scores(path)
    names = {checkpoint.name for checkpoint in study.checkpoints}
    for score in scores:
        if score.checkpoint not in names:
            raise InputError(
                f"{path}, line {score.line}: the study has no checkpoint "
                f"{shown(score.checkpoint)!r}; it has {names_of(sorted(names))}"
            )
    known = {score.name for score in scores}
    for name in study.scores.right:
        if name not in known:
            raise InputError(
                f"scores.right: {path} has no score {shown(name)!r}; it has "
                f"{names_of(sorted(known))}"
            )
    for checkpoint in study.checkpoints:
        if checkpoint.source.is_generations:
            generations = read_generations(Path(checkpoint.source.location))
            written = {(g.prompt_id, g.sample) for g in generations}
            _check_written(path, scores_of(study, checkpoint), written)


def _check_written(path: Path, scores: Iterable[Score], written: Set[tuple[str, int]]) -> None:
    """Looks whether there is a generation for each score."""
    for score in scores:
        if (score.prompt_id, score.sample) not in written:
            raise InputError(
                f"{path}, line {score.line}: there is no {_generation(score)}; leave the line out, "
                "or bring the generation"
            )


def first_score(study: Study, names: Iterable[str]) -> str | None:
    """The score that quality is measured by: the first that says what is right, or by its name."""
    right = list(study.scores.right) if study.scores else []
    return right[0] if right else min(names, default=None)


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    checkpoint, study = context.checkpoint, context.study
    assert checkpoint is not None
    assert study.scores is not None
    decoding = study.first_decoding(checkpoint)
    answered = prompt_set(study, checkpoint).name
    (path,) = context.lake.files(tables.GENERATIONS, checkpoint.name)
    columns = ["decoding", "prompt_set", "prompt_id", "sample"]
    generations = pq.read_table(path, columns=columns, partitioning=None).to_pylist()
    written = {
        (row["prompt_id"], row["sample"])
        for row in generations
        if (row["decoding"], row["prompt_set"]) == (decoding, answered)
    }
    scores = scores_of(study, checkpoint)
    _check_written(study.scores.file, scores, written)
    first = first_score(study, {score.name for score in read_scores(study.scores.file)})
    right = study.scores.right
    rows = [
        {
            "decoding": decoding,
            "prompt_set": answered,
            "prompt_id": score.prompt_id,
            "sample": score.sample,
            "name": score.name,
            "value": score.value,
            "is_first": score.name == first,
            "is_right": score.value >= right[score.name] if score.name in right else None,
        }
        for score in scores
    ]
    yield pa.Table.from_pylist(rows, tables.SCORES.arrow_schema).to_batches()


def _applies(study: Study, checkpoint: Checkpoint | None) -> bool:
    if study.scores is None or checkpoint is None:
        return False
    try:
        return bool(scores_of(study, checkpoint))
    except InputError:  # whoever makes it is told
        return True


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    assert study.scores is not None
    names = {score.name for score in read_scores(study.scores.file)}
    return {
        "scores": digest([score[2:] for score in scores_of(study, checkpoint)]),
        "right": [[name, least] for name, least in study.scores.right.items()],
        "first": first_score(study, names),
        "decodings": study.first_decoding(checkpoint),
        "prompts": prompt_set(study, checkpoint).name,
    }


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    assert context.study.scores is not None
    generations = context.upstream["generations"].signature(context.partition)
    scores = digest([score[2:] for score in scores_of(context.study, context.checkpoint)])
    right = ",".join(f"{name}>={least:g}" for name, least in context.study.scores.right.items())
    return generations + Signature.of(scores=short(scores), right=right or "-")


SCORES = TableAsset(
    name="scores",
    group="sources",
    description=tables.SCORES.description,
    reads=("generations",),
    parameters=_parameters,
    settings=("scores",),
    applies=_applies,
    table=tables.SCORES,
    rows=_rows,
    signature=_signature,
)
