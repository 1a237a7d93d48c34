"""`generations`: what checkpoints write, sampled here or read from a file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.generations.engines import columns_of, opened, sample_shown
from assets.generations.plan import asked
from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.lineage.space import need_space
from assets.lineage.staging import note_part_versions, published_rows, stage, staged_rows
from assets.sources.checkpoints import sampled_by, tokenizer_parameters
from assets.sources.generation_files import read_generations
from assets.sources.prompt_sets import Prompt, prompt_set
from assets.sources.prompts import prefixes_digest, prompt_format, prompts_in_lake
from assets.study.digests import digest
from models.engines import Prompted
from models.loading import load_tokenizer
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import Decoding
    from models.engines import Generation

Key = tuple[str, str, int]
"""(decoding, prompt_id, sample)."""

_SCHEMA = tables.GENERATIONS.arrow_schema
_BYTES = 2 * 12
"""Of a token at most, as text and as its id: in staging, and in its place beside that."""
_TEXTS_AT_ONCE = 1000
"""Given to a tokenizer, which makes Python's lists of their tokens."""
_SAMPLER = "1"
"""Changes when the same request gives another generation."""
LOGPROBS = Signature.of(logprobs="raw")
"""Those of the model itself, before temperature and top_p."""


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    if checkpoint.source.is_generations:
        table = _imported(context.study, checkpoint)
    else:
        table = _sampled(context, checkpoint)
    if not checkpoint.source.has_weights:
        table = _tokenized(checkpoint, table)
    yield iter(table.to_batches())


