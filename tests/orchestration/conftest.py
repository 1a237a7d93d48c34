"""What the tests of Dagster and of the command line share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warehouse import Lake


@contextmanager
def kept_in_memory() -> Iterator[None]:
    """Keeps what Dagster remembers in memory: its databases take longer than what is tested."""
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:

        @contextmanager
        def opened(lake: Lake) -> Iterator[dg.DagsterInstance]:
            yield instance

        patch.setattr("orchestration.instance.open_instance", opened)
        yield


@pytest.fixture
def instance_in_memory() -> Iterator[None]:
    """`kept_in_memory`, for a test."""
    with kept_in_memory():
        yield
