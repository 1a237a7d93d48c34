"""What a process of the soak does. It is imported once, by the server that forks the others."""

from __future__ import annotations

import os
import re
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2"}

import altair  # noqa: F401
import dagster  # noqa: F401
import peft  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401
import vl_convert  # noqa: F401
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

from models import ModelPool
from orchestration import cli
from orchestration.build import build_defs  # noqa: F401
from tests.soak.lakes import few_assets, materialize_all


def work(folder: str, lake: str, command: str) -> None:
    """Brings a lake up to date with a folder's study, and ends with the command's status."""
    os.chdir(folder)
    with (
        Path(re.sub(r"\W+", "-", lake) + ".log").open("a", encoding="utf-8", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
        few_assets(),
    ):
        try:
            if command == "run":
                cli.app(["run", "s.yaml", "--lake", lake])
            else:
                materialize_all(Path("s.yaml"), lake, ModelPool())
        except Exception:
            traceback.print_exc()
            raise
