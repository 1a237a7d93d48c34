"""The files of a figure that is drawn: its chart, a picture of it, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import altair as alt
import vl_convert

from assets.drawing.figure import Grid
from assets.drawing.page import Drawing, Section, write_page
from assets.drawing.walk import Walk
from assets.measures.drift import Crossing
from warehouse import Provenance
from warehouse.durable import in_one_step

if TYPE_CHECKING:
    from assets.drawing.figure import Figure
    from warehouse import Lake

_PREVIEW_LIMIT = 110_000
"""Bytes of a preview; in base 64 it stays under the 150 kB beyond which the UI slows down."""
_USERMETA = "anchorlake"
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
"""The version that Altair writes."""
_FILES = ("chart.html", "chart.svg", "chart.png", "chart.json")


@dataclass(frozen=True)
class Drawn:
    """A figure as it is in the lake.

    Attributes:
        figure: The figure.
        provenance: Where it comes from.
        findings: Sentences that say what came out.
        caveats: As in `FigureData`.
        drift: What crosses the rules of the study.
        table: Its numbers, where they are to stand below it.
        drawing: Its chart; its files show the first of its pages.
    """

    figure: Figure
    provenance: Provenance
    findings: list[str]
    caveats: list[str]
    drift: list[Crossing]
    table: Grid | None
    drawing: Drawing

    def section(self) -> Section:
        """The figure as a page shows it."""
        return Section(
            name=self.figure.name,
            title=self.figure.title,
            paper=self.figure.paper,
            claim=self.figure.claim,
            findings=self.findings,
            warnings=[*self.caveats, *(crossing.sentence for crossing in self.drift)],
            signature=self.provenance.signature,
            table=self.table,
            drawing=self.drawing,
        )


def read_drawn(lake: Lake, figure: Figure) -> Drawn | None:
    """The figure as it is in the lake; None where it is not."""
    folder = lake.figures / figure.name
    if not all((folder / name).is_file() for name in _FILES):
        return None
    try:
        wide = json.loads((folder / "chart.json").read_text(encoding="utf-8"))
        meta = wide.pop("usermeta")[_USERMETA]
        provenance = Provenance.from_dict(meta["provenance"])
        table = Grid(**meta["table"]) if meta["table"] else None
        walk = Walk.from_dict(meta["walk"]) if meta["walk"] else None
        drawing = Drawing(meta["wide"] or wide, meta["narrow"], walk, meta["is_empty"])
        caveats = meta["caveats"]
        drift = [Crossing(**crossing) for crossing in meta.get("drift", [])]
        return Drawn(figure, provenance, meta["findings"], caveats, drift, table, drawing)
    except (ValueError, KeyError, TypeError):  # damaged: to be drawn anew
        return None


def read_preview(lake: Lake, figure: Figure) -> bytes:
    """A PNG of the figure as it is in the lake, small enough for the UI."""
    svg = (lake.figures / figure.name / "chart.svg").read_text(encoding="utf-8")
    preview = b""
    for scale in (1.0, 0.7, 0.4):
        preview = vl_convert.svg_to_png(svg, scale=scale)
        if len(preview) <= _PREVIEW_LIMIT:
            break
    return preview


def write_drawn(lake: Lake, drawn: Drawn) -> None:
    """Writes the figure's files, each in one step, the specification last."""
    folder = lake.figures / drawn.figure.name
    folder.mkdir(parents=True, exist_ok=True)
    first, walk = drawn.drawing.first, drawn.drawing.walk
    meta = {
        "provenance": drawn.provenance.to_dict(),
        "findings": drawn.findings,
        "caveats": drawn.caveats,
        "drift": [asdict(crossing) for crossing in drawn.drift],
        "table": asdict(drawn.table) if drawn.table else None,
        "wide": drawn.drawing.wide if walk else None,  # what all pages are drawn by
        "narrow": drawn.drawing.narrow,
        "walk": walk.to_dict() if walk else None,
        "is_empty": drawn.drawing.is_empty,
    }
    specification = {**first, "usermeta": {_USERMETA: meta}}

    # Altair would hold all of the drawing against its schema again, for each file.
    svg = vl_convert.vegalite_to_svg(first, vl_version=_VEGA_LITE)
    with in_one_step(folder / "chart.svg") as path:
        path.write_text(svg, "utf-8")
    with in_one_step(folder / "chart.png") as path:
        path.write_bytes(vl_convert.svg_to_png(svg, scale=2))
    with in_one_step(folder / "chart.html") as path:
        write_page(path, drawn.figure.title, [drawn.section()])
    with in_one_step(folder / "chart.json") as path:
        path.write_text(
            json.dumps(specification, ensure_ascii=False, separators=(",", ":")), "utf-8"
        )
