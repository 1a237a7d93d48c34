"""`choice_scores`: how likely a checkpoint finds each option of a question.

The question is given in the checkpoint's own format with its options listed below it, one order of
them after the other. After it, or after the checkpoint's own reasoning, stands a cue such as
`Answer:`, and after that each option's letter or text.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.generations.choice_reasoning import REASONED, check_reasoning_fits
from assets.lineage.asset import TableAsset
from assets.lineage.staging import finished_rows, note_part_versions, stage
from assets.predictions.scored_texts import can_score
from assets.sources.checkpoints import (
    load_model,
    model_parameters,
    model_signature,
    predicted_by,
)
from assets.sources.choices import questions_in_lake
from assets.study.digests import digest
from assets.study.errors import InputError
from models.options import Options, score_options
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from assets.lineage.context import AssetContext
    from assets.lineage.signature import Signature
    from assets.sources.questions import Listed
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel

    Key = tuple[str, str, int, str]
    """A question's set, its id there, the order of its options, and the condition."""
    Row = dict[str, Any]

_TABLE = tables.CHOICE_SCORES
DIRECT = "direct"


@dataclass(frozen=True)
class Asked:
    """A question in one order of its options, under one condition.

    Attributes:
        listed: The question.
        condition: direct or reasoned.
        reasoning: Its row of `choice_reasoning`; None where the checkpoint chooses at once.
    """

    listed: Listed
    condition: str
    reasoning: Row | None = None

    @property
    def key(self) -> Key:
        """What identifies it."""
        return (*self.listed.key, self.condition)

    def before(self, model: LanguageModel, checkpoint: Checkpoint) -> str:
        """All that stands before the option, as it is sent; a reasoning trace in it is closed."""
        format_, tags = checkpoint.format_of_prompts, checkpoint.ending.reasoning
        if self.reasoning is None:
            sent, trace, text = format_.render(model.tokenizer, self.listed.prompt), "", ""
        else:
            sent, trace, text = (self.reasoning[n] for n in ("prompt_sent", "reasoning", "text"))
        is_opened = tags is not None and sent.rstrip().endswith(tags.start)
        if tags is not None and (trace or is_opened):
            text = f"{'' if is_opened else tags.start}{trace or ''}{tags.end}\n\n{text}"
        joint = "" if format_.is_chat or sent[-1].isspace() else " "
        before = f"{sent}{text.rstrip()}\n\n" if text else f"{sent}{joint}"
        return f"{before}{self.listed.choices.cue}"


def encode(model: LanguageModel, checkpoint: Checkpoint, asked: Asked) -> Options:
    """The tokens of what stands before the options, and of each option.

    Both are encoded together and cut, as lm-evaluation-harness does.

    Raises:
        InputError: The model reads less than that, or a token holds the end of the cue.
        ModelError: Its chat template refuses the question.
    """
    choice_set, question_id, _, _ = asked.key
    before = asked.before(model, checkpoint)
    texts = [before, *(f"{before} {name}" for name in asked.listed.names)]
    # A chat template says itself where special tokens stand.
    special = not checkpoint.format_of_prompts.is_chat
    encoded = model.tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]
    context_ids, *wholes = encoded
    cut = len(context_ids)
    if any(whole[:cut] != context_ids or len(whole) == cut for whole in wholes):
        raise InputError(
            f"the tokenizer of {checkpoint.name} reads the end of `cue: "
            f"{asked.listed.choices.cue}` and an option as one token; end the cue with a colon"
        )
    longest = max(map(len, wholes)) - 1
    if longest > model.context_length:
        raise InputError(
            f"it has {longest:,} tokens with its options, more than the {model.context_length:,} "
            f"that {checkpoint.name} reads; shorten it, or leave it out"
        )
    return Options(
        "/".join(map(str, asked.key)),
        f"{choice_set}/{question_id}",
        tuple(context_ids),
        tuple(tuple(whole[cut:]) for whole in wholes),
    )


def check_room(model: LanguageModel, checkpoint: Checkpoint, listed: Listed) -> None:
    """Looks whether a model reads a question in the ways that it is asked.

    Args:
        model: The model, or what is known of it without its weights.
        checkpoint: The checkpoint.
        listed: The question.

    Raises:
        InputError: It reads less than that, or a token holds the end of the cue.
        ModelError: Its chat template refuses the question.
    """
    encode(model, checkpoint, Asked(listed, DIRECT))
    if REASONED in listed.choices.conditions:
        check_reasoning_fits(model, checkpoint, listed)


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Scores what is not there yet, and keeps every finished batch."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    asked = {one.key: one for one in _asked(context, checkpoint)}
    versions = _versions(checkpoint, asked.values())
    note_part_versions(context, versions, predicted_by(checkpoint))
    rows: dict[Key, list[Row]] = {}
    for finished, of_rows in finished_rows(context, _TABLE):
        of_file: dict[Key, list[Row]] = {}
        for row in finished.to_pylist():
            part = _part(row["choice_set"], row["condition"])
            if versions.get(part) == of_rows.get(part, ""):
                of_file.setdefault(_key(row), []).append(row)
        rows.update(of_file)
    kept = [key for key in asked if key in rows]
    context.notes["orders kept from before"] = len(kept)
    if len(kept) < len(asked):
        _score(context, checkpoint, asked, rows)
    yield iter(_table(row for key in asked for row in rows[key]).to_batches())


