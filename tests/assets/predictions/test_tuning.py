"""Checkpoints that a study trains itself."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.predictions import tuning_steps
from assets.registry import build_graph
from assets.sources.checkpoints import load_model
from tests.studies import PROMPTS, Bench, write_jsonl
from warehouse.tables import CHECKPOINTS, GENERATIONS, TRAINING_ANSWERS, TUNING_STEPS

if TYPE_CHECKING:
    from assets.study.study import Study
    from models import Source

pytestmark = pytest.mark.whole

MADE = ("tuning_steps", "checkpoints", "generations")


def tuned(bench: Bench, teacher: Source, tuning: dict[str, Any] | None = None) -> Study:
    write_jsonl(bench.folder / "lessons.jsonl", PROMPTS)
    values = {
        "name": "sft",
        "base": "base",
        "teacher": str(teacher),
        "prompts": "lessons.jsonl",
        "steps": 4,
        "answers_per_step": 2,
        "learning_rate": 1e-2,
        "rank": 2,
    }
    return bench.study(
        samples_per_prompt=2,
        max_new_tokens=6,
        tunings=[values | (tuning or {})],
        ladders=[{"name": "sft", "checkpoints": ["base", "two", "four"]}],
        checkpoints=[
            {"name": "base", "source": str(bench.llama), "decodings": [{"top_p": 0.9}]},
            {"name": "two", "source": "tuned:sft@2"},
            {"name": "four", "source": "tuned:sft@4", "stage": "SFT"},
        ],
    )


def test_a_base_is_trained_toward_a_teachers_answers_once(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tuned(bench, gemma)
    four = study.checkpoint("four")
    assert (four.base, four.series, four.step, four.role) == ("base", "sft", 4, "aligned")
    assert study.decodings(four) == study.decodings(study.checkpoint("base"))
    assert study.partners(study.checkpoint("base")) == (four,)
    trained = []
    finetune = tuning_steps.finetune

    def counted(*args: Any, **kwargs: Any) -> Any:
        trained.append(args)
        return finetune(*args, **kwargs)

    monkeypatch.setattr(tuning_steps, "finetune", counted)
    bench.run(study, only=MADE)
    assert len(trained) == 1
    # The teacher answered each prompt in its own format.
    answers = bench.lake.read(TRAINING_ANSWERS).to_pylist()
    assert sorted(row["lesson_id"] for row in answers) == ["long", "odd", "short"]
    assert {row["tuning"] for row in answers} == {"sft"}
    losses = {name: bench.lake.read(TUNING_STEPS, name).to_pylist() for name in ("two", "four")}
    assert [row["step"] for row in losses["four"]] == [1, 2, 3, 4]
    assert [row["loss"] for row in losses["two"]] == [row["loss"] for row in losses["four"]][:2]
    rates = [row["learning_rate"] for row in losses["four"]]
    assert rates == pytest.approx([1e-2, 1e-2, 2e-2 / 3, 1e-2 / 3])
    # They are given prompts as the base is, and are of its shape, so that weights alone differ.
    sent = {
        name: bench.lake.read(GENERATIONS, name)["prompt_sent"].to_pylist()
        for name in ("base", "two", "four")
    }
    assert sent["base"] == sent["two"] == sent["four"]
    rows = {name: bench.lake.read(CHECKPOINTS, name).to_pylist()[0] for name in sent}
    assert len({(row["n_parameters"], row["tokenizer"]) for row in rows.values()}) == 1
    assert rows["four"]["source"] == "tuned:sft@4"
    assert [row["rung"] for row in rows.values()] == [0, 1, 2]

    # Nothing is stale; without its weights a checkpoint is trained again, to the same ones.
    assert bench.run(study, only=MADE) == {}
    weights = {name: _weights(bench, study, name) for name in rows}
    assert not torch.equal(weights["base"], weights["two"])
    assert not torch.equal(weights["two"], weights["four"])
    (folder,) = (bench.lake.root / "weights").glob("four+*")
    shutil.rmtree(folder)
    assert bench.run(study, only=MADE).keys() == {("tuning_steps", "four")}
    assert len(trained) == 2
    assert torch.equal(_weights(bench, study, "four"), weights["four"])


def _weights(bench: Bench, study: Study, name: str) -> torch.Tensor:
    graph = build_graph(study, bench.lake)
    context = graph.context("generations", name)
    model = load_model(context, graph.study.checkpoint(name)).model
    weights: torch.Tensor = model.model.layers[0].self_attn.q_proj.weight.detach().clone()
    return weights


def test_training_that_was_stopped_goes_on(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tuned(bench, gemma)
    bench.run(study, only=("training_answers",))
    finetune, steps = tuning_steps.finetune, []
    monkeypatch.setattr("models.finetuning._SAVE_SECONDS", 0.0)

    def stopped(*args: Any, on_step: Any, **kwargs: Any) -> Any:
        def stop(step: int) -> None:
            on_step(step)
            steps.append(step)
            if steps == [0, 1, 2, 3]:
                raise KeyboardInterrupt

        return finetune(*args, on_step=stop, **kwargs)

    monkeypatch.setattr(tuning_steps, "finetune", stopped)
    with pytest.raises(KeyboardInterrupt):
        bench.run(study, only=("tuning_steps",))
    assert not bench.lake.weights.exists()
    bench.run(study, only=("tuning_steps",))
    assert steps == [0, 1, 2, 3, 2, 3, 4]
    adapters = sorted(path.name.partition("+")[0] for path in bench.lake.weights.iterdir())
    assert adapters == ["four", "two"]
    assert not list(bench.lake.staging.glob("tuning_steps/*/*"))


def test_what_is_learned_makes_weights_stale_and_what_they_are_called_does_not(
    bench: Bench, gemma: Source
) -> None:
    def digests(tuning: dict[str, Any] | None = None) -> list[str]:
        study = tuned(bench, gemma, tuning)
        return [study.checkpoint(name).digest() for name in ("two", "four")]

    first = digests()
    assert first[0] != first[1]
    for changed in ({"steps": 5}, {"answers": 2}, {"rank": 3}, {"learning_rate": 1e-3}):
        assert not set(digests(changed)) & set(first)
    examples = write_jsonl(bench.folder / "examples.jsonl", [{"prompt": "Hi?", "answer": "Ho."}])
    shown = {"teacher": None, "prompts": None, "examples": str(examples)}
    assert not set(digests(shown)) & set(first)
    assert digests() == first
    bench.run(tuned(bench, gemma, shown), only=("training_answers",))
    (row,) = bench.lake.read(TRAINING_ANSWERS).to_pylist()
    assert (row["prompt"], row["answer"], row["finish_reason"]) == ("Hi?", "Ho.", None)
