"""The notebook module, over a lake of two files of generations."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import duckdb
import pytest

import anchorlake
from tests.studies import FEW, Bench, imported, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.whole

ROOT = Path(anchorlake.__file__).parent
ALIKE = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, limit_assets: Callable[..., None]) -> Path:
    """A folder with a lake; not to be written to."""
    folder = tmp_path_factory.mktemp("notebook")
    aligned = [row for p in "pq" for row in imported(p, *[f"{i} {ALIKE}" for i in range(4)])]
    base = [row | {"text": f"{row['sample']} " * 12} for row in aligned]
    checkpoints: list[dict[str, Any]] = [
        {"name": "sft", "source": f"file:{write_jsonl(folder / 'sft.jsonl', aligned)}"},
        {"name": "pre", "source": f"file:{write_jsonl(folder / 'pre.jsonl', base)}"},
    ]
    with pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, FEW)
        bench = Bench(folder, None)  # type: ignore[arg-type]
        ladders = [{"name": "ours", "checkpoints": ["pre", "sft"]}]
        bench.run(bench.study(checkpoints=checkpoints, ladders=ladders), figures=True)
    return folder


@pytest.fixture
def lake(made: Path) -> anchorlake.Lake:
    return anchorlake.open(made / "lake")


def test_a_query_is_a_relation_and_reads_data_frames_too(lake: anchorlake.Lake) -> None:
    import pandas as pd

    wanted = pd.DataFrame({"prompt_id": ["q"]})
    query = "select count(*) as n from generations join wanted using (prompt_id) where sample < $n"
    asked = lake.sql(query, n=3)
    assert isinstance(asked, duckdb.DuckDBPyRelation)
    assert asked.df()["n"].tolist() == [len(wanted) * 2 * 3]
    assert asked.arrow().read_all().to_pydict() == {"n": [6]}
    assert lake.sql("select words('a b')").fetchall() == [(["a", "b"],)]


def test_tables_and_columns_say_what_they_hold(lake: anchorlake.Lake) -> None:
    described = dict(lake.tables.fetchall())
    assert described["generations"].startswith("What checkpoints wrote, one row a generation.")
    columns = {name: (kind, meaning) for name, kind, meaning in lake.columns("summary").fetchall()}
    assert columns["n_items"] == ("BIGINT", "that it is about [items]")
    assert len(lake.table("generations").fetchall()) == 16
    assert "sft" in repr(lake)
    assert "compare(checkpoint,other)" in repr(lake)


def test_checkpoints_are_in_the_order_of_their_ladder(lake: anchorlake.Lake) -> None:
    assert lake.checkpoints == ["pre", "sft"]
    rows = lake.generations("p").select("checkpoint, sample").fetchall()
    assert rows == [(name, sample) for name in ("pre", "sft") for sample in range(4)]
    assert lake.generations("p?").fetchall() == lake.generations("p").fetchall()


def test_a_comparison_is_what_the_lake_has(lake: anchorlake.Lake) -> None:
    (row,) = lake.compare("sft", "pre").filter("headline and unit = 'word'").fetchall()
    names = lake.table("comparisons").columns
    values = dict(zip(names, row, strict=True))
    assert (values["measure"], values["level"]) == ("ngram_sharing", 10)
    assert (values["value"], values["n_items"]) == (1.0, 2)
    assert values["difference"] == values["value"] - values["other_value"] > 0


def test_a_figure_is_the_chart_that_the_lake_has(lake: anchorlake.Lake, made: Path) -> None:
    assert lake.figures == ["ngram_sharing", "trajectory"]
    chart = lake.figure("ngram_sharing")
    assert isinstance(chart, alt.LayerChart)
    file = made / "lake" / "figures" / "ngram_sharing" / "chart.json"
    stored = json.loads(file.read_text())
    assert chart.to_dict()["layer"] == stored["layer"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (lambda lake: lake.table("generation"), "(did you mean generations?)"),
        (lambda lake: lake.columns("x"), "the lake has no table 'x'"),
        (lambda lake: lake.figure("x"), "it has ngram_sharing, trajectory"),
        (lambda lake: lake.generations("r"), "the lake has no prompt 'r'; it has p, q"),
        (lambda lake: lake.compare("sft", "dpo"), "the lake has no checkpoint 'dpo'"),
        (lambda lake: lake.compare("pre", "sft"), "a run compared sft with pre"),
    ],
)
def test_what_the_lake_has_not_is_said(
    lake: anchorlake.Lake, asked: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(anchorlake.LakeError) as caught:
        asked(lake)
    assert sentence in str(caught.value)


def test_where_there_is_no_lake_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(anchorlake.LakeError, match=r"bucket `anchorlake sql"):
        anchorlake.open("s3://bucket/lake")
    with pytest.raises(anchorlake.LakeError, match=r"no lake .*none; `anchorlake run"):
        anchorlake.open(tmp_path / "none")
    with pytest.raises(anchorlake.LakeError, match=r"no catalog\.duckdb in the lake"):
        anchorlake.open(tmp_path)


def test_a_moved_lake_is_read_where_it_is(made: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(made / "lake", tmp_path / "it's moved")
    shutil.rmtree(moved / "generations" / "checkpoint=pre")
    before = (moved / "catalog.duckdb").read_bytes()
    rows = anchorlake.open(moved).sql("select distinct checkpoint from generations").fetchall()
    assert rows == [("sft",)]
    assert (moved / "catalog.duckdb").read_bytes() == before


def test_a_folder_with_a_models_py_of_the_users_is_no_matter(made: Path, tmp_path: Path) -> None:
    for name in ("models", "assets", "warehouse", "orchestration", "aligners"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    code = f"import anchorlake; print(anchorlake.open({str(made / 'lake')!r}).checkpoints)"
    command = [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "['pre', 'sft']\n"


def test_the_notebook_of_the_documentation_runs(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    names: dict[str, Any] = {}
    shown = [_run(cell, names) for cell in cells]
    assert isinstance(shown[0], anchorlake.Lake)
    assert shown[4] == [("sft", "pre")]
    assert shown[5]["measure"].tolist() == ["ngram_sharing"]
    assert isinstance(shown[6], alt.LayerChart)
    assert shown[7]["text"].str.contains(ALIKE).sum() == 4
    assert shown[8]["generations"].tolist() == [4, 4]


def _run(cell: str, names: dict[str, Any]) -> Any:
    """Runs a cell, and gives what it shows: the value of its last expression."""
    *statements, last = ast.parse(cell).body
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)
