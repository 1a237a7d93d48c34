"""The tables and measures that there are; known without what runs models."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from assets.lineage.signature import Signature
from assets.measures.pairs import pair_with_base
from assets.study.errors import InputError
from assets.study.thresholds import Thresholds, written
from warehouse.declarations import read_measurements, used_parameters
from warehouse.measures import read_measures
from warehouse.tables import BASE_TABLES, MEASURE_TABLES
from warehouse.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Measurement, Table
    from warehouse.measure_headers import Measure

SQL_FOLDER = Path(__file__).parents[2] / "sql"
"""Where derived tables are, and in `measures` measures; a study may name one more such folder."""

STUDY_PARAMETERS = ("samples_per_prompt", "max_new_tokens", "seed")
"""Keys of a study that queries may use as `$key`, beside those of `thresholds:`."""

PLACEHOLDERS: dict[str, object] = {
    **dict.fromkeys(STUDY_PARAMETERS, 0),
    **Thresholds().values(),
}
"""What queries may use, where there is no study."""


def study_parameters(study: Study) -> dict[str, object]:
    """What queries may use of the study as `$name`."""
    return {
        **{name: getattr(study, name) for name in STUDY_PARAMETERS},
        **study.thresholds.values(),
    }


def query_parameters(
    query: str, reads: Sequence[str], *, beside_base: bool = False
) -> Callable[[Study, Checkpoint | None], dict[str, object]]:
    """What of a study changes what a query gives, as `Asset.parameters` has it.

    Args:
        query: The query.
        reads: The tables that it reads.
        beside_base: Whether it reads the rows of a checkpoint's base, too.
    """

    def parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
        pair = pair_with_base(study, checkpoint) if beside_base else None
        return {
            **used_parameters(query, study_parameters(study)),
            # A change in the words that it may use may change any value.
            "vocabulary": vocabulary_of(reads),
            **({"pair": asdict(pair)} if pair else {}),
        }

    return parameters


def keys_of(query: str) -> tuple[str, ...]:
    """The keys of a study that a query uses; a threshold's as `thresholds.KEY`."""
    return tuple(
        f"thresholds.{name}" if name in Thresholds.model_fields else name
        for name in used_parameters(query, PLACEHOLDERS)
    )


def thresholds_in(study: Study, query: str, known: Signature) -> Signature:
    """The thresholds that a query uses, as its signature shows them.

    Args:
        study: The study.
        query: The query.
        known: A signature that shows others already.
    """
    shown = known.to_dict()
    keys = [key.removeprefix("thresholds.") for key in keys_of(query) if "." in key]
    values = {key: written(getattr(study.thresholds, key)) for key in keys}
    return Signature.of(**{key: value for key, value in values.items() if shown.get(key) != value})


def sql_folders(study: Study) -> tuple[Path, ...]:
    """Where a study's tables and measures are declared.

    Raises:
        InputError: The study's own folder is none, or there is nothing in it.
    """
    own = study.sql
    if own is None:
        return (SQL_FOLDER,)
    if not own.is_dir():
        raise InputError(f"sql: {own} is no folder; name one with *.sql or measures/*.sql in it")
    if not any(chain(own.glob("*.sql"), own.glob("measures/*.sql"))):
        raise InputError(
            f"sql: {own} holds neither tables (*.sql) nor measures (measures/*.sql); put one "
            "there, or leave `sql:` out"
        )
    return (SQL_FOLDER, own)


def declared_measurements(
    parameters: Mapping[str, object],
    folders: Sequence[Path] = (SQL_FOLDER,),
    *,
    rehearse: bool = True,
) -> list[Measurement]:
    """Every derived table, each after what it reads; see `read_measurements`.

    Raises:
        DeclarationError: One of them cannot become a table.
    """
    tables = [*BASE_TABLES, *MEASURE_TABLES]
    return read_measurements(folders, tables, parameters, rehearse=rehearse)


def declared_measures(
    parameters: Mapping[str, object],
    folders: Sequence[Path] = (SQL_FOLDER,),
    measurements: Sequence[Measurement] | None = None,
) -> list[Measure]:
    """Every measure, by group and name.

    Args:
        parameters: What queries may use as `$name`.
        folders: Where tables and measures are declared.
        measurements: The derived tables, where they have been read already.

    Raises:
        DeclarationError: A file cannot become a measure, or a table that it reads not a table.
    """
    if measurements is None:
        measurements = declared_measurements(parameters, folders)
    tables = [*BASE_TABLES, *(measurement.table for measurement in measurements)]
    return read_measures(
        [folder / "measures" for folder in folders],
        {table.name: table for table in tables},
        parameters,
    )


def declared_tables(
    folders: Sequence[Path] = (SQL_FOLDER,), *, rehearse: bool = True
) -> list[Table]:
    """Every table, each after what it is derived from.

    Args:
        folders: Where tables are declared.
        rehearse: Whether every query is run over empty tables, to find its mistakes.

    Raises:
        DeclarationError: A file cannot become a table.
    """
    measurements = declared_measurements(PLACEHOLDERS, folders, rehearse=rehearse)
    return [*BASE_TABLES, *(measurement.table for measurement in measurements), *MEASURE_TABLES]
