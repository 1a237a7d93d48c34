"""How aligned checkpoints differ from their bases, from the two models to the measures."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.predictions import token_divergence
from assets.registry import build_graph
from assets.report.measured import what_cannot_be
from assets.study.errors import InputError
from models import LanguageModel, ModelError, PromptFormat
from tests.studies import PROMPTS, Bench
from warehouse.tables import GENERATIONS, TOKEN_DIVERGENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from assets.study.study import Study
    from models import Source

pytestmark = pytest.mark.whole

Row = dict[str, Any]
ASKED = ("measures/kl", "measures/token_shift", "shifted_tokens")


@pytest.fixture(scope="module")
def tuned(tiny_llama: LanguageModel) -> LanguageModel:
    """The tiny Llama with noise in its weights, as if it had been trained on."""
    moved = copy.deepcopy(tiny_llama.model)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weights in moved.parameters():
            weights += 0.1 * torch.randn(weights.shape, generator=generator)
    return dataclasses.replace(tiny_llama, model=moved)


@pytest.fixture(scope="module")
def tuned_source(
    tuned: LanguageModel,
    save_model: Callable[[LanguageModel, Path], Source],
    tmp_path_factory: pytest.TempPathFactory,
) -> Source:
    return save_model(tuned, tmp_path_factory.mktemp("tuned"))


def pair(bench: Bench, tuned_source: Source, **changes: Any) -> Study:
    values: dict[str, Any] = {
        "samples_per_prompt": 2,
        "max_new_tokens": 9,
        "divergence": {"tokens": 40},
        "checkpoints": [
            {"name": "base", "source": str(bench.llama)},
            {
                "name": "tuned",
                "source": str(tuned_source),
                "base": "base",
                "decodings": [{"top_p": 0.9}, "greedy"],
            },
        ],
    }
    return bench.study(**(values | changes))


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, llama_source: Source, tuned_source: Source
) -> Bench:
    """A lake of that study; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("compared"), llama_source)
    bench.run(pair(bench, tuned_source), only=ASKED)
    return bench


def rows_of(bench: Bench) -> list[Row]:
    rows: list[Row] = bench.lake.read(TOKEN_DIVERGENCE, "tuned").to_pylist()
    return rows


def table(bench: Bench, name: str) -> list[Row]:
    graph = build_graph(bench.study_there(), bench.lake)
    rows: list[Row] = bench.lake.read(graph.assets[name].table, "tuned").to_pylist()  # type: ignore[attr-defined]
    return rows


@pytest.mark.core
def test_both_read_the_prompt_as_it_was_sent_and_the_tokens_as_they_were_drawn(
    compared: Bench, tuned: LanguageModel, tiny_llama: LanguageModel
) -> None:
    prompts = {row["prompt_id"]: row["text"] for row in PROMPTS}
    generations = {
        (row["decoding"], f"{row['prompt_id']}/{row['sample']}"): row
        for row in compared.lake.read(GENERATIONS, "tuned").to_pylist()
    }
    texts: dict[tuple[str, str], list[Row]] = {}
    for row in rows_of(compared):
        texts.setdefault((row["decoding"], row["text_id"]), []).append(row)
    assert {decoding for decoding, _ in texts} == {"top_p=0.9", "greedy"}
    for key, rows in texts.items():
        generation = generations[key]
        assert [row["token_id"] for row in rows] == generation["token_ids"]
        assert [row["position"] for row in rows] == list(range(len(rows)))
        assert {(row["item"], row["other"]) for row in rows} == {(generation["prompt_id"], "base")}
        sent = PromptFormat("chat").send(tuned.tokenizer, prompts[generation["prompt_id"]])
        ids = [*sent.token_ids, *generation["token_ids"]]
        with torch.inference_mode():
            log_p, log_q = (
                model.model(torch.tensor([ids])).logits[0].double().log_softmax(1)
                for model in (tuned, tiny_llama)
            )
        for i, row in enumerate(rows):
            p, q = (one[len(sent.token_ids) + i - 1] for one in (log_p, log_q))
            assert row["kl"] == pytest.approx(float((p.exp() * (p - q)).sum()), abs=2e-4)
            assert row["base_logprob"] == pytest.approx(float(q[row["token_id"]]), abs=2e-4)
            assert row["base_rank"] == 1 + int((q > q[row["token_id"]]).sum())
            assert row["token"] == tuned.tokenizer.decode([row["token_id"]])


