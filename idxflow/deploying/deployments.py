"""
The deployments of prefect.yaml: put on a server with Prefect's own command, or made to be served by this process.

The link beside this file is prefect.yaml itself: an installed package has the file, too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field

from flows.place import project_folder
from schemas.errors import ServerError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.deployments.runner import RunnerDeployment

PREFECT_FILE = Path(__file__).with_name("prefect.yaml")
FLOW = "idxflow"
HEARTBEAT_SECONDS = 30


class WorkPool(BaseModel):
    """The pool that a deployment's runs wait in, and what its worker adds to their environment."""

    model_config = ConfigDict(frozen=True)
    name: str
    job_variables: dict[str, Any] = {}


class Deployment(BaseModel):
    """What prefect.yaml says of one deployment, in Prefect's own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    description: str
    version: str
    tags: tuple[str, ...]
    entrypoint: str
    parameters: dict[str, Any]
    enforce_parameter_schema: bool
    schedules: tuple[Annotated[dict[str, Any], Field(description="cron, timezone, slug, active")], ...]
    concurrency_limit: dict[str, Any]
    work_pool: WorkPool


def described(file: Path = PREFECT_FILE) -> tuple[Deployment, ...]:
    """Return what prefect.yaml describes."""
    found = yaml.safe_load(file.read_text("utf-8"))
    return tuple(Deployment.model_validate(each) for each in found["deployments"])


def make_pool(client: SyncPrefectClient, name: str) -> bool:
    """Make the process work pool, unless it is there. Returns: whether it was made."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        return False
    return True


@contextlib.contextmanager
def pauses_kept(client: SyncPrefectClient) -> Iterator[None]:
    """Keep paused which deployments and schedules a person has paused; for Prefect, to deploy is to resume them."""
    from prefect.exceptions import ObjectNotFound

    before = tuple(_there(client))
    yield
    for each in before:
        if each.paused:
            client.pause_deployment(each.id)
        for schedule in (schedule for schedule in each.schedules if not schedule.active):
            with contextlib.suppress(ObjectNotFound):  # prefect.yaml has it no longer
                client.update_deployment_schedule(each.id, schedule.id, active=False)


def ids(client: SyncPrefectClient) -> tuple[UUID, ...]:
    """Return the ids of those deployments that are on the server."""
    return tuple(each.id for each in _there(client))


class Deploying:
    """`prefect deploy --all` at work beside this process, from the folder that prefect.yaml's entrypoints begin in."""

    def __init__(self, file: Path = PREFECT_FILE) -> None:
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
        self._process = subprocess.Popen(
            command,
            cwd=project_folder(),
            env={**os.environ, "NO_COLOR": "1", "PREFECT_LOGGING_LEVEL": "ERROR"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self) -> None:
        """
        Return when it is done.

        Raises: ServerError: it failed; it quotes what Prefect said last.
        """
        said, _ = self._process.communicate()
        if self._process.returncode:
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            raise ServerError(
                "prefect deploy --all",
                expected="exit code 0",
                found=f"{self._process.returncode}: {' | '.join(lines[-3:])}",
                way_out=f"See that the server is Prefect 3.8's and lets you in, and that {PREFECT_FILE.name} is whole.",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def served() -> tuple[RunnerDeployment, ...]:
    """Make the deployments for a process that serves them: without a work pool, found by the flow's module."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.types.entrypoint import EntrypointType

    from flows.pipeline import pipeline

    return tuple(
        pipeline.to_deployment(  # type: ignore[misc]  # a coroutine only where a loop runs
            name=each.name,
            description=each.description,
            version=each.version,
            tags=list(each.tags),
            parameters=each.parameters,
            enforce_parameter_schema=each.enforce_parameter_schema,
            schedules=[_schedule(schedule) for schedule in each.schedules],
            concurrency_limit=ConcurrencyLimitConfig.model_validate(each.concurrency_limit),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for each in described()
    )


def _there(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    from prefect.exceptions import ObjectNotFound

    for each in described():
        with contextlib.suppress(ObjectNotFound):
            yield client.read_deployment_by_name(f"{FLOW}/{each.name}")


def _schedule(given: dict[str, Any]) -> Any:
    from prefect.schedules import Cron

    options = {name: given[name] for name in ("timezone", "slug", "active", "parameters") if name in given}
    return Cron(given["cron"], **options)
