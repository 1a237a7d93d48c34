"""The ladders of the studies that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.study.study import load_study

STUDIES = Path(__file__).parents[3] / "studies"
LADDERS = {
    "olmo3": {
        "Instruct": (
            *("hf:allenai/Olmo-3-1025-7B", "hf:allenai/Olmo-3-7B-Instruct-SFT"),
            *("hf:allenai/Olmo-3-7B-Instruct-DPO", "hf:allenai/Olmo-3-7B-Instruct"),
        ),
        "Think": (
            *("hf:allenai/Olmo-3-1025-7B", "hf:allenai/Olmo-3-7B-Think-SFT"),
            *("hf:allenai/Olmo-3-7B-Think-DPO", "hf:allenai/Olmo-3-7B-Think"),
        ),
    },
    "tulu3": {
        "Tülu 3": (
            *("hf:meta-llama/Llama-3.1-8B", "hf:allenai/Llama-3.1-Tulu-3-8B-SFT"),
            *("hf:allenai/Llama-3.1-Tulu-3-8B-DPO", "hf:allenai/Llama-3.1-Tulu-3-8B"),
        ),
    },
}


@pytest.mark.parametrize("name", LADDERS)
def test_a_ladder_is_of_the_models_of_its_lineage(name: str) -> None:
    study = load_study(STUDIES / f"{name}.yaml")
    assert LADDERS[name] == {
        ladder.name: tuple(str(study.checkpoint(rung).source) for rung in ladder.checkpoints)
        for ladder in study.ladders
    }
    for ladder in study.ladders:
        rungs = [study.checkpoint(rung) for rung in ladder.checkpoints]
        assert [rung.stage for rung in rungs] == ["base", "SFT", "DPO", "RL"]
        assert [rung.role for rung in rungs] == ["base", "aligned", "aligned", "aligned"]
        assert {study.decodings(rung) for rung in rungs} == {study.decodings(rungs[0])}
    assert "ultrafeedback" in [pairs.name for pairs in study.preferences]
