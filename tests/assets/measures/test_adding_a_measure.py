"""A measure is one file: dropped into a study's folder it is everywhere, with no other edit."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from assets.drawing.figure_files import read_drawn
from assets.figures.trajectory import FIGURE as TRAJECTORY
from assets.measures import comparisons, summary
from models import Source
from orchestration import cli
from tests.pages import blocks, section
from tests.studies import TOLD_OF, Bench, imported, write_jsonl
from warehouse.measure_headers import COMPARABLE, FORMATS, GROUPS, ITEMS, KEYS, REQUIRED, STATISTICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from assets.drawing.figure import Figure
    from warehouse.measure_headers import Measure

pytestmark = pytest.mark.whole

PAGE = "extend.md"
WORDS = """\
-- Words of a generation.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    count
-- says:      generations have {value} words
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    sum(len(words(text))) as numerator,
    count(*) as denominator
from generations
group by checkpoint, decoding, prompt_set, prompt_id
"""
LENGTHS = """\
-- How many characters generations have.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id
-- reads:     generations
-- partition: checkpoint
-- columns:
--   longest INTEGER [characters] of the longest generation
select checkpoint, decoding, prompt_set, prompt_id, max(len(text))::integer as longest
from generations
group by checkpoint, decoding, prompt_set, prompt_id
"""
LONGEST = """\
-- Characters of a prompt's longest generation.
--
-- reads:     lengths
-- item:      prompt
-- statistic: mean
-- format:    count
-- says:      the longest generation of a prompt has {value} characters
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    longest as numerator,
    1 as denominator
from lengths
"""
OTHERS = (
    *TOLD_OF,
    *("ngram_sharing", "measures/ngram_sharing"),
    *("alignments", "anchor_paths", "measures/anchored", "measures/anchor_spans"),
    "figures/trajectory",
)
"""What there is beside it."""
N_WORDS = {"base": 40, "sft": 30, "dpo": 10}
ANCHOR = "and so it is with them in the end,"
N_PROMPTS = 10
MEASURED = ("measures", "summaries")
"""Groups of assets that `Bench.run` leaves out unless they are named."""


def texts(checkpoint: str, prompt: int) -> list[str]:
    """Five generations, with the checkpoint's number of words and up to 4 more by the prompt."""
    n = N_WORDS[checkpoint] + prompt % 5
    beginning = "" if checkpoint == "base" else f"{ANCHOR} "
    rest = n - len(beginning.split())
    return [beginning + " ".join([f"{checkpoint}{sample}"] * rest) for sample in range(5)]


def run(*arguments: str, status: int = 0) -> str:
    """What a command prints, also of what is wrong, on one line."""
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == status, (result.output, result.exception)
    return " ".join(result.output.split())


def ask(bench: Bench, query: str) -> list[dict[str, Any]]:
    """The rows of a query of the lake, which knows nothing of the study's folder."""
    arguments = ["sql", "--lake", str(bench.lake.root), "--format", "json", query]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


@pytest.fixture(scope="module", autouse=True)
def _few_assets(limit_assets: Callable[..., None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, OTHERS)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A lake of a ladder whose study has the two measures and the table; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("measures"), Source("dir", "none"))
    folder = bench.folder / "my_sql"
    (folder / "measures").mkdir(parents=True)
    (folder / "measures" / "length.sql").write_text(WORDS)
    (folder / "lengths.sql").write_text(LENGTHS)
    (folder / "measures" / "longest.sql").write_text(LONGEST)
    for name in N_WORDS:
        rows = [
            row
            for prompt in range(N_PROMPTS)
            for row in imported(f"p{prompt}", *texts(name, prompt))
        ]
        write_jsonl(bench.folder / f"{name}.jsonl", rows)
    bench.run(study_of(bench), figures=True)
    return bench


def study_of(bench: Bench) -> Any:
    return bench.study(
        checkpoints=[{"name": name, "source": f"file:{name}.jsonl"} for name in N_WORDS],
        ladders=[{"name": "ladder", "checkpoints": [*N_WORDS]}],
        drift=[{"measure": "length", "under_base": 0.5}],
        sql="my_sql",
    )


