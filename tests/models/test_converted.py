from pathlib import Path

import gguf
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from models import ModelError, PromptFormat, Source
from models.loading import describe, load, plain_folder
from tests.models.logits import logits

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
    assert torch.equal(logits(model.model), logits(tiny_llama.model))
    assert model.stop_token_ids == {1}
    prompts = [PromptFormat("chat").send(m.tokenizer, "hi") for m in (model, tiny_llama)]
    assert prompts[0] == prompts[1]
    # The second time nothing is unpacked; neither time is anything unfinished left.
    for _ in range(2):
        assert [path.name for path in (tmp_path / "weights").iterdir()] == [source.digest()]
        assert torch.equal(logits(load(source).model), logits(tiny_llama.model))


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
    assert torch.equal(logits(plain.model), logits(tiny_llama.model))


def test_an_adapter_may_be_put_on_a_gguf_file(gguf_file, llama_source, tmp_path, monkeypatch):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    base = AutoModelForCausalLM.from_pretrained(llama_source.location)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(base, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    text, on = f"dir:{tmp_path}/adapter", Source("gguf", str(gguf_file))
    model = load(Source.parse(text, Path(), adapter_on=on))
    torch.testing.assert_close(logits(model.model), logits(adapted), atol=1e-4, rtol=1e-4)
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
