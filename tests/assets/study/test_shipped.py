"""The studies that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.sources.prompt_sets import read_prompts
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


def test_the_larger_demo_keeps_what_the_smaller_one_made() -> None:
    """What generations and weights depend on is the same; there is more of the rest."""
    small, large = (load_study(STUDIES / f"{name}.yaml") for name in ("demo", "demo-full"))
    for key in ("name", "seed", "max_new_tokens", "tunings", "ladders", "embedder"):
        assert getattr(small, key) == getattr(large, key)
    few, all_prompts = (read_prompts(study.prompts) for study in (small, large))
    assert few == all_prompts[: len(few)]
    assert small.prompts.stem == large.prompts.stem  # so that they are of one prompt set
    assert [dict(c) for c in small.checkpoints] == [dict(c) for c in large.checkpoints]
    assert small.samples_per_prompt < large.samples_per_prompt
    for one, other in zip(small.corpora, large.corpora, strict=True):
        assert one.model_copy(update={"documents": other.documents}) == other
        assert (one.documents or 0) < (other.documents or 0)


def test_the_demo_measures_what_it_trains_at_three_steps_of_one_training() -> None:
    study = load_study(STUDIES / "demo.yaml")
    base, *tuned = study.checkpoints
    assert [str(c.source) for c in tuned] == ["tuned:sft@3", "tuned:sft@8", "tuned:sft@24"]
    assert {(c.base, c.series) for c in tuned} == {(base.name, "sft")}
    # All are given the same prompts in the same way, and those are none that were learned from.
    assert {c.format_of_prompts for c in study.checkpoints} == {base.format_of_prompts}
    assert {study.decodings(c) for c in study.checkpoints} == {base.decodings}
    (tuning,) = study.tunings
    assert tuning.prompts is not None
    measured, learned = (
        {prompt["text"] for prompt in read_prompts(file)}
        for file in (study.prompts, tuning.prompts)
    )
    assert len(measured) == 12  # as few as can be sure after Holm
    assert not measured & learned
