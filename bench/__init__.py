"""Measured comparisons; each prints a ratio."""

import models  # noqa: F401 - before PyTorch, whose threads it has wait as the program does
