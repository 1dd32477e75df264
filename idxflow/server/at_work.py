"""Who needs the server of a home folder at this moment: the runs that work on it, and `idxflow up`."""

from __future__ import annotations

from pathlib import Path

from artifacts.archive.index import RunIndex
from artifacts.archive.runs import read_run, state_of
from artifacts.run_record import Record
from artifacts.store.flock import is_locked
from artifacts.store.store import Store
from idxflow.server.local import Server, find_server, stop_command
from idxflow.views.layout import few, local_time
from schemas.counts import counted
from schemas.errors import ServerError

UP = "up.lock"
"""In a home folder: held by the one `idxflow up` of it."""


def runs_at_work(home: Path, server: Server) -> list[Record]:
    """
    List the runs of a home folder that work on its server, newest first.

    One that has been killed is none, nor is one on a temporary server or on another machine's.
    """
    if not (home / "artifacts").is_dir():
        return []
    store = Store(home, create=False)
    with RunIndex(store) as index:
        running = [run.id for run in index.runs() if run.state == "running"]
    records = [record for run in running if (record := read_run(store, run))]
    return [
        record
        for record in records
        if state_of(store, record) == "running"
        and (record.dashboard or f"{server.address}/").startswith(f"{server.address}/")
    ]


def refuse_work(home: Path) -> None:
    """
    Refuse to go on where somebody needs the server of a home folder.

    Raises: ServerError: it names the runs, and `idxflow up`.
    """
    if (server := find_server(home)) is None:
        return
    runs = runs_at_work(home, server)
    named = [f"{run.id} ({run.dataset or 'no data set yet'}, since {local_time(run.started)})" for run in runs]
    found = [f"{counted(len(runs), 'run')}: {few(named)}"] if runs else []
    if is_locked(home.resolve() / UP):
        found.append("`idxflow up`, which takes scheduled runs")
    if found:
        raise ServerError(
            f"Prefect server {server.address}",
            expected="nobody who needs it",
            found="; ".join(found),
            way_out=f"Wait for the end, or: {stop_command(home)} --force. A run then goes on without its dashboard.",
        )
