"""The pages of a figure that a reader walks through: rows alone, drawn by one specification.

A specification names its datasets and holds none. A page brings their rows, as lists of values
whose columns are named once for all pages; so a page costs its values and little more. What puts a
page into its specification stands here, and for browsers once more in page.html.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Size = Literal["wide", "narrow"]
    Rows = list[list[Any]]


@dataclass(frozen=True)
class Sheet:
    """What a page has for screens of one size alone.

    Attributes:
        height: Of the chart, in pixels; None where the specification says it.
        rows: Of each dataset that depends on the size its rows.
    """

    height: float | None
    rows: dict[str, Rows]


@dataclass(frozen=True)
class Page:
    """A part of a figure that is drawn by itself.

    Attributes:
        heading: What is drawn.
        link: What the page is called in the address of a link; unique within the figure.
        rows: Of each dataset that all screens share its rows.
        wide: What it has for large screens.
        narrow: What it has for phones.
    """

    heading: str
    link: str
    rows: dict[str, Rows]
    wide: Sheet
    narrow: Sheet

    def to_dict(self) -> dict[str, Any]:
        """Its values; the rows are not copied."""
        return vars(self) | {"wide": vars(self.wide), "narrow": vars(self.narrow)}

    @classmethod
    def of_any_size(cls, heading: str, link: str, rows: dict[str, Rows]) -> Page:
        """A page that has the same on screens of all sizes."""
        return cls(heading, link, rows, Sheet(None, {}), Sheet(None, {}))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Page:
        """Reads them back."""
        sheets = {size: Sheet(**values[size]) for size in ("wide", "narrow")}
        return cls(values["heading"], values["link"], values["rows"], **sheets)


def links(names: Iterable[str]) -> list[str]:
    """What pages are called in addresses: their names, numbered where one comes again."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


@dataclass(frozen=True)
class Walk:
    """All pages of a figure.

    Attributes:
        columns: Of each dataset what the values of its rows are called.
        pages: The pages, the one to show first before the others.
    """

    columns: dict[str, list[str]]
    pages: list[Page]

    def to_dict(self) -> dict[str, Any]:
        """Its values; the rows are not copied."""
        return {"columns": self.columns, "pages": [page.to_dict() for page in self.pages]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Walk:
        """Reads them back."""
        return cls(values["columns"], [Page.from_dict(page) for page in values["pages"]])

    def turned_to(self, page: Page, specification: dict[str, Any], size: Size) -> dict[str, Any]:
        """The specification of one page.

        Args:
            page: One of its pages.
            specification: What all pages are drawn by, at this size.
            size: That of the screen.
        """
        sheet = page.wide if size == "wide" else page.narrow
        datasets = {
            name: [dict(zip(self.columns[name], row, strict=True)) for row in rows]
            for name, rows in (page.rows | sheet.rows).items()
        }
        height = {} if sheet.height is None else {"height": sheet.height}
        return {**specification, **height, "datasets": datasets}
