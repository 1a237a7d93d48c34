"""`comparisons`: how a checkpoint differs from others, over the items that both have.

An aligned checkpoint is compared with its base, and with the stage before it; any checkpoint with
itself at its further decodings. Items are paired by the text of the prompt or the document.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_parts, note_part_versions
from assets.measures import statistics, summary
from assets.measures.declared import study_parameters
from assets.measures.statistics import RESAMPLES, SWAPS, Items, compare, holm
from assets.measures.summary import ALL, SLICE
from assets.study.digests import digest
from warehouse import matched, tables
from warehouse.matched import Sampled, chain, matched_values
from warehouse.tables import COMPARISONS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Measurement
    from warehouse.measures import Measure

MATCHED = "matched"
"""The condition of a comparison of generations that are cut to as many words."""
_CODE = digest(
    [
        code_version(
            Path(__file__),
            Path(statistics.__file__),
            Path(summary.__file__),
            Path(matched.__file__),
            Path(matched.__file__).with_suffix(".sql"),
        ),
        repr(COMPARISONS),
    ]
)
_SLICES_AT_ONCE = 100

Values = dict[tuple[Any, ...], dict[str, dict[str, tuple[float, float]]]]
"""Of each slice and collection, the numerator and denominator of each item, by its text."""


@dataclass(frozen=True)
class Pair:
    """A checkpoint at a decoding, and what it is compared with.

    Attributes:
        one: The checkpoint and its decoding.
        other: The other one and its decoding.
        whole: Whether all levels are compared, and not only those that are quoted.
        main: Whether numbers that no decoding is behind belong to this pair.
        tokenizers: The digests of their tokenizers; None where not known.
    """

    one: Sampled
    other: Sampled
    whole: bool
    main: bool
    tokenizers: tuple[str | None, str | None]

    @property
    def unit(self) -> str:
        """The unit that the pair's family of comparisons is in."""
        one, other = self.tokenizers
        return "token" if one is not None and one == other else "word"

    def partner_of(self, key: tuple[Any, ...], theirs: Container[Any]) -> tuple[Any, ...] | None:
        """The one of the other's slices that a slice is compared with; None where it is with none.

        A slice without a decoding is of texts whose decoding is not known, or of no decoding.
        """
        decoding, about, *rest = key
        # Where a number is about two checkpoints, each is compared with the other's about it.
        if about not in ("-", self.other.checkpoint):
            return None
        partner_about = "-" if about == "-" else self.one.checkpoint
        partners = [self.other.decoding] if decoding == self.one.decoding else []
        partners += ["-"] if decoding == "-" and self.main else []
        keys = [(partner_decoding, partner_about, *rest) for partner_decoding in partners]
        return next((partner for partner in keys if partner in theirs), None)


def pairs_of(
    study: Study, checkpoint: Checkpoint, tokenizers: Mapping[str, str | None]
) -> list[Pair]:
    """What a checkpoint is compared with, as far as it is in the lake.

    Args:
        study: The study.
        checkpoint: The checkpoint.
        tokenizers: The digests of tokenizers by checkpoint, of those that are in the lake.
    """
    name, first = checkpoint.name, study.first_decoding(checkpoint)
    own = _decodings_of(study, checkpoint)
    pairs = []
    for other in study.compared_with(checkpoint):
        if other.name not in tokenizers:
            continue
        both = tokenizers[name], tokenizers[other.name]
        is_base = other.name == checkpoint.base
        theirs = study.first_decoding(other)
        pairs.append(Pair(Sampled(name, first), Sampled(other.name, theirs), is_base, True, both))
        shared = own & _decodings_of(study, other)
        pairs += [
            Pair(Sampled(name, decoding), Sampled(other.name, decoding), False, False, both)
            for decoding in sorted(shared)
            if (decoding, decoding) != (first, theirs)
        ]
    pairs += [
        Pair(Sampled(name, decoding), Sampled(name, first), False, False, (tokenizers[name],) * 2)
        for decoding in sorted(own - {first})
    ]
    return pairs


def _decodings_of(study: Study, checkpoint: Checkpoint) -> set[str]:
    """The decodings that a checkpoint has generations of; - where it is not known which."""
    first = study.first_decoding(checkpoint)
    return {"-"} if first == "-" else {decoding.name for decoding in study.decodings(checkpoint)}


