"""What a page elsewhere, open in the same browser, can do to the UI."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from orchestration.instance import open_instance
from tests.browser.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.browser.running import Ui
    from tests.studies import Bench

pytestmark = pytest.mark.browser

START_A_RUN = """mutation { launchRun(executionParams: {
    selector: {repositoryLocationName: "tiny",
               repositoryName: "__repository__", jobName: "refresh"},
    runConfigData: {}, mode: "default"}) { __typename } }"""

# Each gives what the page came to know; a browser tells it of an image or a form no more than that.
ATTACK = """async ({graphql, mutation}) => {
  const url = graphql + "?query=" + encodeURIComponent(mutation);
  const json = JSON.stringify({query: mutation});
  const settled = promise => promise.then(() => "sent", () => "refused");
  const element = (name, url) => new Promise(done => {
    const added = document.createElement(name);
    added.onload = added.onerror = done;
    added.src = url;
    document.body.append(added);
  });
  const form = (action, enctype, value) => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.name = "frame" + Math.random();
    document.body.append(frame);
    const added = document.createElement("form");
    Object.assign(added, {action, enctype, method: "post", target: frame.name});
    const input = document.createElement("input");
    Object.assign(input, {type: "hidden", name: value, value: ""});
    added.append(input);
    document.body.append(added);
    frame.onload = done;
    added.submit();
  });
  const socket = new Promise(done => {
    const opened = new WebSocket(graphql.replace("http", "ws"), "graphql-ws");
    opened.onopen = () => done("open");
    opened.onerror = () => done("refused");
  });
  for (const name of ["img", "script", "iframe"]) await element(name, url);
  for (const enctype of [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"
  ]) {
    await form(url, enctype, "a");
    await form(graphql, enctype, json);
  }
  const post = {method: "POST", mode: "no-cors"};
  for (const type of ["text/plain", "text/plain; application/json"]) {
    await settled(fetch(graphql, {...post, headers: {"Content-Type": type}, body: json}));
    await settled(fetch(url, {...post, headers: {"Content-Type": type}, body: json}));
  }
  await settled(fetch(url, post));
  navigator.sendBeacon(url, json);
  return {
    socket: await socket,
    read: await settled(fetch(graphql + "?query={version}")),
    json: await settled(fetch(graphql, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: json})),
  };
}"""

OWN_PAGE = """async mutation => {
  const socket = new WebSocket("ws://" + location.host + "/graphql", "graphql-ws");
  const opened = await new Promise(done => {
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  });
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({query: mutation}),
  });
  return [opened, (await answer.json()).data.launchRun.__typename];
}"""


@contextmanager
def elsewhere() -> Iterator[int]:
    """Serves an empty page; gives the port."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body></body>")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server.server_port
        server.shutdown()


def n_runs(bench: Bench) -> int:
    with open_instance(bench.lake) as instance:
        return instance.get_runs_count()


def test_a_page_elsewhere_starts_no_run_and_reads_nothing(bench: Bench, ui: Ui, page: Page) -> None:
    bench.study(samples_per_prompt=1, max_new_tokens=2)
    ui.start()
    home = f"http://127.0.0.1:{ui.port}"
    told = {}
    with elsewhere() as port:
        for host in ("evil.test", "localhost", "127.0.0.1"):  # the last two are of the same site
            page.goto(f"http://{host}:{port}")
            attack = {"graphql": f"{home}/graphql", "mutation": START_A_RUN}
            told[host] = page.evaluate(ATTACK, attack)
    nothing = {"socket": "refused", "read": "refused", "json": "refused"}
    assert n_runs(bench) == 0
    assert told == {"evil.test": nothing, "localhost": nothing, "127.0.0.1": nothing}

    # The name of a page comes to mean this machine.
    for path in ("/", "/graphql?query={version}", f"/graphql?query={quote(START_A_RUN)}"):
        answer = page.goto(f"http://evil.test:{ui.port}{path}")
        assert answer is not None
        assert (answer.status, f"--allow-host evil.test:{ui.port}" in answer.text()) == (403, True)
    assert n_runs(bench) == 0

    page.goto(home)
    page.get_by_text("Overview").first.wait_for()
    assert page.evaluate(OWN_PAGE, START_A_RUN) == ["open", "LaunchRunSuccess"]
    until(lambda: n_runs(bench) == 1, "what the page elsewhere tried does start a run")
