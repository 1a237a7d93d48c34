"""The asset of a figure: its query is asked, what came out is drawn, and files are written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from altair.utils.schemapi import debug_mode

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Samples
from assets.drawing.figure_files import Drawn, read_drawn, write_drawn
from assets.drawing.page import Drawing
from assets.lineage.asset import Asset, Materialization, provenance_of
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.measures import drift, sentences, statistics
from assets.sources.prompt_sets import prompt_set
from warehouse import Lake, Provenance, session
from warehouse.declarations import used_parameters
from warehouse.sessions import bind
from warehouse.vocabulary import load_words, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import duckdb

    from assets.lineage.context import AssetContext
    from assets.lineage.data_version import DataVersion
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse.measure_headers import Measure


SHARED_CODE = (
    Path(__file__).parent,
    *(Path(str(module.__file__)) for module in (statistics, drift, sentences)),
)
"""What figures are made of beside their own modules and queries."""


@dataclass(frozen=True, kw_only=True)
class FigureAsset(Asset):
    """How a figure's files come to be.

    Attributes:
        figure: The figure.
        measures: The measures that it tells of.
    """

    figure: Figure
    measures: tuple[Measure, ...]

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads it from the chart's specification, where it stands under `usermeta`."""
        drawn = read_drawn(lake, self.figure)
        return drawn.provenance if drawn else None

    def make(self, context: AssetContext, data_version: DataVersion) -> Materialization:
        """Draws it for phones and for larger screens, and writes chart.html, .svg, .png, .json."""
        data = gather(self.figure, context, self.measures)
        signature = Signature.of(figure=self.figure.name, unit=data.unit, interval=95)
        provenance = provenance_of(context, data_version, signature)
        drawn = Drawn(
            figure=self.figure,
            provenance=provenance,
            findings=[
                *(data.compared if self.figure.measures is not None else ()),
                *self.figure.findings(data),
            ],
            caveats=data.caveats,
            drift=self.figure.warnings(data) if self.figure.warnings else [],
            table=self.figure.table(data) if self.figure.table and data.rows else None,
            drawing=drawing_of(self.figure, data),
        )
        write_drawn(context.lake, drawn)
        context.notes["rows drawn from"] = len(data.rows)
        if drawn.drift:
            context.notes["drift"] = "\n".join(crossing.sentence for crossing in drawn.drift)
        return Materialization(provenance, notes=context.notes)


_COMPARISONS = Path(__file__).with_name("comparisons.sql").read_text(encoding="utf-8")
_SAMPLES = Path(__file__).with_name("samples.sql").read_text(encoding="utf-8")


def figure_asset(figure: Figure, measures: Sequence[Measure]) -> FigureAsset:
    """The asset of a figure; it is drawn anew where its code changes, or what figures share.

    Args:
        figure: The figure.
        measures: All measures that there are.
    """
    told = tuple(m for m in measures if figure.measures is None or m.name in figure.measures)
    results = tuple(dict.fromkeys([*figure.reads, *(("summary", "comparisons") if told else ())]))
    # Without any of its measures there is nothing to draw.
    needed = tuple(m.table.name for m in told)
    optional = needed if figure.measures is None else ()
    module = figure.query.with_suffix(".py")
    origin = f"the paper's {figure.paper}" if figure.paper else "beyond the paper"

    def parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
        shown: dict[str, object] = {"checkpoints": [asdict(shown) for shown in _shown(study)]}
        # A change in the words that its query may use may change any number.
        shown["vocabulary"] = vocabulary_of(figure.reads)
        shown["measures"] = [
            [m.name, m.title, m.says, m.says_of, m.format, m.item, m.items_of, m.group, m.headline]
            for m in told
        ]
        rules = [rule.model_dump() for rule in study.drift]
        return shown | {"drift": rules} if figure.warnings else shown

    return FigureAsset(
        name=f"figures/{figure.name}",
        group="figures",
        description=f"{figure.title} ({origin}).",
        reads=(*results, *needed),
        optional=(*figure.optional, *optional, "comparisons"),
        code="how it is drawn",
        version=code_version(module, figure.query, *SHARED_CODE),
        partitioned=False,
        parameters=parameters,
        settings=("prompts", "ladders", *(("drift",) if figure.warnings else ())),
        over="measured" if figure.every_step else "compared",
        applies=lambda study, checkpoint: figure.applies(study),
        figure=figure,
        measures=told,
    )


def _shown(study: Study) -> list[FigureCheckpoint]:
    return [
        FigureCheckpoint(
            checkpoint=checkpoint.name,
            decoding=study.first_decoding(checkpoint),
            prompt_set=prompt_set(study, checkpoint).name,
            role=checkpoint.role,
            base=checkpoint.base,
            series=checkpoint.series,
            step=checkpoint.step,
            stage=checkpoint.stage,
            **_on_ladder(study, checkpoint),
        )
        for checkpoint in study.checkpoints
    ]


