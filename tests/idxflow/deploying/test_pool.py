"""The work pool, on a real server: which job variables a run may name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from idxflow.deploying.deployments import base_job_template, described, make_pool

POOL = "guarded"


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    """A client of a real server."""
    with get_client(sync_client=True) as client:
        yield client


def deployment(client: SyncPrefectClient, **variables: object) -> UUID:
    """A deployment in the pool, with what prefect.yaml gives it, or with these job variables."""
    make_pool(client, POOL)
    flow = client.create_flow_from_name("guarded")
    given = dict(variables) or dict(described()[0].work_pool.job_variables)
    return client.create_deployment(flow, "-".join(variables) or "plain", work_pool_name=POOL, job_variables=given)


def configured(values: dict[str, Any]) -> Any:
    """What a worker makes of job variables."""
    return asyncio.run(ProcessJobConfiguration.from_template_and_values(base_job_template(), values))


def test_the_variables_of_prefect_yaml_and_secrets_are_let_through(client: SyncPrefectClient) -> None:
    """A run may add a mirror's secret to what prefect.yaml sets, and the worker hands both on."""
    own = described()[0].work_pool.job_variables["env"]
    secret = {"MIRROR_TOKEN": "{{ prefect.blocks.secret.mirror-token }}"}
    run = client.create_flow_run_from_deployment(deployment(client), job_variables={"env": secret})
    assert run.job_variables == {"env": secret}
    assert configured({"env": own | {"MIRROR_TOKEN": "x"}}).env == own | {"MIRROR_TOKEN": "x"}


@pytest.mark.parametrize(
    "variables",
    [
        {"command": "touch mine"},
        {"working_dir": "/tmp"},
        {"name": "x"},
        {"labels": {"a": "b"}},
        {"env": {"PYTHONPATH": "mine"}},
        {"env": {"LD_PRELOAD": "mine.so"}},
        {"env": {"PREFECT_API_URL": "http://127.0.0.1:9/api"}},
        {"env": {"MIRROR_X=": "y"}},
        {"env.PYTHONPATH": "mine"},
    ],
    ids=str,
)
def test_what_can_run_things_is_refused(client: SyncPrefectClient, variables: dict[str, Any]) -> None:
    """Neither a run nor a deployment may name a command, a folder, or a variable that Python or Prefect reads."""
    with pytest.raises(PrefectHTTPStatusError, match=r"422|409"):
        client.create_flow_run_from_deployment(deployment(client), job_variables=variables)
    with pytest.raises(PrefectHTTPStatusError, match=r"422|409"):
        deployment(client, **variables)


def test_a_command_that_got_past_the_server_is_not_run() -> None:
    """What the template has no place for reaches no process, whoever put it into the database."""
    made = configured({"command": "touch mine", "working_dir": "/tmp"})
    assert made.command is None
    assert made.working_dir is None


def test_an_older_pool_gets_the_template(client: SyncPrefectClient) -> None:
    """A pool that is there with Prefect's own template has ours after the next `up`."""
    from prefect.client.schemas.actions import WorkPoolCreate

    template = ProcessWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name="older", type="process", base_job_template=template))
    assert not make_pool(client, "older")
    assert client.read_work_pool("older").base_job_template == base_job_template()
