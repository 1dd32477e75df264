"""The servers of this machine, of whatever home folder: found among its processes."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from idxflow.server.at_work import runs_at_work
from idxflow.server.local import Server, api_answers, find_server
from idxflow.server.machine import PROC
from schemas.errors import IdxflowError

GUARD = re.compile(rb"/guard\.py\0--listener\0\d+\0--port\0\d+\0?$")
"""How the arguments of such a process end."""


class FoundServer(BaseModel):
    """A server that runs on this machine."""

    model_config = ConfigDict(frozen=True)
    home: str
    address: str = Field(description="of the dashboard")
    pid: int
    started: str = Field(description="UTC, ISO 8601")
    answers: bool = Field(description="false while it starts")
    runs: tuple[str, ...] | None = Field(description="ids of the runs at work on it; None: not known")


def find_servers(home: Path) -> list[FoundServer]:
    """
    List the servers of this machine whose processes can be seen, by their ports.

    A server works in the folder of its log, in its home folder; that is how it is known whose it is.

    Args: home: whose server is listed also where processes cannot be looked at.
    """
    homes = {home, *_homes()}
    found = {server.pid: server for each in homes if (server := find_server(each))}
    return [_told(server) for server in sorted(found.values(), key=lambda server: server.port)]


def _homes() -> set[Path]:
    """Return the home folders in which processes work that look like servers."""
    found = set[Path]()
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if GUARD.search((folder / "cmdline").read_bytes()):
                found.add(Path(os.readlink(folder / "cwd")).parent)  # noqa: PTH115 - it may be gone: nothing is resolved
    return found


def _told(server: Server) -> FoundServer:
    home = Path(server.home or Path(server.log).parents[1])
    runs: tuple[str, ...] | None = None
    with suppress(IdxflowError):
        runs = tuple(record.id for record in runs_at_work(home, server))
    return FoundServer(
        home=str(home),
        address=server.address,
        pid=server.pid,
        started=server.started,
        answers=api_answers(server.api),
        runs=runs,
    )
