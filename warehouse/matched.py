"""Measures of two checkpoints whose generations are cut to as many words.

Long texts have more in common than short ones. So what is counted in generations is also counted in
their beginnings, cut to a common number of words a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from warehouse.declarations import used_parameters
from warehouse.measures import values_of
from warehouse.sessions import Limits, bind, confine, create_view, session
from warehouse.tables import GENERATIONS, PROMPTS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from warehouse.declarations import Measurement
    from warehouse.lake import Lake
    from warehouse.measure_headers import Measure

_CUT = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Sampled:
    """What a checkpoint wrote at a decoding.

    Attributes:
        checkpoint: The checkpoint.
        decoding: Its decoding.
    """

    checkpoint: str
    decoding: str


def chain(measure: Measure, measurements: Mapping[str, Measurement]) -> list[Measurement] | None:
    """The derived tables that lead from `generations` to a measure, each after what it reads.

    Returns:
        None where something else than SQL over `generations` is among them, or reads a base too.
    """
    needed: dict[str, Measurement] = {}

    def add(name: str) -> bool:
        if name == GENERATIONS.name or name in needed:
            return True
        measurement = measurements.get(name)
        if measurement is None or measurement.beside_base:
            return False
        if not all(add(read) for read in measurement.reads):
            return False
        needed[name] = measurement
        return True

    by_sql = not measure.beside_base and all(add(name) for name in measure.reads)
    return list(needed.values()) if by_sql else None


def matched_values(
    measures: Sequence[Measure],
    measurements: Mapping[str, Measurement],
    lake: Lake,
    one: Sampled,
    other: Sampled,
    parameters: Mapping[str, object],
    limits: Limits | None = None,
) -> dict[str, tuple[pa.Table, pa.Table]]:
    """The values of measures over cut generations.

    Args:
        measures: Those that `chain` leads to.
        measurements: All derived tables, by name.
        lake: The lake.
        one: Whose generations.
        other: And whose.
        parameters: What queries may use as `$name`.
        limits: The session's limits.

    Returns:
        By measure both checkpoints' rows, as the measure's table has them.
    """
    sampled = replace(GENERATIONS, name="sampled")
    names = [one.checkpoint, other.checkpoint]
    values = {}
    with session(lake, limits) as connection:
        prompts = bind(connection, lake, [PROMPTS])
        files = [str(file) for name in names for file in lake.files(GENERATIONS, name)]
        create_view(connection, sampled, files)
        confine(connection, [*prompts, *files])
        load_words(connection, _CUT)
        connection.sql(
            _CUT,
            params={
                "checkpoint": one.checkpoint,
                "decoding": one.decoding,
                "other": other.checkpoint,
                "other_decoding": other.decoding,
            },
        ).create("cut")
        connection.table("cut").create_view(GENERATIONS.name)  # what the vocabulary is made over
        load_words(connection)
        made: set[str] = set()
        for measure in measures:
            for measurement in chain(measure, measurements) or ():
                if measurement.table.name not in made:
                    used = used_parameters(measurement.query, parameters)
                    connection.sql(measurement.query, params=used).create(measurement.table.name)
                    made.add(measurement.table.name)
            rows = values_of(measure, connection, parameters).to_arrow_table()
            rows = rows.filter(pc.is_valid(rows["numerator"]))
            values[measure.name] = (
                rows.filter(pc.equal(rows["checkpoint"], one.checkpoint)),
                rows.filter(pc.equal(rows["checkpoint"], other.checkpoint)),
            )
    return values