def compare_slices(measure: Measure, pair: Pair, ours: Values, theirs: Values) -> pa.Table:
    """Rows of `comparisons` of a pair in a measure, p-values of the family not yet adjusted.

    Args:
        measure: The measure.
        pair: The two.
        ours: One's values.
        theirs: The other's.
    """
    slices: list[_Slice] = []
    for key, collections in ours.items():
        partner = pair.partner_of(key, theirs)
        _, _, _, unit, level = key
        if partner is None:
            continue
        if not (pair.whole or measure.is_headline(level)):
            continue
        if not measure.are_comparable(unit, *pair.tokenizers):
            continue
        paired = _paired(collections, theirs[partner])
        if len(paired) > 1:
            slices.append(_Slice(key, partner[0], (ALL,), paired))
        for name, items in paired.items():  # the only one is all of them
            names = (name,) if len(paired) > 1 else (name, ALL)
            slices.append(_Slice(key, partner[0], names, {name: items}))
    # A measure that is in words alone is quoted in words.
    units = {part.key[3] for part in slices}
    quoted_in = {"-", pair.unit if pair.unit in units else "word"}
    rows = [row for some in _alike(slices) for row in _rows(measure, pair, some, quoted_in)]
    rows.sort(key=lambda row: tuple(row[name] for name in COMPARISONS.stored_grain))
    return pa.Table.from_pylist(rows, COMPARISONS.arrow_schema)


@dataclass(frozen=True)
class _Slice:
    """A part of a measure in which two checkpoints are compared.

    Attributes:
        key: What tells it apart, as `SLICE`.
        partner_decoding: The other's decoding.
        names: What its collections are called together.
        paired: By collection the items that both have: [n, 4], both numerators and denominators.
    """

    key: tuple[Any, ...]
    partner_decoding: str
    names: tuple[str, ...]
    paired: dict[str, np.ndarray]


def _alike(slices: Iterable[_Slice]) -> Iterator[list[_Slice]]:
    """Slices with collections of the same names and sizes, together: they share their draws."""
    groups: dict[tuple[Any, ...], list[_Slice]] = {}
    for part in slices:
        sizes = tuple((name, len(items)) for name, items in part.paired.items())
        groups.setdefault((part.names, sizes), []).append(part)
    for group in groups.values():
        for start in range(0, len(group), _SLICES_AT_ONCE):
            yield group[start : start + _SLICES_AT_ONCE]


def _paired(
    ours: Mapping[str, Mapping[str, tuple[float, float]]],
    theirs: Mapping[str, Mapping[str, tuple[float, float]]],
) -> dict[str, np.ndarray]:
    """By collection the items that both have: [n, 4], both numerators and denominators.

    A collection of one that the other does not have is looked for in all of the other's.
    """
    paired = {}
    for collection, items in sorted(ours.items()):
        others = theirs.get(collection) or ChainMap(*(dict(some) for some in theirs.values()))
        numbers = [(*items[text], *others[text]) for text in sorted(items) if text in others]
        if numbers:
            paired[collection] = np.array(numbers, dtype=float)
    return paired


def _rows(
    measure: Measure, pair: Pair, slices: Sequence[_Slice], quoted_in: Set[str]
) -> Iterator[dict[str, Any]]:
    """The rows of slices that are alike."""
    first = slices[0].paired
    stacked = {name: np.stack([part.paired[name] for part in slices], axis=1) for name in first}
    compared = compare(
        measure.statistic,
        {name: Items(numbers[..., 0], numbers[..., 1]) for name, numbers in stacked.items()},
        {name: Items(numbers[..., 2], numbers[..., 3]) for name, numbers in stacked.items()},
    )
    for i, part in enumerate(slices):
        decoding, _, condition, unit, level = part.key
        row = {
            "decoding": decoding,
            "other": pair.other.checkpoint,
            "other_decoding": part.partner_decoding,
            "measure": measure.name,
            "condition": condition,
            "unit": unit,
            "level": level,
            "value": _finite(compared.value[i]),
            "other_value": _finite(compared.other[i]),
            "difference": _finite(compared.difference.value[i]),
            "difference_low": _finite(compared.difference.low[i]),
            "difference_high": _finite(compared.difference.high[i]),
            "ratio": _finite(compared.ratio.value[i]),
            "ratio_low": _finite(compared.ratio.low[i]),
            "ratio_high": _finite(compared.ratio.high[i]),
            "n_items": sum(map(len, first.values())),
            "p": _finite(compared.p[i]),
            "p_least": compared.p_least,
            "p_adjusted": None,
        }
        is_quoted = measure.is_headline(level) and condition == "-" and unit in quoted_in
        for name in part.names:
            yield row | {"collection": name, "headline": is_quoted and name == ALL}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def adjusted(rows: pa.Table, pairs: Iterable[Pair]) -> pa.Table:
    """The rows with `p_adjusted` (Holm), over each pair's family.

    Args:
        rows: Rows of `comparisons`, of one checkpoint.
        pairs: What it is compared with. Numbers that no decoding is behind are of the family of the
            other's main pair.
    """
    main = {
        pair.other.checkpoint: (pair.one.decoding, pair.other.decoding)
        for pair in pairs
        if pair.main
    }
    families: dict[tuple[str, ...], list[int]] = {}
    columns = ("headline", "p", "other", "decoding", "other_decoding")
    for place, row in enumerate(rows.select(columns).to_pylist()):
        if row["headline"] and row["p"] is not None:
            decodings = (row["decoding"], row["other_decoding"])
            if decodings == ("-", "-"):
                decodings = main.get(row["other"], decodings)
            families.setdefault((row["other"], *decodings), []).append(place)
    p_values = rows["p"].to_pylist()
    result: list[float | None] = [None] * len(rows)
    for places in families.values():
        for place, p in zip(places, holm([p_values[i] for i in places]), strict=True):
            result[place] = p
    index = rows.schema.get_field_index("p_adjusted")
    return rows.set_column(index, "p_adjusted", pa.array(result, pa.float64()))