def test_a_measure_that_is_dropped_in_appears_everywhere(made: Bench) -> None:
    study, lake = str(made.folder / "study.yaml"), ["--lake", str(made.lake.root)]

    # The data dictionary: the list, and the measure's own page.
    listed = run("tables", "--study", study, *lake)
    assert "length Words of a generation. other: mean over prompts, as count" in listed
    assert (
        "longest Characters of a prompt's longest generation. other: mean over prompts, as count"
        in listed
    )
    assert "lengths 3 How many characters" in listed
    for name in ("length", "measures/length"):
        page = run("tables", name, "--study", study, *lake)
        assert page.startswith("Words of a generation.")
        assert "my_sql/measures/length.sql" in page
        assert "says generations have {value} words" in page
        assert "statistic mean how items make one number" in page

    # Its values, by item; and those of the measure that reads the derived table.
    expected = {n: N_WORDS[n] + sum(p % 5 for p in range(N_PROMPTS)) / N_PROMPTS for n in N_WORDS}
    by_item = ask(
        made,
        "select checkpoint, item, numerator / denominator as words from measures "
        "where measure = 'length' order by all",
    )
    assert {(row["checkpoint"], row["item"]): row["words"] for row in by_item} == {
        (name, f"p{prompt}"): N_WORDS[name] + prompt % 5
        for name in N_WORDS
        for prompt in range(N_PROMPTS)
    }
    longest = "select count(*) as n, max(numerator) as longest from measures"
    assert ask(made, f"{longest} where measure = 'longest'") == ask(
        made, "select count(*) as n, max(longest)::double as longest from lengths"
    )

    # Over items, and against the others of the ladder: the base, and the stage before.
    summed = ask(made, "from summary where measure = 'length' and collection = '*'")
    assert {row["checkpoint"]: row["value"] for row in summed} == expected
    for row in summed:
        assert row["low"] < row["value"] < row["high"]
        assert (row["n_items"], row["headline"], row["floor"]) == (N_PROMPTS, True, None)
    compared = ask(
        made,
        "from comparisons where measure = 'length' and collection = '*' and condition = '-' "
        "order by checkpoint, other",
    )
    pairs = [(row["checkpoint"], row["other"], row["difference"]) for row in compared]
    assert pairs == [("dpo", "base", -30), ("dpo", "sft", -20), ("sft", "base", -10)]
    for row in compared:
        assert row["p"] == row["p_least"] == 2 / 2**N_PROMPTS
        assert row["n_items"] == N_PROMPTS
        assert row["p_adjusted"] > row["p"]

    # The figure: a panel, a column of its table, and the rule of drift.
    drawn = read_drawn(made.lake, TRAJECTORY)
    assert drawn is not None
    assert '"length"' in json.dumps(drawn.drawing.wide)
    assert drawn.table is not None
    column = drawn.table.columns.index("length")
    values = {row[2]: row[column] for row in drawn.table.rows}
    assert values.keys() == N_WORDS.keys()
    assert all(values[name].startswith(f"{expected[name]:.1f} [") for name in N_WORDS)
    (crossing,) = drawn.drift
    assert (crossing.checkpoint, crossing.measure) == ("dpo", "length")
    assert crossing.value == expected["dpo"] == 12
    assert crossing.sentence.startswith("dpo: generations have 12.0 [11.")
    warned = run("run", study, *lake, status=3)
    assert "everything is up to date" in warned
    assert crossing.sentence in warned

    # The report's table of measures that do not lead.
    report = made.lake.report.read_text()
    row = report[report.index(">length<") :].partition("</tr>")[0]
    assert report.index("further measures") < report.index(">length<")
    assert values["dpo"] in row
    assert "lower, adjusted p = 0.0" in row
    assert f"{N_PROMPTS} prompts" in row


