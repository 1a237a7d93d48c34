from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from assets.preflight import check_inputs
from assets.sources.scores import read_scores
from assets.study.errors import InputError
from tests.studies import Bench, imported, write_jsonl
from warehouse import tables

if TYPE_CHECKING:
    from pathlib import Path

    from assets.study.study import Study

ROW = {"checkpoint": "m", "prompt_id": "p", "sample": 0, "name": "judge", "value": 0.5}
HEAD = "checkpoint,prompt_id,sample,name,value\n"


def study_of(bench: Bench, *rows: dict[str, object], **changes: object) -> Study:
    write_jsonl(bench.folder / "m.jsonl", imported("p", "a", "b"))
    write_jsonl(bench.folder / "scores.jsonl", list(rows))
    return bench.study(
        checkpoints=[{"name": "m", "source": "file:m.jsonl"}],
        scores={"file": "scores.jsonl"} | changes,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (ROW | {"value": "high"}, r"line 2: 'value' is \"high\", and must be a number$"),
        (ROW | {"value": True}, "line 2: 'value' is true, and must be a number; write 1 or 0"),
        (ROW | {"value": None}, "line 2: 'value' is null, and must be a number"),
        (ROW | {"value": float("nan")}, "line 2: 'value' is NaN, and must be a number"),
        (ROW | {"sample": "1"}, "line 2: 'sample' is \"1\", and must be a whole number"),
        ({k: v for k, v in ROW.items() if k != "value"}, "line 2: has no 'value'"),
        (ROW, "line 2: sample 0 of the prompt 'p' of m has the score 'judge' already in line 1"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(line)}\n")
    with pytest.raises(InputError, match=message):
        read_scores(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}m,p,0,judge,high\n", "line 2: 'value' is \"high\", and must be a number"),
        (f"{HEAD}m,p,one,judge,1\n", "line 2: 'sample' is 'one', and must be a whole number"),
        (f"{HEAD}m,p,0,judge\n", "line 2: has not as many fields as the first line"),
        ("checkpoint,sample\n", "line 1: lacks the column prompt_id, name, value"),
        (HEAD, "holds no score"),
    ],
)
def test_a_line_of_csv_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_scores(path)


def test_csv_and_json_lines_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(f'{HEAD}m,"p, q",2,judge,-1e-1\n')
    write_jsonl(tmp_path / "s.jsonl", [ROW | {"prompt_id": "p, q", "sample": 2, "value": -0.1}])
    of_csv, of_json = (read_scores(tmp_path / f"s.{kind}") for kind in ("csv", "jsonl"))
    assert [score[1:] for score in of_csv] == [score[1:] for score in of_json]


@pytest.mark.parametrize(
    ("rows", "right", "message"),
    [
        ([ROW | {"sample": 2}], {}, "line 1: there is no sample 2 of the prompt 'p' of m"),
        ([ROW | {"prompt_id": "z"}], {}, "line 1: there is no sample 0 of the prompt 'z' of m"),
        ([ROW, ROW | {"checkpoint": "n"}], {}, "line 2: the study has no checkpoint 'n'"),
        ([ROW], {"jugde": 1}, "has no score 'jugde'; it has judge"),
    ],
)
def test_scores_that_are_of_nothing_are_told_before_a_run(
    bench: Bench, rows: list[dict[str, object]], right: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_inputs(study_of(bench, *rows, right=right))


def test_scores_say_which_generations_are_right_and_which_of_them_comes_first(bench: Bench) -> None:
    scores = [ROW, ROW | {"sample": 1, "value": 0.7}, ROW | {"name": "a", "value": 3}]
    bench.run(study_of(bench, *scores, right={"judge": 0.7}), only=("scores",))
    found = bench.lake.read(tables.SCORES, "m").to_pylist()
    told = {(r["name"], r["sample"]): (r["value"], r["is_first"], r["is_right"]) for r in found}
    assert told == {
        ("judge", 0): (0.5, True, False),
        ("judge", 1): (0.7, True, True),
        ("a", 0): (3.0, False, None),
    }
