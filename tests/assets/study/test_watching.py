"""Checkpoints that appear while a study is under way: found, named, taken in, taken out."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest
from safetensors.torch import load_file, save_file

from assets.lineage.asset import TableAsset
from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.registered import (
    as_it_stands,
    read_registered,
    register,
    remove,
    restore,
)
from assets.study.watching import Look, look, take_in, take_in_new
from models import ModelPool
from models.sources import hub
from tests.studies import write_jsonl
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from assets.study.study import Study
    from tests.studies import Bench

pytestmark = pytest.mark.whole

WATCH = {"dir": "runs/dpo/checkpoint-*", "series": "dpo", "base": "llama"}


def watching(bench: Bench, *watch: dict[str, Any], **changes: Any) -> Study:
    return bench.study(watch=list(watch) or [WATCH], **changes)


def drop(bench: Bench, place: str) -> Path:
    """Puts a whole checkpoint somewhere."""
    target = bench.folder / place
    shutil.copytree(bench.llama.location, target)
    return target


def look_twice(study: Study, bench: Bench) -> Look:
    return look(study, bench.lake, look(study, bench.lake, {}).seen)


def take_all(study: Study, bench: Bench) -> list[str]:
    """Takes in what is ready, as the sensor does; gives the names of all that is registered."""
    for found in look_twice(study, bench).ready:
        take_in(study, bench.lake, found)
    return [checkpoint.name for checkpoint in read_registered(study, bench.lake)]


@pytest.mark.core
def test_a_checkpoint_is_ready_once_two_looks_agree(bench: Bench) -> None:
    study = watching(bench)
    first = look(study, bench.lake, {})
    assert first == Look(empty=[f"dir:{bench.folder}/runs/dpo/checkpoint-*"])
    target = drop(bench, "runs/dpo/checkpoint-100")
    first = look(study, bench.lake, first.seen)
    assert (first.ready, first.waiting) == ([], [f"dir:{target}"])
    (target / "config.json").write_bytes((target / "config.json").read_bytes() + b"\n")
    second = look(study, bench.lake, first.seen)
    assert (second.ready, second.waiting) == ([], [f"dir:{target}"])
    third = look(study, bench.lake, second.seen)
    assert [(found.name, found.step) for found in third.ready] == [("dpo-100", 100)]
    registered = take_in(study, bench.lake, third.ready[0])
    assert (registered.series, registered.role, registered.base) == ("dpo", "aligned", "llama")
    assert look(study, bench.lake, third.seen) == Look()


@pytest.mark.parametrize(
    ("watch", "place", "name", "step"),
    [
        ({"dir": "runs/dpo/checkpoint-*"}, "runs/dpo/checkpoint-7", "x-7", 7),
        ({"dir": "runs/*/step-*"}, "runs/v2/step-30-of-90", "x-30", 30),
        ({"dir": "runs/v*/{step}-done"}, "runs/v2/30-done", "x-30", 30),
        ({"dir": "runs/c*{step}"}, "runs/ckpt-123", "x-123", 123),
        ({"dir": "runs/*{step}", "name": "{series}-{step:06d}"}, "runs/s123", "x-000123", 123),
        ({"dir": "runs/*", "name": "{name}"}, "runs/final", "final", None),
        ({"dir": "runs/*/*", "name": "{parent}.{step}"}, "runs/a/7b-step20", "a.7", 7),
        ({"dir": "runs/*/*/", "name": "{series}_{step}"}, "runs/a/9", "x_9", 9),
        ({"dir": "runs/only"}, "runs/only", None, None),
    ],
)
def test_names_and_steps(
    bench: Bench, watch: dict[str, Any], place: str, name: str | None, step: int | None
) -> None:
    study = watching(bench, {"series": "x", **watch})
    drop(bench, place)
    looked = look_twice(study, bench)
    if name is None:
        (problem,) = looked.problems.values()
        assert "tells no training step" in problem
    else:
        assert [(found.name, found.step) for found in looked.ready] == [(name, step)]


def test_an_entry_says_what_the_stage_of_its_checkpoints_is_called(bench: Bench) -> None:
    drop(bench, "runs/dpo/checkpoint-100")
    study = watching(bench, {**WATCH, "stage": "DPO", "controlled": True})
    take_all(study, bench)
    (found,) = read_registered(study, bench.lake)
    assert (found.series, found.stage, found.controlled) == ("dpo", "DPO", True)
    # What an entry says holds for what it found before, too.
    (found,) = read_registered(watching(bench, {**WATCH, "stage": "preference"}), bench.lake)
    assert (found.stage, found.controlled) == ("preference", False)


def test_the_step_that_a_trainer_noted_stands_in_for_one_in_the_name(bench: Bench) -> None:
    study = watching(bench, {"dir": "runs/*", "series": "{name}"})
    (drop(bench, "runs/final") / "trainer_state.json").write_text('{"global_step": 640}')
    assert [found.name for found in look_twice(study, bench).ready] == ["final-640"]


@pytest.mark.parametrize(
    ("watch", "complaint"),
    [
        ({"series": "x"}, "needs either `dir:`"),
        ({"dir": "a", "hf": "a/b", "revisions": "c", "series": "x"}, "needs either `dir:`"),
        ({"hf": "a/b", "series": "x"}, "go together"),
        ({"dir": "a*", "revisions": "c", "series": "x"}, "go together"),
        ({"dir": "a/**", "series": "x"}, "a pattern may hold `*`"),
        ({"dir": "a/[0-9]", "series": "x"}, "a pattern may hold `*`"),
        ({"dir": "{step}/{step}", "series": "x"}, "a pattern may hold `*`"),
        ({"dir": "a*"}, "watch[0].series: is missing"),
        ({"dir": "a*", "series": "{step}"}, "{step} means nothing here"),
        ({"dir": "a*", "series": "x", "name": "{nam}"}, "{nam} means nothing here"),
        ({"dir": "a*", "series": "x", "name": "{"}, "watch[0].name"),
        ({"dir": "a*", "series": "{name:d}"}, "{name} stands alone here"),
        ({"dir": "a*", "series": "x", "name": "same"}, "which tell one from another"),
        ({"dir": "a*", "series": "x", "base": "nobody"}, "is none of the study's checkpoints"),
        ({"dir": "a*", "series": "x", "every": 3}, "watch[0].every: is no key; allowed here: role"),
        ({"dir": "a*", "series": "x", "decodings": ["top_p=7"]}, "top_p is 7"),
    ],
)
def test_what_a_study_cannot_watch(bench: Bench, watch: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError) as error:
        watching(bench, watch)
    assert complaint in str(error.value)
    assert "study.yaml: watch" in str(error.value)


def drop_adapter(bench: Bench, place: str) -> Path:
    """Puts somewhere what a Trainer with peft leaves: an adapter on the tiny Llama, and its own."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    target = bench.folder / place
    base = AutoModelForCausalLM.from_pretrained(bench.llama.location)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(f"{bench.llama.location}/{name}", target)
    (target / "trainer_state.json").write_text('{"global_step": 100}')
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch.save({}, target / name)
    return target