def _key(row: Row) -> Key:
    return (row["choice_set"], row["question_id"], row["ordering"], row["condition"])


def _asked(context: AssetContext, checkpoint: Checkpoint) -> Iterator[Asked]:
    reasoning = {}
    if context.lake.has(tables.CHOICE_REASONING, checkpoint.name):
        reasoning = {
            (row["choice_set"], row["question_id"], row["ordering"]): row
            for row in context.lake.read(tables.CHOICE_REASONING, checkpoint.name).to_pylist()
        }
    for listed in questions_in_lake(context):
        for condition in listed.choices.conditions:
            row = reasoning[listed.key] if condition == REASONED else None
            yield Asked(listed, condition, row)


def _score(
    context: AssetContext,
    checkpoint: Checkpoint,
    asked: Mapping[Key, Asked],
    rows: dict[Key, list[Row]],
) -> None:
    """Adds the rows that are missing, a batch after the other, and stages them."""
    model = load_model(context, checkpoint)
    encoded: dict[str, tuple[Key, Options]] = {}
    for key, one in asked.items():
        try:
            options = encode(model, checkpoint, one)
        except InputError as error:
            raise InputError(f"{one.listed.place}: {error}") from None
        encoded[options.name] = key, options
    finished = {name for name, (key, _) in encoded.items() if key in rows}
    n_options = sum(len(o.options) for name, (_, o) in encoded.items() if name not in finished)
    context.progress.start(f"{checkpoint.name}: scoring options", n_options, "options")
    try:
        for batch in score_options(
            model,
            [options for _, options in encoded.values()],
            finished=finished,
            on_options=lambda n: context.progress.advance(n, n),
        ):
            new = {}
            for options, logprobs in batch:
                key, _ = encoded[options.name]
                new[key] = _rows_of(asked[key], options, logprobs)
            added = {key: some for key, some in new.items() if key not in rows}
            stage(context, _TABLE, _table(row for some in added.values() for row in some))
            rows.update(added)
    finally:
        context.progress.finish()


def _rows_of(asked: Asked, options: Options, logprobs: Sequence[float]) -> list[Row]:
    choice_set, question_id, ordering, condition = asked.key
    answer = asked.listed.question.answer
    return [
        {
            "choice_set": choice_set,
            "question_id": question_id,
            "ordering": ordering,
            "condition": condition,
            "option": option,
            "place": place,
            "is_right": None if answer is None else option == answer,
            "decoding": asked.reasoning["decoding"] if asked.reasoning else "-",
            "prompt_tokens": len(options.context_ids),
            "n_tokens": len(options.options[place]),
            "logprob": logprobs[place],
        }
        for place, option in enumerate(asked.listed.order)
    ]


def _table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), _TABLE.arrow_schema)


def _part(choice_set: str, condition: str) -> str:
    return f"{choice_set} {condition}"


def _versions(checkpoint: Checkpoint, asked: Iterable[Asked]) -> dict[str, str]:
    """For each set and condition a digest of all that its rows depend on, but the orders."""
    shared = [
        *(checkpoint.digest(), checkpoint.dtype, CHOICE_SCORES.version),
        *(checkpoint.format_of_prompts.parameters, asdict(checkpoint.ending)),
    ]
    by_part: dict[str, list[object]] = {}
    for one in asked:
        choices, question = one.listed.choices, one.listed.question
        of_part = by_part.setdefault(_part(choices.name, one.condition), [choices.asked])
        if one.listed.ordering == 0:
            of_part.append([one.listed.question_id, asdict(question)])
        if one.reasoning is not None:
            of_part.append([one.reasoning["text"], one.reasoning["reasoning"]])
    return {part: digest([*shared, of_part]) for part, of_part in by_part.items()}


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        **model_parameters(checkpoint),
        "prompt_format": checkpoint.format_of_prompts.parameters,
        "ending": asdict(checkpoint.ending),
        "choices": [[c.name, c.asked, c.orders, c.conditions] for c in study.choices],
    }


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    questions = context.upstream["choice_questions"].signature()
    return questions + model_signature(load_model(context, context.checkpoint))


CHOICE_SCORES = TableAsset(
    name="choice_scores",
    group="predictions",
    description=_TABLE.description,
    reads=("choice_questions", "choice_reasoning", "checkpoints"),
    optional=("choice_reasoning",),
    changes_with=("choice_questions", "choice_reasoning"),
    uses_model=True,
    parameters=_parameters,
    applies=lambda study, checkpoint: bool(study.choices) and can_score(study, checkpoint),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
