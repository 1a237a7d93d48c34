"""`anchorlake import`, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from assets.sources.generation_files import read_generations
from assets.sources.scores import check_scores, scores_of
from assets.study.errors import InputError
from assets.study.study import load_study
from orchestration import cli
from tests.studies import write_jsonl

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


def test_scores_that_come_along_are_what_a_study_reads(folder: Path) -> None:
    asked = {"doc_id": 0, "arguments": [["Why?", {}]], "resps": [["So."]], "filter": "none"}
    scores = {"metrics": ["exact_match", "bleu"], "exact_match": 1.0, "bleu": ["So."]}
    write_jsonl(folder / "samples_t.jsonl", [asked | scores])
    arguments = ["import", "lm-eval", "samples_t.jsonl", "-o", "made.jsonl"]
    output = run(*arguments, "--checkpoint", "dpo").stdout
    assert output.splitlines()[2:] == [
        "1 of 2 scores dropped: 1 'bleu' that are no numbers",
        "made.scores.jsonl: scores of dpo: 1 exact_match",
        "a study reads them as `scores: {file: made.scores.jsonl}`",
    ]
    study = {
        "name": "s",
        "checkpoints": [{"name": "dpo", "source": "file:made.jsonl"}],
        "scores": {"file": "made.scores.jsonl", "right": {"exact_match": 1}},
    }
    (folder / "s.yaml").write_text(yaml.safe_dump(study))
    read = load_study(folder / "s.yaml")
    check_scores(read)
    assert [score.value for score in scores_of(read, read.checkpoints[0])] == [1.0]


ROWS = [
    {"question": "Why?", "completion": "Because.", "model": "org/dpo", "step": 2},
    {"question": "Why?", "completion": "So.", "model": "base", "step": 2},
    {"question": "Why?", "completion": "Well.", "model": "base", "step": 3},
    {"question": "How?", "completion": "Thus.", "model": None, "step": 2},
    {"question": "How?", "model": "base", "step": 2},
]
FIELDS = ["--column", "prompt=question", "--column", "text=completion"]


def texts(path: Path) -> list[tuple[str, int, str]]:
    return [(g.prompt, g.sample, g.text) for g in read_generations(path)]


def test_rows_of_json_lines_are_chosen_by_a_column(folder: Path) -> None:
    files = [write_jsonl(folder / name, ROWS).name for name in ("a.jsonl", "b.jsonl")]
    command = ["import", "jsonl", *files, "-o", "made.jsonl", *FIELDS]
    output = run(*command, "--where", "model=base", "--where", "step=2").stdout
    assert output.splitlines()[:2] == [
        "8 of 10 rows dropped: 4 where model is not base, 2 where step is not 2, 2 without text",
        "made.jsonl: 2 samples of 1 prompt",
    ]
    assert texts(folder / "made.jsonl") == [("Why?", 0, "So."), ("Why?", 1, "So.")]


def test_each_value_of_a_column_has_a_file(folder: Path) -> None:
    write_jsonl(folder / "a.jsonl", ROWS)
    command = ["import", "jsonl", "a.jsonl", "-o", "made.jsonl", *FIELDS, "--split-by", "model"]
    assert run(*command).stdout.splitlines() == [
        "2 of 5 rows dropped: 1 without a model, 1 without text",
        "made-org-dpo.jsonl: 1 sample of 1 prompt",
        'a study measures them as `source: "file:made-org-dpo.jsonl"`',
        "made-base.jsonl: 2 samples of 1 prompt",
        'a study measures them as `source: "file:made-base.jsonl"`',
    ]
    assert texts(folder / "made-org-dpo.jsonl") == [("Why?", 0, "Because.")]
    assert texts(folder / "made-base.jsonl") == [("Why?", 0, "So."), ("Why?", 1, "Well.")]
    assert "made-org-dpo.jsonl is there already" in run(*command, status=2).stderr
    assert not (folder / "made.jsonl").exists()


def test_values_whose_files_would_have_one_name_are_refused(folder: Path) -> None:
    rows = [ROWS[0] | {"model": name} for name in ("a/b", "a b")]
    write_jsonl(folder / "a.jsonl", rows)
    command = ["import", "jsonl", "a.jsonl", "-o", "made.jsonl", *FIELDS, "--split-by", "model"]
    assert "two of its values would both be written" in run(*command, status=2).stderr
    assert not list(folder.glob("made-*"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.jsonl", "has no 'prompt_id'; it has 'question', 'completion', 'model', 'step', and"),
        ("a.jsonl", "`anchorlake import jsonl a.jsonl -o NEW.jsonl` makes such a file"),
        ("made.csv", "`anchorlake import csv made.csv -o NEW.jsonl` makes such a file"),
    ],
)
def test_a_source_of_other_columns_names_the_import(folder: Path, name: str, words: str) -> None:
    write_jsonl(folder / "a.jsonl", ROWS)
    with pytest.raises(InputError) as caught:
        read_generations(Path(name))
    assert words in str(caught.value)


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
        (["xml", "made.csv"], "there is no format 'xml'; there are jsonl, lm-eval"),
        (["cvs", "made.csv"], "there is no format 'cvs' (did you mean csv?)"),
        (["csv", "made.csv", "--where", "run"], "--where run: write COLUMN=VALUE"),
        (["csv", "made.csv", "--where", "model=dpo", *COLUMNS], "has no column 'model'; it has"),
        (["lm-eval", "made.csv", "--split-by", "model"], "--split-by is nothing that lm-eval"),
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
