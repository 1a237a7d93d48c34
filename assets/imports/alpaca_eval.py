"""Outputs of models as AlpacaEval keeps them, `model_outputs.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from assets.imports.found import Dropped, Found
from assets.study.errors import InputError
from assets.study.files import json_problem, unreadable_said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.imports.found import Options


def read(source: str, options: Options) -> Iterator[Found | Dropped]:
    """Finds the outputs of one generator; an instruction that comes again has a further sample.

    Args:
        source: The file: an array of objects with `instruction`, `output` and, where it is known,
            `generator`.
        options: `generator` chooses one of several.

    Raises:
        InputError: It is no such file, or has several generators.
    """
    path = Path(source)
    rows = _rows(path)
    generators = list(
        dict.fromkeys(str(row.get("generator")) for row in rows if row.get("generator"))
    )
    wanted = options.generator
    if wanted is not None and wanted not in generators:
        raise InputError(
            f"{path} has no generator {wanted!r}; it has {', '.join(generators) or 'none'}"
        )
    if wanted is None and len(generators) > 1:
        raise InputError(
            f"{path} has the outputs of {', '.join(generators)}; choose one with --generator"
        )
    for number, row in enumerate(rows, start=1):
        where = f"{path}, entry {number}"
        generator = str(row["generator"]) if row.get("generator") else None
        if wanted is not None and generator != wanted:
            yield Dropped("of other generators")
            continue
        instruction, more, output = (
            _text(row, n, where) for n in ("instruction", "input", "output")
        )
        if instruction is None:
            yield Dropped("without an instruction")
        elif output is None:
            yield Dropped("without an output")
        else:
            # AlpacaFarm's older files have what an instruction is about in a field of its own.
            prompt = f"{instruction}\n\n{more}" if more else instruction
            yield Found(where, prompt, output, model=generator)


def _rows(path: Path) -> list[dict[str, object]]:
    with unreadable_said(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        problem = json_problem(error)
        raise InputError(f"{path} is no valid JSON: {problem}; it must be one array") from None
    if not isinstance(rows, list):
        raise InputError(f"{path} must be an array of objects, and is none")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"instruction", "output"} <= set(row):
            raise InputError(f"{path}, entry {number}: needs an 'instruction' and an 'output'")
    return rows


def _text(row: dict[str, object], name: str, where: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}: {name!r} is {value!r:.40}, and must be a text")
    return value
