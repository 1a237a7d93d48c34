"""Imports: what tables and AlpacaEval hold, and what every import does with what it finds."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import datasets
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.imports import FORMATS, Format, Options, import_files
from assets.imports import found as found_module
from assets.imports.found import Dropped, Found, write_generations
from assets.sources.generation_files import read_generations
from assets.sources.scores import read_scores
from assets.study.errors import InputError
from tests.studies import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [
    {"prompt": "Why?", "text": "Because."},
    {"prompt": "How?", "text": 'So, "thus",\nand so.'},
    {"prompt": "Why?", "text": ""},
    {"prompt": "Why?", "text": None},
    {"prompt": None, "text": "No."},
]
TRIPLES = [("Why?", 0, "Because."), ("How?", 0, 'So, "thus",\nand so.'), ("Why?", 1, "")]
LOSSES = "2 of 5 rows dropped: 1 without text, 1 without a prompt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def imported(
    form: str, path: Path | str, out: Path, **options: Any
) -> tuple[list[tuple[str, int, str]], str]:
    """What is read of an import's file, and what it says was dropped."""
    written = import_files(form, [str(path)], out, Options(**options), force=True)
    read = read_generations(out)
    assert (written.samples, written.prompts) == (len(read), len({g.prompt_id for g in read}))
    return [(g.prompt, g.sample, g.text) for g in read], written.losses()


