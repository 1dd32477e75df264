"""prefect.yaml, read by the product itself."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from flows.place import project_folder
from idxflow.deploying.deployments import (
    FLOW,
    HEARTBEAT_SECONDS,
    PREFECT_FILE,
    Deploying,
    described,
    described_for,
    served,
)
from schemas.errors import ServerError


def test_the_package_has_the_very_file() -> None:
    """What the package reads is the prefect.yaml that `prefect deploy --all` finds in the project's folder."""
    assert PREFECT_FILE.resolve() == project_folder() / "prefect.yaml"


def test_what_is_described_fits_the_package() -> None:
    """Each deployment has this version, an entrypoint that exists, the one pool, and heartbeats as often as served."""
    found = described()
    assert {each.name for each in found} == {"nightly", "on-demand"}
    assert len({each.work_pool.name for each in found}) == 1
    for each in found:
        assert each.version == version("idxflow")
        assert (project_folder() / each.entrypoint.partition(":")[0]).is_file()
        assert each.work_pool.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_SECONDS)


def test_what_is_served_is_what_is_described() -> None:
    """A deployment that is served differs from the described one in its place alone: a module, and no work pool."""
    for made, each in zip(served(described()), described(), strict=True):
        assert (made.name, made.description, made.version) == (each.name, each.description, each.version)
        assert (tuple(made.tags), made.parameters) == (each.tags, each.parameters)
        assert (made.entrypoint, made.work_pool_name) == ("flows.pipeline.pipeline", None)
        assert made.concurrency_limit == each.concurrency_limit["limit"]
        assert made.concurrency_options is not None
        assert made.concurrency_options.collision_strategy == each.concurrency_limit["collision_strategy"]
        given = [(schedule["cron"], schedule["timezone"], schedule["slug"]) for schedule in each.schedules]
        assert [
            (schedule.schedule.cron, schedule.schedule.timezone, schedule.slug)  # type: ignore[union-attr]
            for schedule in made.schedules or ()
        ] == given


def test_what_a_person_paused_is_deployed_so(prefect_server: None) -> None:
    """From the first moment on a deployment or schedule is paused that was so before; what is new is not."""
    with get_client(sync_client=True) as client:
        assert described_for(client) == described()
        for each in served(described()):
            each.apply()
        nightly = client.read_deployment_by_name(f"{FLOW}/nightly")
        client.pause_deployment(nightly.id)
        client.update_deployment_schedule(nightly.id, nightly.schedules[0].id, active=False)
        for each in served(described_for(client)):
            each.apply()
        after = client.read_deployment_by_name(f"{FLOW}/nightly")
        assert (after.id, after.paused) == (nightly.id, True)
        assert [(each.id, each.active) for each in after.schedules] == [(nightly.schedules[0].id, False)]
        on_demand = client.read_deployment_by_name(f"{FLOW}/on-demand")
        assert not on_demand.paused
        for found in (nightly, on_demand):
            client.delete_deployment(found.id)


@pytest.mark.slow
def test_a_deployment_that_fails_says_what_prefect_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Prefect's command fails, the error quotes the end of what it printed."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    match = r"prefect deploy --all: expected exit code 0, found 1: .+"
    with Deploying(described()) as deploying, pytest.raises(ServerError, match=match):
        deploying.wait()