def test_an_adapter_is_taken_in_as_a_model_is(bench: Bench) -> None:
    study = watching(bench)
    target = drop_adapter(bench, "runs/dpo/checkpoint-100")
    assert take_all(study, bench) == ["dpo-100"]
    bench.run(as_it_stands(study, bench.lake), only=("generations",))
    (adapted,) = bench.lake.read(tables.CHECKPOINTS, "dpo-100").to_pylist()
    (base,) = bench.lake.read(tables.CHECKPOINTS, "llama").to_pylist()
    assert adapted["n_parameters"] == base["n_parameters"]
    rows = [bench.lake.read(tables.GENERATIONS, name)["text"] for name in ("dpo-100", "llama")]
    assert rows[0] != rows[1]
    weights = load_file(target / "adapter_model.safetensors")
    save_file({name: value * 2 for name, value in weights.items()}, target / "unfinished")
    (target / "unfinished").replace(target / "adapter_model.safetensors")
    (before,) = read_registered(study, bench.lake)
    take_all(study, bench)
    (after,) = read_registered(study, bench.lake)
    assert after.weights != before.weights


def test_a_study_says_what_adapters_are_put_on(bench: Bench) -> None:
    target = drop_adapter(bench, "runs/dpo/checkpoint-100")
    path = target / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "/none"}))
    (problem,) = look_twice(watching(bench), bench).problems.values()
    assert "no folder here by its whole path, and no repository; say with `adapter_on:`" in problem
    shutil.copytree(bench.llama.location, bench.folder / "base")
    study = watching(bench, {**WATCH, "adapter_on": "dir:base"})
    assert take_all(study, bench) == ["dpo-100"]
    for checkpoint in (*read_registered(study, bench.lake), *read_registered(study, bench.lake)):
        base = checkpoint.source.adapter_on
        assert str(base) == f"dir:{bench.folder}/base"
        assert checkpoint.digest() == checkpoint.weights
    # What is measured of one without its base stays.
    shutil.rmtree(bench.folder / "base")
    (checkpoint,) = read_registered(study, bench.lake)
    assert checkpoint.is_gone
    assert checkpoint.digest() == checkpoint.weights


