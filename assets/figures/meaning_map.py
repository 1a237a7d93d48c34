"""What a prompt's generations say, as dots in a plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.drawing.texts import names_of_prompts
from assets.drawing.walk import Page, Walk, links

_AREA = 46
"""Square pixels of a dot that stands for one generation."""
_MOST_DOTS = 20_000
"""Beyond as many no further prompts are drawn, as a page would take too long to open."""


_COLUMNS = {
    "dots": ["label", "x", "y", "sample", "n", "area", "text"],
    "plane": ["says"],
}


def _draw(data: FigureData, width: int) -> Any:
    """What all pages are drawn by."""
    scale = alt.Scale(zero=False, padding=10)
    axis = alt.Axis(labels=False, ticks=False, grid=False, domainColor="#ccc")
    dots = (
        alt.Chart(alt.NamedData("dots"))
        .mark_point(filled=True, opacity=0.65)
        .encode(
            x=alt.X("x:Q", title="first principal component", scale=scale, axis=axis),
            y=alt.Y("y:Q", title="second", scale=scale, axis=axis),
            color=style.colours(data, width, only=data.with_rows),
            size=alt.Size("area:Q", scale=None),
            tooltip=[
                alt.Tooltip("label:N", title="checkpoint"),
                alt.Tooltip("sample:Q", title="generation"),
                alt.Tooltip("n:Q", title="generations here"),
                alt.Tooltip("text:N"),
            ],
        )
    )
    plane = (
        alt.Chart(alt.NamedData("plane"))
        .mark_text(align="left", baseline="top", color="#555")
        .encode(x=alt.value(8), y=alt.value(4), text="says:N")
    )
    chart = alt.layer(dots, plane)
    return style.finish(chart.properties(width=width - 40, height=min(420, width - 40)))


def _dots(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """A dot for each checkpoint and place; its area grows with the generations that are there."""
    dots: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        named = {name: row[name] for name in ("label", "x", "y", "sample")}
        text = " ".join(row["text"].split())
        dot = dots.setdefault((row["label"], row["x"], row["y"]), named | {"text": text, "n": 0})
        dot["n"] += 1
        dot["area"] = _AREA * dot["n"]
    # Small dots are drawn over large ones.
    ordered = sorted(dots.values(), key=lambda dot: -int(dot["n"]))
    return [[dot[column] for column in _COLUMNS["dots"]] for dot in ordered]


def _by_prompt(data: FigureData) -> dict[str, list[dict[str, Any]]]:
    """The dots of each prompt, those whose generations are most alike for some checkpoint first."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    for row in data.rows:
        prompts.setdefault(row["prompt"], []).append(row)

    def least_diverse(prompt: str) -> float:
        return min(
            (r["diversity"] for r in prompts[prompt] if r["diversity"] is not None), default=2
        )

    return {prompt: prompts[prompt] for prompt in sorted(prompts, key=least_diverse)}


def _pages(data: FigureData) -> Walk:
    """A page for each prompt."""
    prompts = _drawn(data)
    names = links(rows[0]["prompt_id"] for rows in prompts.values())
    pages = []
    for (prompt, rows), link in zip(prompts.items(), names, strict=True):
        share = rows[0]["x_share"] + rows[0]["y_share"]
        plane = [[f"{share:.0%} of the variance is in this plane"]]
        pages.append(Page.of_any_size(prompt, link, {"dots": _dots(rows), "plane": plane}))
    return Walk(_COLUMNS, pages)


def _drawn(data: FigureData) -> dict[str, list[dict[str, Any]]]:
    """The first prompts, of which there are not too many dots."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    n_dots = 0
    for prompt, rows in _by_prompt(data).items():
        n_dots += len(rows)
        if prompts and n_dots > _MOST_DOTS:
            break
        prompts[prompt] = rows
    return prompts


def _findings(data: FigureData) -> list[str]:
    n_prompts = len({row["prompt"] for row in data.rows})
    n_drawn = len(_drawn(data))
    if n_drawn == n_prompts:
        return []
    return [
        f"The {n_drawn} of {n_prompts} prompts whose generations are most alike are drawn; all are "
        "in the table meaning_map."
    ]


def _table(data: FigureData) -> Grid:
    """For each prompt the semantic diversity of each checkpoint's generations."""
    names = [shown.checkpoint for shown in data.with_rows]
    by_prompt = _by_prompt(data)
    prompt_names = names_of_prompts(by_prompt)
    rows = []
    for prompt, of_prompt in by_prompt.items():
        values = {row["checkpoint"]: row["diversity"] for row in of_prompt}
        cells = (values.get(name) for name in names)
        rows.append(
            [prompt_names[prompt], *("–" if value is None else f"{value:.2f}" for value in cells)]
        )
    return Grid(["semantic diversity", *names], rows)


FIGURE = Figure(
    name="meaning_map",
    place=62,
    title="What generations say",
    claim=(
        "Each dot is a generation, and dots that are near each other say much the same, in "
        "whatever words; a larger dot is several that are at one place. The plane is the one in "
        "which the embeddings of all checkpoints' generations of the prompt lie furthest apart; it "
        "shows a part of their variance alone."
    ),
    reads=("meaning_map", "generations", "semantic_diversity", "prompts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("semantic_diversity", "vendi_score", "prompt_similarity"),
    findings=_findings,
    table=_table,
    pages=_pages,
    applies=lambda study: study.embedder is not None,
    grows_with_samples=True,
)
