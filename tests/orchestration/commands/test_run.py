"""`anchorlake run --drift`: of which crossings a run tells, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from orchestration import cli
from tests.studies import imported, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.whole, pytest.mark.usefixtures("instance_in_memory")]

WORDS = "one two three four five six seven eight nine ten"
NEEDED = (
    *("ngram_sharing", "measures/ngram_sharing"),
    *("ngram_spread", "measures/majority_ngrams"),
    "figures/trajectory",
)
COMMAND = ("run", "s.yaml", "--select", "trajectory")
UP_TO_DATE = "everything is up to date"


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_assets: Callable[..., None]
) -> Path:
    """A folder with a study of two stages and a rule that the second one crosses."""
    monkeypatch.chdir(tmp_path)
    limit_assets(monkeypatch, NEEDED)
    write_jsonl(tmp_path / "base.jsonl", imported("p", *[f"{i} " * 12 for i in range(3)]))
    write_jsonl(tmp_path / "sft.jsonl", imported("p", *[f"{i} {WORDS}" for i in range(3)]))
    write_study(tmp_path, {"measure": "ngram_sharing", "over": 0.5})
    return tmp_path


def write_study(folder: Path, *rules: dict[str, Any]) -> None:
    study = {
        "name": "s",
        "checkpoints": [{"name": n, "source": f"file:{n}.jsonl"} for n in ("base", "sft")],
        "ladders": [{"name": "l", "checkpoints": ["base", "sft"]}],
        "drift": list(rules),
    }
    (folder / "s.yaml").write_text(yaml.safe_dump(study))


def run(*arguments: str, status: int) -> tuple[str, list[str]]:
    """What a run prints, and which crossings it warns of."""
    result = CliRunner().invoke(cli.app, [*COMMAND, *arguments])
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    lines = result.stderr.splitlines()
    return result.stdout, [line for line in lines if line.startswith("drift: ")]


def test_a_run_tells_of_each_crossing_once_and_of_all_where_it_is_asked_to(folder: Path) -> None:
    _, warned = run(status=3)
    assert warned == [
        "drift: sft: 100% [100, 100] of a prompt's generations hold its most common 10-gram, over "
        "0.5 (ngram_sharing)."
    ]
    for _ in range(2):
        output, again = run(status=0)
        assert UP_TO_DATE in output
        assert again == []
        assert "drift: 1 more that a run has told of already; `--drift all` tells of" in output
    output, again = run("--drift", "all", status=3)
    assert UP_TO_DATE in output
    assert again == warned
    assert "told of already" not in output
    assert run(status=0)[1] == []

    # A further rule is crossed anew, the first one is not.
    first = {"measure": "ngram_sharing", "over": 0.5}
    second = {"measure": "majority_ngrams", "under": 2}
    write_study(folder, first, second)
    output, warned = run(status=3)
    assert len(warned) == 1
    assert "under 2 (majority_ngrams)" in warned[0]
    assert "drift: 1 more that a run has told of already" in output
    assert len(run("--drift", "all", status=3)[1]) == 2

    # What is no longer crossed is forgotten, and told of when it is crossed again.
    write_study(folder, second)
    assert run(status=0)[1] == []
    write_study(folder, first, second)
    _, warned = run(status=3)
    assert [line.rpartition(" ")[2] for line in warned] == ["(ngram_sharing)."]

    # Without rules nothing is told.
    write_study(folder)
    output, warned = run("--drift", "all", status=0)
    assert warned == []
    assert "drift" not in output


def test_drift_is_new_or_all(folder: Path) -> None:
    result = CliRunner().invoke(cli.app, [*COMMAND, "--drift", "some"])
    assert result.exit_code == 2
    assert "'some' is not one of 'new', 'all'" in " ".join(result.stderr.split())
    assert not (folder / "lake").exists()


def test_a_measure_that_fails_holds_up_no_other(folder: Path) -> None:
    (folder / "my_sql" / "measures").mkdir(parents=True)
    (folder / "my_sql" / "measures" / "wrong.sql").write_text(
        "-- What no share can be.\n--\n-- reads: generations\n-- item: prompt\n"
        "-- statistic: mean\n-- format: share\n-- says: {value}\n"
        "select checkpoint, prompt_set as collection, prompt_id as item, 3 as numerator,\n"
        "    2 as denominator\nfrom generations where sample = 0\n"
    )
    with (folder / "s.yaml").open("a") as study:
        study.write("sql: my_sql\n")
    result = CliRunner().invoke(cli.app, [*COMMAND])
    assert result.exit_code == 1
    (first, second, *warned) = result.stderr.splitlines()
    for name, line in (("base", first), ("sft", second)):
        assert line == (
            f"measures/wrong ({name}) failed: {folder}/my_sql/measures/wrong.sql: format: share: "
            "its value cannot be over 1; of base/p it gives 3 / 2"
        )
    assert len(warned) == 1
    assert "ngram_sharing" in warned[0]
