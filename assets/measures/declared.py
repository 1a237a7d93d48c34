"""The tables that there are; known without a study, and without what runs models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assets.study.thresholds import Thresholds
from warehouse.declarations import read_measurements
from warehouse.tables import BASE_TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warehouse import Measurement, Table

SQL_FOLDER = Path(__file__).parents[2] / "sql"
"""Where measurements are."""

STUDY_PARAMETERS = ("samples_per_prompt", "max_new_tokens", "seed")
"""Keys of a study that measurements may use as `$key`, beside those of `thresholds:`."""


def declared_measurements(parameters: Mapping[str, object]) -> list[Measurement]:
    """Every measurement, each after what it reads.

    Raises:
        DeclarationError: One of them cannot become a table.
    """
    return read_measurements(SQL_FOLDER, BASE_TABLES, parameters)


def declared_tables() -> list[Table]:
    """Every table, each after what it is derived from.

    Raises:
        DeclarationError: A measurement cannot become a table.
    """
    measurements = declared_measurements(
        {**dict.fromkeys(STUDY_PARAMETERS, 0), **Thresholds().values()}
    )
    return [*BASE_TABLES, *(measurement.table for measurement in measurements)]
