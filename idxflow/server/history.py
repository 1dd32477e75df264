"""
The history in the home folder's Prefect server: runs with their states, logs and pages, deleted by age.

A running server deletes by itself what is older than its `DAYS`, passing events after minutes, and of the runs that
changed nothing the oldest; see `idxflow.server.forgetting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from idxflow.server.connection import enter
from idxflow.server.database import database_file
from idxflow.server.environment import prepare_environment, user_api_url
from idxflow.server.forgetting import ENDED
from idxflow.server.local import api_answers, find_server
from idxflow.server.password import read_password

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

AT_ONCE = 200
"""Runs, and pages of a run, in one request: Prefect's own limit."""


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
    if not database_file(home).exists():
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
