"""Which assets a name stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.study.errors import InputError, meant

if TYPE_CHECKING:
    from collections.abc import Collection

    from assets.lineage.asset import Asset


def assets_named(name: str, assets: Collection[Asset], key: str = "--select") -> list[str]:
    """The assets that a name or a group stands for; a figure has a name without its group, too.

    Args:
        name: The name.
        assets: Those that there are.
        key: Where the name is given.

    Raises:
        InputError: It stands for none.
    """
    matching = [
        asset.name
        for asset in assets
        if name in (asset.name, asset.group, asset.name.rpartition("/")[2])
    ]
    if not matching:
        names = [asset.name for asset in assets]
        groups = list(dict.fromkeys(asset.group for asset in assets))
        raise InputError(
            f"{key} {name}: there is no such table, figure or group{meant(name, names + groups)}"
            f"; there are {', '.join(names)}, and the groups {', '.join(groups)}"
        )
    return matching
