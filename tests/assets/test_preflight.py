"""What is looked at before a run: everything that a study names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.preflight import check_inputs
from assets.study.errors import InputError

if TYPE_CHECKING:
    from tests.studies import Bench


def test_a_hub_that_is_not_reached_hides_nothing_else_that_is_wrong(bench: Bench) -> None:
    study = bench.study(
        checkpoints=[{"name": "far", "source": "hf:nobody/has-this"}],
        corpora=[{"name": "docs", "source": "file:gone.jsonl"}],
        shannon_game={"source": "file:none.jsonl", "words": 4},
    )
    with pytest.raises(InputError) as raised:
        check_inputs(study)
    far, docs, game = str(raised.value).splitlines()
    assert far.startswith("checkpoint far: ")
    assert "gone.jsonl" in docs
    assert "none.jsonl" in game
