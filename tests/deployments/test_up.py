"""`idxflow up` as a person uses it: from nothing to a completed run, Ctrl-C, kill -9, and a second one beside it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.schemas.responses import DeploymentResponse

from idxflow.deploying.runs import LOST
from idxflow.server.local import find_server, stop_server
from idxflow.server.password import read_password
from tests.deployments.site import QUICK, Site
from tests.processes import bare_environment, run_python, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def said(site: Site, log: str = "up.log") -> str:
    """Return what the command has said."""
    return (site.folder / log).read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--serve",)], ids=["worker", "serve"])
def test_it_takes_runs_until_it_is_stopped(site: Site, options: tuple[str, ...], number: signal.Signals) -> None:
    """It completes a run; stopped while one trains, it cancels that one within 20 s, leaves no child, and exits 0."""
    up = site.up(*options)
    completed = site.request("on-demand", QUICK)
    assert site.wait(completed, "Completed", "Failed", "Crashed").name == "Completed"
    interrupted = site.train()
    up.send_signal(number)
    assert up.wait(20) == 0
    assert site.state(interrupted).name == "Cancelled"
    assert not site.living()
    lines = said(site).splitlines()
    assert lines[-3:] == ["Stopping.", "Cancelled 1 run; finished stages are stored.", "Stopped."]
    assert len(lines) < 12, said(site)  # calm: no word of Prefect's or TensorFlow's


def test_it_brings_up_its_own_server(site: Site, tmp_path: Path) -> None:
    """Without any server it starts one, which stays when it ends; a second `up` finds it, and is ready sooner."""
    own = Site("http://127.0.0.1:9/api", tmp_path / "own")
    own.folder.mkdir()
    own.environment = bare_environment(HOME=str(own.folder), IDXFLOW_HOME=str(own.home))
    try:
        up = own.up()
        server = find_server(own.home)
        assert server is not None
        assert f"Prefect server started at {server.address}" in said(own)
        assert f"Dashboard:       {server.address}" in said(own)
        assert "Its password:    idxflow server password --home" in said(own)
        assert read_password(own.home) not in said(own)
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 0
        assert said(own).splitlines()[-1].startswith("Stopped. The server stays; stop it with: idxflow server stop")
        assert find_server(own.home) == server
        with Site(server.api, own.folder, read_password(own.home)) as again:
            up = again.up(log="again.log")
            assert "started" not in said(again, "again.log")
            run = again.request("on-demand", QUICK)
            assert again.wait(run, "Completed", "Failed", "Crashed").name == "Completed"
            up.send_signal(signal.SIGINT)
            assert up.wait(20) == 0
    finally:
        own.kill_everything()
        stop_server(own.home)


def test_a_second_one_is_refused(site: Site) -> None:
    """Beside one that works, another of the same home folder ends at once, names its process, and changes nothing."""
    up = site.up()
    _, errors = run_python("-m", "idxflow", "up", cwd=site.folder, environment=site.environment, code=2)
    assert f"expected no other one, found process {up.pid}" in errors
    assert up.poll() is None


def test_a_killed_one_is_tidied_up_after(site: Site, record_testsuite_property: Callable[[str, object], None]) -> None:
    """After kill -9 of it and its run, the next one marks that run Crashed, and its place is free at once."""
    site.up()
    lost = site.train()
    site.kill_everything()
    assert site.state(lost).name == "Running"
    started = time.monotonic()
    site.up(log="again.log")
    record_testsuite_property("seconds_until_up", round(time.monotonic() - started, 2))
    state = site.state(lost)
    assert (state.name, state.message) == ("Crashed", LOST)
    run = site.request("on-demand", QUICK)
    assert site.wait(run, "Completed", seconds=30).name == "Completed"


def test_a_run_that_outlives_it_is_left_alone(site: Site) -> None:
    """After kill -9 of it alone, the run goes on by itself; the next one does not touch it."""
    up = site.up()
    run = site.train()
    up.kill()
    up.wait()
    (pid,) = site.living()
    site.up(log="again.log")
    assert site.state(run).name == "Running"
    os.kill(pid, signal.SIGTERM)
    until(lambda: site.state(run).is_final(), 30)


def test_what_outlived_one_is_left_alone_to_the_end(site: Site) -> None:
    """After kill -9 of it alone, the next one that is stopped neither cancels that run nor calls it Crashed."""
    up = site.up()
    run = site.train()
    up.kill()
    up.wait()
    (pid,) = site.living()
    again = site.up(log="again.log")
    again.send_signal(signal.SIGINT)
    assert again.wait(20) == 0
    assert said(site, "again.log").splitlines()[-2:] == ["Stopping.", "Stopped."]
    assert site.state(run).name == "Running"
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("options", [(), ("--serve",)], ids=["worker", "serve"])
def test_one_of_another_home_keeps_its_runs(site: Site, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Beside one that trains, another one on the same server comes and goes, and that run is Running all the time."""
    site.up(*options)
    run = site.train()
    other = tmp_path / "other"
    other.mkdir()
    with Site(site.api, other, site.password) as beside:
        up = beside.up("--serve")
        assert site.state(run).name == "Running"
        up.send_signal(signal.SIGINT)
        assert up.wait(20) == 0
        assert said(beside).splitlines()[-2:] == ["Stopping.", "Stopped."]
    assert site.state(run).name == "Running"
    assert site.living()


