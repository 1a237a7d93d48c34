"""Which generations a study asks of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models import Decoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assets.sources.prompt_sets import Prompt
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study


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
    decodings = study.decodings(checkpoint)
    samples = study.samples_per_prompt
    plan = [(decoding, given, samples) for decoding in decodings]
    if sweep := study.diversity_sweep:
        swept = dict.fromkeys(Decoding(top_p=top_p) for top_p in sweep.top_p)
        plan += [(d, given[: sweep.prompts], samples) for d in swept if d not in decodings]
    if cut and study.prefixes:
        compared = study.compared_decodings(checkpoint)
        plan += [(d, cut, study.prefixes.samples) for d in decodings if d.name in compared]
    return [
        Ask(decoding, some, 1 if decoding.is_greedy else number) for decoding, some, number in plan
    ]
