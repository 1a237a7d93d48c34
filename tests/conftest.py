"""Tiny random models that stand in for real ones. No test reads the network."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # before the hub's library is imported, which reads it once
os.environ["OMP_NUM_THREADS"] = "1"  # models this small are slower on more threads
# `dtype: auto` is float32 on every machine: this is one that does not multiply bfloat16.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from models import LanguageModel, Source
    from tests.stores import Proxy
    from tests.studies import Bench
    from warehouse import Lake

# What runs models is imported by fixtures, not here: the process that hands out the tests to
# others does without, and starts them the sooner.

gc.disable()  # until the tests are collected, as what is imported stays

_SETTINGS = ("ANCHORLAKE_STUDY", "ANCHORLAKE_LAKE", "DAGSTER_HOME")

SPECIAL_TOKENS = ["<bos>", "<eos>", "<user>", "<assistant>"]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SHAPE = {
    "vocab_size": len(SPECIAL_TOKENS) + 256,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}


def pytest_collection_finish() -> None:
    """Leaves what was imported to itself: else each full garbage collection looks at all of it."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Has what was left to itself collected again: DuckDB else says that it leaks."""
    gc.unfreeze()


if "PYTEST_XDIST_WORKER" in os.environ:
    # Taking all modules and models apart takes a process seconds, for which the others wait. What
    # was registered later, as temporary folders are, has ended by then.
    atexit.register(os._exit, 0)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what the shell, or a test before it, has set."""
    for name in _SETTINGS:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _no_flushing() -> Iterator[None]:
    """Nothing waits for the disk: what is flushed when is tested by what notes the calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte a token, with a chat template; `<bos>` comes first."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocabulary = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(BPE({token: i for i, token in enumerate(vocabulary)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=SPECIAL_TOKENS[2:],
        chat_template=CHAT_TEMPLATE,
    )


def _random_model(architecture: Any, config: Any, tokenizer: Any) -> LanguageModel:
    import torch

    from models import LanguageModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = architecture(config).eval()
    return LanguageModel(model, tokenizer, stop_token_ids=frozenset({config.eos_token_id}))


