"""One module a figure; a module that holds a `FIGURE` is drawn, shown and reported."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assets.drawing.figure import Figure


def _figures() -> list[Figure]:
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    figures = [module.FIGURE for module in modules if hasattr(module, "FIGURE")]
    return sorted(figures, key=lambda figure: figure.place)


FIGURES = _figures()
