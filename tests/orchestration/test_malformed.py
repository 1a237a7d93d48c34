"""Malformed inputs, each through the command line: one sentence, status 2, no traceback, at once.

The inputs and the sentences are the tables of `malformed`; those of models and of places that take
more to make than a text stand here.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import struct
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from safetensors.torch import save_file

from models import Source, rendering
from models.errors import ModelError
from models.loading import load
from orchestration import cli
from tests.orchestration import malformed
from tests.orchestration.malformed import GENERATION, IMPORTED, KEYS, MEASURE, PROMPT
from warehouse.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    Refused = Callable[..., str]
    Change = Callable[[Path], object]

STUDY = "name: s\ncheckpoints:\n  - {name: a, source: 'file:g.jsonl'}\n"
OF_MODEL = STUDY.replace("file:g.jsonl", "dir:m") + "prompts: p.jsonl\n"
CHECK = ("check", "s.yaml")
SECONDS = 1.0
"""Of the processor, for one input; most take a tenth of it."""


@pytest.fixture(scope="module")
def commands() -> Any:
    """The commands, put together once; what the first of them would import is imported."""
    import orchestration.jobs  # noqa: F401
    from assets.measures.declared import PLACEHOLDERS, declared_measures

    declared_measures(PLACEHOLDERS)
    return typer.main.get_command(cli.app)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Any) -> Path:
    """A folder with a study of one generation made elsewhere."""
    monkeypatch.setattr(cli, "app", commands)
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STUDY)
    Path("g.jsonl").write_text(GENERATION + "\n")
    Path("p.jsonl").write_text(PROMPT + "\n")
    return tmp_path


@pytest.fixture
def refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    """Runs a command that must be refused, and gives what it says, the folder as `~`."""

    def run(*arguments: str, seconds: float = SECONDS) -> str:
        monkeypatch.setattr(sys, "argv", ["anchorlake", *arguments])
        capfd.readouterr()
        start = time.process_time()
        with pytest.raises(SystemExit) as ended:
            cli.run_app()
        taken = time.process_time() - start
        printed, said = capfd.readouterr()
        assert ended.value.code == 2, (printed, said)
        assert printed == ""
        assert "Traceback" not in said
        assert printable(said) == said
        assert taken < seconds
        return said.removesuffix("\n").replace(str(folder), "~")

    return run


@pytest.fixture
def model(folder: Path, llama_source: Source) -> Path:
    """A copy of the tiny Llama's folder, which the study measures."""
    Path("s.yaml").write_text(OF_MODEL)
    return Path(shutil.copytree(llama_source.location, folder / "m"))


def rows(table: dict[Any, Any]) -> pytest.MarkDecorator:
    """A test for each row of a table."""
    names = [printable(str(given)).replace("/", "|")[:60] for given in table]
    return pytest.mark.parametrize(("given", "row"), table.items(), ids=names)


