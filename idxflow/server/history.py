"""
The history that the home folder's Prefect server keeps: runs with their states, logs and pages, which go by age.

While the server runs it forgets by itself what is older than its `DAYS`, and passing events after minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.run_record import RunRecord
from idxflow.server.connection import enter
from idxflow.server.environment import prepare_environment, user_api_url
from idxflow.server.local import api_answers, find_server
from idxflow.server.password import read_password

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

AT_ONCE = 200
"""Runs that are asked for at once, and pages of a run: Prefect's own limit."""
UNCHANGED = 300
"""Runs that changed nothing which the dashboard keeps."""
SELDOM = 10
"""Of so many runs one deletes what is too much."""
FORGOTTEN = 20
"""Runs that are deleted at once: few enough for one transaction."""
NOTHING_CHANGED = "nothing-changed"
"""The tag that `flows.dashboard` gives such a run."""
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


class History(BaseModel):
    """What a clean-up does to the server's history."""

    model_config = ConfigDict(frozen=True)
    asked: bool = Field(description="whether a server of this home folder runs, which alone can be asked")
    older_than_days: float
    runs: int = Field(default=0, description="how many ended longer ago, and can go or are gone")
    done: bool = False


def trim_history(home: Path, age: timedelta, *, really: bool) -> History | None:
    """
    Count the runs that ended longer than `age` ago; with `really` delete them, with their logs and pages.

    It goes through the API of the home folder's own server; of one that PREFECT_API_URL names somebody else takes care.

    Returns: None where there is no history, or it is kept elsewhere.
    """
    if not (home / "prefect" / "prefect.db").exists():
        return None
    days = age / timedelta(days=1)
    server = find_server(home)
    if (chosen := user_api_url()) and (server is None or chosen != server.api):
        return None
    if server is None or not api_answers(server.api):
        return History(asked=False, older_than_days=days)
    prepare_environment(home)
    enter(home, server, patient=False)
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter

    before = (datetime.now(UTC) - age).isoformat()
    wanted = FlowRunFilter.model_validate({"end_time": {"before_": before}, "state": {"type": {"any_": ENDED}}})
    with SyncPrefectClient(server.api, auth_string=read_password(home)) as client:
        if not really:
            return History(asked=True, older_than_days=days, runs=client.count_flow_runs(flow_run_filter=wanted))
        gone = sum(_delete(client, run) for run in _found(client, wanted))
    return History(asked=True, older_than_days=days, runs=gone, done=True)


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
    Delete from the dashboard the oldest runs that changed nothing, so that no more than `keep` or so stay.

    Called at the end of a run on the home folder's own server, it does so after one in ten that changed nothing itself:
    each of them is 100 kB there, and says no more than the next one. What goes wrong is no matter of the run's.
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
