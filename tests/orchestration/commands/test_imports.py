"""`anchorlake import`, as a user meets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner, Result

from assets.sources.generation_files import read_generations
from orchestration import cli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole

CSV = "question,answer,run\nWhy?,Because.,0\nHow?,,0\nWhy?,So.,1\n"
COLUMNS = ["--column", "prompt=question", "--column", "text=answer", "--column", "sample=run"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of generations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANCHORLAKE_LAKE", raising=False)
    (tmp_path / "made.csv").write_text(CSV)
    return tmp_path


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    return result


def test_an_import_says_what_it_wrote_and_what_not(folder: Path) -> None:
    output = run("import", "csv", "made.csv", "-o", "made.jsonl", *COLUMNS).stdout
    assert output.splitlines() == [
        '1 of 3 rows dropped: 1 without text (an empty text is "" in CSV)',
        "made.jsonl: 2 samples of 1 prompt",
        'a study measures them as `source: "file:made.jsonl"`',
    ]
    found = [(g.prompt, g.sample, g.text) for g in read_generations(folder / "made.jsonl")]
    assert found == [("Why?", 0, "Because."), ("Why?", 1, "So.")]


@pytest.mark.usefixtures("few_assets", "instance_in_memory")
def test_what_was_imported_is_measured(folder: Path) -> None:
    run("import", "csv", "made.csv", "-o", "made.jsonl", *COLUMNS)
    study = {"name": "s", "checkpoints": [{"name": "m", "source": "file:made.jsonl"}]}
    (folder / "s.yaml").write_text(yaml.safe_dump(study))
    run("run", "s.yaml", "--select", "ngram_sharing")
    query = "select text from generations order by sample"
    rows = json.loads(run("sql", "--format", "json", query).stdout)
    assert rows == [{"text": "Because."}, {"text": "So."}]


def test_a_file_that_is_there_is_replaced_only_by_force(folder: Path) -> None:
    (folder / "made.jsonl").write_text("mine")
    arguments = ["import", "csv", "made.csv", "-o", "made.jsonl", *COLUMNS]
    assert "replace it with --force" in run(*arguments, status=2).stderr
    assert (folder / "made.jsonl").read_text() == "mine"
    run(*arguments, "--force")
    assert len(read_generations(folder / "made.jsonl")) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["csv", "made.csv"], "no column 'prompt'; it has 'question', 'answer', 'run'"),
        (["csv", "made.csv", "--column", "prompt"], "write FIELD=COLUMN"),
        (["csv", "made.csv", "--column", "x=y"], "prompt_id, prompt, sample, text"),
        (["csv", "made.csv", "--split", "test"], "--split is nothing that csv takes"),
        (["csv", "none.csv"], "there is no file none.csv"),
        (["xml", "made.csv"], "there is no format 'xml'; there are lm-eval, inspect"),
        (["lm-eval", "made.csv"], "made.csv, line 1: no valid JSON"),
        (["alpaca-eval", "made.csv"], "made.csv is no valid JSON"),
        (["parquet", "made.csv"], "cannot be read as Parquet"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, arguments: list[str], words: str) -> None:
    result = run("import", *arguments, "-o", "made.jsonl", status=2)
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert not (folder / "made.jsonl").exists()
