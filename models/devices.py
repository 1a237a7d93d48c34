"""Where a model is put, and in which number format."""

from __future__ import annotations

from functools import cache

import torch

from models.errors import ModelError

DTYPES = ("auto", "float32", "bfloat16", "float16")
"""Number formats that may be asked for; see `resolve_dtype` for what `auto` is."""


def resolve_device(device: str | None) -> torch.device:
    """The device that a model is put on: the one that is asked for, or a GPU where there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def check_dtype(dtype: str) -> None:
    """Raises `ModelError` where a number format is none of `DTYPES`."""
    if dtype not in DTYPES:
        raise ModelError(f"{dtype!r} is no dtype; use {', '.join(DTYPES)}")


def resolve_dtype(dtype: str, device: torch.device) -> str:
    """The number format that a model has on a device.

    Returns:
        `float32`, `bfloat16` or `float16`; `auto` for the format of the weights themselves, which
        `auto` is on every device but a CPU. There it is bfloat16 where the processor multiplies
        that, and float32 elsewhere.
    """
    if dtype == "auto" and device.type == "cpu":
        return "bfloat16" if multiplies_bfloat16() else "float32"
    return dtype


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself: AVX512-BF16 or AMX, as PyTorch sees it.

    `ATEN_CPU_CAPABILITY=avx2`, by which PyTorch is kept from using AVX512, holds here too.
    """
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_avx512 and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
