"""What Prefect's API says of a flow run, as the dashboard's browser asks for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.client.schemas.sorting import FlowRunSort


def flow_run(run: str) -> FlowRun:
    """A flow run as it is now."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run))


def newest_flow_run(flow: str) -> FlowRun:
    """The newest run of a flow."""
    with get_client(sync_client=True) as client:
        named = FlowFilter(name=FlowFilterName(any_=[flow]))
        return client.read_flow_runs(flow_filter=named, sort=FlowRunSort.START_TIME_DESC, limit=1)[0]


def posted(run: str) -> dict[str, Artifact]:
    """The keyed artifacts of a flow run, by key."""
    return {artifact.key: artifact for artifact in artifacts(run) if artifact.key}


def bars(run: str) -> list[Artifact]:
    """The progress artifacts of a flow run."""
    return [artifact for artifact in artifacts(run) if artifact.type == "progress"]


def artifacts(run: str) -> list[Artifact]:
    """All artifacts of a flow run."""
    with get_client(sync_client=True) as client:
        return client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run)]))
        )


def log_lines(run: str) -> list[str]:
    """The lines of a flow run's log."""
    with get_client(sync_client=True) as client:
        return [
            line.message
            for line in client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run)])), limit=200)
        ]


def events(name: str) -> list[dict[str, Any]]:
    """The events of a name, newest first."""
    with get_client(sync_client=True) as client:
        answer = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [name]}}})
        found: list[dict[str, Any]] = answer.json()["events"]
        return found
