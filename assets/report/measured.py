"""What was measured of each checkpoint, and what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from assets.drawing.figure import Grid
from assets.predictions import token_divergence
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from warehouse import Lake, Table

_NOT_MADE, _NOT_ASKED, _CANNOT = "not made", "", "–"


def what_was_measured(context: AssetContext, facts: Mapping[str, Mapping[str, Any]]) -> Grid:
    """A row for each checkpoint, with a column for each kind of measurement.

    Args:
        context: What the report is made for.
        facts: Rows of `checkpoints`, by name.
    """
    rows = [_row(context, context.study.checkpoint(name), row) for name, row in facts.items()]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return Grid(columns, [[row[column] for column in columns] for row in rows])


def what_cannot_be(context: AssetContext, names: Iterable[str]) -> list[str]:
    """A sentence for each source that gives less than weights do, and for pairs that do not match.

    Args:
        context: What the report is made for.
        names: Of checkpoints.
    """
    sentences = []
    made_elsewhere: dict[str, list[str]] = {}
    for checkpoint in map(context.study.checkpoint, names):
        if checkpoint.source.is_server and context.lake.has(tables.GENERATIONS, checkpoint.name):
            sentences += _of_server(context, checkpoint)
        elif checkpoint.source.is_generations:
            wrote = "written by people" if checkpoint.role == "human" else "generated elsewhere"
            made_elsewhere.setdefault(wrote, []).append(checkpoint.name)
        if token_divergence.applies(context.study, checkpoint):
            reason = token_divergence.why_not_compared(context, checkpoint)
            sentences += [] if reason is None else [f"{reason}."]
    sentences += [
        f"{', '.join(written)}: {wrote}; these texts are measured, and nothing is predicted."
        for wrote, written in made_elsewhere.items()
    ]
    return sentences


def _of_server(context: AssetContext, checkpoint: Checkpoint) -> list[str]:
    name = checkpoint.name
    compared = context.study.compared_decodings(checkpoint)
    rows = context.lake.read(tables.GENERATIONS, name, ["decoding", "finish_reason"])
    n_texts = sum(decoding in compared for decoding in rows["decoding"].to_pylist())
    n_told = _n_rows(context.lake, tables.SCORED_TEXTS, name)
    told = "log-probabilities of the likeliest tokens"
    if n_told < n_texts:
        told += f" that can be used for {n_told:,} of the {n_texts:,} texts to be scored"
    sentences = [
        f"{name} is behind a server, which gives generations, and "
        f"{told if n_told else 'no log-probabilities that can be used'}: no support, no prediction "
        "of other text, no hidden states, no fine-tuning."
    ]
    if withheld := rows["finish_reason"].to_pylist().count("content_filter"):
        sentences.append(
            f"Of {name} {withheld:,} of {len(rows):,} generations were withheld by a filter; they "
            "count as they came, most likely empty."
        )
    return sentences


def _row(context: AssetContext, checkpoint: Checkpoint, facts: Mapping[str, Any]) -> dict[str, str]:
    study, lake, name = context.study, context.lake, checkpoint.name
    scores, states = (ability in checkpoint.abilities for ability in ("score", "hidden_states"))

    def said(word: str, table: str, asked: object = True, can: bool = True) -> str:
        if not can:
            return _CANNOT
        if not asked:
            return _NOT_ASKED
        is_made = lake.provenance(context.tables[table], name) is not None
        return word if is_made else _NOT_MADE

    is_compared = token_divergence.applies(study, checkpoint)
    can_be_compared = (
        not is_compared or token_divergence.why_not_compared(context, checkpoint) is None
    )
    predicted = said("predicted", "token_distributions", can=scores)
    if checkpoint.source.is_server and _n_rows(lake, tables.TOKEN_DISTRIBUTIONS, name):
        predicted = "likeliest tokens"
    return {
        "checkpoint": name,
        "generations": f"{_n_rows(lake, tables.GENERATIONS, name):,}",
        "n-grams": "tokens, words" if facts["tokenizer"] else "words",
        "spans": said("yes", "anchor_spans"),
        "human text": said("predicted", "token_distributions", study.corpora, scores),
        "own text": predicted,
        "last words": said("guessed", "shannon_guesses", study.shannon_game, scores),
        "preferences": said("scored", "preference_scores", study.preferences, scores),
        "choices": said("scored", "choice_scores", study.choices, scores),
        "probes": said("yes", "probe_accuracy", study.probes, states),
        "base's reading": said("compared", "token_divergence", is_compared, can_be_compared),
        "tuning": said("yes", "readaptation", study.readaptation, scores),
    }


def _n_rows(lake: Lake, table: Table, name: str) -> int:
    return sum(pq.read_metadata(file).num_rows for file in lake.footers(table, name))
