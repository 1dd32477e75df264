"""
What a page of somebody else's can do from the browser of a person who has logged in to the dashboard: nothing.

The attempts are harmless: they ask for a flow run, which the tests see or do not see on the server.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page

from flows.run_record import RunRecord
from tests.dashboard.looking import Window
from tests.deployments.site import Site

pytestmark = pytest.mark.slow
FETCHES = """async ([api, run]) => {
    const told = {};
    const ask = async (name, path, options) => {
        try {
            const answer = await fetch(api + path, options);
            told[name] = answer.type == "opaque" ? "unread" : answer.status + " " + await answer.text();
        } catch (error) {
            told[name] = "refused";
        }
    };
    const json = {"Content-Type": "application/json"};
    await ask("health", "/health", {});
    await ask("version", "/admin/version", {});
    await ask("no-cors read", "/admin/settings", {mode: "no-cors", credentials: "include"});
    await ask("filter", "/flow_runs/filter", {method: "POST", headers: json, body: "{}"});
    await ask("credentials", "/flow_runs/filter", {method: "POST", headers: json, body: "{}", credentials: "include"});
    await ask("guess", "/admin/version", {headers: {Authorization: "Basic " + btoa("idxflow:guess")}});
    await ask("token", "/csrf-token?client=x", {});
    await ask("start", run, {method: "POST", headers: json, body: "{}"});
    await ask("plain start", run, {method: "POST", mode: "no-cors", body: "{}"});
    await ask("delete", "/flow_runs/bulk_delete", {method: "POST", headers: json, body: "{}"});
    return told;
}"""
SOCKET = """([api, path, protocol]) => new Promise(resolve => {
    const told = [];
    const socket = new WebSocket(api.replace("http", "ws") + path, protocol);
    socket.onopen = () => { told.push("open"); socket.send(JSON.stringify({type: "auth", token: "guess"})); };
    socket.onmessage = message => told.push(message.data);
    socket.onclose = () => resolve(told);
})"""
FORM = """([api, run]) => new Promise(resolve => {
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = "target";
    document.body.append(frame, form);
    frame.onload = () => { try { resolve(frame.contentDocument?.body?.innerText ?? "unread"); }
                           catch { resolve("unread"); } };
    Object.assign(form, {method: "POST", action: api + run, target: "target", enctype: "text/plain"});
    form.append(Object.assign(document.createElement("input"), {name: '{"parameters": {}, "x": "', value: '"}'}));
    form.submit();
})"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of an empty page of somebody else's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>elsewhere</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def attack(page: Page, api: str, deployment: UUID) -> None:
    """Try to read and to start something, in every way that a page has."""
    run = f"/deployments/{deployment}/create_flow_run"
    told = page.evaluate(FETCHES, [api, run])
    assert set(told.values()) <= {"refused", "unread"}, told
    assert {name for name, answer in told.items() if answer == "unread"} <= {"no-cors read", "plain start"}
    for path in ("/events/out", "/events/in", "/logs/out", "/task_runs/subscriptions/scheduled"):
        assert page.evaluate(SOCKET, [api, path, "prefect"]) == []
    assert page.evaluate(FORM, [api, run]) == "unread"


def runs_of(site: Site) -> set[UUID]:
    """All runs that the server knows, but for those that its schedule makes."""
    return {run.id for run in site.client.read_flow_runs() if not run.auto_scheduled}


def test_the_dashboard_asks_once(look: Window, site: Site, first: RunRecord) -> None:
    """Without the password it shows nothing but the question; after one login a second page needs none."""
    window = look(known=False)
    window.open("/runs")
    assert site.password
    window.log_in(site.password)
    window.problems.clear()  # the 401s of before
    window.sees(re.compile("digits / tutorial"))
    again = window.another_page(f"{window.address}/runs/flow-run/{first.flow_run}")
    again.get_by_text("digits / tutorial").filter(visible=True).first.wait_for()
    assert "/login" not in again.url
    window.keep("logged-in")


def test_a_page_of_another_origin_reads_and_starts_nothing(
    look: Window, site: Site, deployments: dict[str, UUID], elsewhere: str
) -> None:
    """In the browser of a person who is logged in, with `idxflow up` at work: every request and socket is refused."""
    window = look()
    window.open("/runs")
    window.sees("Runs")
    before = runs_of(site)
    attack(window.another_page(elsewhere), site.api, deployments["on-demand"])
    attack(window.another_page(elsewhere), site.api.replace("127.0.0.1", "localhost"), deployments["on-demand"])
    assert runs_of(site) == before
    window.open("/deployments")
    window.sees("on-demand")


def test_a_name_that_is_made_to_point_here_is_not_answered(browser: Browser, chromium: str, site: Site) -> None:
    """A page whose own name becomes this machine's address has the server's origin for the browser alone."""
    port = site.api.split(":")[2].partition("/")[0]
    rules = "--host-resolver-rules=MAP rebound.test 127.0.0.1"
    rebound = browser.browser_type.launch(executable_path=chromium, args=["--disable-gpu", rules])
    page = rebound.new_page()
    answer = page.goto(f"http://rebound.test:{port}/")
    assert answer
    assert (answer.status, answer.text()) == (400, "Invalid host header")
    told = page.evaluate(FETCHES, [f"http://rebound.test:{port}/api", "/flow_runs/filter"])
    assert set(told.values()) <= {"400 Invalid host header", "unread"}
    rebound.close()
