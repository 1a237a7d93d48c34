"""How a study appears in Dagster: nothing that changes a value."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from assets.study.part import Part

_PREFIX = r"^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*$"
_OWNER = r"^(team:.+|[^@\s]+@[^@\s]+\.[A-Za-z]{2,})$"
_TAG = r"^([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}$"
_VALUE = r"^[A-Za-z0-9_.-]{0,63}$"


class InDagster(Part):
    """What Dagster is told of a study beside its assets.

    Attributes:
        prefix: Comes before asset keys and the names of partitions, jobs and the sensor, where an
            instance has several studies; letters, digits and single underscores.
        owners: Who answers for the assets, as email addresses or `team:NAME`.
        tags: Tags of all assets, by which the UI filters.
        fresh_within_hours: The report is shown as overdue where it was not made anew for so long.
    """

    prefix: Annotated[StrictStr, Field(pattern=_PREFIX, max_length=63)] | None = None
    owners: tuple[Annotated[StrictStr, Field(pattern=_OWNER)], ...] = ()
    tags: dict[
        Annotated[StrictStr, Field(pattern=_TAG)], Annotated[StrictStr, Field(pattern=_VALUE)]
    ] = Field(default={})
    fresh_within_hours: Annotated[float, Field(strict=True, ge=0.1, le=100_000)] | None = None