def test_a_measure_that_is_added_later_computes_itself_alone(
    made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    bench = Bench(tmp_path, made.llama)
    study = study_of(bench)
    bench.run(study, only=MEASURED)  # the files of generations are elsewhere
    kept = "from {} where measure != 'lines' order by all"
    columns = "* exclude (p_adjusted)"  # over one measure more
    before = {
        "summary": ask(bench, kept.format("summary")),
        "comparisons": ask(bench, f"select {columns} {kept.format('comparisons')}"),
    }
    files = {
        file: file.stat()
        for file in bench.lake.root.glob("*/**/data.parquet")
        if file.relative_to(bench.lake.root).parts[0] not in before
    }
    assert len(files) > 3 * len(N_WORDS)

    lines = WORDS.replace("Words", "Lines").replace("} words", "} lines")
    lines = lines.replace("len(words(text))", "len(string_split(text, chr(10)))")
    (bench.folder / "my_sql" / "measures" / "lines.sql").write_text(lines)
    again: list[str] = []
    _note_measures(monkeypatch, summary, "summarise", again)
    _note_measures(monkeypatch, comparisons, "compare_slices", again)
    made_now = bench.run(study, only=MEASURED)
    assert {name for name, _ in made_now} == {"measures/lines", "summary", "comparisons"}
    assert set(again) == {"lines"}
    assert {file: file.stat() for file in files} == files
    assert ask(bench, kept.format("summary")) == before["summary"]
    after = ask(bench, f"select {columns} {kept.format('comparisons')}")
    assert after == before["comparisons"]
    values = ask(bench, "select value from summary where measure = 'lines' and collection = '*'")
    assert values == [{"value": 1.0}] * len(N_WORDS)
    assert bench.run(study, only=MEASURED) == {}


def _note_measures(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, names: list[str]
) -> None:
    """Notes the measures that a function of a module makes rows of."""
    function: Callable[..., Any] = getattr(module, name)

    def noting(measure: Measure, *arguments: Any) -> Any:
        rows = function(measure, *arguments)
        names.extend([measure.name] * bool(len(rows)))
        return rows

    monkeypatch.setattr(module, name, noting)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("none", "none is no folder; name one with *.sql or measures/*.sql in it"),
        ("base.jsonl", "base.jsonl is no folder; name one with *.sql or measures/*.sql in it"),
        ("empty", "empty holds neither tables (*.sql) nor measures (measures/*.sql); put one"),
    ],
)
def test_a_folder_of_no_sql_is_refused(made: Bench, tmp_path: Path, sql: str, message: str) -> None:
    bench = Bench(tmp_path, made.llama)
    (tmp_path / "empty" / "measures").mkdir(parents=True)
    shutil.copy(made.folder / "base.jsonl", tmp_path)
    checkpoints = [{"name": "base", "source": "file:base.jsonl"}]
    bench.study(checkpoints=checkpoints, sql=sql)
    lake = ("--lake", str(bench.lake.root))
    for command in (["check", f"{tmp_path}/study.yaml"], ["tables", "--study", "study.yaml"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            result = run(*command, *lake, status=2)
        assert result.startswith(f"sql: {tmp_path}/")
        assert message in result
        assert "Traceback" not in result


def test_a_wrong_measure_of_a_study_is_found_by_check(made: Bench, tmp_path: Path) -> None:
    shutil.copytree(made.folder / "my_sql", tmp_path / "my_sql")
    shutil.copy(made.folder / "base.jsonl", tmp_path)
    file = tmp_path / "my_sql" / "measures" / "length.sql"
    file.write_text(WORDS.replace("statistic:", "statistics:"))
    bench = Bench(tmp_path, made.llama)
    bench.study(checkpoints=[{"name": "base", "source": "file:base.jsonl"}], sql="my_sql")
    refused = run("check", f"{tmp_path}/study.yaml", "--lake", str(bench.lake.root), status=2)
    assert f"{file}: there is no key `statistics:` (did you mean statistic?)" in refused


def test_the_page_shows_the_measure_that_is_added_here() -> None:
    first, *_ = blocks(section(PAGE, "Add a measure"), "sql")
    assert first == WORDS


def test_the_page_names_every_key_and_what_it_may_say() -> None:
    text = section(PAGE, "Add a measure")
    for key in KEYS:
        assert f"| `{key}`{'' if key in REQUIRED else ', if any'} |" in text
    for word in (*ITEMS, *STATISTICS, *FORMATS, *GROUPS, *COMPARABLE):
        assert f"`{word}`" in text


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_queries_of_the_page_run(made: Bench, number: int) -> None:
    query = blocks(section(PAGE, "Add a measure"), "sql")[number]
    assert ask(made, query)


def test_a_figure_is_two_files(
    made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (module,) = blocks(section(PAGE, "Add a figure"), "python")
    (query,) = blocks(section(PAGE, "Add a figure"), "sql")
    (tmp_path / "anchored.py").write_text(module)
    (tmp_path / "anchored.sql").write_text(query)
    specification = importlib.util.spec_from_file_location("anchored", tmp_path / "anchored.py")
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    figure: Figure = loaded.FIGURE
    assert figure.name in section(PAGE, "Add a figure")
    monkeypatch.setattr("assets.registry.FIGURES", [figure])
    shutil.copytree(made.folder, tmp_path / "copy")
    bench = Bench(tmp_path / "copy", made.llama)
    assert ("figures/anchored", None) in bench.run(study_of(bench), only=("figures/anchored",))
    drawn = read_drawn(bench.lake, figure)
    assert drawn is not None
    drawing = json.dumps(drawn.drawing.wide)
    assert all(f'"{name}"' in drawing for name in N_WORDS)
    assert len(drawn.findings) == 3  # the pairs of the ladder
    assert "of a prompt's generations pass an anchor span" in drawn.findings[0]
    assert bench.run(study_of(bench), only=("figures/anchored",)) == {}