def refused(form: str, path: Path | str, out: Path, *words: str, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        import_files(form, [str(path)], out, Options(**options))
    message = str(caught.value)
    assert "\n" not in message
    for word in (*words, str(path)):
        assert word in message
    assert not out.exists()
    assert not list(out.parent.glob(".*"))


def in_csv(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Has DuckDB write rows as CSV, empty texts in quotes and nothing for null."""
    path = folder / "rows.csv"
    duckdb.from_arrow(pa.Table.from_pylist(rows)).write_csv(str(path))
    return path


def in_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def saved(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "saved"
    datasets.Dataset.from_list(rows).save_to_disk(path)
    return path


def of_files(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "files"
    path.mkdir()
    in_parquet(path, rows)
    return path


def in_json_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return write_jsonl(folder / "rows.jsonl", rows)


TABLES = [
    ("csv", in_csv),
    ("parquet", in_parquet),
    ("hf-dataset", saved),
    ("hf-dataset", of_files),
    ("jsonl", in_json_lines),
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize(("form", "write"), TABLES)
class TestTables:
    def test_rows_of_a_prompt_are_its_samples(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        found, losses = imported(form, write(tmp_path, ROWS), out)
        assert found == TRIPLES
        assert losses.replace(' (an empty text is "" in CSV)', "") == LOSSES

    def test_columns_are_what_the_user_says(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        rows = [{"q": "Why?", "n": 7, "a": "So.", "id": 3, "text": "?", "sample": "x"}]
        columns = {"prompt": "q", "text": "a", "prompt_id": "id"}
        path = write(tmp_path, rows)
        assert imported(form, path, out, columns={**columns, "sample": "n"})[0] == [
            ("Why?", 7, "So.")
        ]
        assert imported(form, path, out, columns={**columns, "sample": ""})[0] == [
            ("Why?", 0, "So.")
        ]
        assert read_generations(out)[0].prompt_id == "3"
        out.unlink()
        words = ["'sample' is 'x'", "whole number", "--column sample="]
        row = "line 1" if form == "jsonl" else "row 1"
        refused(form, path, out, row, *words, columns=columns)

    def test_an_unknown_column_is_said_with_those_there_are(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        path = write(tmp_path, [{"q": "Why?", "text": "So."}])
        refused(form, path, out, "no column 'prompt'", "'q', 'text'", "--column prompt=COLUMN")
        columns = {"prompt": "q", "sample": "n"}
        refused(form, path, out, "no column 'n'", columns=columns)

    def test_nothing_left_is_no_file(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        path = write(tmp_path, [{"prompt": "x", "text": None}, {"prompt": None, "text": "x"}])
        with pytest.raises(InputError, match="no generation is left; 2 of 2 rows dropped"):
            import_files(form, [str(path)], out, Options())
        assert not out.exists()

    def test_several_files_go_on_counting_and_have_their_losses_named(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        paths = [str(write(folder, [*ROWS[:1], *ROWS[3:]])) for folder in folders]
        written = import_files(form, paths, out, Options())
        assert [(g.prompt, g.sample) for g in read_generations(out)] == [("Why?", 0), ("Why?", 1)]
        losses = written.losses().replace(' (an empty text is "" in CSV)', "")
        assert losses == "4 of 6 rows dropped: 2 without text, 2 without a prompt"

    def test_rows_are_chosen_and_split_by_a_column(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        rows = [ROWS[0] | {"m": model, "step": step} for model in "ab" for step in (1, 20)]
        options = Options(where={"step": "20"}, split_by="m")
        written = import_files(form, [str(write(tmp_path, rows))], out, options)
        assert [path.name for path in written.files] == ["out-a.jsonl", "out-b.jsonl"]
        assert [file.samples for file in written.files.values()] == [1, 1]
        assert written.losses() == "2 of 4 rows dropped: 2 where step is not 20"

    def test_options_of_other_formats_are_refused(
        self, tmp_path: Path, out: Path, form: str, write: Any
    ) -> None:
        with pytest.raises(InputError, match="--generator is nothing that"):
            import_files(form, [str(write(tmp_path, ROWS))], out, Options(generator="m"))


@pytest.mark.parametrize(("form", "write"), TABLES[1:])
def test_a_list_of_texts_has_a_sample_each(
    tmp_path: Path, out: Path, form: str, write: Any
) -> None:
    rows = [{"prompt": "Why?", "text": ["a", None, "", "a"]}, {"prompt": "How?", "text": []}]
    path = write(tmp_path, rows)
    expected = [("Why?", 0, "a"), ("Why?", 1, ""), ("Why?", 2, "a")]
    assert imported(form, path, out) == (expected, "2 of 5 rows dropped: 2 without text")
    out.unlink()
    (tmp_path / "numbered").mkdir()
    numbered = write(tmp_path / "numbered", [row | {"sample": 0} for row in rows])
    refused(form, numbered, out, " 1: ", "--column sample=")


def test_what_csv_writers_write_is_read(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "rows.tsv"
    texts = [
        "tab\there",
        'a "quote"',
        "line\r\nline\n",
        "x" * 200_000,
        " , ",
        "007",
        "#",
        "🙂\u2028",
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["prompt", "text"])
        writer.writerows(["Why?", text] for text in texts)
    assert imported("csv", path, out)[0] == [("Why?", i, text) for i, text in enumerate(texts)]


@pytest.mark.whole
@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=4), min_size=1), st.booleans())
def test_any_text_comes_out_of_csv_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], quoted: bool
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        style = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        writer = csv.writer(file, quoting=style)
        writer.writerow(["prompt", "text"])
        writer.writerows(["Why?", text] for text in texts)
    kept = [text for text in texts if text or quoted]
    if kept:
        found, _ = imported("csv", folder / "rows.csv", folder / "out.jsonl")
        assert found == [("Why?", i, text) for i, text in enumerate(kept)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (b"prompt,text\na,b,c\n", ["line 2", "has 3 fields"]),
        (b'prompt,text\na,"b\nb"\nc\n', ["line 4", "has 1 fields"]),
        (b'prompt,text\na,b\nc,"d\n', ["line 3", "unexpected end"]),
        (b'prompt,text\na,"b" c\n', ["line 2", "quote"]),
        (b"prompt,text\na,\xff\n", ["UTF-8"]),
        (b"prompt,Prompt\na,b\n", ["two columns of one name"]),
        (b"prompt;text\na;b\n", ["no column 'prompt'", "'prompt;text'"]),
    ],
)
def test_a_broken_csv_is_named_with_its_line(
    tmp_path: Path, out: Path, content: bytes, words: list[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    refused("csv", path, out, *words)


def test_a_name_of_a_csv_stands_for_no_other_file(tmp_path: Path, out: Path) -> None:
    (tmp_path / "a1.csv").write_text("prompt,text\nother,other\n")
    path = tmp_path / "a[1]*?.csv"
    path.write_text("prompt,text\nmine,mine\n")
    assert imported("csv", path, out)[0] == [("mine", 0, "mine")]


def test_what_is_not_there_or_not_whole(tmp_path: Path, out: Path) -> None:
    for form in FORMATS:
        if form not in ("inspect", "hf-dataset"):
            refused(form, tmp_path / "none", out, "there is no file")
            refused(form, tmp_path, out, "is a folder")
    path = in_parquet(tmp_path, ROWS)
    path.write_bytes(path.read_bytes()[:-9])
    refused("parquet", path, out, "cannot be read as Parquet")
    refused("hf-dataset", "none", out, "neither a folder nor a dataset of the hub")
    (tmp_path / "empty").mkdir()
    refused("hf-dataset", tmp_path / "empty", out, "cannot be read as a dataset")
    folder = saved(tmp_path, ROWS)
    next(folder.glob("*.arrow")).write_bytes(b"cut")
    refused("hf-dataset", folder, out, "cannot be read as a dataset")


def test_one_of_several_splits_is_chosen(tmp_path: Path, out: Path) -> None:
    one, two = datasets.Dataset.from_list(ROWS[:1]), datasets.Dataset.from_list(ROWS[1:2])
    path = tmp_path / "both"
    datasets.DatasetDict({"train": one, "test": two}).save_to_disk(path)
    refused("hf-dataset", path, out, "the splits train, test", "--split")
    refused("hf-dataset", path, out, "no split 'dev'; it has the splits train, test", split="dev")
    assert imported("hf-dataset", path, out, split="test")[0] == TRIPLES[1:2]
    single = saved(tmp_path, ROWS)
    out.unlink()
    refused("hf-dataset", single, out, "no splits", split="test")


def test_a_dataset_of_the_hub(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.study.datasets import DatasetSource

    def rows(self: DatasetSource, config: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        assert (self.location, config, split) == ("org/name", "c", "test")
        return ((str(i), row) for i, row in enumerate(ROWS))

    monkeypatch.setattr(DatasetSource, "splits", lambda self, config: ["train", "test"])
    monkeypatch.setattr(DatasetSource, "rows", rows)
    found = imported("hf-dataset", "org/name", out, config="c", split="test")
    assert found == (TRIPLES, LOSSES)
    out.unlink()
    refused("hf-dataset", "org/name", out, "the splits train, test", config="c")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "x", "text": 3}, ["'text' is 3", "--column text=COLUMN"]),
        ({"prompt": [{"role": "user"}], "text": "x"}, ["'prompt' is [", "--column prompt=COLUMN"]),
        ({"prompt": "x", "text": "x", "prompt_id": 1.5}, ["'prompt_id' is 1.5"]),
        ({"prompt": "x", "text": "x", "sample": 0.5}, ["'sample' is 0.5"]),
        ({"prompt": "x", "text": "x", "sample": float("inf")}, ["'sample' is inf"]),
        ({"prompt": "x", "text": "x", "sample": -1}, ["the sample is -1", "counts from 0"]),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    tmp_path: Path, out: Path, row: dict[str, Any], words: list[str]
) -> None:
    refused("parquet", in_parquet(tmp_path, [row]), out, "row 1", *words)


def test_numbers_that_pandas_made_fractions_are_whole(tmp_path: Path, out: Path) -> None:
    rows = [
        {"prompt": "x", "text": "a", "sample": 4.0},
        {"prompt": "x", "text": "b", "sample": float("nan")},
    ]
    expected = [("x", 4, "a"), ("x", 5, "b")]
    assert imported("parquet", in_parquet(tmp_path, rows), out)[0] == expected
    assert imported("csv", in_csv(tmp_path, rows[:1]), out)[0] == expected[:1]


ALPACA = [
    {"dataset": "d", "instruction": "Why?", "output": "So.", "generator": "m"},
    {"dataset": "d", "instruction": "How?", "output": "", "generator": "m"},
    {"dataset": "d", "instruction": "Why?", "output": "Thus.", "generator": "m"},
    {"dataset": "d", "instruction": "Sum up:", "input": "A b.", "output": None, "generator": "m"},
    {"dataset": "d", "instruction": "Sum up:", "input": "A b.", "output": "A.", "generator": "m"},
]


def test_outputs_of_alpaca_eval(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "model_outputs.json"
    path.write_text(json.dumps(ALPACA, indent=2))
    expected = [
        ("Why?", 0, "So."),
        ("How?", 0, ""),
        ("Why?", 1, "Thus."),
        ("Sum up:\n\nA b.", 0, "A."),
    ]
    assert imported("alpaca-eval", path, out) == (
        expected,
        "1 of 5 rows dropped: 1 without an output",
    )
    out.unlink()
    refused("alpaca-eval", path, out, "no generator 'x'", "it has m", generator="x")


def test_one_of_several_generators_is_chosen(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "model_outputs.json"
    unnamed = {key: value for key, value in ALPACA[0].items() if key != "generator"}
    entries = [*ALPACA, ALPACA[0] | {"generator": "n", "output": "Other."}, unnamed]
    path.write_text(json.dumps(entries))
    refused("alpaca-eval", path, out, "outputs of m, n", "--generator")
    found, losses = imported("alpaca-eval", path, out, generator="n")
    assert found == [("Why?", 0, "Other.")]
    assert losses == "6 of 7 rows dropped: 6 of other generators"
    # Two files of a model each are the same mistake.
    other = tmp_path / "other.json"
    other.write_text(json.dumps([ALPACA[0] | {"generator": "n"}]))
    path.write_text(json.dumps(ALPACA))
    out.unlink()
    with pytest.raises(InputError, match=r"other.json, entry 1: is of 'n', and .* of 'm'"):
        import_files("alpaca-eval", [str(path), str(other)], out, Options())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no valid JSON"]),
        ("[" * 100_000, ["no valid JSON"]),
        ("{}", ["must be an array"]),
        ("[1]", ["entry 1", "'instruction'"]),
        ('[{"instruction": "x"}]', ["entry 1", "'output'"]),
        ('[{"instruction": "x", "output": ["y"]}]', ["entry 1", "'output' is ['y']"]),
    ],
)
def test_broken_outputs_of_alpaca_eval(
    tmp_path: Path, out: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "model_outputs.json"
    path.write_text(text)
    refused("alpaca-eval", path, out, *words)


def test_half_a_surrogate_pair_is_dropped(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "model_outputs.json"
    path.write_text(json.dumps([ALPACA[0], ALPACA[1] | {"output": "\ud83d"}]))
    assert imported("alpaca-eval", path, out) == (
        [("Why?", 0, "So.")],
        "1 of 2 rows dropped: 1 with half a surrogate pair, which is no text",
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "p", 0), ("a", "p", 0)], "b: sample 0 of the prompt 'a' stands twice, first in a"),
        ([("a", "p", 0), ("a", "q", 1)], "b: the prompt_id 'a' has another prompt"),
        ([("a", "p", 1 << 31)], "a: the sample is 2147483648"),
    ],
)
def test_what_cannot_be_read_back_is_refused(
    out: Path, rows: list[tuple[str, str, int]], message: str
) -> None:
    places = ("a", "b")
    found = [
        Found(where, prompt, "", prompt_id, sample)
        for where, (prompt_id, prompt, sample) in zip(places, rows, strict=False)
    ]
    with pytest.raises(InputError, match=message):
        write_generations(found, out)
    assert not out.exists()


def test_a_made_name_is_stable_and_no_other_prompts(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_generations([Found("", "Why?", "")], out)
    # `printf 'Why?' | sha256sum`
    assert read_generations(out)[0].prompt_id == "5d8a995a6fa7"
    monkeypatch.setattr(found_module, "_ID_DIGITS", 1)
    prompts = [str(i) for i in range(40)]  # more than there are digits
    write_generations([Found("", prompt, "") for prompt in prompts * 2], out)
    read = read_generations(out)
    assert len({g.prompt_id for g in read}) == 40
    assert [(g.prompt, g.sample) for g in read] == [(p, i) for i in (0, 1) for p in prompts]


anything = st.builds(
    Found,
    where=st.just("f"),
    prompt=st.text(st.characters(), max_size=2),
    text=st.text(st.characters(), max_size=3),
    prompt_id=st.none() | st.sampled_from(["a", "b", ""]),
    sample=st.none() | st.integers(-1, 3),
)


@settings(deadline=None)
@given(st.lists(anything | st.just(Dropped("x")), max_size=8))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any]
) -> None:
    out = tmp_path_factory.mktemp("property") / "out.jsonl"
    try:
        written = write_generations(found, out)
    except InputError:
        assert not out.exists()
        return
    read = read_generations(out)
    assert len(read) == written.samples
    assert written.samples + written.dropped.total() == len(found)


def test_a_file_that_is_there_is_kept(tmp_path: Path, out: Path) -> None:
    path = str(in_parquet(tmp_path, ROWS))
    out.write_text("mine")
    with pytest.raises(InputError, match="is there already; replace it with --force"):
        import_files("parquet", [path], out, Options())
    (tmp_path / "bad.csv").write_text("prompt,text\na\n")
    with pytest.raises(InputError):
        import_files("csv", [str(tmp_path / "bad.csv")], out, Options(), force=True)
    assert out.read_text() == "mine"
    link = tmp_path / "link.jsonl"
    link.symlink_to(out)
    import_files("parquet", [path], link, Options(), force=True)
    assert link.is_symlink()
    assert len(read_generations(out)) == 3
    with pytest.raises(InputError, match="is what is to be read"):
        import_files("parquet", [path], tmp_path / "rows.parquet", Options(), force=True)
    with pytest.raises(InputError, match="is no file"):
        import_files("parquet", [path], tmp_path, Options(), force=True)
    with pytest.raises(InputError, match="cannot be written"):
        import_files("parquet", [path], tmp_path / "no" / "x", Options())


def test_several_files_of_alpaca_eval_go_on_counting(tmp_path: Path, out: Path) -> None:
    answer = {"instruction": "Why?", "output": "So.", "generator": "m"}
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path in paths:
        path.write_text(json.dumps([answer, answer | {"output": None}]))
    written = import_files("alpaca-eval", [str(path) for path in paths], out, Options())
    assert [(g.prompt, g.sample) for g in read_generations(out)] == [("Why?", 0), ("Why?", 1)]
    assert written.losses() == "2 of 4 rows dropped: 2 without an output"


def test_a_format_is_a_line_in_the_table(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(source: str, options: Options) -> Iterator[Found]:
        yield Found(source, "Why?", "So.")

    monkeypatch.setitem(FORMATS, "mine", Format(read))
    assert imported("mine", tmp_path / "x", out)[0] == [("Why?", 0, "So.")]
    with pytest.raises(InputError, match=r"there is no format 'yours'; .* lm-eval, .*, mine"):
        import_files("yours", ["x"], out, Options())


def test_rows_of_lm_eval(tmp_path: Path, out: Path) -> None:
    """Rows as older versions and other models wrote them; see also the tool's own below."""
    kwargs = {"until": ["\n"]}
    rows = [
        {"doc_id": 0, "filter": "a", "arguments": [["Q0", kwargs]], "resps": [["x", "y"]]},
        {
            "doc_id": 1,
            "filter": "a",
            "arguments": [[['[{"role": "user"}]'], kwargs]],
            "resps": [["z"]],
        },
        {
            "doc_id": 2,
            "filter": "a",
            "arguments": [["Q", kwargs], ["R", kwargs]],
            "resps": [[""], []],
        },
        {"doc_id": 3, "filter": "a", "arguments": [["Q", " a"]], "resps": [[["-1.0", "True"]]]},
        {"doc_id": 4, "filter": "a", "arguments": [["Q"]], "resps": [["-12.5"]]},
        {"doc_id": 0, "filter": "b", "arguments": [["Q0", kwargs]], "resps": [["x", "y"]]},
        {"doc_id": 5, "filter": "a", "arguments": [["Q5", kwargs]], "resps": [[None]]},
    ]
    path = write_jsonl(tmp_path / "samples_my_task_2026-01-31T12-00-00.123456.jsonl", rows)
    found, losses = imported("lm-eval", path, out)
    assert found == [
        ("Q0", 0, "x"),
        ("Q0", 1, "y"),
        ('[{"role": "user"}]', 0, "z"),
        ("Q", 0, ""),
    ]
    ids = ["my_task/0", "my_task/0", "my_task/1", "my_task/2/0"]
    assert [g.prompt_id for g in read_generations(out)] == ids
    assert losses == (
        "5 of 9 rows dropped: 2 without text, 2 of tasks that generate nothing, "
        "1 that repeat a text for a further filter"
    )
    renamed = path.rename(tmp_path / "mine.jsonl")
    imported("lm-eval", renamed, out)
    assert read_generations(out)[0].prompt_id == "mine/0"
    with pytest.raises(InputError, match="'mine/0' stands twice"):
        import_files("lm-eval", [str(renamed)] * 2, out, Options(), force=True)


def test_scores_of_lm_eval_come_along(tmp_path: Path, out: Path) -> None:
    """A filter's score is of the text that it chose; one that repeats cannot tell is left out."""

    def row(document: int, texts: list[str], name: str, chosen: object, **scores: object) -> object:
        asked = {"doc_id": document, "arguments": [[f"Q{document}", {}]], "resps": [texts]}
        filtered = {"filter": name, "filtered_resps": [chosen], "metrics": list(scores)}
        return asked | filtered | scores

    strict, two = "strict-match", ["5", "so 4"]
    first = write_jsonl(
        tmp_path / "samples_a_2026-01-31T12-00-00.0.jsonl",
        [
            row(0, ["so 4"], "none", "so 4", exact_match=0.0, bleu=["4", "so 4"]),
            row(0, ["so 4"], strict, "4", exact_match=True),
            row(1, two, "none", "so 4", exact_match=0.5, bleu=float("nan")),
            row(1, two, strict, "4", exact_match=1.0),
            row(2, ["\ud800"], "none", "x", exact_match=1.0),
        ],
    )
    second = write_jsonl(
        tmp_path / "samples_b.jsonl", [row(0, ["so 4"], "none", "so 4", exact_match=1)]
    )
    paths = [str(first), str(second)]
    written = import_files("lm-eval", paths, out, Options(checkpoint="dpo"))
    assert written.scores is not None
    assert written.scores.file == out.with_suffix(".scores.jsonl")
    assert [score[1:] for score in read_scores(written.scores.file)] == [
        ("dpo", "a/0", 0, "exact_match", 0.0),
        ("dpo", "a/0", 0, "exact_match,strict-match", 1.0),
        ("dpo", "a/1", 1, "exact_match", 0.5),
        ("dpo", "b/0", 0, "exact_match", 1.0),
    ]
    assert written.scores.losses() == (
        "4 of 8 scores dropped: 2 'bleu' that are no numbers, 1 of a text that the log does not "
        "tell from its repeats, 1 of generations that were dropped"
    )
    out.unlink()
    with pytest.raises(InputError, match=r"out\.scores\.jsonl is there already"):
        import_files("lm-eval", paths, out, Options())
    assert not out.exists()
    again = import_files("lm-eval", paths, out, Options(), force=True).scores
    assert again is not None
    assert again.checkpoint == out.stem


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", ["line 1", "no valid JSON"]),
        ({"results": {}}, ["line 1", "'doc_id'"]),
        ({"doc_id": 0}, ["line 1", "--log_samples"]),
        ({"doc_id": 0, "arguments": [["Q", {}]], "resps": []}, ["line 1", "--log_samples"]),
        ({"doc_id": 0, "arguments": [1], "resps": [["x"]]}, ["line 1", "--log_samples"]),
        ({"doc_id": 0, "arguments": [["Q", {}]], "resps": ["x"]}, ["line 1", "list of texts"]),
        ({"doc_id": 0, "arguments": [["Q", {}]], "resps": [[1]]}, ["line 1", "holds 1 where"]),
    ],
)
def test_broken_logs_of_lm_eval(tmp_path: Path, out: Path, row: Any, words: list[str]) -> None:
    path = tmp_path / "samples_x.jsonl"
    path.write_text(row if isinstance(row, str) else json.dumps(row))
    refused("lm-eval", path, out, *words)


def test_logs_of_inspect_need_its_reader(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(InputError, match="pip install inspect_ai"):
        import_files("inspect", [str(tmp_path / "x.eval")], out, Options())
