"""What lm-evaluation-harness wrote is imported as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets.imports import Options, import_files
from assets.sources.generation_files import read_generations
from assets.sources.scores import read_scores
from assets.study.errors import InputError
from tests.studies import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from models import LanguageModel, Source

pytestmark = pytest.mark.lm_eval

QUESTIONS = ["Why?", "Wie — geht's?", 'A "b"\n\u2028c?']
GENERATING = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{question}}",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {
        "until": ["\n"],
        "max_gen_toks": 12,
        "do_sample": True,
        "temperature": 1.0,
    },
    "repeats": 3,
    "filter_list": [
        {"name": "first", "filter": [{"function": "take_first"}]},
        {
            "name": "number",
            "filter": [
                {"function": "regex", "regex_pattern": "([0-9]+)"},
                {"function": "take_first"},
            ],
        },
    ],
    "metric_list": [{"metric": "exact_match"}],
}
TASKS: dict[str, dict[str, Any]] = {
    "tiny_gen": GENERATING,
    "tiny_choice": {
        "output_type": "multiple_choice",
        "doc_to_text": "Q: {{question}}",
        "doc_to_choice": ["a", "b"],
        "doc_to_target": "{{answer}}",
    },
    "tiny_rolling": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{question}}",
        "metric_list": [{"metric": "byte_perplexity"}],
    },
}


def evaluate(folder: Path, *arguments: str) -> dict[str, Path]:
    """Runs the harness and gives the log of each task."""
    pytest.importorskip("lm_eval")
    write_jsonl(folder / "docs.jsonl", [{"question": q, "answer": "b"} for q in QUESTIONS])
    for name, task in TASKS.items():
        data = {"data_files": {"test": str(folder / "docs.jsonl")}}
        source = {"dataset_path": "json", "dataset_kwargs": data, "test_split": "test"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **source, **task}))
    places = ["--include_path", str(folder), "--output_path", str(folder / "out"), "--log_samples"]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", *arguments, *places, "--tasks", ",".join(TASKS)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: next(folder.glob(f"out/*/samples_{name}_*.jsonl")) for name in TASKS}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, llama_source: Source) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("harness")
    model = ["--model", "hf", "--model_args", f"pretrained={llama_source.location}"]
    return evaluate(folder, *model, "--device", "cpu", "--apply_chat_template")


def test_samples_are_what_the_model_wrote(
    logs: dict[str, Path], tiny_llama: LanguageModel, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    written = import_files("lm-eval", [str(logs["tiny_gen"])], out, Options())
    read = read_generations(out)
    assert [(g.prompt_id, g.sample) for g in read] == [
        (f"tiny_gen/{document}", sample) for document in range(3) for sample in range(3)
    ]
    asked = [[{"role": "user", "content": f"Q: {question}"}] for question in QUESTIONS]
    template = tiny_llama.tokenizer.apply_chat_template
    prompts = [template(turn, tokenize=False, add_generation_prompt=True) for turn in asked]
    assert [g.prompt for g in read[::3]] == prompts
    rows = [json.loads(line) for line in logs["tiny_gen"].read_text().split("\n") if line]
    texts = {(row["doc_id"], row["filter"]): row["resps"][0] for row in rows}
    assert [g.text for g in read] == [text for d in range(3) for text in texts[d, "first"]]
    assert len({g.text for g in read}) > 3
    assert written.losses() == ("3 of 12 rows dropped: 3 that repeat a text for a further filter")
    assert written.scores is not None
    assert written.scores.file is not None
    scores = {score[1:5]: score.value for score in read_scores(written.scores.file)}
    assert scores == {("out", f"tiny_gen/{d}", 0, "exact_match,first"): 0.0 for d in range(3)}
    assert written.scores.losses().startswith("3 of 6 scores dropped: 3 of a text that the log")


def test_scored_texts_are_no_generations(logs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    everything = import_files("lm-eval", [str(path) for path in logs.values()], out, Options())
    assert (everything.samples, everything.prompts) == (9, 3)
    assert everything.dropped["of tasks that generate nothing"] == 6
    scored = [str(path) for name, path in logs.items() if name != "tiny_gen"]
    with pytest.raises(InputError, match="6 of 6 rows dropped: 6 of tasks that generate nothing"):
        import_files("lm-eval", scored, tmp_path / "none.jsonl", Options())


def test_a_log_that_was_cut_and_a_summary_are_refused(
    logs: dict[str, Path], tmp_path: Path
) -> None:
    whole = logs["tiny_gen"].read_bytes()
    cut = tmp_path / "samples_cut.jsonl"
    cut.write_bytes(whole[: len(whole) // 2])
    (summary,) = logs["tiny_gen"].parent.glob("results_*.json")
    for path in (cut, summary):
        with pytest.raises(InputError, match=rf"{path.name}, line \d+: no valid JSON"):
            import_files("lm-eval", [str(path)], tmp_path / "out.jsonl", Options())
    assert not (tmp_path / "out.jsonl").exists()
