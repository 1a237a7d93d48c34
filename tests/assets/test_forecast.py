"""What a run is going to take, judged by what a lake took so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.forecast import forecast
from assets.lineage.pace import Pace, paces, remember
from assets.preflight import Need
from warehouse import Lake

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = [
    Need("a", "hf:org/a", 10, 1_000),
    Need("b", "openai:https://host/v1#b", 30, 6_000),
    Need("c", "file:c.jsonl", 7, None),
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_the_last_pace_of_a_partition_counts(lake: Lake) -> None:
    assert paces(lake) == {}
    remember(lake, "generations", "a", 9.0, {"tokens per second": 20.0})
    remember(lake, "generations", "a", 8.0, {"tokens per second": 50.0, "tokens sampled": 400})
    remember(lake, "prompts", None, 0.5, {})
    with (lake.staging / "pace.jsonl").open("a") as file:
        file.write('{"name": "cut')
    assert paces(lake) == {
        ("generations", "a"): Pace("generations", "a", 8.0, 50.0),
        ("prompts", None): Pace("prompts", None, 0.5),
    }


def test_what_is_sampled_goes_by_tokens_and_the_rest_by_time(lake: Lake) -> None:
    remember(lake, "generations", "a", 9.0, {"tokens per second": 50.0})
    for partition, seconds in (("a", 2.0), ("c", 6.0)):
        remember(lake, "ngram_sharing", partition, seconds, {})
    stale = [
        *(("generations", name) for name in "abc"),
        *(("ngram_sharing", name) for name in "ab"),
        *(("alignments", name) for name in "ab"),
    ]
    said = forecast(lake, stale, NEEDS)
    assert (said.generations, said.tokens) == (40, 7_000)
    assert said.asked == (NEEDS[1],)
    # Tokens of a and b, what c's import took as a's did, and the table of a and, as the median, b.
    assert said.seconds == 1_000 / 50 + 6_000 / 50 + 9.0 + 2.0 + 4.0
    assert said.unknown == ("alignments",)


def test_reasoning_goes_by_its_own_rate(lake: Lake) -> None:
    needs = [Need("a", "hf:org/a", 10, 1_000, 6, 300), Need("b", "hf:org/b", 10, 1_000, 6, 600)]
    remember(lake, "generations", "a", 9.0, {"tokens per second": 50.0})
    remember(lake, "choice_reasoning", "a", 9.0, {"tokens per second": 20.0})
    said = forecast(lake, [("choice_reasoning", "a"), ("choice_reasoning", "b")], needs)
    assert (said.generations, said.reasonings, said.reasoning_tokens) == (0, 12, 900)
    assert said.seconds == 300 / 20 + 600 / 20


def test_a_new_lake_has_no_rate(lake: Lake) -> None:
    said = forecast(lake, [("prompts", None), ("generations", "c")], NEEDS)
    assert (said.generations, said.asked, said.seconds) == (0, (), None)
    assert said.unknown == ("prompts", "generations")