def _on_ladder(study: Study, checkpoint: Checkpoint) -> dict[str, Any]:
    """Where a checkpoint stands on a ladder."""
    rung = study.rung(checkpoint)
    if rung is None:
        return {}
    ladder, place = rung
    further = [other for other in study.ladders if other is not ladder]
    return {
        "ladder": ladder.name,
        "rung": place,
        "n_rungs": len(ladder.checkpoints),
        "first_of": tuple(other.name for other in further if other.base == checkpoint.name),
    }


def gather(figure: Figure, context: AssetContext, measures: Sequence[Measure]) -> FigureData:
    """Asks a figure's query of the lake, and what there is to compare in its measures."""
    names = [*figure.reads, *(["summary", "comparisons"] if measures else [])]
    if figure.grows_with_samples:
        names.append("generations")  # their data version is in that of what is counted in them
    declarations = [context.tables[name] for name in dict.fromkeys(names)]
    query = figure.query.read_text(encoding="utf-8")
    with session(context.lake, context.limits) as connection:
        facts = _facts_in(connection, context)
        shown = _shown(context.scope.limited_to(facts))
        tokenizers = {facts[s.checkpoint]["tokenizer"] for s in shown}
        unit = "token" if len(tokenizers) == 1 and None not in tokenizers else "word"
        bind(connection, context.lake, declarations, facts)
        load_words(connection, query, _COMPARISONS, _SAMPLES)
        connection.register("shown", shown_in(context, facts))
        connection.register("declared", _declared(measures))
        parameters = used_parameters(query, {"unit": unit})
        rows = connection.sql(query, params=parameters).to_arrow_table().to_pylist()
        compared = connection.sql(_COMPARISONS).to_arrow_table().to_pylist() if measures else []
        samples = samples_in(connection) if figure.grows_with_samples else {}
    with_rows = {row["checkpoint"] for row in rows}
    return FigureData(
        rows=rows,
        checkpoints=shown,
        unit=unit,
        samples={
            s.checkpoint: samples[s.checkpoint]
            for s in shown
            if s.checkpoint in samples and s.checkpoint in with_rows
        },
        measures={measure.name: measure for measure in measures},
        comparisons=compared,
        rules=context.study.drift,
        thresholds=context.study.thresholds,
    )


def shown_in(context: AssetContext, names: Collection[str]) -> pa.Table:
    """The checkpoints of these names that are shown, as a relation that queries may use."""
    shown = _shown(context.scope.limited_to(names))
    return pa.Table.from_pylist(
        [asdict(s) | {"label": s.label, "place": place} for place, s in enumerate(shown)],
        pa.schema(
            [(name, pa.string()) for name in ("checkpoint", "decoding", "prompt_set", "label")]
            + [("place", pa.int32())]
        ),
    )


def samples_in(connection: duckdb.DuckDBPyConnection) -> dict[str, Samples]:
    """What was sampled of each checkpoint that is shown.

    Args:
        connection: A session with `generations` and `shown`.
    """
    rows = connection.sql(_SAMPLES).fetchall()
    return {checkpoint: Samples(*numbers) for checkpoint, *numbers in rows}


def _declared(measures: Sequence[Measure]) -> pa.Table:
    """The measures that have a level that is quoted, as a relation that queries may use."""
    return pa.Table.from_pylist(
        [
            {"measure": measure.name, "level": measure.headline or 0, "place": place}
            for place, measure in enumerate(measures)
            if measure.is_quoted
        ],
        pa.schema([("measure", pa.string()), ("level", pa.int32()), ("place", pa.int32())]),
    )


def facts_of(context: AssetContext) -> dict[str, dict[str, Any]]:
    """The rows of `checkpoints`, by name, of those that a figure or the report is about."""
    with session(context.lake, context.limits) as connection:
        return _facts_in(connection, context)


def _facts_in(
    connection: duckdb.DuckDBPyConnection, context: AssetContext
) -> dict[str, dict[str, Any]]:
    names = [checkpoint.name for checkpoint in context.scope.checkpoints]
    bind(connection, context.lake, [context.tables["checkpoints"]], names)
    rows = connection.table("checkpoints").to_arrow_table().to_pylist()
    facts = {row["checkpoint"]: row for row in rows}
    return {name: facts[name] for name in names if name in facts}


def drawing_of(figure: Figure, data: FigureData) -> Drawing:
    """Draws a figure for large screens and for phones."""
    walk = figure.pages(data) if figure.pages and data.rows else None
    is_empty = not data.rows or (walk is not None and not walk.pages)
    wide, narrow = (
        _specification(figure, None if is_empty else data, width)
        for width in (style.WIDE, style.NARROW)
    )
    return Drawing(wide, narrow, None if is_empty else walk, is_empty=is_empty)


def _specification(figure: Figure, data: FigureData | None, width: int) -> dict[str, Any]:
    """The specification of a drawing.

    The tests hold every figure against Altair's schema. Here that would take as long as all else
    that drawing does, as Altair looks at every part of a chart again whenever it is put into
    another.
    """
    with debug_mode(False):
        if data is None:
            chart = style.note("No checkpoint has what this figure shows.", width)
        else:
            chart = figure.draw(data, width)
        specification: dict[str, Any] = chart.to_dict(validate=False)
    # What screen readers say of the picture; the findings and the table tell what is in it.
    return {"description": figure.title, **specification}
