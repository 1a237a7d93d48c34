import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from models import ModelPool, Source
from models.errors import IncompleteError, RefusedError
from models.loading import load
from models.sources.folders import check_folder, snapshot, training_step, weight_files

INDEX = "model.safetensors.index.json"
IDS = torch.tensor([[0, 70, 90, 75, 200, 31, 8, 64]])


@pytest.fixture
def whole(llama_source, tmp_path):
    """A copy of the tiny Llama's folder."""
    return Path(shutil.copytree(llama_source.location, tmp_path / "whole"))


@pytest.fixture
def sharded(tiny_llama, tmp_path):
    """The tiny Llama in several files."""
    folder = tmp_path / "sharded"
    tiny_llama.model.save_pretrained(folder, max_shard_size="40KB")
    tiny_llama.tokenizer.save_pretrained(folder)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


@pytest.fixture
def pickled(whole, tiny_llama):
    """The tiny Llama as a pickle."""
    (whole / "model.safetensors").unlink()
    torch.save(tiny_llama.model.state_dict(), whole / "pytorch_model.bin")
    return whole


def edit_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def incomplete(folder, **allowed):
    with pytest.raises(IncompleteError) as caught:
        check_folder(folder, **allowed)
    return str(caught.value)


def refused(folder, **allowed):
    with pytest.raises(RefusedError) as caught:
        check_folder(folder, **allowed)
    return str(caught.value)


def test_a_saved_model_is_whole(whole, sharded, tiny_llama):
    for folder in (whole, sharded):
        check_folder(folder)
        check_folder(folder, allow_pickle=True, allow_remote_code=True)
    assert weight_files(whole) == [whole / "model.safetensors"]
    assert sorted(weight_files(sharded)) == sorted(sharded.glob("*.safetensors"))
    with torch.inference_mode():
        loaded = load(Source("dir", str(sharded))).model(IDS).logits
        assert torch.equal(loaded, tiny_llama.model(IDS).logits)


