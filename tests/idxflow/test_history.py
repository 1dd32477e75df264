"""The history of the home folder's server: trimmed by age, through its API."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from artifacts.store.store import Store
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from idxflow.server.history import trim_history
from idxflow.server.local import stop_server
from idxflow.server.password import private_folder, read_password
from tests.artifacts.building import build
from tests.deployments.host import Host

AGE = timedelta(days=90)
DONE_NOW = {"type": "COMPLETED", "name": "Completed"}


def test_without_a_history_there_is_nothing_to_say(desk: Path) -> None:
    """Where no server ever ran nothing is told, nor made."""
    assert trim_history(desk / "home", AGE, really=True) is None
    assert not list(desk.iterdir())


def test_without_a_server_it_is_told_why(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A history whose server does not run is left alone, and said so; one that is kept elsewhere is no matter."""
    build(store, {"a": b"x"})
    (private_folder(store.home) / "prefect.db").touch()
    assert main(["gc", "--yes"]) == DONE
    told = "The dashboard's history was not trimmed: no server of this home folder runs."
    assert told in capsys.readouterr().out
    assert main(["gc", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["history"]["asked"] is False


def test_one_that_is_kept_elsewhere_is_no_matter(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runs use somebody else's server, its history is not this command's."""
    (private_folder(desk / "home") / "prefect.db").touch()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert trim_history(desk / "home", AGE, really=True) is None


def ended(client: SyncPrefectClient, database: Path, flow: UUID, days: float) -> UUID:
    """A run that ended so many days ago, with a log line and a page."""
    made = client.request(
        "POST", "/flow_runs/", json={"flow_id": str(flow), "name": f"run {days:g}", "state": DONE_NOW}
    )
    run = UUID(made.json()["id"])
    client.create_artifact(ArtifactCreate(type="markdown", key=f"page-{days * 10:g}", data="page", flow_run_id=run))
    moment = datetime.now(UTC) - timedelta(days=days)
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as there, there:  # the API takes no time of the past
        there.execute("UPDATE flow_run SET end_time = ? WHERE name = ?", (f"{moment:%F %T.%f}", f"run {days:g}"))
    return run


@pytest.mark.slow
def test_what_is_old_goes_with_all_that_belongs_to_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Only told without --yes; with it old runs are gone with their pages, and young ones stay; any age can be said."""
    build(store, {"a": b"x"})
    with Host(store.home) as host:
        api = host.start().api
        with SyncPrefectClient(api, auth_string=read_password(store.home)) as client:
            flow = client.create_flow_from_name("old")
            runs = {
                days: ended(client, store.home / "prefect" / "prefect.db", flow, days) for days in (0.1, 80, 100, 200)
            }
            assert main(["gc"]) == DONE
            told = "from the dashboard: 2 runs that ended more than 90 days ago, with logs and pages.\n"
            assert f"Would delete {told}" in capsys.readouterr().out
            assert {run.id for run in client.read_flow_runs()} == set(runs.values())
            assert main(["gc", "--yes"]) == DONE
            assert f"Deleted {told}" in capsys.readouterr().out
            assert {run.id for run in client.read_flow_runs()} == {runs[0.1], runs[80]}
            assert {page.flow_run_id for page in client.read_artifacts()} == {runs[0.1], runs[80]}
            assert main(["gc", "--yes", "--history", "1d"]) == DONE
            assert {run.id for run in client.read_flow_runs()} == {runs[0.1]}
    stop_server(store.home)
