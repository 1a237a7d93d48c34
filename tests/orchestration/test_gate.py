"""What a page of another origin can send, to Dagster's application alone and behind the gate."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.testclient import TestClient, WebSocketDenialResponse

from orchestration.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

pytestmark = pytest.mark.whole

PORT = 3000
HERE = f"127.0.0.1:{PORT}"
ALLOWED = ("lake.example.org", "localhost:8080")
MUTATION = 'mutation { setConcurrencyLimit(concurrencyKey: "model", limit: 7) }'
QUERY = "{ version }"
JSON_BODY = json.dumps({"query": MUTATION})
JSON = {"Content-Type": "application/json"}
OWN_PAGE = {"Origin": f"http://{HERE}", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Site:
    """Dagster's application, with nothing in it, and the same behind the gate."""

    instance: dg.DagsterInstance
    bare: ASGIApp
    gated: ASGIApp

    def sets_limit(self, app: ASGIApp, method: str, url: str, **sent: Any) -> tuple[bool, int]:
        """Whether the mutation was run, and the status of the answer."""
        self.instance.event_log_storage.set_concurrency_slots("model", 1)
        status = client(app).request(method, url, **sent).status_code
        (pool,) = self.instance.event_log_storage.get_pool_limits()
        return pool.limit == 7, status

    def reports(self, app: ASGIApp, url: str, **sent: Any) -> bool:
        """Whether Dagster then knows of one more event."""
        before = self.instance.event_log_storage.get_maximum_record_id()
        client(app).post(url, **sent)
        return self.instance.event_log_storage.get_maximum_record_id() != before


def client(app: ASGIApp) -> TestClient:
    return TestClient(app, base_url=f"http://{HERE}", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([])) as context,
    ):
        app = create_app_from_workspace_process_context(context)
        yield Site(instance, app, Gate(app, PORT, ALLOWED))


@pytest.mark.parametrize(
    ("method", "url", "sent", "status"),
    [
        pytest.param("GET", "/graphql", {"params": {"query": MUTATION}}, 405, id="GET"),
        pytest.param("GET", "/graphql%0A", {"params": {"query": MUTATION}}, 405, id="newline"),
        pytest.param(
            "GET", "/graphql", {"params": {"query": [QUERY, MUTATION]}}, 405, id="second query"
        ),
        pytest.param(
            "GET",
            "/graphql",
            {
                "params": {
                    "query": f"query a {QUERY} {MUTATION.replace('mutation', 'mutation b')}",
                    "operationName": "b",
                }
            },
            405,
            id="second operation",
        ),
        pytest.param(
            "POST", "/graphql", {"params": {"query": MUTATION}}, 415, id="POST of nothing"
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"params": {"query": MUTATION}, "data": {"a": "b"}},
            415,
            id="urlencoded",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"params": {"query": MUTATION}, "files": {"a": b"b"}},
            415,
            id="multipart",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"params": {"query": MUTATION}, "headers": {"Content-Type": "text/plain"}},
            415,
            id="text/plain",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {"Content-Type": "text/plain; application/json"}},
            415,
            id="text/plain that names JSON",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {**JSON, "Origin": "http://evil.test"}},
            403,
            id="page of another origin",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {**JSON, "Origin": "http://localhost:8888"}},
            403,
            id="page of another port",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {**JSON, "Origin": "null"}},
            403,
            id="page without an origin",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {**JSON, "Sec-Fetch-Site": "cross-site"}},
            403,
            id="page of another site",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {
                "content": JSON_BODY,
                "headers": JSON
                | {
                    "Sec-Fetch-Site": "same-site",
                    "Sec-Fetch-Mode": "navigate",
                    "Sec-Fetch-Dest": "document",
                },
            },
            403,
            id="form of the same site",
        ),
        pytest.param(
            "POST",
            "/graphql",
            {"content": JSON_BODY, "headers": {**JSON, "Host": f"evil.test:{PORT}"}},
            403,
            id="rebound name",
        ),
    ],
)
def test_a_mutation_that_another_page_sends_is_not_run(
    site: Site, method: str, url: str, sent: dict[str, Any], status: int
) -> None:
    assert site.sets_limit(site.bare, method, url, **sent) == (True, 200)
    assert site.sets_limit(site.gated, method, url, **sent) == (False, status)


@pytest.mark.parametrize(
    "url",
    [
        "/report_asset_materialization/a",
        "/report_asset_observation/a?data_version=1",
        "/report_asset_check/a?check_name=c&passed=true",
    ],
)
def test_an_event_that_another_page_reports_is_not_taken(site: Site, url: str) -> None:
    assert site.reports(site.bare, url)
    assert not site.reports(site.gated, url)
    cross_site = {**JSON, "Origin": "http://evil.test"}
    assert site.reports(site.bare, url, content="{}", headers=cross_site)
    assert not site.reports(site.gated, url, content="{}", headers=cross_site)
    assert site.reports(site.gated, url, content="{}", headers=JSON)


