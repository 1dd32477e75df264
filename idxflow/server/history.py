"""
The history in the home folder's Prefect server: runs with their states, logs and pages, deleted by age.

A running server deletes by itself what is older than its `DAYS`, and passing events after minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from flows.run_record import RunRecord
from idxflow.server.connection import enter
from idxflow.server.environment import prepare_environment, user_api_url
from idxflow.server.local import api_answers, find_server
from idxflow.server.password import read_password

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

AT_ONCE = 200
"""Runs, and pages of a run, in one request: Prefect's own limit."""
UNCHANGED = 300
"""How many runs that changed nothing the dashboard keeps."""
SELDOM = 10
"""One run in so many deletes the surplus."""
FORGOTTEN = 20
"""Runs deleted in one transaction."""
NOTHING_CHANGED = "nothing-changed"
"""The tag that `flows.dashboard` gives such a run."""
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


class Trimmed(BaseModel):
    """What a clean-up does to the server's history."""

    model_config = ConfigDict(frozen=True)
    asked: bool = Field(description="whether a server of this home folder runs: without one nothing is deleted")
    older_than_days: float
    runs: int = Field(default=0, description="how many ended longer ago, and can be or are deleted")
    done: bool = False


def trim_history(home: Path, age: timedelta, *, really: bool) -> Trimmed | None:
    """
    Count the runs that ended longer than `age` ago; with `really` delete them, with their logs and pages.

    Only through the API of the home folder's own server, never of another that PREFECT_API_URL names.

    Returns: None where there is no history, or it is on another server.
    """
    if not (home / "prefect" / "prefect.db").exists():
        return None
    days = age / timedelta(days=1)
    server = find_server(home)
    if (chosen := user_api_url()) and (server is None or chosen != server.api):
        return None
    if server is None or not api_answers(server.api):
        return Trimmed(asked=False, older_than_days=days)
    prepare_environment(home)
    enter(home, server, patient=False)
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter

    before = (datetime.now(UTC) - age).isoformat()
    wanted = FlowRunFilter.model_validate({"end_time": {"before_": before}, "state": {"type": {"any_": ENDED}}})
    with SyncPrefectClient(server.api, auth_string=read_password(home)) as client:
        if not really:
            return Trimmed(asked=True, older_than_days=days, runs=client.count_flow_runs(flow_run_filter=wanted))
        gone = sum(_delete(client, run) for run in _found(client, wanted))
    return Trimmed(asked=True, older_than_days=days, runs=gone, done=True)


def _found(client: SyncPrefectClient, wanted: Any) -> Iterator[UUID]:
    """Yield what is found, batch after batch: what has been yielded is deleted before the next is asked for."""
    while found := client.read_flow_runs(flow_run_filter=wanted, limit=AT_ONCE):
        yield from (run.id for run in found)


def _delete(client: SyncPrefectClient, run: UUID) -> int:
    """Delete a run, and first its pages, which would outlive it; its logs go with it. Returns: how many it was."""
    from prefect.client.schemas.filters import ArtifactFilter
    from prefect.exceptions import ObjectNotFound

    of_it = ArtifactFilter.model_validate({"flow_run_id": {"any_": [str(run)]}})
    while pages := client.read_artifacts(artifact_filter=of_it, limit=AT_ONCE):
        for page in pages:
            with suppress(ObjectNotFound):  # the server's own clean-up was faster
                client.delete_artifact(page.id)
    with suppress(ObjectNotFound):
        client.delete_flow_run(run)
        return 1
    return 0


def forget_unchanged(record: RunRecord, keep: int = UNCHANGED) -> None:
    """
    Delete from the dashboard the oldest runs that changed nothing, so that about `keep` of them stay.

    Called at the end of a run on the home folder's own server, it does so after one in ten that changed nothing itself:
    each takes 100 kB there and adds nothing. Errors are ignored: they are not the run's.
    """
    from flows.summary import nothing_changed

    if not nothing_changed(record) or int(record.id, 16) % SELDOM:
        return
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = FlowRunFilter.model_validate({"tags": {"all_": [NOTHING_CHANGED]}, "state": {"type": {"any_": ENDED}}})
    newest = FlowRunSort.START_TIME_DESC
    with suppress(Exception), get_client(sync_client=True) as client:
        old = client.read_flow_runs(flow_run_filter=wanted, sort=newest, offset=keep, limit=FORGOTTEN)
        if old:
            ids = {"flow_runs": {"id": {"any_": [str(run.id) for run in old]}}}
            # The server's own clean-up takes their tables. (Prefect's client does not know the route by its type.)
            client.request("POST", "/flow_runs/bulk_delete", json=ids)  # type: ignore[arg-type]
