"""How a figure comes to be: its query, its drawing, and its files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import altair as alt
import pyarrow as pa
import vl_convert
from altair.utils.schemapi import debug_mode

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.drawing.page import Drawing, Section, write_page
from assets.lineage.asset import Asset, Materialization, provenance_of
from assets.lineage.signature import Signature
from assets.sources.prompts import prompt_set, prompts_of
from warehouse import Lake, Provenance, session
from warehouse.declarations import used_parameters
from warehouse.sessions import bind
from warehouse.storage import in_one_step

if TYPE_CHECKING:
    from assets.lineage.context import AssetContext
    from assets.lineage.data_version import DataVersion
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_PREVIEW_LIMIT = 110_000
"""Bytes of a preview; in base 64 it stays under the 150 kB beyond which the UI slows down."""
_USERMETA = "anchorlake"
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
"""The version that Altair writes."""
_FILES = ("chart.html", "chart.svg", "chart.png", "chart.json")


@dataclass(frozen=True, kw_only=True)
class FigureAsset(Asset):
    """How a figure's files come to be.

    Attributes:
        figure: The figure.
    """

    figure: Figure

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads it from the chart's specification, where it stands under `usermeta`."""
        drawn = read_drawn(lake, self.figure)
        return drawn.provenance if drawn else None

    def make(self, context: AssetContext, data_version: DataVersion) -> Materialization:
        """Draws it for phones and for larger screens, and writes chart.html, .svg, .png, .json."""
        data = gather(self.figure, context)
        signature = Signature.of(figure=self.figure.name, unit=data.unit, interval=95)
        provenance = provenance_of(context, data_version, signature)
        drawn = Drawn(
            figure=self.figure,
            provenance=provenance,
            findings=self.figure.findings(data),
            drift=self.figure.warnings(data, context.study) if self.figure.warnings else [],
            table=self.figure.table(data) if self.figure.table and data.rows else None,
            drawings=[
                Drawing(
                    heading,
                    _draw(self.figure, part, style.WIDE),
                    _draw(self.figure, part, style.NARROW),
                )
                for heading, part in _pages(self.figure, data).items()
            ],
        )
        _write(context, drawn)
        context.notes["rows drawn from"] = len(data.rows)
        if drawn.drift:
            context.notes["drift"] = "\n".join(drawn.drift)
        return Materialization(provenance, notes=context.notes)


@dataclass(frozen=True)
class Drawn:
    """A figure as it is in the lake.

    Attributes:
        figure: The figure.
        provenance: Where it comes from.
        findings: Sentences that say what came out.
        drift: Sentences that warn, by the rules of the study.
        table: Its numbers, where they are to stand below it.
        drawings: Its charts; the first is that of its files.
    """

    figure: Figure
    provenance: Provenance
    findings: list[str]
    drift: list[str]
    table: Grid | None
    drawings: list[Drawing]

    def section(self) -> Section:
        """The figure as a page shows it."""
        return Section(
            name=self.figure.name,
            title=self.figure.title,
            paper=self.figure.paper,
            claim=self.figure.claim,
            findings=self.findings,
            warnings=self.drift,
            signature=self.provenance.signature,
            table=self.table,
            drawings=self.drawings,
        )


def figure_asset(figure: Figure) -> FigureAsset:
    """The asset of a figure."""
    query = figure.query.read_text(encoding="utf-8")
    origin = f"the paper's {figure.paper}" if figure.paper else "beyond the paper"

    def parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
        shown: dict[str, object] = {"checkpoints": [asdict(shown) for shown in _shown(study)]}
        rules = [rule.model_dump() for rule in study.drift]
        return shown | {"drift": rules} if figure.warnings else shown

    return FigureAsset(
        name=f"figures/{figure.name}",
        group="figures",
        description=f"{figure.title} ({origin}).",
        reads=figure.reads,
        optional=figure.optional,
        code="how it is drawn",
        version=hashlib.sha256(f"{figure.version}\n{query}".encode()).hexdigest()[:32],
        partitioned=False,
        parameters=parameters,
        over="measured" if figure.every_step else "compared",
        applies=lambda study, checkpoint: figure.applies(study),
        figure=figure,
    )


def _shown(study: Study) -> list[FigureCheckpoint]:
    return [
        FigureCheckpoint(
            checkpoint=checkpoint.name,
            decoding=study.first_decoding(checkpoint),
            prompt_set=prompt_set(study, checkpoint),
            role=checkpoint.role,
            base=checkpoint.base,
            series=checkpoint.series,
            step=checkpoint.step,
        )
        for checkpoint in study.checkpoints
    ]