def _imported(study: Study, checkpoint: Checkpoint) -> pa.Table:
    decoding = study.first_decoding(checkpoint)
    answered = prompt_set(study, checkpoint).name
    rows = [
        {
            "decoding": decoding,
            "prompt_set": answered,
            "prompt_id": generation.prompt_id,
            "sample": generation.sample,
            "text": generation.text,
        }
        for generation in read_generations(Path(checkpoint.source.location))
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _tokenized(checkpoint: Checkpoint, rows: pa.Table) -> pa.Table:
    """The tokens of texts that came without, by the tokenizer that the study names, if any."""
    kind = _SCHEMA.field("token_ids").type
    ids: list[pa.Array] = []
    if checkpoint.tokenizer is not None and len(rows):
        tokenizer = load_tokenizer(checkpoint.tokenizer)
        for batch in rows.select(["text"]).to_batches(max_chunksize=_TEXTS_AT_ONCE):
            texts = batch["text"].to_pylist()
            encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
            ids.append(pa.array(encoded, kind))
    token_ids = pa.chunked_array(ids or [pa.nulls(len(rows), kind)], kind)
    changed = {"token_ids": token_ids}
    if checkpoint.source.is_generations:
        changed["n_tokens"] = pc.list_value_length(token_ids)
    for name, values in changed.items():
        rows = rows.set_column(_SCHEMA.names.index(name), _SCHEMA.field(name), values)
    return rows


def _sampled(context: AssetContext, checkpoint: Checkpoint) -> pa.Table:
    """Samples what is asked and not there yet, keeping all that is finished on the disk."""
    prompts = prompts_in_lake(context, checkpoint)
    plan = [
        (ask.decoding, prompt, number)
        for ask in asked(context.study, checkpoint, prompts)
        for prompt in ask.prompts
        for number in range(ask.n_samples)
    ]
    keys = [(decoding.name, str(prompt["prompt_id"]), n) for decoding, prompt, n in plan]
    part_versions = _part_versions(context.study, checkpoint, prompts)
    note_part_versions(context, part_versions, sampled_by(checkpoint))
    published = [*_usable(published_rows(context, tables.GENERATIONS), part_versions)]
    pieces = [_SCHEMA.empty_table(), *published]
    in_lake = {key for piece in pieces for key in _keys(piece)}
    # A run that goes on has the batches of the one that was stopped, so it draws what that one
    # would have drawn; what was staged keeps its place in them.
    todo = [entry for key, entry in zip(keys, plan, strict=True) if key not in in_lake]
    pieces += _usable(staged_rows(context, tables.GENERATIONS), part_versions)
    finished = {key for piece in pieces for key in _keys(piece)}
    context.notes["generations kept from before"] = sum(key in finished for key in keys)
    if not finished.issuperset(keys):
        for rows in _drawn(context, checkpoint, todo, finished):
            piece = pa.Table.from_pylist(rows, _SCHEMA)
            stage(context, tables.GENERATIONS, piece)
            pieces.append(piece)
    everything = pa.concat_tables(pieces)
    place = {key: i for i, key in enumerate(_keys(everything))}
    rows = everything.take([place[key] for key in keys]).combine_chunks()
    for name in dict.fromkeys(decoding.name for decoding, _, _ in plan if decoding.cautious):
        of_decoding = rows.filter(pc.equal(rows["decoding"], name))
        passes, tokens = (
            pc.sum(of_decoding[column]).as_py() or 0 for column in ("forward_passes", "n_tokens")
        )
        context.notes[f"{name}: forward passes per token"] = round(passes / max(1, tokens), 2)
    return rows


def _drawn(
    context: AssetContext,
    checkpoint: Checkpoint,
    todo: list[tuple[Decoding, Prompt, int]],
    finished: Set[Key],
) -> Iterator[list[dict[str, Any]]]:
    """Samples what is not finished, and gives rows as soon as they are."""
    study = context.study
    prompts = {str(prompt["prompt_id"]): prompt for _, prompt, _ in todo}
    wanted = [
        Prompted(
            str(prompt["prompt_id"]),
            str(prompt["text"]),
            prompt_format(checkpoint, prompt),
            number,
            decoding,
        )
        for decoding, prompt, number in todo
    ]
    n_tokens = len(wanted) * study.max_new_tokens
    need_space(context, n_tokens * _BYTES, f"sampling up to {n_tokens:,} tokens")
    done = {a for a in wanted if (a.decoding.name, a.key, a.sample) in finished}
    n_drawn = 0

    def on_drawn(drawn: int) -> None:
        nonlocal n_drawn
        n_drawn += drawn

    with opened(context, checkpoint, wanted) as engine:
        context.notes.update(engine.remarks(dict.fromkeys(a.decoding for a in wanted)))
        start = perf_counter()
        for generations in sample_shown(
            context,
            engine,
            wanted,
            label=f"{checkpoint.name}: sampling",
            max_new_tokens=study.max_new_tokens,
            ending=checkpoint.ending,
            finished=done,
            on_drawn=on_drawn,
        ):
            yield [_row(prompts[g.asked.key], g, study.seed) for g in generations]
    context.notes["tokens sampled"] = n_drawn
    context.notes["tokens per second"] = round(n_drawn / (perf_counter() - start), 1)


def _row(prompt: Prompt, made: Generation, seed: int) -> dict[str, Any]:
    return {
        **columns_of(made, seed),
        "prompt_set": prompt["prompt_set"],
        "prompt_id": prompt["prompt_id"],
        "sample": made.asked.sample,
        "logprobs": made.logprobs,
        "top_logprobs": made.top_logprobs,
        "forward_passes": made.forward_passes,
    }


def _part_versions(
    study: Study, checkpoint: Checkpoint, prompts: Iterable[Prompt]
) -> dict[str, str]:
    """For each prompt a digest of all that its generations depend on but decoding and sample."""
    shared = [
        checkpoint.digest(),
        checkpoint.dtype,
        study.max_new_tokens,
        study.seed,
        _SAMPLER,
        *_way(checkpoint).values(),
    ]
    formats = {
        prompt["corpus"] is None: prompt_format(checkpoint, prompt).parameters for prompt in prompts
    }
    return {
        str(prompt["prompt_id"]): digest(
            [*shared, formats[prompt["corpus"] is None], prompt["prompt_set"], prompt["text"]]
        )
        for prompt in prompts
    }


def _way(checkpoint: Checkpoint) -> dict[str, object]:
    """What of the way that it is sampled differs from the usual, as JSON values."""
    way: dict[str, object] = {}
    if checkpoint.engine_name != "transformers":
        way["engine"] = checkpoint.engine_name
    if checkpoint.ending.cuts:
        way["ending"] = asdict(checkpoint.ending)
    if checkpoint.source.is_server:
        way["top_logprobs"] = checkpoint.access.top_logprobs
        way["extra"] = checkpoint.access.extra
    return way


def _usable(
    rows_and_versions: Iterable[tuple[pa.Table, dict[str, str]]], part_versions: Mapping[str, str]
) -> Iterator[pa.Table]:
    """Those generations that would come out the same again."""
    for rows, known in rows_and_versions:
        same = [
            prompt_id
            for prompt_id, version in part_versions.items()
            if known.get(prompt_id) == version
        ]
        yield rows.filter(pc.is_in(rows["prompt_id"], pa.array(same, pa.string())))


def _keys(rows: pa.Table) -> Iterator[Key]:
    columns = (rows[name].to_pylist() for name in ("decoding", "prompt_id", "sample"))
    return zip(*columns, strict=True)


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    if checkpoint.source.is_generations:
        return {
            "generations": checkpoint.digest(),
            "prompt_set": prompt_set(study, checkpoint).name,
            "decodings": [decoding.name for decoding in checkpoint.decodings],
            **tokenizer_parameters(checkpoint),
        }
    answered = prompt_set(study, checkpoint)
    given = answered.prompts
    plan = asked(study, checkpoint, given)
    return {
        "prompt_set": answered.name,
        "weights": checkpoint.digest(),
        **sampled_by(checkpoint).to_dict(),
        "max_new_tokens": study.max_new_tokens,
        "seed": study.seed,
        "prompt_format": checkpoint.format_of_prompts.parameters,
        **{key: value for key, value in _way(checkpoint).items() if key != "engine"},
        **tokenizer_parameters(checkpoint),
        **({"continues": checkpoint.continues_text} if checkpoint.source.is_server else {}),
        "prompts": [[prompt["prompt_id"], prompt["text"]] for prompt in given],
        "decodings": [[a.decoding.name, [p["prompt_id"] for p in a.prompts]] for a in plan],
        "samples_per_prompt": [a.n_samples for a in plan],
        "prefixes": prefixes_digest(study),
    }


def _signature(context: AssetContext) -> Signature:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    if checkpoint.source.is_generations:
        decoding = context.study.first_decoding(checkpoint)
        return Signature.of(decoding=decoding, file=short(checkpoint.digest()))
    (facts,) = context.lake.read(tables.CHECKPOINTS, checkpoint.name).to_pylist()
    prompts = prompt_set(context.study, checkpoint).prompts
    decodings = [ask.decoding for ask in asked(context.study, checkpoint, prompts)]
    greedy = "+greedy" if any(d.is_greedy for d in decodings) else ""
    sampled = [decoding for decoding in decodings if not decoding.is_greedy]
    masses = "+".join(f"{d.top_p:g}" for d in sampled)
    temperatures = "+".join(dict.fromkeys(f"{d.temperature:g}" for d in sampled))
    limits = {
        name: "+".join(dict.fromkeys(f"{getattr(d, name):g}" for d in sampled))
        for name in ("top_k", "min_p")
        if any(getattr(d, name) for d in sampled)
    }
    treated = dict.fromkeys(d.treatment.name for d in decodings if d.treatment)
    treatments = {"treatments": "+".join(treated)} if treated else {}
    signature = Signature.of(
        top_p=f"{masses or '-'}{greedy}",
        temperature=temperatures or "-",
        **limits,
        **treatments,
        samples=context.study.samples_per_prompt,
        max_new_tokens=context.study.max_new_tokens,
        seed=context.study.seed,
        tokenizer=short(facts["tokenizer"]),
        prompt_format=_short_format(checkpoint),
        engine=facts["engine"],
        device=sampled_by(checkpoint).to_dict().get("device", "-"),
        dtype=facts["dtype"] or "-",
    )
    return signature + LOGPROBS if checkpoint.engine_name == "vllm" else signature


def _short_format(checkpoint: Checkpoint) -> str:
    parameters = checkpoint.format_of_prompts.parameters
    return str(parameters) if parameters in ("chat", "plain") else short(digest(parameters))


GENERATIONS = TableAsset(
    name="generations",
    group="generations",
    description=tables.GENERATIONS.description,
    reads=("prompts", "checkpoints"),
    version="2",
    # Another checkpoint's prompts, or this one's role, change nothing here: the prompts and weights
    # that matter are in the parameters.
    changes_with=(),
    uses_model=True,
    parameters=_parameters,
    settings=(
        "prompts",
        "samples_per_prompt",
        "max_new_tokens",
        "seed",
        "diversity_sweep",
        "prefixes",
        "corpora",
    ),
    table=tables.GENERATIONS,
    rows=_rows,
    signature=_signature,
)
