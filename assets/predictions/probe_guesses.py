"""`probe_guesses`: what linear probes read of the tokens to come from hidden states (4.1)."""

from __future__ import annotations

import itertools
import math
import uuid
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.lineage.space import need_space
from assets.lineage.staging import finished_parts, note_part_versions, stage, staging
from assets.predictions.probed_texts import FOLDS, LEAST_PROMPTS, ProbedTexts, Split
from assets.predictions.scored_texts import OWN, generated_texts, has_states
from assets.sources.checkpoints import load_model, model_parameters, model_signature, predicted_by
from assets.study.digests import digest
from assets.study.errors import InputError
from models import Text
from models.probes import Baseline, Examples, train
from models.states import StateFile, hidden_states
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel
    from models.probes import Kind

LARGE_VOCABULARY = 1 << 16
"""Beyond as many tokens probes go through the output layer, unless the study says otherwise."""
_TABLE = tables.PROBE_GUESSES


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Probes what is not there yet, and keeps each part that is finished."""
    checkpoint, settings = context.checkpoint, context.study.probes
    assert checkpoint is not None
    assert settings is not None
    model = load_model(context, checkpoint)
    kind = chosen_kind(context)
    layer = layer_at(settings.depth, model.n_layers)
    parts = [part.limited(settings.tokens, context.study.seed) for part in _parts(context, model)]
    part_versions = {
        part.name: digest(
            [
                checkpoint.digest(),
                checkpoint.dtype,
                [kind, layer, settings.tokens, settings.horizons],
                [context.study.seed, PROBE_GUESSES.version, part.decoding],
                digest([[t.name, t.context_ids, t.token_ids] for t in part.texts]),
            ]
        )
        for part in parts
    }
    note_part_versions(context, part_versions, predicted_by(checkpoint))
    finished = finished_parts(context, _TABLE, ["generator", "corpus"], part_versions)
    context.notes["parts kept from before"] = len(finished)
    for part in parts:
        if part.name not in finished:
            finished[part.name] = _probed(context, model, part, kind, layer)
            stage(context, _TABLE, finished[part.name])
    if not any(rows.num_rows for rows in finished.values()):
        reasons = "; ".join(
            context.notes.get("not probed", ["no generations of these prompt_sets"])
        )
        raise InputError(
            f"probes: there is nothing to probe: {reasons}; give more prompts or longer "
            "generations, or name other sets with `prompt_sets:`"
        )
    yield (batch for part in parts for batch in finished[part.name].to_batches())


def layer_at(depth: float, n_layers: int) -> int:
    """After how many layers hidden states are taken: the nearest to a share of them.

    The last one is what the output layer reads, and no hidden state; it is taken for 1 alone.
    """
    return n_layers if depth == 1 else max(1, min(n_layers - 1, math.floor(depth * n_layers + 0.5)))


def chosen_kind(context: AssetContext) -> Kind:
    """What probes go through: what the study says, or what the larger vocabulary allows.

    The larger of a checkpoint's and of those that it is compared with. Where one base has partners
    with small and with large vocabularies, only the study can give all of them one kind.
    """
    checkpoint, settings = context.checkpoint, context.study.probes
    assert checkpoint is not None
    assert settings is not None
    if settings.probe != "auto":
        return settings.probe
    compared = [checkpoint, *context.study.partners(checkpoint)]
    sizes = [
        size
        for one in compared
        if context.lake.has(tables.CHECKPOINTS, one.name)
        for size in context.lake.read(tables.CHECKPOINTS, one.name)["vocab_size"].to_pylist()
        if size is not None
    ]
    return "output_layer" if max(sizes) > LARGE_VOCABULARY else "vocabulary"


def _parts(context: AssetContext, model: LanguageModel) -> Iterator[ProbedTexts]:
    """The texts to probe: first decodings, on the sets that the study names.

    The token that ends a generation is no text, and is left out. Sets of too few prompts to hold
    some out are passed over, and noted.
    """
    checkpoint, settings = context.checkpoint, context.study.probes
    assert checkpoint is not None
    assert settings is not None
    for part, texts in itertools.groupby(generated_texts(context), key=lambda text: text.part):
        is_own = part.condition == OWN
        generator = checkpoint if is_own else context.study.checkpoint(part.condition)
        if part.decoding != context.study.first_decoding(generator):
            continue
        if not settings.includes(part.corpus):
            continue
        probed = ProbedTexts(generator.name, part.decoding, part.corpus)
        for text in texts:
            context_ids, token_ids = text.tokens(model, checkpoint)
            if token_ids and token_ids[-1] in model.stop_token_ids:
                token_ids = token_ids[:-1]
            if token_ids:
                probed.texts.append(Text(text.text_id, context_ids, token_ids))
                probed.items.append(text.item)
        n_prompts = len(set(probed.items))
        if n_prompts >= LEAST_PROMPTS:
            yield probed
        else:
            _pass_over(
                context,
                f"{generator.name} has text for {n_prompts} prompts of {part.corpus}, and "
                f"{LEAST_PROMPTS} are needed, so that some are held out",
            )


def _pass_over(context: AssetContext, reason: str) -> None:
    context.notes.setdefault("not probed", []).append(reason)


def _probed(
    context: AssetContext, model: LanguageModel, part: ProbedTexts, kind: Kind, layer: int
) -> pa.Table:
    """The rows of a part; its hidden states are on the disk for as long as it takes."""
    settings = context.study.probes
    assert settings is not None
    folder = staging(context, _TABLE)
    folder.mkdir(parents=True, exist_ok=True)
    states = StateFile(
        folder / f"{uuid.uuid4().hex}.states", model.config.hidden_size, model.model.dtype
    )
    label = f"{context.partition} on {part.generator}, {part.corpus}"
    try:
        n_tokens = sum(len(text.token_ids) for text in part.texts)
        size = n_tokens * model.config.hidden_size * model.model.dtype.itemsize
        need_space(context, size, f"{label}: keeping the hidden states of {n_tokens:,} tokens")
        context.progress.start(f"{label}: hidden states", n_tokens, "tokens")
        try:
            for group in hidden_states(
                model, part.texts, layer, on_tokens=lambda n: context.progress.advance(n, n)
            ):
                for _, found in group:
                    states.append(found)
        finally:
            context.progress.finish()
        # A probe is settled once it is tested; how often it goes over its tokens is not known.
        n_probes = len(settings.horizons) * part.n_folds
        context.progress.start(f"{label}: probes", n_probes * n_tokens, "tokens")
        try:
            rows = _guesses(context, model, part, states, kind, layer)
        finally:
            context.progress.finish()
    finally:
        states.path.unlink(missing_ok=True)
    return pa.Table.from_pylist(rows, _TABLE.arrow_schema)


def _guesses(
    context: AssetContext,
    model: LanguageModel,
    part: ProbedTexts,
    states: StateFile,
    kind: Kind,
    layer: int,
) -> list[dict[str, Any]]:
    settings = context.study.probes
    assert settings is not None
    seed = context.study.seed
    split = Split(part, seed)
    rows: list[dict[str, Any]] = []
    for horizon, fold in itertools.product(settings.horizons, range(split.n_folds)):
        training, tuning, testing = split.parts(horizon, fold)
        if not len(testing) or not len(training):
            _pass_over(
                context,
                f"texts of {part.generator} on {part.corpus} are too short or too much alike to "
                f"train on some and test on others, {horizon} tokens ahead (fold {fold + 1})",
            )
            context.progress.advance(0, len(split.tokens))
            continue
        random = np.random.default_rng([seed, horizon, fold])
        training = np.sort(random.permutation(training)[: settings.tokens])
        learned, tuned, tested = (
            Examples(states, places, split.tokens[places + horizon])
            for places in (training, tuning, testing)
        )
        probe, curve = train(
            learned,
            tuned,
            kind=kind,
            output_weights=model.output_weights if kind == "output_layer" else None,
            seed=seed,
            device=model.device,
            on_tokens=lambda n: context.progress.advance(n, 0),
        )
        baseline = Baseline.of(split.previous(training, horizon), learned.tokens)
        right = {
            "n_right": probe.predict(tested),
            "n_frequent": np.full(len(testing), baseline.frequent),
            "n_bigram": baseline.predict(split.previous(testing, horizon)),
        }
        counts = {name: guessed == tested.tokens for name, guessed in right.items()}
        texts = split.text[testing]
        sums = {
            name: np.bincount(texts, weights=hits, minlength=len(part.texts)).astype(int)
            for name, hits in (counts | {"n_tokens": np.ones(len(testing))}).items()
        }
        rows += [
            {
                "generator": part.generator,
                "decoding": part.decoding,
                "corpus": part.corpus,
                "horizon": horizon,
                "text_id": part.texts[i].name,
                "item": part.items[i],
                "layer": layer,
                "probe": kind,
                "n_train": len(training),
            }
            | {name: int(values[i]) for name, values in sums.items()}
            for i in np.unique(texts)
        ]
        losses = context.notes.setdefault("loss by epoch", {}).setdefault(part.name, {})
        losses[f"{horizon} ahead, fold {fold + 1}"] = {
            # What is no number, where nothing of the tuning part is known, is no JSON either.
            name: [round(loss, 4) if math.isfinite(loss) else None for loss in values]
            for name, values in asdict(curve).items()
        }
        context.progress.advance(0, len(split.tokens))
    return rows


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    assert study.probes is not None
    writers = [checkpoint, *study.partners(checkpoint)]
    return {
        **model_parameters(checkpoint),
        "prompt_format": checkpoint.format_of_prompts.parameters,
        "probes": study.probes.model_dump(mode="json"),
        "seed": study.seed,
        "decodings": [[writer.name, study.first_decoding(writer)] for writer in writers],
    }


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    settings = context.study.probes
    assert settings is not None
    model = load_model(context, context.checkpoint)
    return Signature.of(
        probe=chosen_kind(context),
        depth=f"{settings.depth:g}",
        horizons=",".join(map(str, settings.horizons)),
        training_tokens=settings.tokens,
        folds=FOLDS,
        seed=context.study.seed,
    ) + model_signature(model)


PROBE_GUESSES = TableAsset(
    name="probe_guesses",
    group="predictions",
    description=_TABLE.description,
    reads=("prompts", "checkpoints", "generations"),
    changes_with=("checkpoints", "generations"),
    unlabelled=("checkpoints",),
    uses_model=True,
    parameters=_parameters,
    settings=("probes", "seed"),
    applies=lambda study, checkpoint: study.probes is not None and has_states(study, checkpoint),
    of_partners=("checkpoints", "generations"),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
