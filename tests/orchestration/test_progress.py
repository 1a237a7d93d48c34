"""How fast work goes, as people are told."""

from __future__ import annotations

import pytest

from orchestration.progress import LogProgress, duration, rate


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [
        (0, 5.0, "0 texts/s"),
        (1, 40.0, "0.025 texts/s"),
        (3, 4.0, "0.75 texts/s"),
        (9, 2.0, "4.5 texts/s"),
        (2469, 2.0, "1,234 texts/s"),
    ],
)
def test_a_rate_under_one_a_second_is_not_none(done: int, seconds: float, said: str) -> None:
    assert rate(done, seconds, "texts") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "a second"),
        (40.4, "40 seconds"),
        (720, "12 minutes"),
        (19_800, "5.5 hours"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_slow_work_has_its_rate_in_the_log() -> None:
    lines: list[str] = []
    progress = LogProgress(lines.append)
    progress.start("m: scoring", 4, "texts")
    progress._began -= 8
    progress.advance(1, 1)
    progress.finish()
    assert lines[-1].startswith("m: scoring: 25%, 1 texts, 0.12 texts/s, 24 s left")
