"""prefect.yaml as it stands, on a real server with a real process worker: what is deployed, and how it runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.exceptions import PrefectHTTPStatusError

from tests.deployments.site import LONG, QUICK, Site
from tests.processes import PROJECT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_what_is_deployed_is_what_is_promised(site: Site) -> None:
    """The nightly one has its hour, zone and limit, the one on demand no schedule; both a form with help and bounds."""
    nightly = site.client.read_deployment_by_name("idxflow/nightly")
    (schedule,) = nightly.schedules
    told: Any = schedule.schedule
    assert (told.cron, told.timezone, schedule.active) == ("0 3 * * *", "Europe/Paris", True)
    assert nightly.parameters == {
        "dataset": "mnist",
        "training": {"profile": "tutorial"},
        "alert_below": 0.95,
        "promote": "champion",
    }
    demand = site.client.read_deployment_by_name("idxflow/on-demand")
    assert (demand.schedules, demand.parameters) == ([], {})
    for each, strategy in ((nightly, "CANCEL_NEW"), (demand, "ENQUEUE")):
        assert each.global_concurrency_limit is not None
        assert each.concurrency_options is not None
        assert (each.global_concurrency_limit.limit, each.concurrency_options.collision_strategy) == (1, strategy)
        assert (each.work_pool_name, each.version, each.enforce_parameter_schema) == (
            "idxflow",
            version("idxflow"),
            True,
        )
        assert each.description
        assert "deployed" in each.tags
        assert not each.paused
        schema: Any = each.parameter_openapi_schema
        properties = schema["properties"] | schema["definitions"]["Training"]["properties"]
        assert all(field.get("description") for field in properties.values())
        assert (properties["epochs"]["minimum"], properties["epochs"]["maximum"]) == (1, 10000)


def test_deploying_again_changes_nothing(site: Site) -> None:
    """A second `deploy --all` leaves the same deployments and schedules."""
    before = site.client.read_deployment_by_name("idxflow/nightly")
    site.prefect("deploy", "--all")
    after = site.client.read_deployment_by_name("idxflow/nightly")
    assert after.id == before.id
    assert [each.id for each in after.schedules] == [each.id for each in before.schedules]


def test_a_run_on_demand_completes(site: Site) -> None:
    """A worker that was started in a strange folder runs digits to the end, into its own IDXFLOW_HOME."""
    site.worker()
    run = site.request("on-demand", {"dataset": "digits"})
    assert site.wait(run, "Completed", "Failed", "Crashed").name == "Completed"
    record = site.record(run)
    assert (record.state, record.dataset) == ("completed", "digits")
    assert record.metrics["test"].accuracy > 0.8
    assert not (PROJECT / "home").exists()
    again = site.request("on-demand", {"dataset": "digits"})
    site.wait(again, "Completed")
    until(lambda: set(site.task_states(again).values()) == {"Cached"}, 20)  # states of tasks arrive as events


@pytest.mark.parametrize(
    "parameters",
    [
        {"training": {"epochs": 0}},
        {"training": {"epochs": "many"}},
        {"training": {"speed": 9}},
        {"refresh": ["coffee"]},
        {"dataset": 7},
        {"dataset": "mnits"},
    ],
    ids=str,
)
def test_a_wrong_parameter_is_refused_before_it_runs(site: Site, parameters: dict[str, Any]) -> None:
    """The server itself refuses a value out of bounds, of the wrong type or unknown, and makes no run."""
    deployment = site.client.read_deployment_by_name("idxflow/on-demand")
    before = len(site.client.read_flow_runs())
    with pytest.raises(PrefectHTTPStatusError) as refused:
        site.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    assert refused.value.response.status_code in {409, 422}
    assert len(site.client.read_flow_runs()) == before


def test_a_cron_run_appears_and_is_executed(
    site: Site, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The nightly deployment, at a cron of each minute, makes runs by itself, and a worker completes the first one."""
    file = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
    (nightly,) = (each for each in file["deployments"] if each["name"] == "nightly")
    nightly["name"], nightly["parameters"]["dataset"] = "each-minute", "digits"
    nightly["schedules"][0]["cron"] = "* * * * *"
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({**file, "deployments": [nightly]}))
    site.worker()
    try:
        site.prefect("deploy", "--all", "--prefect-file", str(tmp_path / "prefect.yaml"))
        made = site.client.read_deployment_by_name("idxflow/each-minute")

        def ended() -> list[Any]:
            runs = site.client.read_flow_runs()
            return [run for run in runs if run.deployment_id == made.id and run.state and run.state.is_final()]

        (run,) = until(ended, 150)
        assert run.state.name == "Completed"
        assert run.auto_scheduled
        late = (run.start_time - run.expected_start_time).total_seconds()
        record_testsuite_property("seconds_from_schedule_to_running", late)
        # The worker starts a run's process up to 10 s before its time, and there it waits. But the server rounds what
        # is left to whole seconds (WaitForScheduledTime): a run may begin half a second early, and the tenth is for the
        # way from the request to that rule. Late is one that was made too shortly before its time for the process.
        assert -0.6 < late < 15
        assert site.record(run.id).state == "completed"
    finally:
        site.client.delete_deployment(made.id)


def test_a_second_night_is_cancelled_not_queued(site: Site) -> None:
    """A nightly run that begins while another one is at work ends as Cancelled, and says why."""
    site.worker()
    first = site.train("nightly")
    second = site.request("nightly", LONG)
    state = site.wait(second, "Cancelled", seconds=30)
    assert state.message == "Deployment concurrency limit reached."
    assert site.state(first).name == "Running"


@pytest.mark.parametrize("deployment", ["nightly", "on-demand"])
def test_of_ten_requests_none_is_lost(site: Site, deployment: str) -> None:
    """Ten requests at once: at night those beyond the first are cancelled with a reason, on demand each completes."""
    runs = [site.request(deployment, QUICK) for _ in range(10)]
    site.worker()
    until(lambda: all(site.state(run).is_final() for run in runs), 480, lambda: [site.state(run).name for run in runs])
    states = [site.state(run) for run in runs]
    completed = [state for state in states if state.name == "Completed"]
    cancelled = [state for state in states if state.name == "Cancelled"]
    assert len(completed) + len(cancelled) == 10
    assert completed
    assert all(state.message == "Deployment concurrency limit reached." for state in cancelled)
    assert bool(cancelled) == (deployment == "nightly")
    records = [site.record(run) for run, state in zip(runs, states, strict=True) if state.name == "Completed"]
    trained = [stage for record in records for stage in record.stages if stage.stage == "train" and not stage.cached]
    assert len(trained) == 1
    assert all(record.state == "completed" for record in records)
