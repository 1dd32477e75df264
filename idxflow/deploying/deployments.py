"""
What `idxflow up` sets up on a server: a work pool, the deployments of prefect.yaml, and the automations.

With Prefect's own template a run may name any command, which a worker runs as its user. With that of pool.json the
command is Prefect's, in the worker's folder, and the one job variable is `env`; of that, only names that neither Python
nor the loader of programs reads: prefect.yaml's, and `MIRROR_...` for `${NAME}` in a mirror's address. The server
refuses everything else. The link beside this file is prefect.yaml itself: an installed package has the file, too.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import yaml
from pydantic import BaseModel, ConfigDict, Field

from flows.place import project_folder
from schemas.errors import ServerError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.deployments.runner import RunnerDeployment

PREFECT_FILE, POOL_FILE, AUTOMATIONS_FILE = (
    Path(__file__).with_name(name) for name in ("prefect.yaml", "pool.json", "automations.yaml")
)
FLOWS = {
    "flows/pipeline.py:pipeline": "idxflow",
    "flows/scoring.py:scoring": "idxflow-scoring",
    "flows/tuning.py:tuning": "idxflow-tune",
}
"""The name of each flow, by its entrypoint: a flow is imported by who runs it."""
FLOW = FLOWS["flows/pipeline.py:pipeline"]
"""The name of the main one."""
ALIKE = {"name", "description", "version", "parameters", "enforce_parameter_schema", "paused"}
"""What a deployment that is served has as prefect.yaml does."""
HEARTBEAT_SECONDS = 30
EMPTY: tuple[object, ...] = (None, "", [], {})
"""Values of prefect.yaml that a person fills in on the server."""


class WorkPool(BaseModel):
    """The pool of a deployment's runs, and what its worker adds to their environment."""

    model_config = ConfigDict(frozen=True)
    name: str
    job_variables: dict[str, Any] = {}


class Deployment(BaseModel):
    """One deployment of prefect.yaml, in Prefect's own terms."""

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
    paused: bool = False

    @property
    def full_name(self) -> str:
        """The flow's name and its own, as Prefect's commands take them."""
        return f"{FLOWS[self.entrypoint]}/{self.name}"


def described(file: Path = PREFECT_FILE) -> tuple[Deployment, ...]:
    """Return what prefect.yaml describes."""
    found = yaml.safe_load(file.read_text("utf-8"))
    return tuple(Deployment.model_validate(each) for each in found["deployments"])


def described_for(client: SyncPrefectClient) -> tuple[Deployment, ...]:
    """
    Return what prefect.yaml describes, with deployments and schedules paused or not as they are on the server.

    Deploying with Prefect would undo that. Parameters that prefect.yaml leaves out, or empty, are kept, too.
    """
    there = {each.name: each for each in _there(client)}
    return tuple(_kept_as(each, there[each.name]) if each.name in there else each for each in described())


def ids(client: SyncPrefectClient) -> tuple[UUID, ...]:
    """Return the ids of those deployments that are on the server."""
    return tuple(each.id for each in _there(client))