def test_a_first_generation_of_every_prompt_is_read_before_a_second(compared: Bench) -> None:
    lengths = Counter((row["decoding"], row["text_id"]) for row in rows_of(compared))
    for decoding in ("top_p=0.9", "greedy"):
        some = {text_id: n for (of, text_id), n in lengths.items() if of == decoding}
        first = {text_id for text_id in some if text_id.endswith("/0")}
        assert first == {"short/0", "long/0", "odd/0"}
    sampled = [n for (decoding, _), n in lengths.items() if decoding == "top_p=0.9"]
    assert sum(sampled) >= 40  # what was asked for
    assert sum(sampled) - 9 < 40  # and no text more


def bucket_of(position: int) -> int:
    return 1 << ((position + 1).bit_length() - 1)


def shift_of(rank: int) -> str:
    if rank == 1:
        return "unshifted"
    return "marginal" if rank in (2, 3) else "shifted"


def test_token_shift_is_that_of_a_plain_loop(compared: Bench) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    totals: Counter[tuple[Any, ...]] = Counter()
    for row in rows_of(compared):
        for level in (0, bucket_of(row["position"])):
            key = row["decoding"], level, row["item"]
            totals[key] += 1
            expected[*key, shift_of(row["base_rank"])] += 1
    conditions = {"-": "shifted", "marginal": "marginal", "unshifted": "unshifted"}
    found = table(compared, "measures/token_shift")
    assert len(found) == 3 * len(totals)
    for row in found:
        key = row["decoding"], row["level"], row["item"]
        assert row["numerator"] == expected[*key, conditions[row["condition"]]]
        assert row["denominator"] == totals[key]
        assert (row["other"], row["collection"]) == ("base", "prompts")
    shifts = Counter(shift_of(row["base_rank"]) for row in rows_of(compared))
    assert all(shifts[shift] for shift in conditions.values())


def test_kl_is_the_mean_over_tokens_whole_and_by_position(compared: Bench) -> None:
    expected: dict[tuple[Any, ...], list[float]] = {}
    for row in rows_of(compared):
        for level in (0, bucket_of(row["position"])):
            expected.setdefault((row["decoding"], level, row["item"]), []).append(row["kl"])
    found = {(r["decoding"], r["level"], r["item"]): r for r in table(compared, "measures/kl")}
    assert found.keys() == expected.keys()
    assert {level for _, level, _ in found} == {0, 1, 2, 4, 8}
    for key, values in expected.items():
        assert found[key]["numerator"] == pytest.approx(math.fsum(values))
        assert found[key]["denominator"] == len(values)


def test_the_tokens_that_shift_most_are_those_of_a_plain_loop(compared: Bench) -> None:
    rows = rows_of(compared)
    shifted = Counter((row["decoding"], row["token_id"]) for row in rows if row["base_rank"] > 3)
    marginal = Counter(
        (row["decoding"], row["token_id"]) for row in rows if row["base_rank"] in (2, 3)
    )
    came = Counter((row["decoding"], row["token_id"]) for row in rows)
    found = table(compared, "shifted_tokens")
    assert {(row["decoding"], row["token_id"]) for row in found} == shifted.keys()
    for row in found:
        key = row["decoding"], row["token_id"]
        of_decoding = sum(n for (decoding, _), n in shifted.items() if decoding == key[0])
        assert (row["n_tokens"], row["n_shifted"]) == (came[key], shifted[key])
        assert row["n_marginal"] == marginal[key]
        assert row["share"] == pytest.approx(shifted[key] / of_decoding)
    counts = [row["n_shifted"] for row in found if row["decoding"] == "greedy"]
    assert counts == sorted(counts, reverse=True)


