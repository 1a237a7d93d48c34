"""What a server told of the probabilities of its own text, as rows of `token_distributions`."""

from __future__ import annotations

from itertools import accumulate
from math import exp
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.predictions.scored_texts import texts_to_score
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext
    from assets.predictions.scored_texts import ScoredText

_SCHEMA = tables.TOKEN_DISTRIBUTIONS.arrow_schema


def server_rows(context: AssetContext) -> Iterator[pa.RecordBatch]:
    """The rows of all generations that log-probabilities came with, a generation after the other.

    What a server does not tell is null: which token of its vocabulary it was, the entropy and the
    support, which take the whole distribution. Masses go as far as they were told everywhere, as
    means over some of the tokens would not rise with k.
    """
    tops = [len(top) for text in texts_to_score(context) for top in text.top_logprobs]
    furthest = min(tops, default=0)
    top_k = context.study.thresholds.top_k
    for text in texts_to_score(context):
        yield from pa.Table.from_pylist(list(_rows(text, furthest, top_k)), _SCHEMA).to_batches()


def _rows(text: ScoredText, furthest: int, top_k: Sequence[int]) -> Iterator[dict[str, Any]]:
    tops = text.top_logprobs or [()] * len(text.logprobs)
    for position, (logprob, top) in enumerate(zip(text.logprobs, tops, strict=True)):
        yield {
            "condition": text.part.condition,
            "decoding": text.part.decoding,
            "corpus": text.part.corpus,
            "text_id": text.text_id,
            "position": position,
            "logprob": logprob,
            "rank": _rank(logprob, top),
            "top_mass": _masses(top[:furthest], top_k),
            "top_logprobs": list(top[:10]),
        }


def _rank(logprob: float, top: Sequence[float]) -> int | None:
    """1 for the most likely token; None where it is none of those that were told of."""
    likelier = sum(other > logprob for other in top)
    return likelier + 1 if likelier < len(top) else None


def _masses(top: Sequence[float], top_k: Sequence[int]) -> list[float]:
    """Probability of the k likeliest tokens together, as far in `top_k` as they were told."""
    sums = list(accumulate(map(exp, top)))
    return [sums[k - 1] for k in top_k if k <= len(top)]