def gather(figure: Figure, context: AssetContext) -> FigureData:
    """Asks a figure's query of the lake."""
    declarations = [context.tables[name] for name in figure.reads]
    facts = _facts(context)
    shown = _shown(context.scope.limited_to(facts))
    tokenizers = {facts[s.checkpoint]["tokenizer"] for s in shown}
    unit = "token" if len(tokenizers) == 1 and None not in tokenizers else "word"
    listed = pa.Table.from_pylist(
        [asdict(s) | {"label": s.label, "place": place} for place, s in enumerate(shown)],
        pa.schema(
            [(name, pa.string()) for name in ("checkpoint", "decoding", "prompt_set", "label")]
            + [("place", pa.int32())]
        ),
    )
    query = figure.query.read_text(encoding="utf-8")
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, declarations, facts)
        connection.register("shown", listed)
        parameters = used_parameters(query, {"unit": unit})
        rows = connection.sql(query, params=parameters).to_arrow_table().to_pylist()
    texts = {s.checkpoint: _prompt_texts(context, s.checkpoint) for s in shown}
    for row in rows:
        if "prompt_id" in row:
            prompt_id = row["prompt_id"]
            row["prompt"] = texts[row["checkpoint"]].get(prompt_id, prompt_id)
    return FigureData(rows, shown, unit)


def _prompt_texts(context: AssetContext, checkpoint: str) -> dict[str, str]:
    """The texts of a checkpoint's prompts, by id; one that recurs is told apart by its id."""
    prompts = prompts_of(context.study, context.study.checkpoint(checkpoint))
    times = Counter(prompt["text"] for prompt in prompts)
    return {
        str(prompt["prompt_id"]): (
            str(prompt["text"])
            if times[prompt["text"]] == 1
            else f"{prompt['text']} ({prompt['prompt_id']})"
        )
        for prompt in prompts
    }


def _facts(context: AssetContext) -> dict[str, dict[str, Any]]:
    """The rows of `checkpoints`, by name, of those that the figure is about."""
    table = context.tables["checkpoints"]
    return {
        checkpoint.name: context.lake.read(table, checkpoint.name).to_pylist()[0]
        for checkpoint in context.scope.checkpoints
        if context.lake.files(table, checkpoint.name)
    }


def _pages(figure: Figure, data: FigureData) -> dict[str, FigureData]:
    if figure.pages is None or not data.rows:
        return {"": data}
    return figure.pages(data)


def _draw(figure: Figure, data: FigureData, width: int) -> dict[str, Any]:
    """The specification of a drawing.

    The tests hold every figure against Altair's schema. Here that would take as long as all else
    that drawing does, as Altair looks at every part of a chart again whenever it is put into
    another.
    """
    with debug_mode(False):
        if data.rows:
            chart = figure.draw(data, width)
        else:
            chart = style.note("No checkpoint has what this figure shows.", width)
        specification: dict[str, Any] = chart.to_dict(validate=False)
    return specification


def read_drawn(lake: Lake, figure: Figure) -> Drawn | None:
    """The figure as it is in the lake; None where it is not."""
    folder = lake.figures / figure.name
    if not all((folder / name).is_file() for name in _FILES):
        return None
    try:
        wide = json.loads((folder / "chart.json").read_text(encoding="utf-8"))
        meta = wide["usermeta"][_USERMETA]
        provenance = Provenance.from_dict(meta["provenance"])
        table = Grid(**meta["table"]) if meta["table"] else None
        drawings = [
            Drawing(meta["heading"], wide, meta["narrow"]),
            *(Drawing(**drawing) for drawing in meta["further"]),
        ]
        drift = meta.get("drift", [])
        return Drawn(figure, provenance, meta["findings"], drift, table, drawings)
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


def _write(context: AssetContext, drawn: Drawn) -> None:
    """Writes the figure's files, each in one step, the specification last."""
    folder = context.lake.figures / drawn.figure.name
    folder.mkdir(parents=True, exist_ok=True)
    first, *further = drawn.drawings
    meta = {
        "provenance": drawn.provenance.to_dict(),
        "findings": drawn.findings,
        "drift": drawn.drift,
        "table": asdict(drawn.table) if drawn.table else None,
        "heading": first.heading,
        "narrow": first.narrow,
        "further": [asdict(drawing) for drawing in further],
    }
    specification = {**first.wide, "usermeta": {_USERMETA: meta}}

    # Altair would hold all of the drawing against its schema again, for each file.
    svg = vl_convert.vegalite_to_svg(first.wide, vl_version=_VEGA_LITE)
    with in_one_step(folder / "chart.svg") as path:
        path.write_text(svg, "utf-8")
    with in_one_step(folder / "chart.png") as path:
        path.write_bytes(vl_convert.svg_to_png(svg, scale=2))
    with in_one_step(folder / "chart.html") as path:
        write_page(path, drawn.figure.title, [drawn.section()])
    with in_one_step(folder / "chart.json") as path:
        path.write_text(json.dumps(specification, ensure_ascii=False), "utf-8")