@pytest.fixture(scope="session", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Each kind of device that models run on, where the machine has one."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return str(request.param)


@pytest.fixture(scope="session")
def put_on() -> Callable[[LanguageModel, str], LanguageModel]:
    """A function that copies a model to a device; one copy serves all who ask for it."""
    import copy
    import dataclasses

    copies: dict[tuple[int, str], LanguageModel] = {}

    def put(model: LanguageModel, device: str) -> LanguageModel:
        if device == "cpu":
            return model
        key = id(model.model), device
        if key not in copies:
            moved = copy.deepcopy(model.model).to(device)
            copies[key] = dataclasses.replace(model, model=moved)
        return copies[key]

    return put


# The initial weights are larger than usual, so that the distributions have a shape and depend on
# all of the prefix: a wrong mask, position or cache row would show.


@pytest.fixture(scope="session")
def tiny_llama(tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A random Llama of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SHAPE, num_hidden_layers=2, initializer_range=0.4)
    return _random_model(LlamaForCausalLM, config, tokenizer)


@pytest.fixture(scope="session")
def wide_llama(tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A random Llama whose heads are as wide as vLLM's kernels for CPUs ask for."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = SHAPE | {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = LlamaConfig(**shape | {"head_dim": 32}, num_hidden_layers=2, initializer_range=0.25)
    return _random_model(LlamaForCausalLM, config, tokenizer)


@pytest.fixture(scope="session")
def tiny_gemma(tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A random Gemma 3 whose sliding windows are shorter than the tests' sequences."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        **SHAPE,
        num_hidden_layers=3,
        initializer_range=0.25,
        query_pre_attn_scalar=8,
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )
    return _random_model(Gemma3ForCausalLM, config, tokenizer)


@pytest.fixture(params=["llama", "gemma"])
def tiny_model(request: pytest.FixtureRequest) -> LanguageModel:
    """Each of the tiny models in turn."""
    return request.getfixturevalue(f"tiny_{request.param}")


@pytest.fixture(scope="session")
def save_model() -> Callable[[LanguageModel, Path], Source]:
    """A function that saves a model and its tokenizer as a `dir:` checkpoint."""
    from models import Source

    def save(model: LanguageModel, folder: Path) -> Source:
        model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        return Source("dir", str(folder))

    return save


@pytest.fixture(scope="session")
def llama_source(
    tiny_llama: LanguageModel,
    save_model: Callable[[LanguageModel, Path], Source],
    tmp_path_factory: pytest.TempPathFactory,
) -> Source:
    """The tiny Llama as a `dir:` checkpoint; not to be written to."""
    return save_model(tiny_llama, tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def gemma(
    tiny_gemma: LanguageModel,
    save_model: Callable[[LanguageModel, Path], Source],
    tmp_path_factory: pytest.TempPathFactory,
) -> Source:
    """The tiny Gemma as a `dir:` checkpoint; not to be written to."""
    return save_model(tiny_gemma, tmp_path_factory.mktemp("gemma"))


_STRANGE_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class StrangeConfig(LlamaConfig):
    model_type = "strange-llama"

class StrangeForCausalLM(LlamaForCausalLM):
    config_class = StrangeConfig
"""


@pytest.fixture
def strange_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], None]]:
    """A function that makes a Llama's folder one of an architecture with code of its own."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)

    def change(folder: Path) -> None:
        (folder / "modeling_strange.py").write_text(_STRANGE_CODE)
        names = {"AutoConfig": "StrangeConfig", "AutoModelForCausalLM": "StrangeForCausalLM"}
        auto_map = {auto: f"modeling_strange.{name}" for auto, name in names.items()}
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "strange-llama", "auto_map": auto_map}
        (folder / "config.json").write_text(json.dumps(config))

    yield change
    for name in set(sys.modules) - known:
        if name.startswith("transformers_modules"):
            del sys.modules[name]


@pytest.fixture
def bench(tmp_path: Path, llama_source: Source) -> Bench:
    """A folder for a study of the tiny Llama, and a lake."""
    from tests.studies import Bench

    return Bench(tmp_path, llama_source)


@pytest.fixture(scope="session")
def limit_assets(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[pytest.MonkeyPatch, Sequence[str]], None]:
    """A function that limits the assets that there are to some of those that are made by SQL.

    Where they are the same, so are their files: what is found out about a file is remembered.
    """
    from tests import studies

    folders: dict[tuple[str, ...], Path] = {}

    def limit(patch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
        key = tuple(names)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("few") / "sql"
        studies.limit_assets(patch, names, folders[key])

    return limit


@pytest.fixture
def few_assets(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    limit_assets: Callable[..., None],
) -> None:
    """Limits the assets that there are, for tests that are about what makes them.

    To `FEW`, or to those that a test gives as the parameter of this fixture.
    """
    from tests.studies import FEW

    limit_assets(monkeypatch, getattr(request, "param", FEW))


@pytest.fixture
def fake_mafft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that puts a shell script in the place of MAFFT."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(does: str) -> None:
        path = folder / "mafft"
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo v0.fake && exit\n{does}\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return put


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an object store on this machine."""
    from tests.stores import seaweedfs

    try:
        with seaweedfs(tmp_path_factory.mktemp("seaweed")) as address:
            yield address
    except FileNotFoundError:
        pytest.skip("`make test-cluster` installs SeaweedFS")


@pytest.fixture
def way(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the store, which the environment leads by and on which faults may be put."""
    from tests.stores import environment_of, proxy
    from warehouse import asking, bucket

    asking.store_at.cache_clear()
    monkeypatch.setattr(bucket, "_FRESH", 0.0)
    with proxy(store) as running:
        for name, value in environment_of(running.address).items():
            monkeypatch.setenv(name, value)
        yield running
    asking.store_at.cache_clear()


@pytest.fixture
def machines(way: Proxy, tmp_path: Path) -> tuple[Lake, Lake]:
    """A lake in a bucket as two machines have it."""
    from warehouse import Lake

    place = Lake.at(f"s3://lakes/{tmp_path.name}").place
    return Lake(tmp_path / "first", place), Lake(tmp_path / "second", place)
