"""What importing `models` does before PyTorch is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.whole
@pytest.mark.parametrize("chosen", [None, "active"])
def test_threads_of_pytorch_do_not_spin_unless_they_are_told_to(chosen: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if chosen:
        environment["OMP_WAIT_POLICY"] = chosen
    # Whatever of the program is imported first, PyTorch is not there before it is set.
    code = """
import builtins, os, sys
original = builtins.__import__
def watched(name, *args, **kwargs):
    if name == "torch" and "torch" not in sys.modules:
        print(os.environ.get("OMP_WAIT_POLICY"))
        sys.exit()
    return original(name, *args, **kwargs)
builtins.__import__ = watched
import assets.registry
"""
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert asked.stdout.split() == [chosen or "passive"]
