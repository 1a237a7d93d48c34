"""The lake that the tests of summaries and of comparisons look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models import Source
    from tests.assets.measures.lakes import Contents


@pytest.fixture(scope="session")
def compared(
    tmp_path_factory: pytest.TempPathFactory, llama_source: Source, gemma: Source
) -> Contents:
    """A lake with two models and four files of generations; not to be written to."""
    from tests.assets.measures.lakes import MEASURES, contents_of, limited_to, study_of
    from tests.studies import Bench

    bench = Bench(tmp_path_factory.mktemp("compared"), llama_source)
    with limited_to(*MEASURES):
        bench.run(study_of(bench, gemma), only=("summary", "comparisons"))
    return contents_of(bench)
