"""`choice_reasoning`: what checkpoints write before they choose an option of a question.

Each order of a question's options is reasoned about by itself, once, with the checkpoint's first
decoding.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.generations.engines import columns_of, opened, sample_shown
from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_rows, note_part_versions, stage
from assets.sources.checkpoints import describe_model, load_shards, sampled_by
from assets.sources.choices import questions_in_lake
from assets.study.digests import digest
from assets.study.errors import InputError
from models.engines import Prompted
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from assets.lineage.context import AssetContext
    from assets.sources.questions import Listed
    from assets.study.checkpoints import Checkpoint
    from assets.study.choices import Choices
    from assets.study.study import Study
    from models import LanguageModel
    from models.engines import Generation

    Key = tuple[str, str, int]
    """A question's set, its id there, and the order of its options."""
    Row = dict[str, Any]

_TABLE = tables.CHOICE_REASONING
REASONED = "reasoned"


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Samples what is not there yet, and keeps what is finished."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    by_set: dict[str, dict[Key, Listed]] = {name: {} for name in reasoned_sets(context.study)}
    for listed in questions_in_lake(context):
        if listed.choices.name in by_set:
            by_set[listed.choices.name][listed.key] = listed
    versions = {
        name: _version(context.study, checkpoint, listed) for name, listed in by_set.items()
    }
    note_part_versions(context, versions, sampled_by(checkpoint))
    rows = {
        _key(row): row
        for finished, of_rows in finished_rows(context, _TABLE)
        for row in finished.to_pylist()
        if versions.get(row["choice_set"]) == of_rows.get(row["choice_set"], "")
    }
    keys = [key for of_set in by_set.values() for key in of_set]
    context.notes["reasoning kept from before"] = sum(key in rows for key in keys)
    for of_set in by_set.values():
        if not rows.keys() >= of_set.keys():
            for new in _sampled(context, checkpoint, of_set, rows.keys()):
                stage(context, _TABLE, _table(new))
                rows |= {_key(row): row for row in new}
    yield iter(_table(rows[key] for key in keys).to_batches())


def _key(row: Row) -> Key:
    return row["choice_set"], row["question_id"], row["ordering"]


def reasoned_sets(study: Study) -> dict[str, Choices]:
    """The sets that are reasoned about, by name."""
    return {choices.name: choices for choices in study.choices if REASONED in choices.conditions}


def _sampled(
    context: AssetContext,
    checkpoint: Checkpoint,
    of_set: Mapping[Key, Listed],
    finished: Set[Key],
) -> Iterator[list[Row]]:
    """Samples what is not finished of a set, and gives rows as soon as they are."""
    of_vllm = checkpoint.engine_name == "vllm"
    model = describe_model(checkpoint) if of_vllm else load_shards(context, checkpoint)
    for listed in of_set.values():
        try:
            check_reasoning_fits(model, checkpoint, listed)
        except InputError as error:
            raise InputError(f"{listed.place}: {error}") from None
    study, format_ = context.study, checkpoint.format_of_prompts
    decoding = study.decodings(checkpoint)[0]
    keys = {
        Prompted("/".join(map(str, key)), listed.prompt_to_reason, format_, 0, decoding): key
        for key, listed in of_set.items()
    }
    (choices,) = {listed.choices.name: listed.choices for listed in of_set.values()}.values()
    n_tokens = choices.reasoning_tokens
    done = {prompted for prompted, key in keys.items() if key in finished}
    with opened(context, checkpoint, list(keys), n_tokens) as engine:
        for generations in sample_shown(
            context,
            engine,
            list(keys),
            label=f"{checkpoint.name}: reasoning about {choices.name}",
            max_new_tokens=n_tokens,
            ending=checkpoint.ending,
            finished=done,
        ):
            yield [_row(keys[g.asked], g, study.seed) for g in generations]


def check_reasoning_fits(model: LanguageModel, checkpoint: Checkpoint, listed: Listed) -> None:
    """Looks whether a model reads a question, what it writes about it, and an option after that.

    Args:
        model: The model, or what is known of it without its weights.
        checkpoint: The checkpoint.
        listed: The question.

    Raises:
        InputError: It reads less than that.
    """
    choices = listed.choices
    after = max(len(model.encode(f"\n\n{choices.cue} {name}")) for name in listed.names)
    sent = model.sent(checkpoint.format_of_prompts, listed.prompt_to_reason)
    n_tokens = len(sent.token_ids) + choices.reasoning_tokens + after
    if n_tokens > model.context_length:
        raise InputError(
            f"it has {n_tokens:,} tokens with its options and {choices.reasoning_tokens:,} of "
            f"reasoning, more than the {model.context_length:,} that {checkpoint.name} reads; "
            "shorten it, leave it out, or lower `reasoning_tokens:`"
        )


def _row(key: Key, made: Generation, seed: int) -> Row:
    choice_set, question_id, ordering = key
    return {
        "choice_set": choice_set,
        "question_id": question_id,
        "ordering": ordering,
        **columns_of(made, seed),
    }


def _table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), _TABLE.arrow_schema)


def _version(study: Study, checkpoint: Checkpoint, of_set: Mapping[Key, Listed]) -> str:
    """A digest of all that a set's rows depend on, but how many orders there are."""
    prompts = [[*key, listed.prompt_to_reason] for key, listed in of_set.items() if key[2] == 0]
    tokens = {listed.choices.reasoning_tokens for listed in of_set.values()}
    return digest(
        [
            *(checkpoint.digest(), checkpoint.dtype, CHOICE_REASONING.version, study.seed),
            *(checkpoint.engine_name, asdict(checkpoint.ending), sorted(tokens)),
            *(study.decodings(checkpoint)[0].name, checkpoint.format_of_prompts.parameters),
            prompts,
        ]
    )


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        "weights": checkpoint.digest(),
        **sampled_by(checkpoint).to_dict(),
        "seed": study.seed,
        "decoding": study.decodings(checkpoint)[0].name,
        "prompt_format": checkpoint.format_of_prompts.parameters,
        "ending": asdict(checkpoint.ending),
        "choices": [
            [c.name, c.asked, c.orders, c.reasoning_tokens] for c in reasoned_sets(study).values()
        ],
    }


def _signature(context: AssetContext) -> Signature:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    sets = reasoned_sets(context.study).values()
    tokens = "+".join(str(choices.reasoning_tokens) for choices in sets)
    return (
        context.upstream["choice_questions"].signature()
        + Signature.of(
            decoding=context.study.decodings(checkpoint)[0].name,
            reasoning_tokens=tokens,
            seed=context.study.seed,
        )
        + sampled_by(checkpoint)
    )


def reasons(study: Study, checkpoint: Checkpoint | None) -> bool:
    """Whether a checkpoint is to reason, and can then be asked how likely it finds options."""
    return checkpoint is not None and "score" in checkpoint.abilities and bool(reasoned_sets(study))


CHOICE_REASONING = TableAsset(
    name="choice_reasoning",
    group="generations",
    description=_TABLE.description,
    reads=("choice_questions", "checkpoints"),
    changes_with=("choice_questions",),
    uses_model=True,
    parameters=_parameters,
    settings=("choices", "seed"),
    applies=reasons,
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