def test_what_cannot_be_read_as_queries_alone_does_not_go_by_get(site: Site) -> None:
    for query in ("subscription { a }", "mutation", "type Query { a: Int }", "{" * 5000, ""):
        for method in ("GET", "HEAD"):
            answer = client(site.gated).request(method, "/graphql", params={"query": query})
            assert answer.status_code == 405
    assert (
        client(site.gated).request("PUT", "/graphql", content="{}", headers=JSON).status_code == 405
    )


@pytest.mark.parametrize(
    "host",
    [
        "evil.test:3000",
        "localhost",
        "127.0.0.1",
        "localhost:3001",
        "localhost:80",
        "0.0.0.0:3000",
        "127.0.0.1.evil.test:3000",
        "localhost.evil.test:3000",
        "localhost.:3000",
        "evil.test@localhost:3000",
        "lake.example.org:3001",
        "www.lake.example.org",
        "localhost:8081",
        "",
    ],
)
def test_a_name_that_is_rebound_to_this_machine_reads_nothing(site: Site, host: str) -> None:
    for url in ("/", "/server_info", "/graphql?query={version}", "/logs/a/b", "/download_debug/a"):
        answer = client(site.gated).get(url, headers={"Host": host})
        assert (answer.status_code, "--allow-host" in answer.text) == (403, True)


def test_a_request_without_a_host_or_with_two_is_refused(site: Site) -> None:
    async def status(*hosts: bytes) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/server_info", "query_string": b""}
        await site.gated(scope | {"headers": [(b"host", h) for h in hosts]}, None, send)  # type: ignore[arg-type]
        return sent[0]["status"]

    assert asyncio.run(status()) == 403
    assert asyncio.run(status(HERE.encode(), b"evil.test")) == 403
    assert asyncio.run(status(HERE.encode())) == 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost:3000",
        "LOCALHOST:3000",
        "127.0.0.1:3000",
        "[::1]:3000",
        "lake.example.org",
        "lake.example.org:3000",
        "localhost:8080",
    ],
)
def test_loopback_names_and_hosts_that_are_allowed_are_answered(site: Site, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    answer = client(site.gated).get("/server_info", headers=headers)
    assert answer.json()["dagster_version"] == dg.__version__


def test_port_80_goes_without_saying(site: Site) -> None:
    on_80 = Gate(site.bare, 80)
    assert client(on_80).get("/server_info", headers={"Host": "localhost"}).status_code == 200
    assert client(on_80).get("/server_info", headers={"Host": "localhost:3000"}).status_code == 403


def test_the_own_page_and_programs_are_served_as_before(site: Site) -> None:
    for headers in (OWN_PAGE, {}):
        as_json = {"content": JSON_BODY, "headers": JSON | headers}
        assert site.sets_limit(site.gated, "POST", "/graphql", **as_json) == (True, 200)
    utf_8 = {"Content-Type": "application/json; charset=utf-8"}
    sent = {"content": JSON_BODY, "headers": utf_8}
    assert site.sets_limit(site.gated, "POST", "/graphql", **sent) == (True, 200)
    query = f"query a {{ ...b }} fragment b on Query {QUERY}"
    answer = client(site.gated).get("/graphql", params={"query": query}, headers=OWN_PAGE)
    assert answer.json() == {"data": {"version": ""}}
    assert client(site.gated).get("/runs", headers={"Sec-Fetch-Site": "none"}).status_code == 200


def test_a_link_is_followed_but_not_into_a_frame(site: Site) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    def goes(url: str, into: str) -> Any:
        return client(site.gated).get(url, headers=link | {"Sec-Fetch-Dest": into})

    page = goes("/runs", "document")
    assert (page.status_code, page.headers["x-frame-options"]) == (200, "SAMEORIGIN")
    assert "<div" in page.text
    assert goes("/runs", "iframe").status_code == 403
    assert goes(f"/graphql?query={MUTATION}", "document").status_code == 405


def test_a_websocket_of_another_page_is_not_opened(site: Site) -> None:
    def error(app: ASGIApp, headers: dict[str, str]) -> Any:
        with client(app).websocket_connect("/graphql", ["graphql-ws"], headers=headers) as socket:
            socket.send_json({"type": "start", "id": "1", "payload": {"query": MUTATION}})
            return socket.receive_json()["payload"]["message"]

    # Dagster runs no mutation here, but tells the page what happens.
    not_run = "The subscription field 'setConcurrencyLimit' is not defined."
    for app, headers in (
        (site.bare, {"Origin": "http://evil.test"}),
        (site.gated, {"Origin": f"http://{HERE}", "Host": HERE}),
        (site.gated, {"Host": HERE}),
    ):
        assert error(app, headers) == not_run
    for refused in (
        {"Host": HERE, "Origin": "http://evil.test"},
        {"Host": HERE, "Origin": "http://localhost:8888"},
        {"Host": HERE, "Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.test:3000", "Origin": "http://evil.test:3000"},
    ):
        with pytest.raises(WebSocketDenialResponse) as denial:
            error(site.gated, refused)
        assert denial.value.status_code == 403
