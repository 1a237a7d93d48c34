"""Figures 1 (below) and 13: how much of a prompt's generations can be aligned with the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing import along
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    return along.draw(
        data,
        width,
        {
            "aligned": (
                f"generations that agree with at least {data.thresholds.aligned_with} others"
            ),
            "pairwise_match": "pairs of generations that agree",
        },
    )


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for shown in data.with_rows:
        sizes = [r["n_samples"] for r in data.rows if r["checkpoint"] == shown.checkpoint]
        if min(sizes) <= data.thresholds.aligned_with:
            sentences.append(
                f"{shown.label} has prompts with {min(sizes)} generations; none of them can agree "
                f"with {data.thresholds.aligned_with} others, and they count as 0."
            )
    return sentences


FIGURE = Figure(
    name="alignment_overlap",
    place=40,
    title="How far generations can be aligned with each other",
    paper="figures 1 and 13",
    claim=(
        "With all generations of a prompt in one alignment, an aligned model's agree with each "
        "other over their whole length, most at the beginning and again towards the end; a base "
        "model's agree little, at like diversity."
    ),
    reads=("alignment_overlap", "prompts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("overlap", "pairwise_match"),
    findings=_findings,
    grows_with_samples=True,
)
