"""The command `anchorlake`."""

from __future__ import annotations

import sys

from orchestration.stopping import STOPPED, end_at_signals


def main() -> None:
    """Runs the command line, and gives its exit status."""
    end_at_signals()
    try:
        # Loaded here, so that a signal is heeded meanwhile.
        from orchestration.cli import run_app

        run_app()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
