"""What may happen to a deployed run, for real: cancelled, its worker killed, its server restarted, its store in use."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import yaml
from prefect.events.schemas.automations import AutomationCore

from idxflow.deploying.deployments import AUTOMATIONS_FILE
from tests.deployments.host import Host
from tests.deployments.site import QUICK, Site
from tests.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BEFORE_TRAIN = ("download", "verify", "decompress", "parse", "validate", "normalize")


def assert_resumes(site: Site) -> None:
    """Assert that the next run finds cached what was made before the training, and ends well."""
    run = site.request("on-demand", QUICK)
    assert site.wait(run, "Completed", "Failed", "Crashed").name == "Completed"
    # States of tasks arrive as events, some after the run's own.
    until(lambda: set(site.task_states(run).values()) == {"Cached", "Completed"}, 20, lambda: site.task_states(run))
    states = site.task_states(run)
    assert states["train"] == "Completed"
    assert {state for name, state in states.items() if name.startswith(BEFORE_TRAIN)} == {"Cached"}


def test_a_cancelled_run_ends_soon_and_the_next_one_resumes(
    site: Site, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """A run that is cancelled while it trains is over within 15 s, leaves no process, and the next one goes on."""
    worker = site.worker()
    run = site.train()
    started = time.monotonic()
    site.prefect("flow-run", "cancel", str(run))
    site.wait(run, "Cancelled", seconds=15)
    until(lambda: set(site.living()) == {worker.pid}, 15 - (time.monotonic() - started), site.living)
    record_testsuite_property("seconds_to_cancel", round(time.monotonic() - started, 2))
    assert site.record(run).state == "interrupted"
    assert_resumes(site)


def test_a_killed_worker_costs_the_run_at_work_alone(site: Site) -> None:
    """After kill -9 of the worker its run ends as Crashed by itself, and a new worker runs the next one to the end."""
    worker = site.worker()
    run = site.train()
    worker.kill()
    worker.wait()
    # The run's own process lives on, until it finds nobody at the other end of its output.
    site.wait(run, "Crashed", seconds=60)
    until(lambda: not site.living(), 30, site.living)
    site.worker()
    assert_resumes(site)


def test_missing_heartbeats_mark_a_run_crashed(
    site: Site, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Where worker and run are killed at once nobody tells the server; the automation, switched on, marks the run."""
    (given,) = (
        each
        for each in yaml.safe_load(AUTOMATIONS_FILE.read_text())["automations"]
        if each["trigger"]["posture"] == "Proactive"
    )
    assert not given["enabled"]
    automation = AutomationCore.model_validate({**given, "enabled": True})
    made = site.client.create_automation(automation)
    try:
        site.worker()
        run = site.train()
        time.sleep(3)  # the first heartbeat is sent when the run begins, and events travel by themselves
        site.kill_everything()
        killed = time.monotonic()
        assert site.state(run).name == "Running"
        state = site.wait(run, "Crashed", seconds=240)
        record_testsuite_property("seconds_to_notice", round(time.monotonic() - killed, 1))
        assert state.message == given["actions"][0]["message"]
        site.worker()
        assert_resumes(site)
    finally:
        site.client.delete_automation(made)


def test_a_restarted_server_loses_no_run(site: Site, host: Host) -> None:
    """A server that is gone for some seconds while a run trains has it as Completed in the end, and its place free."""
    site.worker()
    run = site.request("on-demand", {"dataset": "digits", "training": {"epochs": 1500}})
    site.wait(run, "Running")
    until(lambda: list(site.home.glob("artifacts/train/.staging*")), 60)
    before = host.start()  # is there
    host.stop()
    time.sleep(3)
    after = host.start()
    assert (after.api, after.pid != before.pid) == (before.api, True)
    assert site.wait(run, "Completed", "Failed", "Crashed", "Cancelled", seconds=180).name == "Completed"
    assert site.record(run).state == "completed"
    assert_resumes(site)


def test_a_store_in_use_is_shared(site: Site) -> None:
    """A deployed run that wants what the command line trains at the moment waits for it, and finds it cached."""
    site.worker()
    options = ("--dataset", "digits", "--set", "training.epochs=1000")
    by_hand = site.start("-m", "idxflow", "run", *options, log="run.log")
    until(lambda: list(site.home.glob("artifacts/train/.staging*")), 60)
    run = site.request("on-demand", {"dataset": "digits", "training": {"epochs": 1000}})
    site.wait(run, "Running")
    assert by_hand.poll() is None
    assert site.wait(run, "Completed", "Failed", "Crashed").name == "Completed"
    assert by_hand.wait(60) == 0, (site.folder / "run.log").read_text()
    until(lambda: site.task_states(run).get("train") == "Cached", 20, lambda: site.task_states(run))
