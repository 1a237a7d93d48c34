"""`comparisons`: how a checkpoint differs from others, over the items that both have.

An aligned checkpoint is compared with its base, and with the stage before it; any checkpoint with
itself at its further decodings, and a base at these with what is aligned from it. Items are paired
by the text of the prompt or the document.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_parts, note_part_versions
from assets.measures.declared import study_parameters
from assets.measures.differences import adjusted, by_text, compare_slices
from assets.measures.pairs import pairs_of
from assets.measures.statistics import RESAMPLES, SWAPS
from assets.study.digests import digest
from warehouse import matched, tables
from warehouse.matched import chain, matched_values
from warehouse.tables import COMPARISONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from assets.lineage.context import AssetContext
    from assets.measures.pairs import Pair
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Measurement
    from warehouse.measure_headers import Measure

_Texts = dict[str, dict[tuple[str, str], str]]
"""By kind of item, and by collection and item, its text."""
MATCHED = "matched"
"""The condition of a comparison of generations that are cut to as many words."""
_MODULES = ("comparisons", "differences", "pairs", "slices", "statistics")
_CODE = digest(
    [
        code_version(
            *(Path(__file__).with_name(f"{name}.py") for name in _MODULES),
            Path(matched.__file__),
            Path(matched.__file__).with_suffix(".sql"),
        ),
        repr(COMPARISONS),
    ]
)


def comparisons_asset(
    measures: Sequence[Measure], measurements: Iterable[Measurement]
) -> TableAsset:
    """The asset of `comparisons`, over all measures.

    Args:
        measures: The measures.
        measurements: The derived tables, by which generations that are cut are measured.
    """
    by_name = {measurement.table.name: measurement for measurement in measurements}
    measure_names = tuple(measure.table.name for measure in measures)
    by_sql = [measure for measure in measures if chain(measure, by_name) is not None]
    # By the measure, so that one that is added, or changed, has itself compared alone.
    codes = {
        measure.name: digest([_CODE, [m.query for m in chain(measure, by_name) or ()]])
        for measure in measures
    }

    @contextmanager
    def rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
        yield _compared(context, measures, by_sql, by_name, codes).to_batches()

    return TableAsset(
        name=COMPARISONS.name,
        group="summaries",
        description=COMPARISONS.description,
        reads=(*measure_names, "generations", "checkpoints", "prompts", "documents"),
        optional=(*measure_names, "generations", "prompts", "documents"),
        gathers=True,
        of_partners=(*measure_names, "generations", "checkpoints"),
        partners=lambda study, checkpoint: study.compared_with(checkpoint),
        # Texts of prompts and documents are in the data versions of what was made of them.
        changes_with=(*measure_names, "generations", "checkpoints"),
        version=digest([_CODE, [codes[measure.name] for measure in by_sql]]),
        code="how checkpoints are compared",
        parameters=_parameters,
        table=COMPARISONS,
        rows=rows,
        signature=lambda context: Signature.of(interval=95, resamples=RESAMPLES, swaps=SWAPS),
    )


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    """What of a checkpoint and those that it is compared with changes the comparisons."""
    assert checkpoint is not None
    return {
        "decodings": [
            [other.name, study.first_decoding(other), [d.name for d in study.decodings(other)]]
            for other in (checkpoint, *study.compared_with(checkpoint))
        ]
    }


def _compared(
    context: AssetContext,
    measures: Sequence[Measure],
    by_sql: Sequence[Measure],
    measurements: Mapping[str, Measurement],
    codes: Mapping[str, str],
) -> pa.Table:
    """The rows of a checkpoint's partition; those of measures that have not changed are kept."""
    checkpoint, lake = context.checkpoint, context.lake
    assert checkpoint is not None
    tokenizers = {
        name: lake.read(tables.CHECKPOINTS, name, ["tokenizer"])["tokenizer"][0].as_py()
        for name in context.upstream["checkpoints"].partitions
        if name is not None and lake.has(tables.CHECKPOINTS, name)
    }
    pairs = pairs_of(context.study, checkpoint, tokenizers)
    parameters = _parameters(context.study, checkpoint)
    versions = {
        measure.name: digest(
            [codes[measure.name], parameters, tokenizers, _stored(context, measure.table.name)]
            + ([_stored(context, "generations")] if measure in by_sql else [])
        )
        for measure in measures
        if measure.table.name in context.upstream
    }
    note_part_versions(context, versions)
    kept = finished_parts(context, COMPARISONS, ["measure"], versions)
    left = [m for m in measures if m.name in versions and m.name not in kept]
    parts = [COMPARISONS.arrow_schema.empty_table(), *kept.values()]
    if pairs and left:
        texts = _texts_of(context)
        parts += _compare(context, left, pairs, texts)
        cut = [measure for measure in left if measure in by_sql]
        parts += _compare_matched(context, cut, pairs, texts, measurements)
    merged = pa.concat_tables(parts)
    ordered = merged.sort_by([(name, "ascending") for name in COMPARISONS.stored_grain])
    return adjusted(ordered, pairs)


