"""
A run that was made without Prefect, shown in the dashboard of the home folder's server afterwards.

    python -I -S posting.py < document

It is started as a file, and needs the standard library alone: the command that it tells of has ended by then, and
nobody waits for it. What goes wrong is nobody's matter: the run is recorded, and a dashboard is there to be looked at.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 10.0
"""For one request."""


@dataclass(frozen=True)
class Posting:
    """
    What is shown.

    Args:
        flow, name, tags: of the flow run.
        ended:            UTC, ISO 8601.
        message:          of its last state.
        key, page, told:  of a page in Markdown: its key, itself, and a line about it; without a key there is none.
        events:           name and payload of each.
    """

    flow: str
    name: str
    tags: list[str]
    ended: str
    message: str
    key: str = ""
    page: str = ""
    told: str = ""
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)


def post_later(home: Path, posting: Posting) -> bool:
    """
    Have a run shown by the server of a home folder, if there is one, by a process that nobody waits for.

    Returns: whether there is one.
    """
    from idxflow.server.local import find_server
    from idxflow.server.password import read_password

    if (server := find_server(home)) is None:
        return False
    document = {"port": server.port, "password": read_password(home), **asdict(posting)}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if process.stdin:
        process.stdin.write(json.dumps(document).encode())
        process.stdin.close()
    process.returncode = 0  # as far as this process is concerned: else it would warn of one that still runs
    return True


def post(port: int, password: str, **told: Any) -> None:
    """Show a run; see `Posting`. Raises: OSError, ValueError, KeyError: the server does not take it."""
    posting, client = Posting(**told), str(uuid.uuid4())
    authorization = f"Basic {base64.b64encode(password.encode()).decode()}"
    headers = {"Authorization": authorization, "Content-Type": "application/json"}

    def ask(method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            connection.request(method, f"/api{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= http.client.BAD_REQUEST:
                raise ValueError(f"{path}: {answer.status}")
            return json.loads(content) if content else None
        finally:
            connection.close()

    headers |= {
        "Prefect-Csrf-Token": ask("GET", f"/csrf-token?client={client}")["token"],
        "Prefect-Csrf-Client": client,
    }
    flow = ask("POST", "/flows/", {"name": posting.flow})["id"]
    running = {"type": "RUNNING"}  # from now on: Prefect takes no other moment
    run = ask("POST", "/flow_runs/", {"flow_id": flow, "name": posting.name, "tags": posting.tags, "state": running})[
        "id"
    ]
    if posting.key:
        page = {"key": posting.key, "type": "markdown", "data": posting.page, "description": posting.told}
        ask("POST", "/artifacts/", {**page, "flow_run_id": run})
    done = {"type": "COMPLETED", "message": posting.message}
    ask("POST", f"/flow_runs/{run}/set_state", {"state": done, "force": True})
    if posting.events:
        resource = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.name": posting.name}
        events = [
            {
                "id": str(uuid.uuid4()),
                "occurred": posting.ended,
                "event": event,
                "resource": resource,
                "payload": payload,
            }
            for event, payload in posting.events
        ]
        ask("POST", "/events", events)


if __name__ == "__main__":
    post(**json.load(sys.stdin))
