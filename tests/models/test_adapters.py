import copy
import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from models import ModelError, Source
from models.errors import IncompleteError, RefusedError
from models.loading import describe, load, plain_folder
from models.sources import hub
from models.sources.folders import check_folder
from tests.models.logits import logits

pytestmark = pytest.mark.whole

NEW = ["<think>", "</think>"]
ATTENTION = ["q_proj", "v_proj"]
KINDS = {
    "lora": LoraConfig(r=2, target_modules=ATTENTION),
    "dora": LoraConfig(r=2, target_modules=ATTENTION, use_dora=True),
    "rslora": LoraConfig(r=3, target_modules="all-linear", use_rslora=True, task_type="CAUSAL_LM"),
    "embeddings": LoraConfig(r=2, target_modules=["embed_tokens", "q_proj"]),
    "both": LoraConfig(r=2, target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "tied": LoraConfig(
        r=2, target_modules=["embed_tokens", "lm_head", "q_proj"], ensure_weight_tying=True
    ),
    "head": LoraConfig(r=2, target_modules=ATTENTION, modules_to_save=["lm_head"]),
    "tokens": LoraConfig(r=2, target_modules=ATTENTION, trainable_token_indices=[2, 70]),
    "ia3": peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules="down_proj"),
    "loha": peft.LoHaConfig(r=2, target_modules=ATTENTION),
    "oft": peft.OFTConfig(oft_block_size=4, target_modules=ATTENTION, use_cayley_neumann=False),
    "vera": peft.VeraConfig(r=4, target_modules=["q_proj"]),
    "tokens only": peft.TrainableTokensConfig(
        token_indices=[2, 70], target_modules=["embed_tokens"]
    ),
}


@pytest.fixture
def train(tmp_path):
    """A function that stands in for a training run: it saves a random adapter on a model."""

    def train(base, config, *, new=(), rows=None, folder=None, tokenizer=True):
        folder = folder or tmp_path / "adapter"
        model = AutoModelForCausalLM.from_pretrained(base)
        tokens = AutoTokenizer.from_pretrained(base)
        if new:
            tokens.add_tokens(list(new))
            model.resize_token_embeddings(rows or len(tokens))
        torch.manual_seed(1)
        adapted = get_peft_model(model, copy.deepcopy(config))
        for weights in adapted.parameters():
            if weights.requires_grad:
                weights.data += 0.1 * torch.randn_like(weights)
        adapted.eval().save_pretrained(folder)
        if tokenizer:
            tokens.save_pretrained(folder)
        return Source("dir", str(folder)), adapted

    return train


@pytest.fixture(params=["llama", "gemma"])
def base(request):
    """The folder of a model; Gemma's embeddings are its output layer, too."""
    name = {"llama": "llama_source", "gemma": "gemma"}[request.param]
    return request.getfixturevalue(name).location


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_adapter_predicts_as_it_does_unmerged(kind, base, train):
    source, adapted = train(base, KINDS[kind])
    source.check()
    merged = load(source)
    assert all(weights.requires_grad for weights in merged.model.parameters())
    assert not hasattr(merged.model, "peft_config")
    assert not any(
        "lora" in name or "base_layer" in name for name, _ in merged.model.named_modules()
    )
    expected = logits(adapted)
    assert (expected - logits(AutoModelForCausalLM.from_pretrained(base))).abs().max() > 1e-3
    torch.testing.assert_close(logits(merged.model), expected, atol=1e-4, rtol=1e-4)
    described = describe(source)
    assert described.n_parameters == merged.n_parameters


