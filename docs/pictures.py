"""The pictures of the pages, made from a lake: `python -m docs.pictures --lake LAKE`.

Figures are drawn as they stand in the lake. The report is what Chromium shows of it; that needs
the extra `browser`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import vl_convert

from warehouse import Lake

IMAGES = Path(__file__).parent / "images"
FIGURES = ("blueprint", "ngram_sharing", "perplexity", "top_k_mass")
"""Figures that the pages show."""
_SCREEN = {"width": 1000, "height": 800}


def draw_figures(lake: Lake) -> None:
    """Writes each figure of the pages as a PNG.

    Args:
        lake: A lake that has them.

    Raises:
        SystemExit: It lacks one.
    """
    for name in FIGURES:
        drawing = lake.figures / name / "chart.svg"
        if not drawing.is_file():
            raise SystemExit(f"the lake {lake.root} has no figure {name}; use one of `make demo`")
        svg = drawing.read_text(encoding="utf-8")
        (IMAGES / f"{name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=1.3))


def photograph_report(lake: Lake) -> None:
    """Writes the first screen of the report as a PNG.

    Args:
        lake: A lake that has a report.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("the report is shown in Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=_SCREEN, color_scheme="light")
        page.goto(lake.report.as_uri())
        page.screenshot(path=IMAGES / "report.png")
        browser.close()


def main() -> None:
    """Makes all pictures, and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, default=Path("lake"))
    lake = Lake(parser.parse_args().lake.absolute())
    IMAGES.mkdir(exist_ok=True)
    draw_figures(lake)
    photograph_report(lake)
    for image in sorted(IMAGES.glob("*.png")):
        print(f"{image.name}: {image.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
