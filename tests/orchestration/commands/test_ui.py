"""`anchorlake ui`: what it says before anything begins."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from orchestration import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def ui(*arguments: str) -> Result:
    """The command; a study that is not there shows what is looked at first."""
    return CliRunner().invoke(cli.app, ["ui", "missing.yaml", *arguments])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_port_in_use_is_found_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "assets.study.study", None)  # nor can it be
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = ui("--port", str(port))
    assert result.exit_code == 2
    assert result.stderr == (
        f"port {port} is in use; stop what listens there, or name another one with --port\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "host", ["https://lake.example.org", "*", "a/b", "::1", "", "a b", "a:", "ä.example.org"]
)
def test_a_host_that_no_browser_shows_is_refused(host: str) -> None:
    result = ui("--port", "0", "--allow-host", host)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"--allow-host {host}: write a host as")


@pytest.mark.parametrize("host", ["lake.example.org", "localhost:8080", "[::1]:8080", "Box"])
def test_other_hosts_are_allowed(host: str) -> None:
    result = ui("--port", "0", "--allow-host", host)
    assert result.exit_code == 2
    assert "missing.yaml" in result.stderr