@pytest.mark.parametrize("name", ["model.safetensors", "exported.safetensors"])
def test_a_file_of_weights_is_whole_at_one_length_only(name, whole):
    path = whole / name
    (whole / "model.safetensors").rename(path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    lengths = [*range(12), header // 2, header - 1, header, header + 1, *range(-9, 0)]
    for length in lengths:
        path.write_bytes(content[:length])
        message = incomplete(whole)
        assert message.startswith(str(path))
        assert "wait until it is written" in message
    path.write_bytes(content + b"x")
    assert incomplete(whole).startswith(
        f"{path} has {len(content) + 1} bytes of the {len(content)}"
    )
    path.write_bytes(content)
    check_folder(whole)


@pytest.mark.parametrize(
    "header", [b"[]", b"3", b"null", b'{"a": 1}', b'{"a": {"data_offsets": []}}', b'{"a": {}}']
)
def test_a_header_that_is_none_is_damage(header, whole):
    (whole / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "has no whole safetensors header" in incomplete(whole)


def test_every_shard_has_to_be_there_and_whole(sharded):
    for path in sorted(sharded.glob("*.safetensors")):
        content = path.read_bytes()
        path.unlink()
        assert f"lacks the weights {path.name} that {INDEX} names" in incomplete(sharded)
        for cut in (content[:-1], content[: len(content) // 2], b""):
            path.write_bytes(cut)
            assert incomplete(sharded).startswith(str(path))
        path.write_bytes(content)
    check_folder(sharded)


def test_shards_without_their_index_are_not_whole(sharded):
    (sharded / INDEX).unlink()
    assert f"there is no {INDEX}" in incomplete(sharded)


def test_a_shard_has_the_tensors_that_the_index_says(sharded):
    placed = json.loads((sharded / INDEX).read_text())["weight_map"]
    first, second = sorted(sharded.glob("*.safetensors"))[:2]
    shutil.copy(second, first)
    tensor = min(tensor for tensor, shard in placed.items() if shard == first.name)
    assert f"{first} lacks {tensor}" in incomplete(sharded)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": ["a"]}'])
def test_a_damaged_index_is_not_whole(index, sharded):
    (sharded / INDEX).write_text(index)
    assert str(sharded / INDEX) in incomplete(sharded)


def test_an_index_of_safetensors_cannot_smuggle_a_pickle_in(sharded):
    torch.save({}, sharded / "pytorch_model.bin")
    (sharded / INDEX).write_text('{"weight_map": {"a": "pytorch_model.bin"}}')
    for allowed in (False, True):
        assert "lacks the weights pytorch_model.bin" in incomplete(sharded, allow_pickle=allowed)


def test_what_transformers_reads_of_several_sets_of_weights_counts(sharded, pickled):
    shutil.copy(pickled / "pytorch_model.bin", sharded)
    (sharded / "consolidated.safetensors.index.json").write_text('{"weight_map": {"a": "b"}}')
    (sharded / "consolidated.safetensors").write_bytes(b"")
    check_folder(sharded, allow_pickle=True)
    assert {path.suffix for path in weight_files(sharded, allow_pickle=True)} == {".safetensors"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', "\xff"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_configuration_is_an_object(name, content, whole):
    (whole / name).write_text(content, encoding="latin-1")
    assert f"{whole / name} is not a whole JSON object" in incomplete(whole)


TOKENIZERS = [
    ["tokenizer.json"],
    ["tokenizer.model"],
    ["spiece.model"],
    ["sentencepiece.bpe.model"],
    ["vocab.json", "merges.txt"],
    ["vocab.txt"],
    ["tekken.json"],
]


@pytest.mark.parametrize("names", TOKENIZERS)
def test_a_tokenizer_is_any_that_transformers_reads(names, whole):
    (whole / "tokenizer.json").unlink()
    for name in names:
        assert "has no tokenizer" in incomplete(whole)
        (whole / name).write_text("")
        assert "has no tokenizer" in incomplete(whole)
        (whole / name).write_text("x")
    check_folder(whole)


def test_what_a_trainer_leaves_beside_the_weights_is_not_read(whole, pickled):
    pickle = (pickled / "pytorch_model.bin").read_bytes()
    (pickled / "pytorch_model.bin").unlink()
    for name in ("training_args.bin", "optimizer.bin", "optimizer.pt", "rng_state_0.pth"):
        (whole / name).write_bytes(b"cut")
    for allowed in (False, True):  # nothing is refused before there are weights
        assert "has no weights" in incomplete(whole, allow_pickle=allowed)
    (whole / "pytorch_model.bin").write_bytes(pickle)
    check_folder(whole, allow_pickle=True)
    assert weight_files(whole, allow_pickle=True) == [whole / "pytorch_model.bin"]


def test_a_pickle_is_read_where_it_is_allowed(pickled, tiny_llama):
    message = refused(pickled)
    assert str(pickled / "pytorch_model.bin") in message
    assert "`allow_pickle: true`" in message
    with pytest.raises(RefusedError):
        load(Source("dir", str(pickled)))
    source = Source("dir", str(pickled), allow_pickle=True)
    with torch.inference_mode():
        assert torch.equal(load(source).model(IDS).logits, tiny_llama.model(IDS).logits)


def test_a_pickle_that_would_run_code_is_not_loaded_though_allowed(pickled, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save({"a": Harm()}, pickled / "pytorch_model.bin")
    source = Source("dir", str(pickled), allow_pickle=True)
    source.check()
    with pytest.raises(ValueError, match="cannot be loaded by transformers"):
        load(source)
    assert not (tmp_path / "harm").exists()


def test_a_pickle_is_part_of_the_digest(pickled):
    source = Source("dir", str(pickled), allow_pickle=True)
    digest = source.digest()
    (pickled / "training_args.bin").write_bytes(b"unrelated")
    assert source.digest() == digest
    torch.save({}, pickled / "pytorch_model.bin")
    assert source.digest() != digest


def test_a_pickle_is_whole_or_not(pickled):
    path = pickled / "pytorch_model.bin"
    content = path.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert str(path) in incomplete(pickled, allow_pickle=True)


def test_pickles_in_parts_are_all_there_or_not(pickled, tiny_llama):
    index = {}
    for number, (name, tensor) in enumerate(tiny_llama.model.state_dict().items()):
        index[name] = f"pytorch_model-{number + 1:05}-of-00100.bin"
        torch.save({name: tensor}, pickled / index[name])
    (pickled / "pytorch_model.bin").unlink()
    assert "there is no pytorch_model.bin.index.json" in incomplete(pickled, allow_pickle=True)
    (pickled / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    assert "is a pickle" in refused(pickled)
    check_folder(pickled, allow_pickle=True)
    load(Source("dir", str(pickled), allow_pickle=True))
    (pickled / index["lm_head.weight"]).unlink()
    assert f"lacks the weights {index['lm_head.weight']}" in incomplete(pickled, allow_pickle=True)


def test_code_of_a_checkpoint_runs_where_it_is_allowed(whole, tiny_llama, strange_code):
    strange_code(whole)
    allowed = Source("dir", str(whole), allow_remote_code=True)
    for _ in range(2):  # that it has run once does not make it known
        message = refused(whole)
        assert message.startswith(f"{whole / 'config.json'} asks for code")
        assert "`allow_remote_code: true`" in message
        with pytest.raises(RefusedError):
            load(Source("dir", str(whole)))
        model = load(allowed)
        assert type(model.model).__name__ == "StrangeForCausalLM"
        with torch.inference_mode():
            assert torch.equal(model.model(IDS).logits, tiny_llama.model(IDS).logits)
    digest = allowed.digest()
    with (whole / "modeling_strange.py").open("a") as file:
        file.write("# changed\n")
    assert allowed.digest() != digest


def test_code_that_transformers_has_a_replacement_for_is_not_asked_for(whole, strange_code):
    strange_code(whole)
    edit_json(whole / "config.json", model_type="llama")
    edit_json(whole / "tokenizer_config.json", auto_map={"AutoTokenizer": ["strange.It", None]})
    check_folder(whole)
    model = load(Source("dir", str(whole)))
    assert type(model.config) is LlamaConfig


def test_tokenizers_have_code_too(whole):
    path = whole / "tokenizer_config.json"
    edit_json(whole / "config.json", model_type="strange-llama")
    for auto_map in ({"AutoTokenizer": ["strange.It", None]}, ["strange.It", None]):
        edit_json(path, auto_map=auto_map, tokenizer_class="StrangeTokenizer")
        assert refused(whole).startswith(f"{path} asks for code")
        edit_json(path, tokenizer_class=None)
        assert refused(whole).startswith(f"{path} asks for code")
        edit_json(path, tokenizer_class="LlamaTokenizerFast")
        check_folder(whole)
    edit_json(path, tokenizer_class="StrangeTokenizer")
    (whole / "tokenizer.json").unlink()
    check_folder(whole, allow_remote_code=True)  # its code knows what files it needs


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ('{"global_step": 500}', 500),
        ('{"global_step": 0}', 0),
        ('{"global_step": true}', None),
        ('{"global_step": "5"}', None),
        ("{}", None),
        ("[]", None),
        ('{"global_step": 5', None),
        (None, None),
    ],
)
def test_the_step_is_what_the_trainer_says(state, step, tmp_path):
    if state is not None:
        (tmp_path / "trainer_state.json").write_text(state)
    assert training_step(tmp_path) == step


def test_a_snapshot_changes_with_what_is_written(tmp_path):
    assert snapshot(tmp_path / "none") == ""
    (tmp_path / "a").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "none")
    seen = [snapshot(tmp_path)]
    assert snapshot(tmp_path) == seen[0]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("not directly in it")
    assert snapshot(tmp_path) == seen[0]
    (tmp_path / "a").write_text("xy")
    seen.append(snapshot(tmp_path))
    os.utime(tmp_path / "a", (1, 1))
    seen.append(snapshot(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.append(snapshot(tmp_path))
    assert len(set(seen)) == len(seen)


def settle(folder):
    for path in folder.iterdir():
        os.utime(path, (1, 1))


def test_what_has_not_changed_is_not_read_again(sharded, monkeypatch):
    source = Source("dir", str(sharded))
    settle(sharded)
    digest = source.digest()

    def read(path, *args):
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(Path, "open", read)
    monkeypatch.setattr(Path, "read_bytes", read)
    started = time.perf_counter()
    assert {source.digest() for _ in range(200)} == {digest}
    assert time.perf_counter() - started < 1


def test_what_has_changed_is_read_again(sharded):
    source = Source("dir", str(sharded))
    settle(sharded)
    path = min(sharded.glob("*.safetensors"))
    content = path.read_bytes()
    digests = {source.digest()}
    path.write_bytes(content[:-1] + b"~")  # another date
    digests.add(source.digest())
    (sharded / "new").write_bytes(content[:-1] + b"!")  # another file
    (sharded / "new").rename(path)
    os.utime(path, (1, 1))
    digests.add(source.digest())
    assert len(digests) == 3
    path.write_bytes(content[:-1])
    incomplete(sharded)


def test_two_changes_in_a_moment_are_told_apart(whole):
    source = Source("dir", str(whole))
    path = whole / "model.safetensors"
    content = path.read_bytes()
    now = time.time_ns()
    digests = set()
    for end in (b"~", b"!"):
        path.write_bytes(content[:-1] + end)
        os.utime(path, ns=(now, now))
        digests.add(source.digest())
    assert len(digests) == 2


def test_what_may_be_read_is_part_of_a_model(pickled, tiny_llama):
    pool = ModelPool()
    pool.get(Source("dir", str(pickled), allow_pickle=True))
    with pytest.raises(RefusedError):
        pool.get(Source("dir", str(pickled)))
