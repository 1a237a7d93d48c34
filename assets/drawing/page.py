"""Pages that need nothing but themselves: no server, no network."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from assets.drawing import style
from assets.drawing.figure import Grid
from models.sources.hub import cache_folder
from warehouse.durable import in_one_step

if TYPE_CHECKING:
    from assets.drawing.walk import Walk

_SHOWN = 5
"""Sentences of a figure that are read at once; the others open."""
_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Drawing:
    """A chart, as Vega-Lite specifications.

    Attributes:
        wide: For large screens.
        narrow: For phones.
        walk: The pages that it is drawn with; None where it has its rows itself.
        is_empty: Whether it says that there is nothing to draw.
    """

    wide: dict[str, Any]
    narrow: dict[str, Any]
    walk: Walk | None = None
    is_empty: bool = False

    @property
    def first(self) -> dict[str, Any]:
        """For large screens, the first page."""
        if self.walk is None:
            return self.wide
        return self.walk.turned_to(self.walk.pages[0], self.wide, "wide")

    def to_dict(self) -> dict[str, Any]:
        """What a page's script draws it from."""
        sizes = {"wide": _shown(self.wide), "narrow": _shown(self.narrow)}
        return sizes | ({"walk": self.walk.to_dict()} if self.walk else {})


@dataclass(frozen=True)
class Section:
    """A figure on a page.

    Attributes:
        name: The figure's name.
        title: Its heading.
        paper: The paper's figure that it corresponds to; None where there is none.
        claim: What the paper states there, or what the figure adds to it.
        findings: Sentences that say what came out here.
        warnings: Sentences that a reader must not miss.
        signature: How it can be made again.
        table: Its numbers, where they are to stand below it.
        drawing: What it shows.
    """

    name: str
    title: str
    paper: str | None
    claim: str
    findings: list[str]
    warnings: list[str]
    signature: str
    table: Grid | None
    drawing: Drawing


@dataclass(frozen=True)
class Cell:
    """A value in the report's first table.

    Attributes:
        value: The value and its interval.
        change: Its change from the base; empty where it is compared with none.
        detail: How sure that is.
        sureness: higher, lower, no (clear difference) or too (few to tell); its colour.
    """

    value: str
    change: str = ""
    detail: str = ""
    sureness: str = ""


@dataclass(frozen=True)
class Sampled:
    """A checkpoint as it heads a column.

    Attributes:
        label: What it is called.
        sampled: How many samples it has of how many prompts.
    """

    label: str
    sampled: str


Groups = dict[str, list[tuple[str, list[Cell]]]]
"""For each group of measures the rows of a table: a title, and a cell a checkpoint."""


@dataclass(frozen=True)
class Headline:
    """The report's first table, and that of all other measures.

    Attributes:
        checkpoints: The columns of both.
        leading: The first.
        further: The other.
        conclusions: Whether checkpoints differ from their bases, a sentence each.
    """

    checkpoints: list[Sampled]
    leading: Groups
    further: Groups
    conclusions: list[str] = field(default_factory=list)

    @property
    def compares(self) -> bool:
        """Whether any value is compared with that of a base."""
        groups = (*self.leading.values(), *self.further.values())
        return any(cell.change for rows in groups for _, cells in rows for cell in cells)

    @property
    def n_further(self) -> int:
        """Rows of the other table."""
        return sum(map(len, self.further.values()))


@dataclass(frozen=True)
class CheckpointPage:
    """What a report says of one checkpoint, beside its figures.

    Attributes:
        name: The checkpoint's; its address is `#checkpoint/NAME`.
        lines: Sentences.
        grids: Tables, each with what stands above it.
    """

    name: str
    lines: list[str]
    grids: list[tuple[str, Grid]]


@dataclass(frozen=True)
class Front:
    """What a report says before its figures.

    Attributes:
        opening: What was measured, in a sentence or two.
        lines: What else a reader is to know of it, a sentence each.
        drifted: What crosses the study's rules of drift.
        headline: Its first table; None where there is nothing of it.
        warnings: What keeps a reader from concluding more than there is.
        checkpoints: What the checkpoints are.
        measured: What was measured of each.
        signatures: Names and signatures of each checkpoint's generations and predictions.
        pages: The page of each checkpoint.
    """

    opening: str = ""
    lines: list[str] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)
    headline: Headline | None = None
    warnings: list[str] = field(default_factory=list)
    checkpoints: Grid = field(default_factory=lambda: Grid([], []))
    measured: Grid = field(default_factory=lambda: Grid([], []))
    signatures: list[tuple[str, str]] = field(default_factory=list)
    pages: list[CheckpointPage] = field(default_factory=list)


def write_page(
    path: Path,
    title: str,
    sections: list[Section],
    *,
    front: Front | None = None,
    meta: dict[str, str] | None = None,
) -> None:
    """Writes figures, and what is to be said of them, as one file of HTML.

    Args:
        path: The file.
        title: The page's title.
        sections: Its figures.
        front: What comes before them.
        meta: Names and contents of the page's meta elements.
    """
    page = _template().render(
        title=title,
        sections=sections,
        front=front,
        meta=meta or {},
        specs={section.name: section.drawing.to_dict() for section in sections},
        breakpoint=style.WIDE + 80,
        shown=_SHOWN,
        library=Markup(_library()),
    )
    path.write_text(page, encoding="utf-8")


def _shown(specification: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in specification.items() if key not in ("usermeta", "$schema")
    }


def _spelled(text: str) -> Markup:
    """A text whose parts between backticks are code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["spelled"] = _spelled
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed, as one script.

    Bundling takes two seconds, and each step that draws may be a process of its own. So the script
    is kept in the user's cache folder, by the version of what bundles it.
    """
    kept = cache_folder() / f"vega-embed-{version('vl-convert-python')}.js"
    with suppress(OSError):
        return kept.read_text(encoding="utf-8")
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with in_one_step(kept) as path:
            path.write_text(script, encoding="utf-8")
    return script