def _stored(context: AssetContext, name: str) -> list[list[str | None]]:
    """The data versions that the lake has of what is read."""
    upstream = context.upstream.get(name)
    stored = {p: upstream.provenance(p) for p in upstream.partitions} if upstream else {}
    return [[partition, made.data_version if made else None] for partition, made in stored.items()]


def _compare(
    context: AssetContext, measures: Sequence[Measure], pairs: Sequence[Pair], texts: _Texts
) -> Iterator[pa.Table]:
    for measure in measures:
        values = {
            name: by_text(context.lake.read(measure.table, name), texts[measure.item])
            for name in {sampled.checkpoint for pair in pairs for sampled in (pair.one, pair.other)}
            if context.lake.has(measure.table, name)
        }
        for pair in pairs:
            ours, theirs = (values.get(s.checkpoint) for s in (pair.one, pair.other))
            if ours and theirs:
                yield compare_slices(measure, pair, ours, theirs)


def _compare_matched(
    context: AssetContext,
    measures: Sequence[Measure],
    pairs: Sequence[Pair],
    texts: _Texts,
    measurements: Mapping[str, Measurement],
) -> Iterator[pa.Table]:
    """The comparisons with the base over generations that are cut to as many words."""
    for pair in pairs:
        sampled = (pair.one, pair.other)
        has_both = all(context.lake.has(tables.GENERATIONS, s.checkpoint) for s in sampled)
        if not pair.whole or not measures or not has_both:
            continue
        values = matched_values(
            measures,
            measurements,
            context.lake,
            *sampled,
            study_parameters(context.study),
            context.limits,
        )
        for measure in measures:
            ours, theirs = (
                by_text(rows, texts[measure.item], MATCHED) for rows in values[measure.name]
            )
            yield compare_slices(measure, pair, ours, theirs)


def _texts_of(context: AssetContext) -> _Texts:
    """The texts of items, by kind of item."""
    lake = context.lake

    def read(table: Any, columns: Sequence[str]) -> dict[tuple[str, str], str]:
        if not lake.has(table):
            return {}
        rows = lake.read(table, columns=list(columns))
        places = list(zip(*(rows[name].to_pylist() for name in columns), strict=True))
        times = Counter((collection, text) for collection, _, text in places)
        # As `prompt_texts()` calls them: what recurs is told apart by its name.
        return {
            (collection, item): text if times[collection, text] == 1 else f"{text} ({item})"
            for collection, item, text in places
        }

    prompts = read(tables.PROMPTS, ("prompt_set", "prompt_id", "text"))
    documents = read(tables.DOCUMENTS, ("corpus", "document_id", "text"))
    return {
        "prompt": documents | prompts,
        "document": prompts | documents,
        "passage": {},
        "pair": {},
        "question": {},
    }
