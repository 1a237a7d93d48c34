"""One study that comes in by every way, one of them a real server, into one report."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from assets.imports import Options, import_files
from tests.studies import PROMPTS, Bench
from warehouse.tables import CHECKPOINTS, GENERATIONS, TOKEN_DISTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from models import LanguageModel

pytestmark = pytest.mark.vllm

KEY = "sk-of-this-test-alone"
SAMPLES = 100


@pytest.fixture(scope="module")
def folder(
    wide_llama: LanguageModel,
    save_model: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(wide_llama, folder)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's own server, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    printed = tmp_path_factory.mktemp("server") / "log.txt"
    with printed.open("wb") as log:
        process = subprocess.Popen(
            [
                os.environ["ANCHORLAKE_VLLM_PYTHON"],
                *("-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)),
                *("--served-model-name", "tiny", "--port", str(port), "--host", "127.0.0.1"),
                *("--dtype", "float32", "--enforce-eager", "--generation-config", "vllm"),
                *("--max-model-len", "256", "--api-key", KEY, "--no-enable-chunked-prefill"),
            ],
            env={
                **os.environ,
                "VLLM_CPU_KVCACHE_SPACE": "1",
                "VLLM_NO_USAGE_STATS": "1",
                "TORCHDYNAMO_DISABLE": "1",
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, printed.read_text()[-3000:]
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def test_every_way_in_into_one_report(
    bench: Bench, folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    outputs = [
        {"instruction": prompt["text"], "output": f"Once upon a time {i % 3}", "generator": "made"}
        for prompt in PROMPTS
        for i in range(SAMPLES)
    ]
    (bench.folder / "model_outputs.json").write_text(json.dumps(outputs))
    target = bench.folder / "made.jsonl"
    import_files("alpaca-eval", [str(bench.folder / "model_outputs.json")], target, Options())
    chat = {"role": "aligned", "decodings": [{"top_p": 0.9}]}
    source = f"dir:{folder}"
    checkpoints = [
        {"name": "here", "source": source, **chat},
        {"name": "beside", "source": source, "engine": "vllm", "device": "cpu", **chat},
        {
            "name": "far",
            "source": f"openai:{server}#tiny",
            "tokenizer": source,
            "server": {"api_key_env": "SERVER_KEY"},
            **chat,
        },
        {"name": "made", "source": "file:made.jsonl", "base": "here"},
    ]
    corpora = [{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 20}]
    study = bench.study(
        checkpoints=checkpoints, corpora=corpora, samples_per_prompt=SAMPLES, max_new_tokens=24
    )
    bench.run(study, figures=True)

    rows = {c["name"]: bench.lake.read(GENERATIONS, c["name"]).to_pylist() for c in checkpoints}
    assert {len(some) for some in rows.values()} == {len(PROMPTS) * SAMPLES}
    assert [row["prompt_sent"] for row in rows["here"]] == [
        row["prompt_sent"] for row in rows["beside"]
    ]
    (facts,) = bench.lake.read(CHECKPOINTS, "beside").to_pylist()
    assert re.fullmatch(r"vllm-\d+\.\d+\.\d+.*", facts["engine"])
    assert "|logprobs:raw|" in bench.lake.provenance(GENERATIONS, "beside").signature

    # What vLLM told of the tokens that it drew is what transformers scores them with.
    told = {f"{row['prompt_id']}/{row['sample']}": row["logprobs"] for row in rows["beside"]}
    scored: dict[str, list[float]] = {}
    for row in bench.lake.read(TOKEN_DISTRIBUTIONS, "beside").to_pylist():
        if row["condition"] == "own":
            scored.setdefault(row["text_id"], []).append(row["logprob"])
    largest = max(np.abs(np.subtract(told[text], scored[text])).max() for text in told)
    print(f"log-probabilities differ by {largest:.1e} at most")
    assert largest < 1e-4

    # Of all three the likelihood of their own text is that of one model.
    surprise = {
        name: row["nll"] / row["n_tokens"]
        for name in ("here", "beside", "far")
        for row in [by_condition(bench, name)["own"]]
    }
    print(surprise)
    assert max(surprise.values()) - min(surprise.values()) < 0.2
    mass = {name: top_1(bench, name) for name in ("here", "beside", "far")}
    print(mass)
    assert max(mass.values()) - min(mass.values()) < 0.05

    report = bench.lake.report.read_text()
    assert "log-probabilities of the likeliest tokens: no support" in report
    assert "made: generated elsewhere" in report
    for path in bench.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def by_condition(bench: Bench, name: str) -> dict[str, dict[str, Any]]:
    """The rows of `perplexity`, by condition."""
    (path,) = (bench.lake.root / "perplexity").glob(f"checkpoint={name}/*.parquet")
    return {row["condition"]: row for row in pq.ParquetFile(path).read().to_pylist()}


def top_1(bench: Bench, name: str) -> float:
    (path,) = (bench.lake.root / "top_k_mass").glob(f"checkpoint={name}/*.parquet")
    rows = pq.ParquetFile(path).read().to_pylist()
    (mass,) = (row["mass"] for row in rows if row["k"] == 1 and row["condition"] == "own")
    return float(mass)
