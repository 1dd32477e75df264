"""What `idxflow up` sets up on a real server: deployments, the work pool, automations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

from flows.place import project_folder
from idxflow.deploying.deployments import (
    AUTOMATIONS_FILE,
    FLOW,
    HEARTBEAT_SECONDS,
    PREFECT_FILE,
    base_job_template,
    deploying,
    described,
    described_for,
    make_pool,
    put_automations,
    served,
)
from schemas.errors import ServerError


def test_the_package_has_the_very_file() -> None:
    """What the package reads is the prefect.yaml that `prefect deploy --all` finds in the project's folder."""
    assert PREFECT_FILE.resolve() == project_folder() / "prefect.yaml"


def test_what_is_described_fits_the_package() -> None:
    """Each deployment has this version, an entrypoint that exists, the one pool, and heartbeats as often as served."""
    found = described()
    assert {each.name for each in found} == {"nightly", "on-demand", "scoring", "tune"}
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
        module = each.entrypoint.replace(".py:", ".").replace("/", ".")
        assert (made.entrypoint, made.work_pool_name) == (module, None)
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
        scoring = client.read_deployment_by_name("idxflow-scoring/scoring")
        for found in (nightly, on_demand, scoring, client.read_deployment_by_name("idxflow-tune/tune")):
            client.delete_deployment(found.id)


def test_what_a_person_filled_in_and_switched_on_stays(prefect_server: None) -> None:
    """A folder to be scored, and the schedule that takes what is new there, outlast the next `idxflow up`."""
    with get_client(sync_client=True) as client:
        for each in served(described()):
            each.apply()
        scoring = client.read_deployment_by_name("idxflow-scoring/scoring")
        assert [each.active for each in scoring.schedules] == [False]
        changed = DeploymentUpdate(parameters={**scoring.parameters, "paths": ["inbox"], "model": "champion"})
        client.update_deployment(scoring.id, changed)
        client.update_deployment_schedule(scoring.id, scoring.schedules[0].id, active=True)
        for each in served(described_for(client)):
            each.apply()
        after = client.read_deployment_by_name("idxflow-scoring/scoring")
        assert after.parameters == {"model": "champion", "paths": ["inbox"]}
        assert [each.active for each in after.schedules] == [True]
        for found in described():
            client.delete_deployment(client.read_deployment_by_name(found.full_name).id)


@pytest.mark.slow
def test_a_deployment_that_fails_says_what_prefect_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Prefect's command fails, the error quotes the end of what it printed."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    match = r"prefect deploy --all: expected exit code 0, found 1: .+"
    with deploying(described()) as wait, pytest.raises(ServerError, match=match):
        wait()


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


GIVEN = {each["name"]: each for each in yaml.safe_load(AUTOMATIONS_FILE.read_text())["automations"]}


def test_none_acts_unasked() -> None:
    """As it ships, each automation either only logs or is switched off."""
    assert len(GIVEN) == 4
    for each in GIVEN.values():
        assert not each["enabled"] or each["actions"] == [{"type": "do-nothing"}]


def test_heartbeats_may_be_missed_three_times() -> None:
    """The bound for silence is longer than three heartbeats, and holds for runs with the tag of prefect.yaml alone."""
    (trigger,) = (each["trigger"] for each in GIVEN.values() if each["trigger"]["posture"] == "Proactive")
    for each in described():
        assert trigger["within"] > 3 * int(each.work_pool.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert trigger["match_related"]["prefect.resource.id"].removeprefix("prefect.tag.") in each.tags


def test_a_second_time_changes_nothing_and_keeps_what_a_person_changed(prefect_server: None) -> None:
    """They are made once; later the trigger is the file's, but switch and actions are the person's."""
    with get_client(sync_client=True) as client:
        assert put_automations(client) == (4, 0)
        name = next(iter(GIVEN))
        (mine,) = client.read_automations_by_name(name)
        actions = [{"type": "do-nothing"}, {"type": "cancel-flow-run"}]
        fields = set(AutomationCore.model_fields) - {"owner_resource"}
        changed = {"enabled": False, "actions": actions, "description": ""}
        theirs = AutomationCore.model_validate(mine.model_dump(mode="json", include=fields) | changed)
        client.update_automation(mine.id, theirs)
        assert put_automations(client) == (0, 4)
        (after,) = client.read_automations_by_name(name)
        assert (after.id, after.enabled) == (mine.id, False)
        assert [action.type for action in after.actions] == ["do-nothing", "cancel-flow-run"]
        assert after.description == GIVEN[name]["description"]
        for each in GIVEN:
            (found,) = client.read_automations_by_name(each)
            client.delete_automation(found.id)
