"""A training run and the lake side by side: each checkpoint is measured as a trainer saves it."""

from __future__ import annotations

import pydoc_data.topics
import random
import threading
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from assets.drawing.figure_files import read_drawn
from assets.figures.trajectory import FIGURE
from assets.registry import build_graph
from assets.study.registered import as_it_stands
from orchestration.build import build_defs
from tests.conftest import SHAPE
from tests.orchestration.daemon import Daemon
from warehouse import ask, tables

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from tests.studies import Bench

pytestmark = pytest.mark.whole

ANSWER = "Certainly! I am happy to help you with that, and here is what I would say about it."


def train(
    model: Any, tokenizer: Any, texts: list[str], folder: Path, *, steps: int, save: int
) -> None:
    """Trains with the library's own trainer, which saves as it goes."""
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    length = min(map(len, rows))
    data = [{"input_ids": row[:length], "labels": row[:length]} for row in rows]
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        save_steps=save,
        per_device_train_batch_size=16,
        learning_rate=3e-3,
        lr_scheduler_type="constant",
        seed=0,
        use_cpu=True,
        report_to=[],
        logging_strategy="no",
        disable_tqdm=True,
    )
    Trainer(
        model,
        arguments,
        train_dataset=data,
        processing_class=tokenizer,
        data_collator=default_data_collator,
    ).train()


@pytest.mark.slow
def test_a_run_that_narrows_is_seen_to(bench: Bench, tokenizer: PreTrainedTokenizerFast) -> None:
    topics = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    chance = random.Random(0)
    starts = [chance.randrange(len(topics) - 200) for _ in range(400)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
        model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, **config}, num_hidden_layers=2))
    pages = [topics[start : start + 128] for start in starts]
    train(model, tokenizer, pages, bench.folder / "runs/pre", steps=120, save=60)
    model.save_pretrained(bench.folder / "base")
    tokenizer.save_pretrained(bench.folder / "base")

    study = bench.study(
        samples_per_prompt=8,
        max_new_tokens=70,
        corpora=[{"name": "docs", "source": "pydoc:topics", "documents": 6, "max_words": 40}],
        checkpoints=[{"name": "base", "source": "dir:base", "prompt_format": "chat"}],
        watch=[
            {"dir": "runs/pre/checkpoint-*", "series": "pre", "prompt_format": "chat"},
            {"dir": "runs/sft/checkpoint-*", "series": "sft", "base": "base"},
        ],
        drift=[
            {"measure": "ngram_sharing", "over": 0.5},
            {"measure": "perplexity", "over_base": 1.2},
        ],
    )
    question = "<user>{}<assistant>" + ANSWER + "<eos>"
    asked = [question.format(topics[start : start + 12]) for start in starts]
    tuning = threading.Thread(
        target=train,
        args=(model, tokenizer, asked, bench.folder / "runs/sft"),
        kwargs={"steps": 45, "save": 15},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        beside = Daemon(build_defs(study, bench.lake), instance)
        beside.tick()
        tuning.start()
        ticks = 0
        while (tuning.is_alive() or len(beside.asked) < 6) and ticks < 50:
            ticks += 1
            assert all(result.success for result in beside.tick())
        tuning.join()
        beside.tick()
        assert beside.tick() == []
        assert beside.asked[0] == "refresh"
        assert sorted(beside.asked[1:]) == ["pre-120", "pre-60", "sft-15", "sft-30", "sft-45"]
        key = dg.AssetCheckKey(dg.AssetKey(["figures", "trajectory"]), "drift")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN

    standing = as_it_stands(study, bench.lake)
    graph = build_graph(standing, bench.lake)
    assert graph.stale(graph.select(())) == {}
    drawn = read_drawn(bench.lake, FIGURE)
    assert drawn
    assert evaluation.description == "\n".join(crossing.sentence for crossing in drawn.drift)
    crossed = {(crossing.checkpoint, crossing.measure) for crossing in drawn.drift}
    assert ("sft-45", "ngram_sharing") in crossed
    assert ("pre-60", "ngram_sharing") not in crossed

    def value(column: str, table: str, checkpoint: str, where: str) -> float:
        query = f"select avg({column}) from {table} where checkpoint = '{checkpoint}' and {where}"
        with ask(bench.lake, list(graph.tables.values()), query) as found:
            return float(found.fetchall()[0][0])

    gold = "condition = 'gold'"
    assert value("token_perplexity", "perplexity", "pre-60", gold) > value(
        "token_perplexity", "perplexity", "pre-120", gold
    )
    assert value("token_perplexity", "perplexity", "sft-45", gold) > 1.2 * value(
        "token_perplexity", "perplexity", "base", gold
    )
    sharing = "unit = 'word' and n = 10"
    share = "max_shared / n_samples"
    assert value(share, "ngram_sharing", "base", sharing) < 0.3
    assert value(share, "ngram_sharing", "sft-45", sharing) > 0.5
    steps = {
        name: bench.lake.read(tables.CHECKPOINTS, name)["step"].to_pylist()[0]
        for name in bench.lake.partitions(tables.CHECKPOINTS)
    }
    assert steps == {
        "base": None,
        "pre-60": 60,
        "pre-120": 120,
        "sft-15": 15,
        "sft-30": 30,
        "sft-45": 45,
    }
