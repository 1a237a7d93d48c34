"""`generations`: what checkpoints write, sampled here or read from a file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.digests import digest
from assets.errors import InputError
from assets.generations.imported import read_generations
from assets.kept import already_made, note_made_from, put_aside
from assets.recipe import TableRecipe, Work
from assets.sources.checkpoints import load_model
from assets.sources.prompts import (
    Prompt,
    prefixes_digest,
    prompt_format,
    prompts_in_lake,
    prompts_of,
)
from models import Completion, Decoding, Request, encode_prompt, sample
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from assets.study import Study
    from assets.study_checkpoints import Checkpoint
    from models import LanguageModel

Key = tuple[str, str, int]
"""(decoding, prompt_id, sample)."""

_SCHEMA = tables.GENERATIONS.arrow_schema


@dataclass(frozen=True)
class Ask:
    """Generations that a study asks of a model: so many samples of some prompts."""

    decoding: Decoding
    prompts: tuple[Prompt, ...]
    n_samples: int


def asked(study: Study, checkpoint: Checkpoint, prompts: Sequence[Prompt]) -> list[Ask]:
    """What a study asks of a model, in the order of the table.

    Every prompt is sampled with each decoding of the checkpoint; the sweep adds values of top_p for
    its first prompts. The beginnings of documents are continued with those decodings alone that are
    compared. A greedy generation is always the same, and made once.

    Args:
        study: The study.
        checkpoint: The checkpoint.
        prompts: Its prompts, those cut from corpora included.
    """
    given = tuple(prompt for prompt in prompts if prompt["corpus"] is None)
    cut = tuple(prompt for prompt in prompts if prompt["corpus"] is not None)
    own = study.decodings(checkpoint)
    samples = study.samples_per_prompt
    plan = [(decoding, given, samples) for decoding in own]
    if sweep := study.diversity_sweep:
        swept = dict.fromkeys(Decoding(top_p=top_p) for top_p in sweep.top_p)
        plan += [(d, given[: sweep.prompts], samples) for d in swept if d not in own]
    if cut and study.prefixes:
        compared = study.compared_decodings(checkpoint)
        plan += [(d, cut, study.prefixes.samples) for d in own if d.name in compared]
    return [
        Ask(decoding, some, 1 if decoding.is_greedy else number) for decoding, some, number in plan
    ]


@contextmanager
def _rows(work: Work) -> Iterator[Iterator[pa.RecordBatch]]:
    assert work.checkpoint is not None
    if work.checkpoint.source.is_generations:
        yield iter(_imported(work.study, work.checkpoint).to_batches())
    else:
        yield iter(_sampled(work, work.checkpoint).to_batches())


def _imported(study: Study, checkpoint: Checkpoint) -> pa.Table:
    decoding = study.first_decoding(checkpoint)
    return pa.Table.from_pylist(
        [
            {
                "decoding": decoding,
                "prompt_set": checkpoint.name,
                "prompt_id": generation.prompt_id,
                "sample": generation.sample,
                "text": generation.text,
            }
            for generation in read_generations(Path(checkpoint.source.location))
        ],
        _SCHEMA,
    )


def _sampled(work: Work, checkpoint: Checkpoint) -> pa.Table:
    """Samples what is asked and not there yet, keeping every finished batch on the disk."""
    prompts = prompts_in_lake(work, checkpoint)
    plan = [
        (ask.decoding, prompt, number)
        for ask in asked(work.study, checkpoint, prompts)
        for prompt in ask.prompts
        for number in range(ask.n_samples)
    ]
    keys = [(decoding.name, str(prompt["prompt_id"]), n) for decoding, prompt, n in plan]
    made_from = _made_from(work.study, checkpoint, prompts)
    note_made_from(work, made_from)
    pieces = [_SCHEMA.empty_table(), *_already_made(work, made_from)]
    there = {key for piece in pieces for key in _keys(piece)}
    work.notes["generations kept from before"] = sum(key in there for key in keys)
    todo = [entry for key, entry in zip(keys, plan, strict=True) if key not in there]
    if todo:
        for rows in _batches(work, load_model(work, checkpoint), todo):
            piece = pa.Table.from_pylist(rows, _SCHEMA)
            put_aside(work, tables.GENERATIONS, piece)
            pieces.append(piece)
    everything = pa.concat_tables(pieces)
    place = {key: i for i, key in enumerate(_keys(everything))}
    return everything.take([place[key] for key in keys])


def _batches(
    work: Work, model: LanguageModel, todo: list[tuple[Decoding, Prompt, int]]
) -> Iterator[list[dict[str, Any]]]:
    """Samples, and gives the rows of each batch as it is finished."""
    study, checkpoint = work.study, work.checkpoint
    assert checkpoint is not None
    prompts = {str(prompt["prompt_id"]): prompt for _, prompt, _ in todo}
    ids = {
        prompt_id: tuple(
            encode_prompt(model.tokenizer, str(prompt["text"]), prompt_format(checkpoint, prompt))
        )
        for prompt_id, prompt in prompts.items()
    }
    _check_room(model, ids, study.max_new_tokens)
    requests = [
        Request(str(prompt["prompt_id"]), ids[str(prompt["prompt_id"])], number, decoding)
        for decoding, prompt, number in todo
    ]
    n_drawn = 0

    def on_tokens(drawn: int, settled: int) -> None:
        nonlocal n_drawn
        n_drawn += drawn
        work.progress.advance(drawn, settled)

    start = perf_counter()
    work.progress.start(
        f"{checkpoint.name}: sampling", len(requests) * study.max_new_tokens, "tokens"
    )
    try:
        for completions in sample(
            model,
            requests,
            max_new_tokens=study.max_new_tokens,
            seed=study.seed,
            on_tokens=on_tokens,
        ):
            yield [
                _row(model, prompts[completion.request.prompt_key], completion, study.seed)
                for completion in completions
            ]
    finally:
        work.progress.finish()
    work.notes["tokens sampled"] = n_drawn
    work.notes["tokens per second"] = round(n_drawn / (perf_counter() - start), 1)


def _check_room(model: LanguageModel, ids: Mapping[str, tuple[int, ...]], n_new: int) -> None:
    """Models write nonsense, or nothing, beyond the length that they were trained to read."""
    prompt_id, longest = max(ids.items(), key=lambda item: len(item[1]))
    if len(longest) + n_new > model.context_length:
        raise InputError(
            f"the prompt {prompt_id!r} has {len(longest)} tokens; {n_new} more is over the "
            f"{model.context_length} that the model reads; shorten it, or lower max_new_tokens"
        )


def _row(model: LanguageModel, prompt: Prompt, completion: Completion, seed: int) -> dict[str, Any]:
    token_ids = list(completion.token_ids)
    return {
        "decoding": completion.request.decoding.name,
        "prompt_set": prompt["prompt_set"],
        "prompt_id": prompt["prompt_id"],
        "sample": completion.request.sample,
        "text": model.decode(token_ids),
        "token_ids": token_ids,
        "n_tokens": len(token_ids),
        "finish_reason": completion.finish_reason,
        "seed": seed,
    }


def _made_from(study: Study, checkpoint: Checkpoint, prompts: Iterable[Prompt]) -> dict[str, str]:
    """For each prompt a digest of all that its generations depend on but decoding and sample."""
    shared = [
        checkpoint.digest(),
        checkpoint.dtype,
        study.max_new_tokens,
        study.seed,
        GENERATIONS.version,
    ]
    return {
        str(prompt["prompt_id"]): digest(
            [*shared, prompt_format(checkpoint, prompt), prompt["prompt_set"], prompt["text"]]
        )
        for prompt in prompts
    }


def _already_made(work: Work, made_from: Mapping[str, str]) -> Iterator[pa.Table]:
    """Generations there already that would come out the same again."""
    for rows, known in already_made(work, tables.GENERATIONS):
        same = [prompt_id for prompt_id, mark in made_from.items() if known.get(prompt_id) == mark]
        yield rows.filter(pc.is_in(rows["prompt_id"], pa.array(same, pa.string())))


def _keys(rows: pa.Table) -> Iterator[Key]:
    columns = (rows[name].to_pylist() for name in ("decoding", "prompt_id", "sample"))
    return zip(*columns, strict=True)


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    if checkpoint.source.is_generations:
        return {
            "generations": checkpoint.digest(),
            "decodings": [decoding.name for decoding in checkpoint.decodings],
        }
    given = prompts_of(study, checkpoint)
    plan = asked(study, checkpoint, given)
    return {
        "weights": checkpoint.digest(),
        "dtype": checkpoint.dtype,
        "max_new_tokens": study.max_new_tokens,
        "seed": study.seed,
        "prompt_format": checkpoint.format_of_prompts,
        "prompts": [[prompt["prompt_id"], prompt["text"]] for prompt in given],
        "decodings": [[a.decoding.name, [p["prompt_id"] for p in a.prompts]] for a in plan],
        "samples_per_prompt": [a.n_samples for a in plan],
        "prefixes": prefixes_digest(study),
    }


def _signature(work: Work) -> str:
    checkpoint = work.checkpoint
    assert checkpoint is not None
    if checkpoint.source.is_generations:
        decoding = work.study.first_decoding(checkpoint)
        return f"decoding:{decoding}|file:{checkpoint.digest()[:8]}"
    (facts,) = work.lake.read(tables.CHECKPOINTS, checkpoint.name).to_pylist()
    prompts = prompts_of(work.study, checkpoint)
    decodings = [ask.decoding for ask in asked(work.study, checkpoint, prompts)]
    greedy = "+greedy" if any(d.is_greedy for d in decodings) else ""
    sampled = [decoding for decoding in decodings if not decoding.is_greedy]
    masses = "+".join(f"{d.top_p:g}" for d in sampled)
    temperatures = "+".join(dict.fromkeys(f"{d.temperature:g}" for d in sampled))
    return "|".join(
        [
            f"p:{masses or '-'}{greedy}",
            f"T:{temperatures or '-'}",
            f"S:{work.study.samples_per_prompt}",
            f"max:{work.study.max_new_tokens}",
            f"seed:{work.study.seed}",
            f"tok:{facts['tokenizer'][:8]}",
            f"format:{_short_format(checkpoint)}",
            f"engine:{facts['engine']}",
            f"dtype:{facts['dtype']}",
        ]
    )


def _short_format(checkpoint: Checkpoint) -> str:
    name = checkpoint.format_of_prompts
    return name if name in ("chat", "plain") else digest(name)[:8]


GENERATIONS = TableRecipe(
    name="generations",
    group="generations",
    description=tables.GENERATIONS.description,
    reads=("prompts", "checkpoints"),
    # Another checkpoint's prompts, or this one's role, change nothing here: the prompts and weights
    # that matter are in the parameters.
    changes_with=(),
    uses_model=True,
    parameters=_parameters,
    table=tables.GENERATIONS,
    rows=_rows,
    signature=_signature,
)
