"""Several hosts, each with a home folder and an address of its own: a remote carries what they make between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from artifacts.store.store import Store
from tests.processes import PROJECT, ending, served_environment, until
from tests.suites.clocks import needs_compiler, wrong_by
from tests.suites.hosts import Host, bucket, needs_hosts, network

pytestmark = [
    pytest.mark.slow,
    needs_hosts,
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(900),
]
PORT = 8786
SWEPT = "tests.faults.sweeper"


@dataclass(frozen=True)
class Team:
    """A scheduler, two hosts with a worker each, and a bucket that all reach; environments name the bucket."""

    hosts: tuple[Host, Host]
    cluster: str
    bucket: dict[str, str]
    folder: Path

    def sweep(self, home: Path) -> subprocess.Popen[str]:
        """Start the sweep here, its trials there."""
        workers = json.dumps({"cluster": self.cluster})
        command = [sys.executable, "-m", SWEPT, workers]
        environment = served_environment(IDXFLOW_HOME=str(home), **self.bucket)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=pipe, stderr=pipe, text=True)

    @property
    def logs(self) -> str:
        """What the hosts said."""
        return "\n".join(log.read_text(errors="replace") for log in sorted(self.folder.rglob("*.log")))

    def models_of(self, number: int) -> set[str]:
        """Return the versions of the models that lie in the home folder of a host."""
        return {path.parent.name for path in (self.folder / f"host{number}").glob("home/artifacts/train/*/record.json")}


def _workers_at(cluster: str) -> dict[str, object]:
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        workers: dict[str, object] = client.scheduler_info(n_workers=-1)["workers"]
        return workers


@pytest.fixture
def team(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    """
    Two hosts that see nothing of what this process keeps below `homes`.

    The clock of the first is off by as many hours as the parameter says, if there is one.
    """
    (hidden := tmp_path / "homes").mkdir()
    with ExitStack() as stack:
        net = stack.enter_context(network())
        names = stack.enter_context(bucket(net))
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "15s"}
        environment = {name: value for name, value in environment.items() if not name.startswith("IDXFLOW_")}
        environment |= {name: value for name, value in names.items() if name.startswith("AWS_")}
        third = net.host(hidden)
        cluster = f"tcp://{third.address}:{PORT}"
        arguments = ("-m", "dask", "scheduler", "--host", third.address, "--port", str(PORT), "--no-dashboard")
        stack.enter_context(third.running("scheduler", *arguments, folder=tmp_path, environment=environment))
        until(lambda: "Scheduler at" in (tmp_path / "scheduler.log").read_text(), 60)
        hosts = (net.host(hidden), net.host(hidden))
        for number, host in enumerate(hosts):
            (folder := tmp_path / f"host{number}").mkdir()
            worker = ("-m", "dask", "worker", cluster, "--host", host.address, "--nthreads", "1", "--nworkers", "1")
            more = ("--no-dashboard", "--local-directory", str(folder / "dask"))
            wrong = wrong_by(0 if number else getattr(request, "param", 0))
            own = environment | wrong | {"IDXFLOW_HOME": str(folder / "home")}
            stack.enter_context(host.running("worker", *worker, *more, folder=folder, environment=own))
        until(lambda: len(_workers_at(cluster)) == 2, 60, lambda: [log.read_text() for log in tmp_path.rglob("*.log")])
        yield Team(hosts, cluster, names, tmp_path)


def study(home: Path) -> tuple[bytes, list[str]]:
    """Return the one study of a home folder, and the content of all models."""
    (found,) = home.glob("artifacts/study/*/study.json")
    return found.read_bytes(), sorted(each.digest for each in Store(home).manifests("train"))


def alone(home: Path) -> tuple[bytes, list[str]]:
    """Return the study of the same sweep in threads of one process."""
    environment = served_environment(IDXFLOW_HOME=str(home))
    subprocess.run(
        [sys.executable, "-m", SWEPT, json.dumps({"runner": "threads"})],
        cwd=PROJECT,
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    return study(home)


@needs_compiler
@pytest.mark.parametrize("team", [1, -1], ids=["ahead", "behind"], indirect=True)
def test_a_host_whose_clock_is_wrong_makes_the_same(team: Team) -> None:
    """An hour off, ahead or behind, it trains as the other one does, and the table is that of one process."""
    test_hosts_with_homes_of_their_own_make_one_table(team)


def test_hosts_with_homes_of_their_own_make_one_table(team: Team) -> None:
    """Trials train on two hosts that share a bucket alone: the table and the weights are those of one process."""
    home = team.folder / "homes" / "run"
    with ending(team.sweep(home)) as process:
        said, problems = process.communicate(timeout=400)
        assert process.returncode == 0, f"{said}\n{problems}\n{team.logs}"
    assert study(home) == alone(team.folder / "homes" / "alone")
    made = [team.models_of(number) for number in range(2)]
    assert all(made)  # of both some: a model that another host needs later is fetched by it
    assert made[0] | made[1] == {path.name for path in (home / "artifacts" / "train").iterdir()}


def test_a_host_that_is_cut_off_and_comes_back_costs_no_trial(team: Team) -> None:
    """Its cable is out in the middle of a trial, for longer than its scheduler waits: the sweep completes, the same."""
    home = team.folder / "homes" / "run"
    with ending(team.sweep(home)) as process:
        assert process.stdout is not None
        first = next((line for line in process.stdout if line.startswith("trial")), "no trial has begun")
        team.hosts[0].cut()
        time.sleep(25)
        team.hosts[0].mend()
        said, problems = process.communicate(timeout=600)
        assert process.returncode == 0, f"{first}{said}\n{problems}\n{team.logs}"
    assert study(home) == alone(team.folder / "homes" / "alone")