@pytest.mark.parametrize(
    ("config", "rows"),
    [
        (LoraConfig(r=2, target_modules=ATTENTION), None),
        (LoraConfig(r=2, target_modules=ATTENTION), 320),
        (
            LoraConfig(r=2, target_modules=ATTENTION, modules_to_save=["embed_tokens", "lm_head"]),
            None,
        ),
        (
            LoraConfig(r=2, target_modules=ATTENTION, modules_to_save=["embed_tokens", "lm_head"]),
            320,
        ),
        (LoraConfig(r=2, target_modules=[*ATTENTION, "embed_tokens"]), None),
        (LoraConfig(r=2, target_modules=ATTENTION, trainable_token_indices=[260, 261]), None),
    ],
)
def test_tokens_that_training_added_have_their_embeddings(config, rows, base, train):
    source, adapted = train(base, config, new=NEW, rows=rows)
    merged = load(source)
    assert merged.tokenizer.convert_tokens_to_ids(NEW) == [260, 261]
    assert merged.vocab_size == merged.model.get_input_embeddings().weight.shape[0] == (rows or 262)
    ids = torch.tensor([[0, 260, 70, 261, 90]])
    with torch.inference_mode():
        expected, found = adapted(ids).logits, merged.model(ids).logits
    # Rows of an output layer that were made for new tokens and never trained are not saved.
    known = 260 if "embed_tokens" in config.target_modules and "llama" in base else None
    expected, found = expected[..., :known], found[..., :known]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    described = describe(source)
    assert described.vocab_size == merged.vocab_size
    assert described.n_parameters == merged.n_parameters
    again = AutoModelForCausalLM.from_pretrained(plain_folder(source))
    with torch.inference_mode():
        torch.testing.assert_close(again(ids).logits[..., :known], expected, atol=1e-4, rtol=1e-4)


@pytest.fixture
def adapter(llama_source, train):
    """A LoRA adapter on the tiny Llama, with a tokenizer."""
    return train(llama_source.location, KINDS["lora"])[0]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def edit(source, **values):
    path = Path(source.location, "adapter_config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(source, kind=ModelError):
    with pytest.raises(kind) as caught:
        source.check()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_tokenizer_is_the_adapters_or_else_its_bases(adapter, llama_source):
    base = load(llama_source)
    path = Path(adapter.location, "tokenizer.json")
    path.write_text(path.read_text().replace('"z":', '"zz":'))
    assert load(adapter).tokenizer_digest != base.tokenizer_digest
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path(adapter.location, name).unlink()
    adapter.check()
    assert load(adapter).tokenizer_digest == base.tokenizer_digest


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_an_adapter_is_merged_in_the_format_that_it_runs_in(dtype, adapter, llama_source):
    merged = load(adapter, device="cpu", dtype=dtype)
    expected = "float32" if dtype == "auto" else dtype
    assert {p.dtype for p in merged.model.parameters()} == {getattr(torch, expected)}
    assert describe(adapter, device="cpu", dtype=dtype).dtype == expected


def test_an_adapter_is_put_on_what_the_study_says(adapter, llama_source, tmp_path):
    named = logits(load(adapter).model)
    elsewhere = shutil.copytree(llama_source.location, tmp_path / "elsewhere")
    edit(adapter, base_model_name_or_path="/nowhere/base")
    message = refused(adapter)
    assert f"{adapter} is an adapter on /nowhere/base, which is no folder here" in message
    assert "`adapter_on:`" in message
    on = Source.parse(str(adapter), Path(), adapter_on=Source("dir", str(elsewhere)))
    on.check()
    assert torch.equal(logits(load(on).model), named)
    assert on.locate().base.folder == elsewhere
    (elsewhere / "config.json").unlink()
    message = refused(on, IncompleteError)
    assert message.startswith(f"{adapter} is an adapter on dir:{elsewhere}: ")
    assert message.endswith("`adapter_on:` names another base")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "names no base; name it with `adapter_on:`"),
        ("", "names no base; name it with `adapter_on:`"),
        ("./models/base", "no folder here by its whole path, and no repository"),
        ("../../etc", "no folder here by its whole path, and no repository"),
        ("a/b/c", "no folder here by its whole path, and no repository"),
        ("~nobody/base", "no folder here by its whole path, and no repository"),
        ("x" * 5000, "no folder here by its whole path, and no repository"),
    ],
)
def test_a_base_that_is_not_there_is_said(name, message, adapter):
    edit(adapter, base_model_name_or_path=name)
    assert message in refused(adapter)


def test_a_base_may_be_on_the_hub(adapter, monkeypatch):
    edit(adapter, base_model_name_or_path="org/name")
    with pytest.raises(ModelError, match=r"on hf:org/name: .*reached; `adapter_on:` names another"):
        adapter.check()
    monkeypatch.setattr(hub, "adapter_config", lambda location: None)
    assert adapter.base() == Source("hf", "org/name")
    edit(adapter, revision="v1")
    assert adapter.base() == Source("hf", "org/name@v1")
    adapter.check()
    with pytest.raises(ModelError, match=r"on hf:org/name@v1: .*`adapter_on:`") as caught:
        adapter.digest()
    assert "\n" not in str(caught.value)
    assert Source("dir", adapter.location, adapter_on=Source("hf", "org/other")).base() == Source(
        "hf", "org/other"
    )


