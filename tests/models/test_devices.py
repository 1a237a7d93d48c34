import pytest
import torch

from models.devices import multiplies_bfloat16, resolve_dtype
from models.loading import load


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
