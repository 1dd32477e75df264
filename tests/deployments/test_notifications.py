"""From a run that calls for somebody to the message that reaches them, by the very script of docs/deployments.md."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.deployments.site import QUICK, Site
from tests.processes import PROJECT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and what it was told."""
    told: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{service.server_port}/", told
        service.shutdown()


def test_who_asked_for_it_is_told(site: Site, inbox: tuple[str, list[str]]) -> None:
    """A run that fails, and one whose accuracy is below its bound, each reach the webhook that the script plugs in."""
    address, told = inbox
    (script,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "deployments.md").read_text(), re.DOTALL)
    site.up()
    try:
        command = [sys.executable, "-c", script, address]
        subprocess.run(command, env=site.environment, cwd=site.folder, check=True, capture_output=True)
        failed = site.request("on-demand", {"dataset": "no-such-set.toml"})
        site.wait(failed, "Failed", seconds=60)
        until(lambda: told, 30)
        assert told[0].startswith("idxflow: a run failed or crashed: ")
        poor = site.request("on-demand", {**QUICK, "alert_below": 0.9999})
        site.wait(poor, "Completed", seconds=60)
        until(lambda: len(told) > 1, 30)
        assert told[1].startswith("idxflow: the accuracy is below its bound: ")
    finally:
        for name in ("a run failed or crashed", "the accuracy is below its bound"):
            for each in site.client.read_automations_by_name(f"idxflow: {name}"):
                site.client.delete_automation(each.id)
