"""The report: every figure beside the statement it tests, in one file that works offline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from assets.drawing.figure import Grid
from assets.drawing.figure_asset import SHARED_CODE, facts_of
from assets.drawing.figure_files import Drawn, read_drawn
from assets.drawing.page import Front, write_page
from assets.lineage.asset import Asset, Materialization, provenance_of
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.report.headline import HEADLINES, headline, left_out
from assets.report.measured import what_cannot_be, what_was_measured
from assets.report.pages import READ, pages
from assets.report.sampled import in_words, sampled
from warehouse import Provenance
from warehouse.durable import in_one_step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from assets.drawing.figure import Figure
    from assets.lineage.context import AssetContext
    from assets.lineage.data_version import DataVersion
    from warehouse import Lake
    from warehouse.measure_headers import Measure

_CROSSINGS = 3
"""Crossings of rules of drift that the first screen tells of."""
_META = re.compile(r'<meta name="anchorlake\.(\w+)" content="([^"]*)">')


_FACTS = {
    "role": "role",
    "base": "base",
    "n_parameters": "parameters",
    "vocab_size": "vocabulary",
    "engine": "engine",
    "dtype": "dtype",
}


@dataclass(frozen=True, kw_only=True)
class ReportAsset(Asset):
    """How the report comes to be.

    Attributes:
        figures: What it shows, in this order.
        measures: What its first table shows.
        derived: The tables that the pages of checkpoints are made of, as far as there are such.
    """

    figures: tuple[Figure, ...]
    measures: tuple[Measure, ...]
    derived: tuple[str, ...]

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads it from the page's meta elements."""
        try:
            with lake.report.open(encoding="utf-8", errors="replace") as page:
                head = page.read(1 << 14)
        except FileNotFoundError:
            return None
        return Provenance.from_footer({key: unescape(v) for key, v in _META.findall(head)})

    def make(self, context: AssetContext, data_version: DataVersion) -> Materialization:
        """Writes report.html from the figures as they are."""
        figures = [f for f in self.figures if f"figures/{f.name}" in context.upstream]
        drawn = [d for figure in figures if (d := read_drawn(context.lake, figure)) is not None]
        provenance = provenance_of(context, data_version, Signature.of(report=len(drawn)))
        with in_one_step(context.lake.report) as page:
            write_page(
                page,
                f"What alignment does: {context.study.name}",
                [d.section() for d in drawn if not _is_blank(d)],
                front=self._front(context, drawn),
                meta=provenance.to_footer(),
            )
        context.notes["path"] = str(context.lake.report)
        return Materialization(provenance, notes=context.notes)

    def _front(self, context: AssetContext, drawn: Sequence[Drawn]) -> Front:
        facts = facts_of(context)
        samples = sampled(context, facts)
        has_summary = "summary" in context.upstream
        return Front(
            opening=in_words(samples, facts),
            lines=[
                "Measures and figures are those of Li et al. (2024), Predicting vs. Acting: A "
                "Trade-off Between World Modeling & Agent Modeling, and further ones.",
                f"Generations have up to {context.study.max_new_tokens:,} tokens; those that were "
                "made elsewhere are as they came.",
                *_predicted(context),
                *what_cannot_be(context, facts),
                *left_out(context, self.measures, facts),
                *_left_blank([d for d in drawn if _is_blank(d)]),
            ],
            headline=headline(context, self.measures, samples) if has_summary else None,
            drifted=_drifted(drawn),
            warnings=uncontrolled(facts),
            checkpoints=Grid(
                ["checkpoint", *_FACTS.values()],
                [[name, *(_text(row[key]) for key in _FACTS)] for name, row in facts.items()],
            ),
            measured=what_was_measured(context, facts),
            pages=pages(context, self.measures, self.derived, facts),
            signatures=[
                (f"{name}, {table}", str(context.upstream[table].signature(name)))
                for name in facts
                for table in ("generations", "token_distributions")
                if table in context.upstream and name in context.upstream[table].partitions
            ],
        )


def _is_blank(drawn: Drawn) -> bool:
    """Whether a figure shows nothing and says nothing."""
    return drawn.drawing.is_empty and not (drawn.findings or drawn.drift)


