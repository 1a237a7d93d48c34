from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.drawing.figure import FigureCheckpoint
from assets.drawing.figure_asset import _shown

if TYPE_CHECKING:
    from tests.studies import Bench


@pytest.mark.parametrize(
    ("stage", "decoding", "label", "tick"),
    [
        (None, "-", "tulu-dpo", "tulu-dpo"),
        (None, "top_p=0.9", "tulu-dpo (top_p=0.9)", "tulu-dpo"),
        ("DPO", "-", "DPO: tulu-dpo", "DPO"),
        ("DPO", "top_p=0.9", "DPO: tulu-dpo (top_p=0.9)", "DPO"),
        ("Tulu-DPO", "top_p=0.9", "tulu-dpo (top_p=0.9)", "Tulu-DPO"),
    ],
)
def test_a_stage_is_said_where_it_tells_more_than_the_name(
    stage: str | None, decoding: str, label: str, tick: str
) -> None:
    shown = FigureCheckpoint("tulu-dpo", decoding, "p", "aligned", "base", stage=stage)
    assert (shown.label, shown.tick) == (label, tick)


def test_figures_are_told_where_checkpoints_stand_on_ladders(bench: Bench) -> None:
    source = str(bench.llama)
    study = bench.study(
        checkpoints=[
            {"name": "other", "source": source},
            {"name": "rl", "source": source},
            {"name": "dpo", "source": source, "stage": "DPO"},
            {"name": "sft", "source": source},
            {"name": "base", "source": source},
        ],
        ladders=[
            {"name": "olmo", "checkpoints": ["base", "sft", "dpo"]},
            {"name": "tulu", "checkpoints": ["base", "rl"]},
        ],
    )
    found = [
        (s.checkpoint, s.base, s.ladder, s.rung, s.n_rungs, s.first_of, s.stage)
        for s in _shown(study)
    ]
    assert found == [
        ("base", None, "olmo", 0, 3, ("tulu",), None),
        ("sft", "base", "olmo", 1, 3, (), None),
        ("dpo", "base", "olmo", 2, 3, (), "DPO"),
        ("rl", "base", "tulu", 1, 2, (), None),
        ("other", None, None, None, 0, (), None),
    ]