def test_an_adapter_on_another_adapter_is_put_there_where_the_study_says_so(
    adapter, llama_source, train, tmp_path
):
    first = load(adapter).model
    first.save_pretrained(tmp_path / "first")
    load(adapter).tokenizer.save_pretrained(tmp_path / "first")
    second, adapted = train(str(tmp_path / "first"), KINDS["rslora"], folder=tmp_path / "second")
    edit(second, base_model_name_or_path=adapter.location)
    assert "which is one itself" in refused(second)
    on = Source("dir", second.location, adapter_on=adapter)
    torch.testing.assert_close(logits(load(on).model), logits(adapted), atol=1e-4, rtol=1e-4)
    edit(adapter, base_model_name_or_path=adapter.location)
    assert "which is one itself" in refused(adapter)


def test_a_digest_is_of_the_adapter_and_of_its_base(adapter, llama_source, tmp_path):
    base = shutil.copytree(llama_source.location, tmp_path / "base")
    on = Source("dir", adapter.location, adapter_on=Source("dir", str(base)))
    digest = on.digest()
    assert digest == adapter.digest() == on.locate().digest  # the same base elsewhere
    weights = load_file(base / "model.safetensors")
    save_file(
        {k: v * 1.1 for k, v in weights.items()}, base / "model.safetensors", {"format": "pt"}
    )
    digests = {digest, on.digest()}
    weights = Path(adapter.location, "adapter_model.safetensors")
    save_file({k: v * 1.1 for k, v in load_file(weights).items()}, weights)
    digests.add(on.digest())
    edit(adapter, lora_alpha=3)
    digests.add(on.digest())
    assert len(digests) == 4