def test_what_an_adapter_cannot_be_put_on_is_said(bench: Bench) -> None:
    for wrong, complaint in [
        ("base", "'base' is not a checkpoint source"),
        ("file:g.jsonl", "cannot be an adapter on file:"),
    ]:
        with pytest.raises(InputError) as error:
            bench.study(checkpoints=[{"name": "a", "source": "dir:x", "adapter_on": wrong}])
        assert complaint in str(error.value)


def test_what_is_not_whole_waits_and_says_why(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    weights = target / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    looked = look_twice(study, bench)
    assert looked.ready == []
    assert "model.safetensors" in looked.problems[f"dir:{target}"]
    weights.write_bytes(whole)
    assert [found.name for found in look_twice(study, bench).ready] == ["dpo-1"]


def test_pickles_are_refused_unless_the_study_allows_them(bench: Bench) -> None:
    import torch
    from safetensors.torch import load_file

    target = drop(bench, "runs/dpo/checkpoint-1")
    torch.save(load_file(target / "model.safetensors"), target / "pytorch_model.bin")
    (target / "model.safetensors").unlink()
    looked = look_twice(watching(bench), bench)
    assert looked.ready == []
    assert "`allow_pickle: true`" in looked.problems[f"dir:{target}"]
    study = watching(bench, {**WATCH, "allow_pickle": True})
    (found,) = look_twice(study, bench).ready
    registered = take_in(study, bench.lake, found)
    assert registered.source.allow_pickle
    (again,) = read_registered(study, bench.lake)
    assert again == registered


def test_a_checkpoint_deleted_between_two_looks_is_forgotten(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    first = look(study, bench.lake, {})
    shutil.rmtree(target)
    after = look(study, bench.lake, first.seen)
    assert (after.ready, after.seen, after.waiting, after.problems) == ([], {}, [], {})


def test_one_that_goes_as_it_is_taken_in_is_said_to_be_gone(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    (found,) = look_twice(study, bench).ready
    shutil.rmtree(target)
    with pytest.raises(InputError, match="dpo-1"):
        take_in(study, bench.lake, found)
    assert read_registered(study, bench.lake) == []


def test_names_that_clash(bench: Bench) -> None:
    study = watching(
        bench,
        {"dir": "runs/*/checkpoint-*", "series": "dpo"},
        {"dir": "other/*", "series": "llama", "name": "{series}{name}"},
    )
    drop(bench, "runs/a/checkpoint-1")
    second = drop(bench, "runs/b/checkpoint-1")
    clash = drop(bench, "other/.")  # which makes `llama.`, and nothing clashes
    assert clash.exists()
    assert take_all(study, bench) == ["dpo-1"]
    looked = look_twice(study, bench)
    assert "the name dpo-1 is taken by" in looked.problems[f"dir:{second}"]
    # A name of the study's own file is its own for good.
    study = watching(bench, {"dir": "runs/*/checkpoint-*", "series": "x", "name": "{parent}lama"})
    drop(bench, "runs/l/checkpoint-1")
    problems = look_twice(study, bench).problems
    assert any("taken by a checkpoint of the study" in problem for problem in problems.values())


def test_another_studys_checkpoints_are_not_taken_for_ones_own(bench: Bench) -> None:
    study = watching(bench)
    drop(bench, "runs/dpo/checkpoint-1")
    assert take_all(study, bench) == ["dpo-1"]
    other = watching(bench, name="other")
    assert read_registered(other, bench.lake) == []
    (problem,) = look_twice(other, bench).problems.values()
    assert "taken by a checkpoint of the study tiny" in problem


def test_what_is_written_over_is_taken_in_anew_and_what_is_touched_is_not(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    (before,) = read_registered(study, bench.lake)
    os.utime(target / "config.json", (1, 1))
    assert take_all(study, bench) == ["dpo-1"]
    (touched,) = read_registered(study, bench.lake)
    assert touched.entry == before.entry
    assert look_twice(study, bench) == Look()
    generation = target / "generation_config.json"
    generation.write_text(json.dumps(json.loads(generation.read_text()) | {"top_k": 7}))
    take_all(study, bench)
    (after,) = read_registered(study, bench.lake)
    assert after.entry != before.entry
    assert after.weights != before.weights


def test_a_study_that_changes_what_it_says_of_a_place_says_it_of_all_found_there(
    bench: Bench,
) -> None:
    study = watching(bench)
    drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    now = {"decodings": [{"top_p": 0.5}], "prompt_format": "plain", "series": "{parent}/{name}"}
    changed = watching(bench, {**WATCH, **now, "name": "new-{step}"})
    (checkpoint,) = read_registered(changed, bench.lake)
    assert (checkpoint.name, checkpoint.series) == ("dpo-1", "dpo/checkpoint-1")
    assert [decoding.name for decoding in checkpoint.decodings] == ["top_p=0.5"]
    assert checkpoint.format_of_prompts.parameters == "plain"
    no_more = bench.study()
    (checkpoint,) = read_registered(no_more, bench.lake)
    assert checkpoint.decodings == ()


def test_two_entries_that_match_one_folder_take_it_in_once(bench: Bench) -> None:
    study = watching(bench, WATCH, {"dir": "runs/dpo/*", "series": "all"})
    drop(bench, "runs/dpo/checkpoint-1")
    assert take_all(study, bench) == ["dpo-1"]
    assert look_twice(study, bench) == Look()


def test_what_is_written_over_keeps_its_name(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    generation = target / "generation_config.json"
    generation.write_text(json.dumps(json.loads(generation.read_text()) | {"top_k": 7}))
    assert take_all(watching(bench, {**WATCH, "name": "new-{step}"}), bench) == ["dpo-1"]


def save(weights: dict[str, Any], target: Path) -> None:
    """Writes weights beside those of a checkpoint, and moves them into their place."""
    save_file(weights, target / "unfinished", {"format": "pt"})
    (target / "unfinished").replace(target / "model.safetensors")


def test_another_step_in_its_place_is_another_checkpoint(bench: Bench) -> None:
    study = watching(bench, {"dir": "runs/last", "series": "x"})
    target = drop(bench, "runs/last")
    (target / "trainer_state.json").write_text('{"global_step": 100}')
    assert take_all(study, bench) == ["x-100"]
    bench.run(as_it_stands(study, bench.lake), only=("generations",))
    rows = bench.lake.read(tables.GENERATIONS, "x-100").to_pylist()
    weights = load_file(target / "model.safetensors")
    save({name: value * 1.1 for name, value in weights.items()}, target)
    (target / "trainer_state.json").write_text('{"global_step": 200}')
    assert take_all(study, bench) == ["x-100", "x-200"]
    assert look_twice(study, bench) == Look()
    bench.run(as_it_stands(study, bench.lake), only=("generations",))
    assert bench.lake.read(tables.GENERATIONS, "x-100").to_pylist() == rows
    assert bench.lake.read(tables.GENERATIONS, "x-200").to_pylist() != rows
    assert [c.is_gone for c in read_registered(study, bench.lake)] == [True, False]


def test_what_is_written_over_as_it_is_measured_is_measured_anew(bench: Bench) -> None:
    documents = [{"text": f"This is text {number}."} for number in range(3)]
    write_jsonl(bench.folder / "c.jsonl", documents)
    corpus = {"name": "c", "source": "file:c.jsonl", "documents": 3}
    study = watching(bench, corpora=[corpus])
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    standing, models = as_it_stands(study, bench.lake), ModelPool()
    graph = build_graph(standing, bench.lake)

    def make(name: str, partition: str | None) -> None:
        materialize(graph, name, partition, models=models)

    stale = list(graph.stale(graph.select(["token_distributions"])))
    for node in [n for n in stale if n[1] != "dpo-1"]:
        make(*node)
    for name in ("checkpoints", "generations"):
        make(name, "dpo-1")
    weights = load_file(target / "model.safetensors")
    save({name: value * 1.1 for name, value in weights.items()}, target)
    for name in ("scored_texts", "token_distributions"):
        with suppress(InputError):
            make(name, "dpo-1")
    take_all(study, bench)
    bench.run(as_it_stands(study, bench.lake), models, only=("token_distributions",))
    found = bench.lake.read(tables.TOKEN_DISTRIBUTIONS, "dpo-1")["logprob"].to_pylist()
    for table in (tables.SCORED_TEXTS, tables.TOKEN_DISTRIBUTIONS):
        bench.lake.path(table, "dpo-1").unlink()
    bench.run(as_it_stands(study, bench.lake), only=("token_distributions",))
    assert found == bench.lake.read(tables.TOKEN_DISTRIBUTIONS, "dpo-1")["logprob"].to_pylist()


def test_weights_that_change_before_the_rows_are_in_place(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    graph = build_graph(as_it_stands(study, bench.lake), bench.lake)
    context = graph.context("checkpoints", "dpo-1")
    asset = graph.assets["checkpoints"]
    assert isinstance(asset, TableAsset)
    data_version = graph.data_version_now("checkpoints", "dpo-1")
    assert data_version
    meddled = replace(asset, rows=meddling(asset.rows, target))
    with pytest.raises(InputError, match="written over while it was measured"):
        meddled.make(context, data_version)
    assert not bench.lake.files(tables.CHECKPOINTS, "dpo-1")
    graph = build_graph(as_it_stands(study, bench.lake), bench.lake)
    data_version = graph.data_version_now("checkpoints", "dpo-1")
    assert data_version
    meddled = replace(asset, rows=meddling(asset.rows, target, early=True))
    with pytest.raises(InputError, match="written over while it was measured"):
        meddled.make(graph.context("checkpoints", "dpo-1"), data_version)
    assert not bench.lake.files(tables.CHECKPOINTS, "dpo-1")
    graph = build_graph(as_it_stands(study, bench.lake), bench.lake)
    context = graph.context("checkpoints", "dpo-1")
    (bench.lake.registered / "dpo-1.json").unlink()
    with pytest.raises(InputError, match="removed while it was measured"):
        asset.make(context, data_version)


def meddling(rows: Any, target: Path, *, early: bool = False) -> Any:
    """Rows of an asset, the weights written over after the last of them, or as they are loaded."""

    def write_over() -> None:
        weights = load_file(target / "model.safetensors")
        save({name: value * 1.1 for name, value in weights.items()}, target)

    @contextmanager
    def meddled(context: AssetContext) -> Iterator[Any]:
        def passed_on() -> Iterator[Any]:
            yield from made
            if not early:
                write_over()

        if early:
            write_over()
        with rows(context) as made:
            yield passed_on()

    return meddled


def test_a_moved_run_is_known_again(bench: Bench) -> None:
    study = watching(bench, {"dir": "*/checkpoint-*", "series": "x"})
    drop(bench, "here/checkpoint-1")
    assert take_all(study, bench) == ["x-1"]
    (before,) = read_registered(study, bench.lake)
    (bench.folder / "here").rename(bench.folder / "there")
    assert take_all(study, bench) == ["x-1"]
    (after,) = read_registered(study, bench.lake)
    assert (after.entry, after.is_gone) == (before.entry, False)
    assert after.source.location == str(bench.folder / "there/checkpoint-1")
    assert look_twice(study, bench) == Look()


def test_a_link_to_another_that_matches_is_passed_over(bench: Bench) -> None:
    study = watching(bench, {"dir": "runs/*", "series": "x"})
    drop(bench, "runs/step-5")
    (bench.folder / "runs/best-9").symlink_to("step-5")
    assert take_all(study, bench) == ["x-5"]


def test_one_that_cannot_be_taken_in_keeps_no_other_out(bench: Bench) -> None:
    study = watching(bench, {"dir": "runs/*", "series": "x", "name": "{name}"})
    for name in ("fine", "gold", "no name", "odd"):
        drop(bench, f"runs/{name}")
    (bench.folder / "runs/odd/file-\udcff").write_text("")
    said: list[str] = []
    take_in_new(study, bench.lake, say=said.append, pause=0.01)
    names = [checkpoint.name for checkpoint in read_registered(study, bench.lake)]
    assert names == ["fine", "odd"]
    assert len(said) == 4


def test_revisions_of_a_repository(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = {"main": "a" * 40, "step1000": "b" * 40, "step2000-tokens4B": "c" * 40}
    asked: list[str] = []
    monkeypatch.setattr(hub, "revisions", lambda name: commits)
    monkeypatch.setattr(hub, "check_commit", lambda name, commit, **allowed: asked.append(commit))
    study = watching(bench, {"hf": "org/model", "revisions": "step*", "series": "pythia"})
    looked = look_twice(study, bench)
    assert [(f.name, str(f.source)) for f in looked.ready] == [
        ("pythia-1000", f"hf:org/model@{'b' * 40}"),
        ("pythia-2000", f"hf:org/model@{'c' * 40}"),
    ]
    assert take_all(study, bench) == ["pythia-1000", "pythia-2000"]
    commits["step1000"] = "d" * 40  # it was pushed again
    assert [found.seen for found in look_twice(study, bench).ready] == ["d" * 40]
    assert take_all(study, bench) == ["pythia-1000", "pythia-2000"]
    assert read_registered(study, bench.lake)[0].source.location == f"org/model@{'d' * 40}"


@pytest.mark.usefixtures("few_assets")
def test_what_was_measured_of_a_deleted_checkpoint_stays(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    standing = as_it_stands(study, bench.lake)
    bench.run(standing, measures=True)
    rows = bench.lake.read(tables.GENERATIONS, "dpo-1").to_pylist()
    shutil.rmtree(target)
    standing = as_it_stands(study, bench.lake)
    graph = build_graph(standing, bench.lake)
    assert not [n for n in graph.stale(graph.select(())) if n[1] == "dpo-1"]
    # More is asked, which it cannot be; SQL over what there is still runs.
    more = as_it_stands(watching(bench, samples_per_prompt=5), bench.lake)
    graph = build_graph(more, bench.lake)
    stale = graph.stale(graph.select(()))
    assert ("generations", "llama") in stale
    # It is compared with its base, of which more is there.
    assert {node for node in stale if node[1] == "dpo-1"} == {("comparisons", "dpo-1")}
    bench.run(more, only=("generations",))
    assert bench.lake.read(tables.GENERATIONS, "dpo-1").to_pylist() == rows


def test_one_that_was_never_measured_and_is_gone_holds_nobody_up(bench: Bench) -> None:
    study = watching(bench)
    shutil.rmtree((drop(bench, "runs/dpo/checkpoint-1"), take_all(study, bench))[0])
    graph = build_graph(as_it_stands(study, bench.lake), bench.lake)
    assert graph.is_gone("dpo-1")
    assert not [node for node in graph.select(()) if node[1] == "dpo-1"]


@pytest.mark.usefixtures("few_assets")
def test_a_base_is_not_measured_anew_for_what_comes_later(bench: Bench) -> None:
    study = watching(bench, corpora=[], max_new_tokens=6)
    bench.run(study, measures=True)
    drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    standing = as_it_stands(study, bench.lake)
    graph = build_graph(standing, bench.lake)
    stale = graph.stale(graph.select(()))
    assert {node[1] for node in stale if graph.assets[node[0]].group != "figures"} == {"dpo-1"}
    only = ("token_distributions",)
    conditions = bench.run(standing, only=only) and bench.lake.read(
        tables.TOKEN_DISTRIBUTIONS, "dpo-1"
    )
    assert conditions["condition"].unique().to_pylist() == ["own", "llama"]


def test_a_first_step_that_writes_what_its_base_writes(bench: Bench) -> None:
    study = watching(bench, {**WATCH, "prompt_format": "plain", "decodings": ["top_p=0.9"]})
    drop(bench, "runs/dpo/checkpoint-0")
    take_all(study, bench)
    bench.run(as_it_stands(study, bench.lake), only=("token_distributions",))
    rows = bench.lake.read(tables.TOKEN_DISTRIBUTIONS, "dpo-0")
    own, base = (rows.filter(pc.equal(rows["condition"], name)) for name in ("own", "llama"))
    assert set(own["text_id"].to_pylist()) == set(base["text_id"].to_pylist())


def test_remove_keeps_the_rows_aside_and_restore_brings_them_back(bench: Bench) -> None:
    study = watching(bench)
    target = drop(bench, "runs/dpo/checkpoint-1")
    take_all(study, bench)
    standing = as_it_stands(study, bench.lake)
    bench.run(standing, only=("generations", "ngram_spread"))
    list(build_graph(standing, bench.lake).tables.values())
    rows = bench.lake.read(tables.GENERATIONS, "dpo-1").to_pylist()
    (aside,) = remove(bench.lake, study, ["dpo-1"])
    assert (aside / "generations.parquet").exists()
    assert bench.lake.partitions(tables.GENERATIONS) == ["llama"]
    assert bench.lake.files(tables.PROMPTS)
    assert not list((bench.lake.root / "generations").glob("*dpo*"))
    assert read_registered(study, bench.lake) == []
    assert look_twice(study, bench) == Look()  # it is not taken in again
    with pytest.raises(InputError, match="nothing of a checkpoint dpo-1"):
        remove(bench.lake, study, ["dpo-1"])
    register(bench.lake, study, {"name": "dpo-1", "source": f"dir:{target}", "base": "llama"})
    restore(bench.lake, "dpo-1")
    assert bench.lake.read(tables.GENERATIONS, "dpo-1").to_pylist() == rows
    assert not aside.exists()


@pytest.mark.parametrize("left", ["", "{", '{"name": "dpo-1", "sou', "[]", "\0"])
def test_a_damaged_file_leaves_its_checkpoint_out_until_it_is_taken_in_again(
    bench: Bench, left: str
) -> None:
    drop(bench, "runs/dpo/checkpoint-1")
    drop(bench, "runs/dpo/checkpoint-2")
    study = watching(bench)
    take_all(study, bench)
    damaged = bench.lake.registered / "dpo-1.json"
    damaged.write_text(left)
    assert [c.name for c in as_it_stands(study, bench.lake).checkpoints] == ["llama", "dpo-2"]
    first = look(study, bench.lake, {})
    assert first.problems[str(damaged)] == (
        f"{damaged} is damaged, so its checkpoint is left out; take it in again with "
        "`anchorlake checkpoints add STUDY dpo-1 SOURCE`"
    )
    take_all(study, bench)  # what is watched comes back by itself
    names = [c.name for c in as_it_stands(study, bench.lake).checkpoints]
    assert names == ["llama", "dpo-1", "dpo-2"]
    assert look(study, bench.lake, {}).problems == {}


def test_a_base_that_left_the_study_is_missed(bench: Bench) -> None:
    drop(bench, "runs/dpo/checkpoint-1")
    take_all(watching(bench), bench)
    renamed = [{"name": "renamed", "source": str(bench.llama)}]
    with pytest.raises(InputError, match="dpo-1 is compared with llama"):
        as_it_stands(bench.study(checkpoints=renamed), bench.lake)


def test_what_there_is_no_time_for_is_left_for_the_next_look(bench: Bench) -> None:
    study = watching(bench)
    drop(bench, "runs/dpo/checkpoint-1")
    before = look(study, bench.lake, {}).seen
    hurried = look(study, bench.lake, before, seconds=-1)
    assert (hurried.ready, hurried.seen) == ([], before)
    assert [found.name for found in look(study, bench.lake, hurried.seen).ready] == ["dpo-1"]


def test_a_command_looks_twice_at_once(bench: Bench) -> None:
    study = watching(bench)
    drop(bench, "runs/dpo/checkpoint-1")
    said: list[str] = []
    take_in_new(study, bench.lake, say=said.append, pause=0.01)
    assert [line.partition(":")[0] for line in said] == ["dpo-1"]
    take_in_new(study, bench.lake, say=said.append, pause=0.01)
    assert len(said) == 1


def test_figures_compare_the_last_step_of_each_series(bench: Bench) -> None:
    def checkpoint(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "source": str(bench.llama), **more}

    study = bench.study(
        checkpoints=[
            checkpoint("base"),
            checkpoint("sft-1", series="sft", step=1, base="base"),
            checkpoint("sft-9", series="sft", step=9, base="base"),
            checkpoint("sft-5", series="sft", step=5, base="base"),
            checkpoint("dpo-3", series="dpo", step=3, base="sft-5"),
            checkpoint("chat", base="base"),
        ]
    )
    assert study.compared() == ("base", "sft-9", "sft-5", "dpo-3", "chat")
