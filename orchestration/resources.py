"""What steps and runs take of a cluster's machines, as the tag that dagster-ray reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from assets.lineage.selection import assets_named
from assets.study.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from assets.lineage.asset import Asset
    from assets.study.study import Study

RESOURCES = "dagster-ray/config"
"""The tag."""


def resources_of(study: Study, assets: Collection[Asset]) -> dict[str, Resources]:
    """What assets take, of those that the study says it of.

    Raises:
        InputError: The study names neither an asset nor a group.
    """
    of_group: dict[str, Resources] = {}
    of_asset: dict[str, Resources] = {}
    for name, resources in study.resources.items():
        for asset in assets_named(name, assets, key="resources:"):
            (of_asset if asset == name else of_group)[asset] = resources
    return of_group | of_asset


def most_of(several: Iterable[Resources]) -> Resources:
    """Of each kind the most that any of them takes: what one process takes that does it all."""
    amounts: dict[str, float] = {}
    for resources in several:
        for kind, amount in _flat(resources).items():
            amounts[kind] = max(amount, amounts.get(kind, 0))
    named = {kind: amounts.pop(kind) for kind in Resources.model_fields if kind in amounts}
    return Resources.model_validate({**named, "custom": amounts})


def _flat(resources: Resources) -> dict[str, float]:
    return resources.model_dump(exclude={"custom"}, exclude_none=True) | resources.custom


def as_tags(resources: Resources | None) -> dict[str, str]:
    """The tag; none where nothing is taken."""
    values = resources.model_dump(exclude_defaults=True) if resources else {}
    if "custom" in values:
        values["resources"] = values.pop("custom")
    return {RESOURCES: json.dumps(values)} if values else {}


def from_tag(text: str) -> Resources:
    """What the tag of a step says; what else dagster-ray reads there is left out."""
    values = json.loads(text)
    values["custom"] = values.pop("resources", None) or {}
    return Resources.model_validate(
        {k: v for k, v in values.items() if k in Resources.model_fields}
    )
