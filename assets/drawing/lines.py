"""Which checkpoints stand on a line: a training run's by their step, a ladder's by their stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assets.drawing.figure import FigureCheckpoint, FigureData


def series_of(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each series that have a step, by step.

    A series of which a ladder has every checkpoint is not shown beside it once more.
    """
    ladders = [{s.checkpoint for s in line} for line in ladders_of(data).values()]
    series: dict[str, list[FigureCheckpoint]] = {}
    for shown in data.with_rows:
        if shown.series is not None and shown.step is not None:
            series.setdefault(shown.series, []).append(shown)
    return {
        name: sorted(line, key=lambda s: s.step or 0)
        for name, line in series.items()
        if not any({s.checkpoint for s in line} <= ladder for ladder in ladders)
    }


def ladders_of(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each ladder in their order, of ladders with two or more of them."""
    ladders: dict[str, list[FigureCheckpoint]] = {}
    for shown in data.with_rows:
        for name in (shown.ladder, *shown.first_of):
            if name is not None:
                ladders.setdefault(name, []).append(shown)
    return {
        name: sorted(line, key=lambda s: s.rung or 0)
        for name, line in ladders.items()
        if len(line) > 1
    }


def stages_of(data: FigureData) -> list[str]:
    """What the stages of all ladders are called, each after the one before it on its ladder."""
    stages: list[str] = []
    for line in ladders_of(data).values():
        place = 0
        for shown in line:
            if shown.tick not in stages:
                stages.insert(place, shown.tick)
            place = stages.index(shown.tick) + 1
    return stages


def bases_of(data: FigureData) -> list[FigureCheckpoint]:
    """The bases of series, those that have no step of their own."""
    needed = {s.base for line in series_of(data).values() for s in line}
    return [s for s in data.with_rows if s.checkpoint in needed and s.step is None]