def assert_alike(found: list[Row], expected: list[Row]) -> None:
    """The same rows, up to floating-point differences of batches of other sizes."""
    measured = ("kl", "base_logprob")
    for rows in (found, expected):
        assert rows
    for name in found[0]:
        values = [row[name] for row in found]
        others = [row[name] for row in expected]
        assert values == (pytest.approx(others, abs=1e-4) if name in measured else others), name


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has memory hold one model only."""
    monkeypatch.setattr(token_divergence, "_fit", lambda model, base: False)


def test_one_model_after_the_other_gives_the_same_rows_within_a_quota_of_disk(
    compared: Bench,
    bench: Bench,
    tuned_source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_at_a_time(monkeypatch)
    sizes: list[int] = []
    in_turn = token_divergence.diverge_in_turn

    def watched(load_model: Any, load_base: Any, texts: Any, path: Path, **options: Any) -> Any:
        def measured() -> LanguageModel:
            sizes.append(path.stat().st_size)
            model: LanguageModel = load_base()
            return model

        return in_turn(load_model, measured, texts, path, **options)

    monkeypatch.setattr(token_divergence, "diverge_in_turn", watched)
    quota = 20 * 260 * 4
    study = pair(bench, tuned_source, divergence={"tokens": 40, "disk_gb": quota / 1e9})
    made = bench.run(study, only=("token_divergence",))
    assert_alike(rows_of(bench), rows_of(compared))
    notes = made["token_divergence", "tuned"].notes
    assert notes["both models in memory"] is False
    assert sum(sizes) == len(rows_of(bench)) * 260 * 4
    assert len(sizes) >= 3
    assert max(sizes) <= quota
    assert not list((bench.lake.staging / "token_divergence").glob("**/*"))


def test_a_quota_that_holds_no_text_is_refused_with_what_it_takes(
    bench: Bench, tuned_source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_at_a_time(monkeypatch)
    study = pair(bench, tuned_source, divergence={"disk_gb": 5e-6})
    with pytest.raises(InputError) as told:
        bench.run(study, only=("token_divergence",))
    assert str(told.value) == (
        "divergence.disk_gb: memory does not hold both models, and 5e-06 GB of disk hold the "
        "probabilities of 4 tokens, of which a text has 9; give 0.001 or more"
    )


def test_a_stopped_run_reads_what_is_left(
    compared: Bench, bench: Bench, tuned_source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_divergence, "GROUP_TOKENS", 20)
    together = token_divergence.diverge_together
    calls: list[int] = []

    def stopped(model: Any, base: Any, texts: Any, **options: Any) -> Any:
        if len(calls) == 2:
            raise ModelError("stopped")
        calls.append(sum(len(text.token_ids) for text in texts))
        return together(model, base, texts, **options)

    study = pair(bench, tuned_source)
    monkeypatch.setattr(token_divergence, "diverge_together", stopped)
    with pytest.raises(ModelError, match="stopped"):
        bench.run(study, only=("token_divergence",))
    monkeypatch.setattr(token_divergence, "diverge_together", together)
    made = bench.run(study, only=("token_divergence",))
    notes = made["token_divergence", "tuned"].notes
    assert notes["tokens kept from before"] == sum(calls)
    assert notes["tokens read"] == len(rows_of(compared)) - sum(calls)
    assert_alike(rows_of(bench), rows_of(compared))


def test_models_of_different_tokenizers_are_not_compared_and_the_report_says_so(
    bench: Bench, tuned_source: Source
) -> None:
    folder = bench.folder / "other"
    shutil.copytree(tuned_source.location, folder)
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    checkpoints = [
        {"name": "base", "source": str(bench.llama)},
        {"name": "tuned", "source": f"dir:{folder}", "base": "base"},
    ]
    study = pair(bench, tuned_source, checkpoints=checkpoints)
    made = bench.run(study, only=(*ASKED, "token_divergence"))
    reason = (
        "tuned and its base base have different tokenizers, so kl and token_shift are not measured "
        "of them; name a base with the same tokenizer to have them"
    )
    assert made["token_divergence", "tuned"].notes["not compared"] == reason
    assert rows_of(bench) == []
    assert table(bench, "measures/kl") == table(bench, "measures/token_shift") == []
    context = build_graph(study, bench.lake).context("report")
    assert reason in "\n".join(what_cannot_be(context, ["base", "tuned"]))
    assert what_cannot_be(context, ["base"]) == []


def test_it_is_for_aligned_models_of_studies_that_ask_for_it(
    bench: Bench, tuned_source: Source
) -> None:
    study = pair(bench, tuned_source)
    assert list(build_graph(study, bench.lake).partitions("token_divergence")) == ["tuned"]
    without = pair(bench, tuned_source, divergence=None)
    assert not build_graph(without, bench.lake).partitions("token_divergence")


def test_it_is_stale_where_the_base_or_the_number_of_tokens_has_changed_and_not_for_the_disk(
    compared: Bench, tuned_source: Source
) -> None:
    node = ("token_divergence", "tuned")

    def stale(**changes: Any) -> str | None:
        study = pair(compared, tuned_source, **changes)
        reason: str | None = build_graph(study, compared.lake).stale([node]).get(node)
        return reason

    assert stale(divergence={"tokens": 41}) == "divergence changed"
    assert stale(divergence={"tokens": 40, "disk_gb": 1.5}) is None
    checkpoints = [
        {"name": "base", "source": str(compared.llama), "dtype": "bfloat16"},
        {
            "name": "tuned",
            "source": str(tuned_source),
            "base": "base",
            "decodings": [{"top_p": 0.9}, "greedy"],
        },
    ]
    assert "base" in (stale(checkpoints=checkpoints) or "")
    assert stale() is None