def test_an_adapter_is_whole_or_not(adapter):
    folder = Path(adapter.location)
    path = folder / "adapter_model.safetensors"
    content = path.read_bytes()
    for cut in (content[:-1], content[: len(content) // 2], b""):
        path.write_bytes(cut)
        assert refused(adapter, IncompleteError).startswith(str(path))
    path.unlink()
    assert "has no weights as safetensors" in refused(adapter, IncompleteError)
    path.write_bytes(content)
    (folder / "adapter_config.json").write_text("{")
    assert "is not a whole JSON object" in refused(adapter, IncompleteError)


def test_a_pickled_adapter_is_read_where_it_is_allowed(adapter):
    expected = logits(load(adapter).model)
    folder = Path(adapter.location)
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    assert "adapter_model.bin is a pickle" in refused(adapter, RefusedError)
    with pytest.raises(RefusedError):
        load(adapter)
    allowed = Source("dir", adapter.location, allow_pickle=True)
    assert torch.equal(logits(load(allowed).model), expected)
    digest = allowed.digest()
    torch.save({}, folder / "adapter_model.bin")
    assert allowed.digest() != digest


def test_what_is_both_an_adapter_and_a_model_is_refused(adapter, llama_source):
    folder = Path(adapter.location)
    for name in ("optimizer.bin", "training_args.bin", "pytorch_model_fsdp.bin"):
        (folder / name).write_bytes(b"x")
    check_folder(folder)
    shutil.copy(Path(llama_source.location, "model.safetensors"), folder)
    assert "holds an adapter, adapter_config.json, and the weights of a model" in refused(adapter)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", None])
def test_an_adapter_that_is_no_change_of_weights_is_refused(kind, adapter):
    edit(adapter, peft_type=kind)
    assert f"is an adapter of the kind {kind}, which cannot be merged" in refused(adapter)


def test_trained_prompts_that_peft_can_save_are_refused(llama_source, train):
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    assert "cannot be merged" in refused(train(llama_source.location, config)[0])


def test_an_adapter_of_another_model_is_a_model_error(adapter, gemma, llama_source):
    path = Path(adapter.location, "adapter_model.safetensors")
    weights = load_file(path)
    other = Source("dir", adapter.location, adapter_on=gemma)
    with pytest.raises(ModelError):  # of another shape
        load(other)
    save_file(dict(list(weights.items())[1:]), path)
    with pytest.raises(ModelError, match="is an adapter of another model than its base"):
        load(adapter)
    more = {
        f"{name.replace('layers.1', 'layers.2')}": value.clone() for name, value in weights.items()
    }
    save_file(weights | more, path)
    with pytest.raises(ModelError, match="is an adapter of another model than its base"):
        load(adapter)


def test_a_merged_adapter_is_kept_for_other_engines(adapter, cache):
    expected = load(adapter)
    for _ in range(2):  # once made, it is found
        folder = plain_folder(adapter)
        assert [path.name for path in (cache / "weights").iterdir()] == [adapter.digest()]
        plain = load(Source("dir", str(folder)))
        torch.testing.assert_close(logits(plain.model), logits(expected.model))
        assert plain.tokenizer_digest == expected.tokenizer_digest
        assert plain.stop_token_ids == expected.stop_token_ids
    half = plain_folder(adapter, dtype="bfloat16")
    assert half.name == f"{adapter.digest()}-bfloat16"
    assert AutoModelForCausalLM.from_pretrained(half).dtype == torch.bfloat16


def test_only_a_folder_or_a_repository_can_be_an_adapter(adapter):
    with pytest.raises(ValueError, match="gguf: cannot be an adapter on dir:"):
        Source.parse("gguf:m.gguf", Path(), adapter_on=adapter)
    with pytest.raises(ValueError, match="dir: cannot be an adapter on file:"):
        Source.parse("dir:a", Path(), adapter_on=Source("file", "/g.jsonl"))


FACTS = ["n_parameters", "vocab_size", "context_length", "tokenizer_digest", "dtype", "revision"]
FACTS += ["stop_token_ids", "start_token_id", "n_layers"]


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize("name", ["llama_source", "gemma", "adapter"])
def test_a_description_says_what_the_loaded_model_does(name, dtype, request):
    source = request.getfixturevalue(name)
    described, loaded = (read(source, dtype=dtype) for read in (describe, load))
    for fact in FACTS:
        assert getattr(described, fact) == getattr(loaded, fact), fact
    assert described.device.type == "meta"
    assert all(p.device.type == "meta" for p in described.model.parameters())


@pytest.mark.parametrize("declared", [1, [7, 9], None, "none"])
def test_a_description_knows_every_end_that_loading_finds(declared, llama_source, tmp_path):
    folder = shutil.copytree(llama_source.location, tmp_path / "changed")
    path = folder / "generation_config.json"
    if declared == "none":
        path.unlink()
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": [5, 6]}))
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": declared}))
    source = Source("dir", str(folder))
    stops = load(source).stop_token_ids
    assert describe(source).stop_token_ids == stops
    assert stops == {1: {1}, None: {1}, "none": {1, 5, 6}}.get(
        declared if not isinstance(declared, list) else "list", {1, 7, 9}
    )


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_a_description_has_the_weights_own_format(
    told, stored, llama_source, tmp_path, monkeypatch
):
    AutoModelForCausalLM.from_pretrained(llama_source.location, dtype=stored).save_pretrained(
        tmp_path
    )
    AutoTokenizer.from_pretrained(llama_source.location).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    if not told:
        (tmp_path / "config.json").write_text(json.dumps(config | {"dtype": None}))
    source = Source("dir", str(tmp_path))
    assert describe(source, device="cpu").dtype == "float32"
    assert describe(source, device="cuda").dtype == stored  # where it would be, not where it is


def test_what_cannot_be_loaded_cannot_be_described(llama_source, tmp_path):
    with pytest.raises(ModelError):
        describe(Source("dir", str(tmp_path)))
    with pytest.raises(ModelError):
        describe(llama_source, dtype="float33")
    folder = shutil.copytree(llama_source.location, tmp_path / "missing")
    weights = load_file(folder / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    for read in (load, describe):
        with pytest.raises(ModelError, match="1 of its weights are missing"):
            read(Source("dir", str(folder)))


def test_a_plain_folder_is_the_models_own(llama_source, tmp_path):
    assert plain_folder(llama_source) == Path(llama_source.location)
    with pytest.raises(ModelError):
        plain_folder(Source("dir", str(tmp_path)))
