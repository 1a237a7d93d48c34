"""How two checkpoints differ in a measure: rows of `comparisons`, over the items that both have."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.measures.slices import ALL, SLICE, Slice, alike, each_and_all, stacked
from assets.measures.statistics import Items, compare, holm
from warehouse.tables import COMPARISONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from assets.measures.pairs import Pair
    from warehouse.measure_headers import Measure

Values = dict[tuple[Any, ...], dict[str, dict[str, tuple[float, float]]]]
"""Of each slice and collection, the numerator and denominator of each item, by its text."""


def compare_slices(measure: Measure, pair: Pair, ours: Values, theirs: Values) -> pa.Table:
    """Rows of `comparisons` of a pair in a measure, p-values of the family not yet adjusted.

    Args:
        measure: The measure.
        pair: The two.
        ours: One's values.
        theirs: The other's.
    """
    slices: list[Slice] = []
    for key, collections in ours.items():
        partner = pair.partner_of(key, theirs)
        _, _, _, unit, level = key
        if partner is None:
            continue
        if not (pair.whole or measure.is_headline(level)):
            continue
        if not measure.are_comparable(unit, *pair.tokenizers):
            continue
        partner_decoding, *_ = partner
        slices += each_and_all((*key, partner_decoding), _paired(collections, theirs[partner]))
    # A measure that is in words alone is quoted in words.
    units = {unit for part in slices for _, _, _, unit, _, _ in [part.key]}
    quoted_in = {"-", pair.unit if pair.unit in units else "word"}
    rows = [row for some in alike(slices) for row in _rows(measure, pair, some, quoted_in)]
    rows.sort(key=lambda row: tuple(row[name] for name in COMPARISONS.stored_grain))
    return pa.Table.from_pylist(rows, COMPARISONS.arrow_schema)


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
    measure: Measure, pair: Pair, slices: Sequence[Slice], quoted_in: Set[str]
) -> Iterator[dict[str, Any]]:
    """The rows of slices that are alike."""
    numbers = stacked(slices)
    compared = compare(
        measure.statistic,
        {name: Items(items[..., 0], items[..., 1]) for name, items in numbers.items()},
        {name: Items(items[..., 2], items[..., 3]) for name, items in numbers.items()},
    )
    for i, part in enumerate(slices):
        decoding, _, condition, unit, level, partner_decoding = part.key
        row = {
            "decoding": decoding,
            "other": pair.other.checkpoint,
            "other_decoding": partner_decoding,
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
            "n_items": part.n_items,
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