def test_runs_wait_for_it(site: Site) -> None:
    """What was asked for while it was away is done when it comes."""
    run = site.request("on-demand", QUICK)
    site.up("--limit", "1")
    assert site.wait(run, "Completed", seconds=60).name == "Completed"


def test_what_is_queued_stays_queued(site: Site) -> None:
    """Stopped while one run trains and another waits for its turn, it cancels the first alone."""
    up = site.up()
    training, queued = site.train(), site.request("on-demand", QUICK)
    site.wait(queued, "AwaitingConcurrencySlot", seconds=20)
    up.send_signal(signal.SIGTERM)
    assert up.wait(20) == 0
    assert site.state(training).name == "Cancelled"
    assert site.state(queued).is_scheduled()
    site.up(log="again.log")
    assert site.wait(queued, "Completed", "Failed", "Crashed", "Cancelled", seconds=90).name == "Completed"


@pytest.mark.parametrize("options", [(), ("--serve",)], ids=["worker", "serve"])
def test_what_a_person_paused_stays_paused(site: Site, options: tuple[str, ...]) -> None:
    """It deploys again each time, and yet a deployment or schedule that was paused is paused after it."""

    def nightly() -> DeploymentResponse:
        return site.client.read_deployment_by_name("idxflow/nightly")

    deployment, schedule = nightly().id, nightly().schedules[0].id
    site.client.pause_deployment(deployment)
    site.client.update_deployment_schedule(deployment, schedule, active=False)
    try:
        site.up(*options)
        assert nightly().paused
        assert [(each.id, each.active) for each in nightly().schedules] == [(schedule, False)]
        assert not site.client.read_deployment_by_name("idxflow/on-demand").paused
    finally:
        site.client.resume_deployment(deployment)
        site.client.update_deployment_schedule(deployment, schedule, active=True)


def test_one_that_breaks_off_resumes_nothing(site: Site) -> None:
    """Stopped in the middle of deploying, it leaves a schedule paused that a person has paused."""

    def nightly() -> DeploymentResponse:
        return site.client.read_deployment_by_name("idxflow/nightly")

    schedule = nightly().schedules[0].id
    site.client.update_deployment_schedule(nightly().id, schedule, active=False)
    try:
        before = nightly().updated
        up = site.start("-m", "idxflow", "up", log="up.log")
        until(lambda: nightly().updated != before, 60, lambda: said(site))
        up.send_signal(signal.SIGINT)
        assert up.wait(30)
        assert [(each.id, each.active) for each in nightly().schedules] == [(schedule, False)]
    finally:
        site.client.update_deployment_schedule(nightly().id, schedule, active=True)
