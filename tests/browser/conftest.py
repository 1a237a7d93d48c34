"""What the tests in a browser share."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from tests.browser.running import Ui

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.studies import Bench

ELSEWHERE = ["--host-resolver-rules=MAP evil.test 127.0.0.1"]
"""A name of somebody else's that is this machine's address."""


@pytest.fixture
def ui(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ui]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Ui(bench, port)
    yield running
    running.stop()


@pytest.fixture
def page(bench: Bench) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests look at the UI in Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", *ELSEWHERE]
        )
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.set_default_timeout(60_000)
        yield opened
        opened.screenshot(path=bench.folder / "page.png")  # for whoever wonders why it failed
        browser.close()