def write(path: Path, content: bytes | str) -> None:
    """Writes a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# Studies, and what they name.


@rows(malformed.STUDY)
def test_a_line_of_a_study(given: str, row: str, refused: Refused) -> None:
    rest = STUDY.removeprefix("name: s\n") if given.startswith("name:") else STUDY
    Path("s.yaml").write_text(f"{rest}{given}\n")
    assert refused(*CHECK) == row


@rows(malformed.CHECKPOINT)
def test_the_keys_of_a_checkpoint(given: str, row: str, refused: Refused) -> None:
    Path("s.yaml").write_text(f"name: s\ncheckpoints:\n  - {{name: a, {given}}}\n")
    assert refused(*CHECK) == row


@rows(malformed.WHOLE)
def test_a_whole_study(given: str, row: tuple[bytes, str], refused: Refused) -> None:
    Path("s.yaml").write_bytes(row[0])
    # A file as large as any may be takes longer, and is not read further.
    assert refused(*CHECK) == row[1]


def test_thousands_of_unknown_keys_are_counted(refused: Refused) -> None:
    Path("s.yaml").write_text(STUDY + "".join(f"k{i}: 1\n" for i in range(4_000)))
    lines = refused(*CHECK, seconds=5).splitlines()
    assert lines == [
        *(f"s.yaml: k{i}: is no key; allowed here: {KEYS}" for i in range(20)),
        "s.yaml: 3,980 more like these",
    ]


@rows(malformed.PROMPTS)
def test_a_file_of_prompts(
    given: str, row: tuple[bytes | str, str], llama_source: Source, refused: Refused
) -> None:
    Path("s.yaml").write_text(OF_MODEL.replace("dir:m", str(llama_source)))
    write(Path("p.jsonl"), row[0])
    assert refused(*CHECK) == row[1]


@rows(malformed.GENERATIONS)
def test_a_file_of_generations(given: str, row: tuple[bytes | str, str], refused: Refused) -> None:
    write(Path("g.jsonl"), row[0])
    assert refused(*CHECK) == row[1]


@rows(malformed.CORPORA)
def test_a_file_of_documents(given: str, row: tuple[bytes | str, str], refused: Refused) -> None:
    write(Path("c.jsonl"), row[0])
    corpus = "{name: c, source: 'file:c.jsonl', documents: 9}"
    Path("s.yaml").write_text(f"{STUDY}corpora: [{corpus}]\n")
    assert refused(*CHECK) == row[1]


@rows(malformed.PREFERENCES)
def test_a_file_of_pairs(given: str, row: tuple[bytes | str, str], refused: Refused) -> None:
    write(Path("d.jsonl"), row[0])
    Path("s.yaml").write_text(f"{STUDY}preferences: [{{name: p, source: 'file:d.jsonl'}}]\n")
    assert refused(*CHECK) == row[1]


@rows(malformed.CHOICES)
def test_a_file_of_questions(given: str, row: tuple[bytes | str, str], refused: Refused) -> None:
    write(Path("q.jsonl"), row[0])
    Path("s.yaml").write_text(f"{STUDY}choices: [{{name: q, source: 'file:q.jsonl'}}]\n")
    assert refused(*CHECK) == row[1]


@rows(malformed.MEASURES)
def test_a_measure(given: tuple[str, str], row: str, folder: Path, refused: Refused) -> None:
    (folder / "m" / "measures").mkdir(parents=True)
    assert given[0] in MEASURE
    write(folder / "m" / "measures" / "x.sql", MEASURE.replace(*given))
    Path("s.yaml").write_text(f"{STUDY}sql: m\n")
    assert refused(*CHECK, seconds=3) == row


@rows(malformed.IMPORTS)
def test_an_import(given: tuple[str, str], row: str, refused: Refused) -> None:
    form, content = given
    file = "f.csv" if form == "csv" else "f.json"
    write(Path(file), IMPORTED[content])
    assert refused("import", form, file, "-o", "o.jsonl") == row
    assert not Path("o.jsonl").exists()


@rows(malformed.COMMANDS)
def test_a_command(given: tuple[str, ...], row: str, refused: Refused) -> None:
    assert refused(*given) == row


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "a link to itself"])
@pytest.mark.parametrize(
    "name", ["s.yaml", "g.jsonl", "p.jsonl", "c.jsonl", "c.txt", "f.txt", "m/measures/x.sql"]
)
def test_what_is_no_file_is_not_read(
    name: str, kind: str, folder: Path, llama_source: Source, refused: Refused
) -> None:
    asked = OF_MODEL.replace("dir:m", str(llama_source))
    studies = {
        "p.jsonl": asked,
        "f.txt": asked.replace("'}", "', prompt_format: 'file:f.txt'}"),
        "c.jsonl": f"{STUDY}corpora: [{{name: c, source: 'file:c.jsonl'}}]\n",
        "c.txt": f"{STUDY}corpora: [{{name: c, source: 'file:c.txt'}}]\n",
        "m/measures/x.sql": f"{STUDY}sql: m\n",
    }
    (folder / "m" / "measures").mkdir(parents=True)
    Path("s.yaml").write_text(studies.get(name, STUDY))
    path = folder / name
    path.unlink(missing_ok=True)
    make: dict[str, Callable[[], object]] = {
        "a pipe": lambda: os.mkfifo(path),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "a folder": path.mkdir,
        "a link to itself": lambda: path.symlink_to(path.name),
    }
    make[kind]()
    said = refused(*CHECK, seconds=3)
    assert path.name in said
    assert "\n" not in said


# Hostile models.


def edited(name: str, **values: Any) -> Change:
    """Changes entries of a model's JSON file."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | values))

    return change


def replaced(name: str, content: bytes | str) -> Change:
    """Puts something else in the place of a file."""
    return lambda folder: write(folder / name, content)