@contextlib.contextmanager
def deploying(wanted: Iterable[Deployment]) -> Iterator[Callable[[], None]]:
    """
    Run `prefect deploy --all` beside the block, in the folder that prefect.yaml's entrypoints are relative to.

    Args:   wanted: what it deploys; all else is as in prefect.yaml.
    Yields: a function that returns when it is done. Raises ServerError: it failed; it quotes Prefect's last lines.
    """
    whole = yaml.safe_load(PREFECT_FILE.read_text("utf-8"))
    whole["deployments"] = [each.model_dump(mode="json") for each in wanted]
    environment = {**os.environ, "NO_COLOR": "1", "PREFECT_LOGGING_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory(prefix="idxflow-deploy-") as folder:
        (file := Path(folder) / PREFECT_FILE.name).write_text(yaml.safe_dump(whole), "utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, cwd=project_folder(), env=environment, text=True, **streams) as process:

            def wait() -> None:
                output, _ = process.communicate()
                if process.returncode:
                    lines = [line.strip() for line in output.splitlines() if line.strip()]
                    raise ServerError(
                        "prefect deploy --all",
                        expected="exit code 0",
                        found=f"{process.returncode}: {' | '.join(lines[-3:])}",
                        way_out=f"See that it is Prefect 3.8, accepts your password, and that {file.name} is intact.",
                    )

            try:
                yield wait
            finally:
                process.kill()  # one that has ended takes no harm


def served(wanted: Iterable[Deployment]) -> tuple[RunnerDeployment, ...]:
    """Return these deployments for a process that serves them: without a work pool, found by the flow's module."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.types.entrypoint import EntrypointType

    return tuple(
        _flow(each).to_deployment(
            **each.model_dump(include=ALIKE),
            tags=list(each.tags),
            schedules=[_schedule(schedule) for schedule in each.schedules],
            concurrency_limit=ConcurrencyLimitConfig.model_validate(each.concurrency_limit),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for each in wanted
    )


def _flow(deployment: Deployment) -> Any:
    file, _, name = deployment.entrypoint.partition(":")
    return getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)


def _there(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    from prefect.exceptions import ObjectNotFound

    for each in described():
        with contextlib.suppress(ObjectNotFound):
            yield client.read_deployment_by_name(each.full_name)


def _kept_as(wanted: Deployment, there: DeploymentResponse) -> Deployment:
    """Keep what a person has decided on the server: paused or not, each schedule too, and what was left out here."""
    active = {schedule.slug: schedule.active for schedule in there.schedules}
    schedules = tuple({**each, "active": active.get(each["slug"], each["active"])} for each in wanted.schedules)
    takes = set(inspect.signature(_flow(wanted).fn).parameters)  # of an older idxflow there may be others
    known = {name: value for name, value in (there.parameters or {}).items() if name in takes}
    parameters = known | {name: value for name, value in wanted.parameters.items() if value not in EMPTY}
    return wanted.model_copy(update={"paused": there.paused, "schedules": schedules, "parameters": parameters})


def _schedule(given: dict[str, Any]) -> Any:
    from prefect.schedules import Cron

    options = {name: given[name] for name in ("timezone", "slug", "active", "parameters") if name in given}
    return Cron(given["cron"], **options)


def base_job_template() -> dict[str, Any]:
    """Return the pool's template, in Prefect's own terms."""
    template: dict[str, Any] = json.loads(POOL_FILE.read_text("utf-8"))
    return template


def make_pool(client: SyncPrefectClient, name: str) -> bool:
    """
    Create the process work pool, or give one that has Prefect's own template ours.

    Returns: whether it was created.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template, prefects = base_job_template(), ProcessWorker.get_default_base_job_template()
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        there = client.read_work_pool(name).base_job_template
        if _variables(there) in (set(), _variables(prefects), _variables(template)):
            client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        return False
    return True


def _variables(template: dict[str, Any]) -> set[str]:
    return set(template.get("variables", {}).get("properties", {}))


def put_automations(client: SyncPrefectClient, file: Path = AUTOMATIONS_FILE) -> tuple[int, int]:
    """
    Create or update each automation of the file; by name, so that a second time changes nothing.

    What was changed on the server is kept: whether it is enabled, and its actions, as notifications.

    Returns: how many were created, and how many existed.
    """
    from prefect.events.schemas.automations import AutomationCore

    made = there = 0
    for given in yaml.safe_load(file.read_text("utf-8"))["automations"]:
        wanted = AutomationCore.model_validate(given)
        if not (found := client.read_automations_by_name(wanted.name)):
            client.create_automation(wanted)
            made += 1
        for each in found:  # `prefect automation create` twice makes two of a name
            kept = wanted.model_copy(update={"enabled": each.enabled, "actions": each.actions})
            client.update_automation(each.id, kept)
        there += bool(found)
    return made, there
