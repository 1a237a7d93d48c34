"""Why an asset is stale, in words of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from assets.lineage.data_version import DataVersion

NOT_MADE_YET = "not made yet"
DAMAGED = "its file is damaged"


def why_stale(
    code: str, before: DataVersion | None, after: DataVersion, to_be_made: Collection[str]
) -> str:
    """What changed between two data versions of an asset.

    Args:
        code: What people call the asset's code.
        before: The data version that the lake has; None where its parts are not known.
        after: The data version that it would have.
        to_be_made: Names of assets that are stale themselves.
    """
    if before is None:
        return "made by an earlier version"
    changed = [code] if before.code != after.code else []
    changed += _different(before.parameters, after.parameters)
    upstream = _different(before.upstream, after.upstream)
    changed += [name for name in upstream if name not in to_be_made]
    reasons = [f"{some(changed)} changed"] if changed else []
    if remade := [name for name in upstream if name in to_be_made]:
        reasons.append(f"reads {some(remade)}")
    return "; ".join(reasons)


def some(names: list[str], most: int = 4) -> str:
    """Names, the first ones where there are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _different(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [key for key in {**after, **before} if before.get(key) != after.get(key)]