def _drifted(drawn: Iterable[Drawn]) -> list[str]:
    """The first crossings of the study's rules of drift, and how many more there are."""
    crossings = [crossing for d in drawn for crossing in d.drift]
    sentences = [f"Drift: {crossing.sentence}" for crossing in crossings[:_CROSSINGS]]
    if len(crossings) > _CROSSINGS:
        sentences.append(f"Drift: {len(crossings) - _CROSSINGS} further crossings of its rules.")
    return sentences


def _predicted(context: AssetContext) -> list[str]:
    """What checkpoints predict."""
    table = context.tables["documents"]
    with_weights = any("score" in checkpoint.abilities for checkpoint in context.study.checkpoints)
    files = context.lake.footers(table)
    if not context.study.corpora or not with_weights or not files:
        return []
    n_documents = pq.read_metadata(files[0]).num_rows
    corpora = ", ".join(corpus.name for corpus in context.study.corpora)
    return [
        f"Each model whose weights are here predicts {n_documents:,} documents ({corpora}), its "
        "own text, and its partner's."
    ]


def _left_blank(drawn: Sequence[Drawn]) -> list[str]:
    """Which figures are left out, as they show nothing."""
    if not drawn:
        return []
    titles = ", ".join(f"“{d.figure.title}”" for d in drawn)
    return [f"Left out, as no checkpoint has what is drawn there: {titles}."]


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def uncontrolled(facts: dict[str, dict[str, Any]]) -> list[str]:
    """Says of which aligned checkpoints the base is not the one that they were made from.

    Alignment changes weights, not their number nor the tokenizer. Where those differ, so does more
    than alignment.

    Args:
        facts: Rows of `checkpoints`, by name.

    Returns:
        A sentence for each pair that is not controlled, or of which that cannot be told.
    """
    sentences = []
    unknown: dict[str, list[str]] = {}
    for name, row in facts.items():
        base = facts.get(row["base"] or "")
        if base is None or "human" in (row["role"], base["role"]):
            continue
        is_controlled = bool(row["controlled"])  # null in files of earlier versions
        if row["tokenizer"] is None or base["tokenizer"] is None:
            if not is_controlled:
                unknown.setdefault(row["base"], []).append(name)
            continue
        differences = [
            wording.format(_text(row[key]), _text(base[key]))
            for key, wording in (
                ("n_parameters", "parameters ({} and {})"),
                ("vocab_size", "vocabulary ({} and {})"),
                ("tokenizer", "tokenizer"),
            )
            if row[key] != base[key]
        ]
        if differences and is_controlled:
            sentences.append(
                f"The study says that {name} was made from {row['base']}; they differ in "
                f"{', '.join(differences)}."
            )
        elif differences:
            sentences.append(
                f"Not a controlled pair: {name} was not made from {row['base']}. They differ in "
                f"{', '.join(differences)}, so what sets them apart here is not alignment alone."
            )
    for base_name, names in unknown.items():
        were = "was" if len(names) == 1 else "were"
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        sentences.append(
            f"Whether {listed} {were} made from {base_name} is not known here: they were sampled "
            "elsewhere. A difference need not be alignment's. If they were, say `controlled: true`."
        )
    return sentences


def report_asset(
    figures: Iterable[Figure], measures: Iterable[Measure], known: Iterable[str]
) -> ReportAsset:
    """The asset of a report that shows figures, as far as a study has something for them.

    Args:
        figures: The figures, in their order.
        measures: All measures.
        known: Names of all tables.
    """
    figures, measures = tuple(figures), tuple(measures)
    known = set(known)
    derived = tuple(name for name in READ if name in known)
    results = ("summary", "comparisons")
    names = tuple(f"figures/{figure.name}" for figure in figures)
    return ReportAsset(
        name="report",
        group="figures",
        description="Every figure beside the paper's statement that it tests, in one offline file.",
        reads=tuple(
            dict.fromkeys(
                [*names, *results, "checkpoints", "generations", "token_distributions", *derived]
            )
        ),
        optional=(*names, *results, "token_distributions", *(set(derived) - {"generations"})),
        partitioned=False,
        parameters=lambda study, checkpoint: {
            "max_new_tokens": study.max_new_tokens,
            "opening_words": study.thresholds.opening_words,
            "measures": [[m.name, m.title, m.format, m.item, m.group, m.leading] for m in measures],
        },
        settings=("max_new_tokens", "thresholds.opening_words"),
        over="compared",
        code="how it is written",
        version=code_version(Path(__file__).parent, HEADLINES, *SHARED_CODE),
        figures=figures,
        measures=measures,
        derived=derived,
    )
