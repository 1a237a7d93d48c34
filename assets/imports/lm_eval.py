"""Sample logs of lm-evaluation-harness, `samples_*.jsonl`, as `--log_samples` writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from assets.imports.found import Dropped, Found
from assets.imports.scored import Scored
from assets.study.errors import InputError
from assets.study.files import read_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.imports.found import Options

# samples_TASK_2026-01-31T12-00-00.000000.jsonl
_NAME = re.compile(r"(?:samples_)?(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.+-]+)?")


def read(source: str, options: Options) -> Iterator[Found | Scored | Dropped]:
    """Finds what tasks of the kind generate_until made; other requests are no generations.

    A prompt is the context as it went to the model, template and all. Its name is the task's, which
    the file's name tells, and the number of the document: `gsm8k/17`. Repeats are samples.

    A score is called after its metric and, but for `none`, the filter: `exact_match,strict-match`.
    The harness scores one text of a document, whatever its repeats.

    Args:
        source: The file.
        options: Nothing of them is asked for.

    Raises:
        InputError: It is no such log.
    """
    path = Path(source)
    name = _NAME.fullmatch(path.stem)
    task = name["task"] if name else path.stem
    filters: dict[int, object] = {}
    for number, row in read_jsonl(path, {"doc_id": int}):
        where = f"{path}, line {number}"
        document, answers, requests = row["doc_id"], row.get("resps"), _requests(row)
        assert isinstance(document, int)  # as `read_jsonl` made sure
        if not isinstance(answers, list) or requests is None or len(answers) != len(requests):
            raise InputError(
                f"{where}: is no sample of lm-evaluation-harness; name the files "
                "samples_*.jsonl that it writes with --log_samples"
            )
        if not requests or not all(_is_generation(request) for request in requests):
            yield Dropped("of tasks that generate nothing")
            continue
        # Every filter has a row of each document; what the model wrote is the same in all of them.
        if filters.setdefault(document, row.get("filter")) != row.get("filter"):
            yield Dropped("that repeat a text for a further filter")
            yield from _scores(row, where, f"{task}/{document}", answers)
            continue
        for i, (request, texts) in enumerate(zip(requests, answers, strict=True)):
            prompt_id = f"{task}/{document}" + (f"/{i}" if len(requests) > 1 else "")
            if not isinstance(texts, list):
                raise InputError(f"{where}: 'resps' holds no list of texts for each request")
            if not texts:
                yield Dropped("without text")
            for sample, text in enumerate(texts):
                if isinstance(text, str):
                    yield Found(where, _prompt(request[0]), text, prompt_id, sample)
                elif text is None:
                    yield Dropped("without text")
                else:
                    raise InputError(f"{where}: 'resps' holds {text!r:.40} where a text must be")
        yield from _scores(row, where, f"{task}/{document}", answers)


def _scores(
    row: dict[str, object], where: str, prompt_id: str, answers: list[list[object]]
) -> Iterator[Scored | Dropped]:
    """What a document's filtered text was found to be worth, by each metric."""
    metrics = row.get("metrics")
    for metric in metrics if isinstance(metrics, list) else ():
        if len(answers) > 1:
            yield Dropped("of several requests together", "scores")
        elif (sample := _scored_sample(row, answers[0])) is None:
            yield Dropped("of a text that the log does not tell from its repeats", "scores")
        else:
            name = metric if row.get("filter") in (None, "none") else f"{metric},{row['filter']}"
            yield Scored(where, prompt_id, sample, name, row.get(metric))


def _scored_sample(row: dict[str, object], texts: list[object]) -> int | None:
    """The number of the repeat that the filter chose; None where it chose none as it stands."""
    if len(texts) == 1:
        return 0
    chosen = row.get("filtered_resps")
    text = chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else None
    return texts.index(text) if isinstance(text, str) and text in texts else None


def _requests(row: dict[str, object]) -> list[list[object]] | None:
    """The arguments of each request; those of older versions are lists, not objects."""
    arguments = row.get("arguments")
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if not isinstance(requests, list):
        return None
    values = [list(r.values()) if isinstance(r, dict) else r for r in requests]
    return values if all(isinstance(r, list) and r for r in values) else None


def _is_generation(request: list[object]) -> bool:
    """Only what is to be generated has settings of how; a continuation to score is a text."""
    return len(request) > 1 and isinstance(request[1], dict)


def _prompt(context: object) -> str:
    """The context as it stands; one of messages comes in a list, as JSON."""
    if isinstance(context, list) and len(context) == 1 and isinstance(context[0], str):
        return context[0]
    return context if isinstance(context, str) else json.dumps(context, ensure_ascii=False)
