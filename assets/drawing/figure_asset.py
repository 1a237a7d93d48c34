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
from assets.drawing.figure import Evidence, Figure, Grid, Shown
from assets.drawing.page import Drawing, Section, write_page
from assets.lineage.asset import Ingredients, Made, Recipe, Work, provenance
from assets.sources.prompts import prompt_set, prompts_of
from warehouse import Lake, Provenance, session
from warehouse.declarations import used_parameters
from warehouse.sessions import bind
from warehouse.storage import in_one_step

if TYPE_CHECKING:
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_PREVIEW_LIMIT = 110_000
"""Bytes of a preview; in base 64 it stays under the 150 kB beyond which the UI slows down."""
_USERMETA = "anchorlake"
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
"""The version that Altair writes."""
_FILES = ("chart.html", "chart.svg", "chart.png", "chart.json")


@dataclass(frozen=True, kw_only=True)
class FigureRecipe(Recipe):
    """How a figure's files come to be.

    Attributes:
        figure: The figure.
    """

    figure: Figure

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads it from the chart's specification, where it stands under `usermeta`."""
        drawn = read_drawn(lake, self.figure)
        return drawn.provenance if drawn else None

    def make(self, work: Work, ingredients: Ingredients) -> Made:
        """Draws it for phones and for larger screens, and writes chart.html, .svg, .png, .json."""
        evidence = gather(self.figure, work)
        made = provenance(
            work, ingredients, f"figure:{self.figure.name}|unit:{evidence.unit}|ci:95"
        )
        drawn = Drawn(
            figure=self.figure,
            provenance=made,
            findings=self.figure.findings(evidence),
            drift=self.figure.warnings(evidence, work.study) if self.figure.warnings else [],
            table=self.figure.table(evidence) if self.figure.table and evidence.rows else None,
            drawings=[
                Drawing(
                    heading,
                    _draw(self.figure, part, style.WIDE),
                    _draw(self.figure, part, style.NARROW),
                )
                for heading, part in _pages(self.figure, evidence).items()
            ],
        )
        _write(work, drawn)
        work.notes["rows drawn from"] = len(evidence.rows)
        if drawn.drift:
            work.notes["drift"] = "\n".join(drawn.drift)
        return Made(made, notes=work.notes)


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


def figure_recipe(figure: Figure) -> FigureRecipe:
    """The recipe of a figure."""
    query = figure.query.read_text(encoding="utf-8")
    origin = f"the paper's {figure.paper}" if figure.paper else "beyond the paper"

    def parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
        shown: dict[str, object] = {"checkpoints": [asdict(shown) for shown in _shown(study)]}
        rules = [rule.model_dump() for rule in study.drift]
        return shown | {"drift": rules} if figure.warnings else shown

    return FigureRecipe(
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


def _shown(study: Study) -> list[Shown]:
    return [
        Shown(
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


def gather(figure: Figure, work: Work) -> Evidence:
    """Asks a figure's query of the lake."""
    declarations = [work.inventory.table(name) for name in figure.reads]
    study = work.inventory.study_now(f"figures/{figure.name}")
    facts = _facts(work, study)
    shown = _shown(study.limited_to(facts))
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
    with session(work.lake, work.limits) as connection:
        bind(connection, work.lake, declarations, facts)
        connection.register("shown", listed)
        parameters = used_parameters(query, {"unit": unit})
        rows = connection.sql(query, params=parameters).to_arrow_table().to_pylist()
    texts = {s.checkpoint: _prompt_texts(work, s.checkpoint) for s in shown}
    for row in rows:
        if "prompt_id" in row:
            prompt_id = row["prompt_id"]
            row["prompt"] = texts[row["checkpoint"]].get(prompt_id, prompt_id)
    return Evidence(rows, shown, unit)


def _prompt_texts(work: Work, checkpoint: str) -> dict[str, str]:
    """The texts of a checkpoint's prompts, by id; one that recurs is told apart by its id."""
    prompts = prompts_of(work.study, work.study.checkpoint(checkpoint))
    times = Counter(prompt["text"] for prompt in prompts)
    return {
        str(prompt["prompt_id"]): (
            str(prompt["text"])
            if times[prompt["text"]] == 1
            else f"{prompt['text']} ({prompt['prompt_id']})"
        )
        for prompt in prompts
    }


def _facts(work: Work, study: Study) -> dict[str, dict[str, Any]]:
    """The rows of `checkpoints`, by name, of those that the study has."""
    table = work.inventory.table("checkpoints")
    return {
        checkpoint.name: work.lake.read(table, checkpoint.name).to_pylist()[0]
        for checkpoint in study.checkpoints
        if work.lake.files(table, checkpoint.name)
    }


def _pages(figure: Figure, evidence: Evidence) -> dict[str, Evidence]:
    if figure.pages is None or not evidence.rows:
        return {"": evidence}
    return figure.pages(evidence)


def _draw(figure: Figure, evidence: Evidence, width: int) -> dict[str, Any]:
    """The specification of a drawing.

    The tests hold every figure against Altair's schema. Here that would take as long as all else
    that drawing does, as Altair looks at every part of a chart again whenever it is put into
    another.
    """
    with debug_mode(False):
        if evidence.rows:
            chart = figure.draw(evidence, width)
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
        made = Provenance(**meta["provenance"])
        table = Grid(**meta["table"]) if meta["table"] else None
        drawings = [
            Drawing(meta["heading"], wide, meta["narrow"]),
            *(Drawing(**drawing) for drawing in meta["further"]),
        ]
        drift = meta.get("drift", [])
        return Drawn(figure, made, meta["findings"], drift, table, drawings)
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


def _write(work: Work, drawn: Drawn) -> None:
    """Writes the figure's files, each in one step, the specification last."""
    folder = work.lake.figures / drawn.figure.name
    folder.mkdir(parents=True, exist_ok=True)
    first, *further = drawn.drawings
    meta = {
        "provenance": asdict(drawn.provenance),
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
