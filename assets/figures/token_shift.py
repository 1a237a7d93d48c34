"""How far an aligned model's own text is from its base, token by token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assets.drawing import by_position
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number

_DASHES = {"shifted": [1, 0], "marginal": [6, 3]}


def _draw(data: FigureData, width: int) -> Any:
    by_measure = {
        what: [row for row in data.rows if row["what"] == what and row["position"] > 0]
        for what in ("token_shift", "kl")
    }
    inner = by_position.inner_width(2, width)
    shift = by_position.panel(
        by_measure["token_shift"],
        data,
        width,
        inner=inner,
        heading="tokens shifted from the base, and marginal ones",
        number=".0%",
        shown=data.with_rows,
        dashes=_DASHES,
    )
    kl = by_position.panel(
        by_measure["kl"],
        data,
        width,
        inner=inner,
        heading="KL from the base, in nats a token",
        number="~g",
        shown=data.with_rows,
    )
    return by_position.together([shift, kl], width)


def _findings(data: FigureData) -> list[str]:
    whole = {(r["checkpoint"], r["what"], r["kind"]): r for r in data.rows if r["position"] == 0}
    sentences = []
    for shown in data.with_rows:
        keys = [("token_shift", "shifted"), ("token_shift", "marginal"), ("kl", "shifted")]
        rows = [whole.get((shown.checkpoint, *key)) for key in keys]
        if any(row is None for row in rows):
            continue
        shifted, marginal, kl = (row for row in rows if row is not None)
        decoding = shifted["decoding"]
        none_greedy = "" if decoding == "greedy" else ", as none is greedy"
        sentences.append(
            f"Of the tokens of {shown.checkpoint}'s own text ({decoding}{none_greedy}) its base "
            f"{shifted['other']} ranks {Number.of(shifted).text('share')} below the third place "
            f"(shifted), and {Number.of(marginal).text('share')} second or third (marginal); the "
            f"two are {Number.of(kl).text('number')} nats a token apart."
        )
    return sentences


def _table(data: FigureData) -> Grid:
    rows = [
        [
            row["checkpoint"],
            json.dumps(row["token"], ensure_ascii=False),
            f"{row['n_shifted']:,}",
            f"{row['n_tokens']:,}",
            f"{row['value']:.1%}",
        ]
        for row in data.rows
        if row["what"] == "token"
    ]
    heads = ["checkpoint", "token", "times shifted", "times it came", "of all shifted tokens"]
    return Grid(heads, rows)


FIGURE = Figure(
    name="token_shift",
    place=65,
    title="How far a model's own text is from its base, token by token",
    claim=(
        "An aligned model and its base mostly agree on the next token of the aligned one's own "
        "text (Lin et al., 2024); what shifts is style and the first tokens, where the two are "
        "furthest apart (Qi et al., 2025). Both read the same tokens, the prompt as it was sent "
        "included. A token is shifted where the base ranks it below the third place, and marginal "
        "at the second or third."
    ),
    reads=("summary", "shifted_tokens", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("token_shift", "kl"),
    findings=_findings,
    table=_table,
)