def linked(name: str, target: str) -> Change:
    """Puts a link in the place of a file."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return change


class Evil:
    """What runs a command as it is read from a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def pickled(name: str) -> Change:
    """Puts a pickle in the place of the weights."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Evil()))

    return change


def safetensors(header: bytes, length: int | None = None) -> bytes:
    """A file of a header and four bytes."""
    return struct.pack("<Q", len(header) if length is None else length) + header + b"abcd"


def adapter(**values: Any) -> Change:
    """Makes an adapter of the folder, with a tensor of rank 2."""

    def change(folder: Path) -> None:
        import torch

        shutil.rmtree(folder)
        folder.mkdir()
        known = {"peft_type": "LORA", "r": 2, "base_model_name_or_path": "org/name"}
        (folder / "adapter_config.json").write_text(json.dumps(known | values))
        save_file({"a": torch.zeros(2, 32)}, folder / "adapter_model.safetensors")

    return change


def gguf(*, tensors: int = 0, values: bytes = b"", n_values: int = 0, rest: bytes = b"") -> bytes:
    """A GGUF file of a Llama."""
    of_architecture = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    counts = struct.pack("<IQQ", 3, tensors, 1 + n_values)
    return b"GGUF" + counts + of_architecture + values + rest


def text(content: bytes) -> bytes:
    """A text as GGUF has it."""
    return struct.pack("<Q", len(content)) + content


SAVE_IT = "wait until it is written, or save the model again with `save_pretrained`"
LAYERS = text(b"llama.block_count") + struct.pack("<II", 4, 10**9)
TENSOR = text(b"t") + struct.pack("<IQQIQ", 2, 10**9, 10**9, 0, 0)
ON = "say with `adapter_on:` where its base is"
NO_BASE = "which is no folder here by its whole path, and no repository; " + ON

MODELS: dict[str, tuple[Change, str]] = {
    "a billion layers": (
        edited("config.json", num_hidden_layers=10**9),
        "~/m/config.json: num_hidden_layers is 1,000,000,000, and there are 21 tensors; put it "
        "right",
    ),
    "fewer layers than none": (
        edited("config.json", num_hidden_layers=-1),
        "~/m/config.json: num_hidden_layers is -1, and must be over 0; put it right",
    ),
    "a billion layers of another kind": (
        edited("config.json", vision_config={"depth": 10**9}),
        "~/m/config.json: depth is 1,000,000,000, and there are 21 tensors; put it right",
    ),
    "a billion labels": (
        edited("config.json", num_labels=10**9),
        "~/m/config.json: num_labels is 1,000,000,000; put it right, or leave it out",
    ),
    "a hundred thousand stop tokens": (
        edited("config.json", eos_token_id=[1] * 100_000),
        "~/m/config.json: eos_token_id has 100,000 entries, and no model needs over 10,000; put "
        "it right",
    ),
    "a configuration nested too deeply": (
        replaced("config.json", '{"a": ' * 5_000 + "1" + "}" * 5_000),
        f"~/m/config.json is not a whole JSON object; {SAVE_IT}",
    ),
    "a configuration of megabytes": (
        replaced("config.json", json.dumps({"a": "x" * 4_000_000})),
        "~/m/config.json has over 4,000,000 bytes; put it right",
    ),
    "twenty thousand special tokens": (
        edited("tokenizer_config.json", extra_special_tokens=["x"] * 20_000),
        "~/m/tokenizer_config.json: extra_special_tokens has 20,000 entries, and no model needs "
        "over 10,000; put it right",
    ),
    "code that comes with it": (
        edited("config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"}),
        "~/m/config.json asks for code that comes with the checkpoint, as transformers has none "
        "for it; read that code, and set `allow_remote_code: true` to let it run",
    ),
    "code of another repository": (
        edited("config.json", _attn_implementation="evil/kernels"),
        "~/m/config.json asks for code of the hub for its attention, evil/kernels; take "
        "`_attn_implementation` out",
    ),
    "weights that link out of the folder": (
        linked("model.safetensors", "../g.jsonl"),
        "~/m/model.safetensors is a link that leads out of the folder, to ~/g.jsonl; put a copy "
        "of that file in its place",
    ),
    "a tokenizer that links to the system's files": (
        linked("tokenizer_config.json", "/etc/hostname"),
        f"~/m/tokenizer_config.json is a link that leads out of the folder, to "
        f"{Path('/etc/hostname').resolve()}; put a copy of that file in its place",
    ),
    "a pickle": (
        pickled("pytorch_model.bin"),
        "~/m/pytorch_model.bin is a pickle, and there are no weights as safetensors; save them "
        "with `save_pretrained`, or set `allow_pickle: true` if you trust it",
    ),
    "a pickle of another name": (
        pickled("model.pt"),
        f"~/m has no weights as safetensors; {SAVE_IT}",
    ),
    "a pickle called safetensors": (
        replaced("model.safetensors", pickle.dumps(Evil())),
        f"~/m/model.safetensors has no whole safetensors header; {SAVE_IT}",
    ),
    "an index that leads out of the folder": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            write(
                folder / "model.safetensors.index.json",
                '{"weight_map": {"a": "../../x.safetensors"}}',
            ),
        ),
        f"~/m lacks the weights ../../x.safetensors that model.safetensors.index.json names; "
        f"{SAVE_IT}",
    ),
    "a header as long as the largest disk": (
        replaced("model.safetensors", safetensors(b"{}", 1 << 63)),
        f"~/m/model.safetensors has no whole safetensors header; {SAVE_IT}",
    ),
    "a header nested too deeply": (
        replaced("model.safetensors", safetensors(b"[" * 100_000)),
        f"~/m/model.safetensors has no whole safetensors header; {SAVE_IT}",
    ),
    "tensors that overlap": (
        replaced(
            "model.safetensors",
            safetensors(
                b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
                b' "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
            ),
        ),
        f"~/m/model.safetensors has tensors that overlap, or bytes of none between them; {SAVE_IT}",
    ),
    "an adapter on a path that leads up": (
        adapter(base_model_name_or_path="../../etc"),
        f"checkpoint a: dir:~/m is an adapter on ../../etc, {NO_BASE}",
    ),
    "an adapter on what is no model": (
        adapter(base_model_name_or_path="/etc"),
        "checkpoint a: dir:~/m is an adapter on dir:/etc: /etc is not a model's folder: there is "
        f"no config.json in it; {SAVE_IT}; `adapter_on:` names another base",
    ),
    "an adapter on somebody's home": (
        adapter(base_model_name_or_path="~nobody-here/x"),
        f"checkpoint a: dir:~/m is an adapter on ~nobody-here/x, {NO_BASE}",
    ),
    "an adapter on a name of escapes": (
        adapter(base_model_name_or_path="\x1b[31m\u202e\0"),
        rf"checkpoint a: dir:~/m is an adapter on \u001b[31m\u202e\u0000, {NO_BASE}",
    ),
    "an adapter on a name as long as a page": (
        adapter(base_model_name_or_path="x" * 5_000),
        f"checkpoint a: dir:~/m is an adapter on {'x' * 200}, {NO_BASE}",
    ),
    "an adapter on a revision that is a path": (
        adapter(revision="../../../../etc/passwd"),
        "checkpoint a: dir:~/m is an adapter on org/name@../../../../etc/passwd, which names no "
        f"revision after its @: write a branch, a tag or a commit; {ON}",
    ),
    "an adapter of a billion ranks": (
        adapter(r=10**9),
        "~/m/adapter_config.json: the rank r is 1,000,000,000, and no tensor of the adapter has a "
        "side of over 32; put it right",
    ),
    "an adapter that repeats layers": (
        adapter(layer_replication=[[0, 2]] * 1_000),
        "~/m/adapter_config.json: layer_replication makes 2,000 layers; put it right",
    ),
    "an adapter that loads others": (
        adapter(peft_type="XLORA", adapters={"0": "../../etc"}),
        "~/m is an adapter of the kind XLORA, which cannot be merged into a model's weights; those "
        "of LoRA and its relatives can",
    ),
}


@rows(MODELS)
def test_a_hostile_model(
    given: str, row: tuple[Change, str], model: Path, refused: Refused
) -> None:
    change, sentence = row
    change(model)
    said = refused(*CHECK)
    assert said.removeprefix("checkpoint a: ") == sentence.removeprefix("checkpoint a: ")
    assert not Path("ran").exists()


NO_ROOM = "it tells of more than it has room for"
GGUF_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "junk": (b"junk" * 9, "it does not begin with GGUF"),
    "its beginning": (b"GGUF", "it ends before its header does"),
    "a version to come": (
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
        "its version is 9, and 2 and 3 are known",
    ),
    "more values than bytes": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), NO_ROOM),
    "no architecture": (
        b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
        "it does not tell its architecture",
    ),
    "more tensors than bytes": (gguf(tensors=1 << 60), NO_ROOM),
    "a name longer than the file": (
        gguf(n_values=1, rest=struct.pack("<Q", 1 << 60) + b"x" * 9),
        "a name has 1,152,921,504,606,846,976 bytes",
    ),
    "a list longer than the file": (
        gguf(n_values=1, values=text(b"k") + struct.pack("<IIQ", 9, 4, 1 << 60)),
        NO_ROOM,
    ),
    "lists of lists": (
        gguf(n_values=1, values=text(b"k") + struct.pack("<IIQ", 9, 9, 1), rest=b"\0" * 99),
        "an array is of type 9, which transformers reads none of",
    ),
    "an unknown type": (
        gguf(n_values=1, values=text(b"k") + struct.pack("<I", 77)),
        "a value is of type 77, which there is none of",
    ),
    "dimensions without end": (
        gguf(tensors=1, rest=text(b"t") + struct.pack("<I", 1 << 31) + b"\0" * 99),
        NO_ROOM,
    ),
    "more weights than bytes": (
        gguf(tensors=1, rest=TENSOR),
        "it tells of 1,000,000,000,000,000,000 weights, and has 110 bytes",
    ),
}


@rows(GGUF_FILES)
def test_a_hostile_gguf_file(given: str, row: tuple[bytes, str], refused: Refused) -> None:
    Path("m.gguf").write_bytes(row[0])
    Path("s.yaml").write_text(OF_MODEL.replace("dir:m", "gguf:m.gguf"))
    sentence = f"checkpoint a: ~/m.gguf is no whole GGUF file: {row[1]}; fetch it again"
    assert refused(*CHECK) == sentence


def test_a_gguf_file_of_a_billion_layers(refused: Refused) -> None:
    Path("m.gguf").write_bytes(gguf(n_values=1, values=LAYERS))
    Path("s.yaml").write_text(OF_MODEL.replace("dir:m", "gguf:m.gguf"))
    assert refused(*CHECK) == (
        "checkpoint a: ~/m.gguf: block_count is 1,000,000,000, and there are 0 tensors; fetch it "
        "again"
    )


def test_the_links_of_the_hubs_cache_are_followed(model: Path, folder: Path) -> None:
    repository = folder / "models--org--name"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    model.rename(repository / "blobs")
    for path in (repository / "blobs").iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    Source("dir", str(snapshot)).check()
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(folder / "p.jsonl")
    with pytest.raises(ModelError, match=r"config\.json is a link that leads out of the folder"):
        Source("dir", str(snapshot)).check()


def test_a_model_larger_than_its_weights_is_not_made_room_for(model: Path) -> None:
    edited("config.json", intermediate_size=10**9)(model)
    with pytest.raises(ModelError) as refusal:
        load(Source("dir", str(model)))
    assert str(refusal.value) == (
        f"dir:{model}: its configuration is of a model of 192,000,022,952 weights, and its files "
        "have 32,160; look whether both are of one model"
    )


def test_a_tokenizer_that_makes_texts_longer_without_bounds_is_not_loaded(model: Path) -> None:
    doubles = {"type": "Replace", "pattern": {"String": "h"}, "content": "h" * 30}
    edited("tokenizer.json", normalizer={"type": "Sequence", "normalizers": [doubles] * 8})(model)
    with pytest.raises(ModelError) as refusal:
        load(Source("dir", str(model)))
    assert str(refusal.value) == (
        f"{model}/tokenizer.json: its normalizer makes texts 656,100,000,000 times as long; mend it"
    )


TEMPLATES = {
    "{{ 'a' * 10**10 }}": "takes over a gigabyte of memory",
    "{{ '%999999999d' % 1 }}": "takes over a gigabyte of memory",
    "{{ 'ab' * 1000000 }}": "writes 2,000,000 characters",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": (
        "takes longer than 1 seconds"
    ),
}


@pytest.mark.whole
@rows(TEMPLATES)
def test_a_chat_template_without_an_end(
    given: str, row: str, model: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "_SECONDS", 1)
    Path("s.yaml").write_text(OF_MODEL.replace("dir:m'", "dir:m', prompt_format: chat"))
    (model / "chat_template.jinja").write_text(given)
    assert refused(*CHECK) == (
        f"checkpoint a: the chat template {row} for one prompt; mend it, or set `prompt_format:` "
        "to a text with {prompt} in it"
    )


# Places.


def test_a_lake_that_cannot_be_written_to(
    folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("lake").mkdir()
    monkeypatch.setattr("orchestration.places.os.access", lambda path, mode: mode == os.R_OK)
    for command in ("check", "run"):
        assert refused(command, "s.yaml") == (
            "~/lake cannot be written to: permission denied; name another lake with --lake"
        )


@pytest.mark.parametrize(
    ("lake", "sentence"),
    [
        ("x" * 300, "a name in it is longer than the 255 bytes that the disk takes; choose a"),
        ("/".join(["x" * 100] * 5), "the path is longer than 400 bytes, and databases in it could"),
    ],
)
def test_a_lake_whose_path_is_too_long(lake: str, sentence: str, refused: Refused) -> None:
    said = refused(*CHECK, "--lake", lake)
    assert sentence in said
    assert len(said) < 400


def test_a_disk_that_is_full(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=2_500_000)
    monkeypatch.setattr("orchestration.places.shutil.disk_usage", lambda path: usage)
    for command in ("check", "run"):
        assert refused(command, "s.yaml") == (
            "the disk of ~ has 2.5 MB left, and nothing can be measured with that; make some room"
        )


def test_a_lake_behind_a_link_to_nothing(folder: Path, refused: Refused) -> None:
    Path("lake").symlink_to("nowhere")
    assert refused(*CHECK) == (
        "~/lake is a link to nothing, and a folder must be there; move it away"
    )


DAMAGED = (
    "a database of Dagster is damaged ({}); move the folder .dagster of the lake, or "
    "$DAGSTER_HOME, away: Dagster begins a new history, and the lake's tables stay"
)


@pytest.mark.parametrize(
    "name", ["history/runs.db", "history/runs/index.db", "schedules/schedules.db"]
)
def test_garbage_in_dagsters_databases(name: str, folder: Path, refused: Refused) -> None:
    database = folder / "lake" / ".dagster" / name
    database.parent.mkdir(parents=True)
    database.write_bytes(b"garbage" * 1_000)
    for command in ("check", "run"):
        assert refused(command, "s.yaml") == DAMAGED.format("file is not a database")


def test_garbage_in_dagsters_settings(folder: Path, refused: Refused) -> None:
    settings = folder / "lake" / ".dagster" / "dagster.yaml"
    settings.parent.mkdir(parents=True)
    said = "~/lake/.dagster/dagster.yaml does not configure Dagster: {}; put it right, or delete it"
    settings.write_text("garbage")
    expected = f"{said.format('it holds no keys and values')} to have it written anew"
    assert refused(*CHECK) == refused("run", "s.yaml") == expected
    settings.write_text("garbage: 1")
    expected = (
        "Errors whilst loading dagster instance config at dagster.yaml. Error 1: Received "
        'unexpected config entry "garbage" at the root.'
    )
    said = said.format(expected) + " to have it written anew"
    assert refused("run", "s.yaml", "--select", "prompts", seconds=10) == said


def test_a_home_of_dagster_that_is_a_file(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "s.yaml"))
    assert refused(*CHECK) == "~/s.yaml is a file, and a folder must be there; move it away"


@pytest.mark.parametrize("command", [("--help",), ("tables",), ("check", "s.yaml")])
def test_what_is_printed_to_a_full_disk_is_lost_and_said(
    command: tuple[str, ...], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert refused(*command, seconds=5) == (
            "what is printed cannot be written: No space left on device; print it somewhere else"
        )


@pytest.mark.parametrize("command", [("--help",), ("tables",), ("check", "s.yaml")])
def test_who_reads_no_further_ends_no_work(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "argv", ["anchorlake", *command])
    with os.fdopen(writer, "w") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        with pytest.raises(SystemExit) as ended:
            cli.run_app()
        assert ended.value.code == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("instance_in_memory")
def test_a_step_that_fills_the_disk_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def write_nothing(*arguments: object) -> None:
        tried.append(arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("warehouse.storage.write_parquet", write_nothing)
    monkeypatch.setattr(sys, "argv", ["anchorlake", "run", "s.yaml", "--select", "checkpoints"])
    with pytest.raises(SystemExit) as ended:
        cli.run_app()
    assert ended.value.code == 1
    assert capfd.readouterr().err.splitlines() == [
        "checkpoints (a) failed: no space is left on the disk; make some, and the same command "
        "goes on from there"
    ]
    assert len(tried) == 1