def by_text(values: pa.Table, texts: Mapping[tuple[str, str], str], condition: str = "") -> Values:
    """A measure's rows by slice, collection and the text of the item.

    Args:
        values: Rows of a measure's table.
        texts: Texts by collection and item; an item that has none is known by its name.
        condition: What the condition `-` is called; rows of others are left out. Empty for all as
            they are.
    """
    slices: Values = {}
    columns = [values[name].to_pylist() for name in (*SLICE, "collection", "item")]
    numbers = zip(values["numerator"].to_pylist(), values["denominator"].to_pylist(), strict=True)
    for *key, collection, item, number in zip(*columns, numbers, strict=True):
        if condition:
            if key[2] != "-":
                continue
            key[2] = condition
        text = texts.get((collection, item), f"{collection}/{item}")
        slices.setdefault(tuple(key), {}).setdefault(collection, {})[text] = number
    return slices


def _texts_of(context: AssetContext) -> dict[str, dict[tuple[str, str], str]]:
    """The texts of items, by kind of item."""
    lake = context.lake

    def read(table: Any, columns: Sequence[str]) -> dict[tuple[str, str], str]:
        if not lake.files(table):
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
    return {"prompt": documents | prompts, "document": prompts | documents, "passage": {}}


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
        if name is not None and lake.files(tables.CHECKPOINTS, name)
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
        parts += _compare(context, left, pairs)
        cut = [measure for measure in left if measure in by_sql]
        parts += _compare_matched(context, cut, pairs, measurements)
    merged = pa.concat_tables(parts)
    ordered = merged.sort_by([(name, "ascending") for name in COMPARISONS.stored_grain])
    return adjusted(ordered, pairs)


def _stored(context: AssetContext, name: str) -> list[list[str | None]]:
    """The data versions that the lake has of what is read."""
    upstream = context.upstream.get(name)
    stored = {p: upstream.provenance(p) for p in upstream.partitions} if upstream else {}
    return [[partition, made.data_version if made else None] for partition, made in stored.items()]


def _compare(
    context: AssetContext, measures: Sequence[Measure], pairs: Sequence[Pair]
) -> Iterator[pa.Table]:
    texts = _texts_of(context)
    for measure in measures:
        values = {
            name: by_text(context.lake.read(measure.table, name), texts[measure.item])
            for name in {sampled.checkpoint for pair in pairs for sampled in (pair.one, pair.other)}
            if context.lake.files(measure.table, name)
        }
        for pair in pairs:
            ours, theirs = (values.get(s.checkpoint) for s in (pair.one, pair.other))
            if ours and theirs:
                yield compare_slices(measure, pair, ours, theirs)


def _compare_matched(
    context: AssetContext,
    measures: Sequence[Measure],
    pairs: Sequence[Pair],
    measurements: Mapping[str, Measurement],
) -> Iterator[pa.Table]:
    """The comparisons with the base over generations that are cut to as many words."""
    texts = _texts_of(context)
    for pair in pairs:
        sampled = (pair.one, pair.other)
        has_both = all(context.lake.files(tables.GENERATIONS, s.checkpoint) for s in sampled)
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
