"""The state of a home folder's server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from idxflow.cli.output import put
from idxflow.server.environment import user_api_url
from idxflow.server.everywhere import FoundServer
from idxflow.server.local import api_answers, find_server
from idxflow.views.layout import few, local_time, short_path, table_lines
from schemas.addresses import redact


class ServerStatus(BaseModel):
    """The server of a home folder; where none runs, everything else has its default."""

    model_config = ConfigDict(frozen=True)
    running: bool
    answers: bool = Field(default=False, description="false while it starts")
    address: str | None = Field(default=None, description="of the dashboard")
    pid: int | None = None
    started: str | None = Field(default=None, description="UTC, ISO 8601")
    log: str | None = Field(default=None, description="path of its output")
    chosen: str | None = Field(default=None, description="the API that runs use instead, without its secrets")


def server_status(home: Path) -> ServerStatus:
    """Find the server of a home folder, and ask it."""
    chosen = (url := user_api_url()) and redact(url)
    if (found := find_server(home)) is None:
        return ServerStatus(running=False, chosen=chosen)
    own = {"running": True, "answers": api_answers(found.api), "address": found.address, "chosen": chosen}
    return ServerStatus.model_validate(found.model_dump() | own)


def print_servers(servers: Sequence[FoundServer]) -> None:
    """Print the servers of this machine."""
    if not servers:
        put("No Prefect server of idxflow runs on this machine.")
        return
    rows = [
        (
            each.address,
            str(each.pid),
            local_time(each.started) if each.started else "-",
            "-" if each.runs is None else few(each.runs) or "none",
            short_path(Path(each.home)) + ("" if each.answers else " (does not answer)"),
        )
        for each in servers
    ]
    put("\n".join(line.plain for line in table_lines(("address", "process", "since", "runs at work", "home"), rows)))


def print_status(status: ServerStatus) -> None:
    """Print it."""
    if status.chosen:
        put(f"Runs use {status.chosen} (PREFECT_API_URL) instead of a server of idxflow's own.")
    if status.started is None:
        put("No Prefect server of this home folder runs.")
        return
    state = "runs" if status.answers else "is starting, or does not answer,"
    put(f"Prefect server {state} at {status.address}")
    put(f"Process {status.pid}, since {local_time(status.started)}\nLog: {status.log}")
