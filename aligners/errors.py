"""What goes wrong with an aligner, in one sentence."""

from __future__ import annotations


class AlignerError(RuntimeError):
    """An aligner that did not align."""


class NotInstalledError(AlignerError):
    """The program that an aligner runs is not there; the message says how to install it."""
