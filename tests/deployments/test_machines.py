"""A team's machines, docs/cluster.md: PostgreSQL and Prefect's server on one, a worker on two more, and a bucket."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.lookup import find_run
from artifacts.archive.names import Names
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.verdict import Promotion
from tests.artifacts.remote.server import serving
from tests.deployments.guide import blocks, commands, settings
from tests.deployments.postgres import Postgres
from tests.deployments.site import Site
from tests.deployments.team import Team
from tests.deployments.traces import traces_below
from tests.processes import PROJECT, bare_environment, free_port, run_python, until
from tests.suites.clocks import needs_compiler, wrong_by
from tests.suites.hosts import Host, Network, bucket, needs_hosts, network

pytestmark = [pytest.mark.slow, needs_hosts, pytest.mark.timeout(900)]

DATABASE_PASSWORD, API_PASSWORD = "d@ta:base/w0rd-77ab", "api-w0rd-19d4c3"
KEY = urlsafe_b64encode(b"32-bytes-long-encryption-key-c52").decode()
DEPLOYING, WORKING = 1, 2
"""Of the blocks of the page's section: what is typed once, and on each machine."""
ENDS = ("Completed", "Failed", "Crashed", "Cancelled")


@dataclass
class Machine:
    """
    A machine that executes runs, with an address and files of its own.

    Args: environment: what its user's processes have.  wrong: what makes its clock wrong; nothing: it is right.
    """

    name: str
    host: Host
    folder: Path
    environment: dict[str, str]
    command: list[str]
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Its home folder."""
        return self.folder / "home"

    @contextmanager
    def working(self, *more: str) -> Iterator[None]:
        """Let it work for the block, and lose its power then. Args: more: options of its worker."""
        said = f"worker-{secrets.token_hex(2)}"
        environment = self.environment | self.wrong
        with self.host.running(said, "-m", *self.command, *more, folder=self.folder, environment=environment):
            try:
                until(lambda: "started!" in self.log(said), 60, lambda: self.log(said))
                yield
            finally:
                self.host.power_off()

    def call(self, *words: str) -> Any:
        """Call idxflow there, as somebody who is logged in. Returns: the document that it prints."""
        said = f"call-{secrets.token_hex(2)}"
        command, environment = ("-m", "idxflow", *words, "--json"), self.environment | self.wrong
        with self.host.running(said, *command, folder=self.folder, environment=environment) as process:
            assert process.wait(120) == 0, self.log(said)
        return json.loads(self.log(said))

    def log(self, name: str = "*") -> str:
        """What its workers said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}.log")))

    def has(self, run: UUID) -> bool:
        """Tell whether a run was begun here."""
        return (self.home / "runs" / f"{run.hex[-12:]}.json").exists()

    def record(self, run: UUID) -> RunRecord:
        """Return the record of a run."""
        return RunRecord.model_validate_json((self.home / "runs" / f"{run.hex[-12:]}.json").read_bytes())

    @property
    def trains(self) -> bool:
        """Whether it trains at the moment, or did when it was stopped."""
        return bool(list(self.home.glob("artifacts/train/.staging*")))


@dataclass(frozen=True)
class Cluster:
    """The team: server, bucket, two machines, and somebody at a desk, who sees the server and the bucket alone."""

    team: Team
    machines: tuple[Machine, Machine]
    desk: Site

    def ran(self, run: UUID) -> Machine:
        """Return the machine that a run was on."""
        (found,) = (machine for machine in self.machines if machine.has(run))
        return found

    def other(self, machine: Machine) -> Machine:
        """Return the other one."""
        return next(each for each in self.machines if each is not machine)

    def ask(self, epochs: int, **more: object) -> UUID:
        """Ask for a run of digits. Args: more: parameters."""
        return self.desk.request("on-demand", {"dataset": "digits", "training": {"epochs": epochs}, **more})

    def completed(self, run: UUID, seconds: float = 120) -> Machine:
        """Wait for a run's end, which has to be a good one, on both sides. Returns: where it was."""
        state = self.desk.wait(run, *ENDS, seconds=seconds)
        assert state.name == "Completed", f"{state}\n{self.said}"
        machine = self.ran(run)
        assert machine.record(run).state == "completed"
        return machine

    def remote(self, *words: str) -> dict[str, Any]:
        """Call `idxflow remote` at the desk."""
        command = ("-m", "idxflow", "remote", *words, "--json")
        found, _ = run_python(*command, cwd=self.desk.folder, environment=self.desk.environment)
        return dict(json.loads(found)) if found.lstrip().startswith("{") else {"moved": json.loads(found)}

    @property
    def said(self) -> str:
        """What the machines said."""
        return "\n".join(f"{machine.name}: {machine.log()}" for machine in self.machines)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """A network, in which this process is the machine that the server and the bucket are on."""
    with network() as net:
        yield net


@pytest.fixture(scope="module")
def shared(net: Network) -> Iterator[dict[str, str]]:
    """The bucket."""
    with bucket(net) as names:
        yield names


@pytest.fixture(scope="module")
def team(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The server over PostgreSQL, with what the page deploys."""
    with Postgres(free_port(), DATABASE_PASSWORD) as database:
        folder = tmp_path_factory.mktemp("server")
        team = Team(folder, database.settings, f"team:{API_PASSWORD}", KEY, net.address)
        team.server_environment["PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS"] = "1"
        with team.server():  # types what the page has on its work pool and `deploy --all`, as docs/team.md does
            for command in commands(blocks("docs/cluster.md", "Two machines")[DEPLOYING])[-1:]:
                team.run(*command)
            yield team


@pytest.fixture
def cluster(net: Network, team: Team, shared: dict[str, str], tmp_path: Path) -> Iterator[Cluster]:
    """The team, with machines that are new and a remote in which nothing is."""
    page = blocks("docs/cluster.md", "Two machines")
    (worker,) = commands(page[WORKING])
    told = {
        "http://SERVER:4200/api": team.api,
        "team:a long password": team.password,
        "s3://BUCKET/PREFIX": f"s3://team/{secrets.token_hex(4)}",
        "http://STORE:9000": shared["IDXFLOW_REMOTE__ENDPOINT"],
        "us-east-1": shared["IDXFLOW_REMOTE__REGION"],
        "the key of this machine": shared["AWS_ACCESS_KEY_ID"],
        "the secret of this machine": shared["AWS_SECRET_ACCESS_KEY"],
    }
    names = ("one", "two")
    folders = {name: tmp_path / name for name in (*names, "desk")}
    for folder in folders.values():
        folder.mkdir()
    made = []
    for name in names:
        folder = folders[name]
        (folder / "tmp").mkdir()
        written = settings(page[0], {**told, "/srv/idxflow": str(folder / "home")})
        environment = bare_environment(
            HOME=str(folder), TMPDIR=str(folder / "tmp"), PREFECT_HOME=str(folder / "prefect"), **written
        ) | {"PREFECT_WORKER_QUERY_SECONDS": "1", "PYTHONPATH": str(PROJECT)}
        host = net.host(team.folder, *(each for each in folders.values() if each != folder))
        command = [word.replace("NAME", name) for word in worker]
        made.append(Machine(name, host, folder, environment, command))
    with Site(team.api, folders["desk"], team.password) as desk:
        desk.environment |= settings(page[0], {**told, "/srv/idxflow": str(desk.home)})
        yield Cluster(team, (made[0], made[1]), desk)


def secrets_of(cluster: Cluster) -> tuple[str, ...]:
    """What nobody may find in a file."""
    return DATABASE_PASSWORD, API_PASSWORD, KEY, cluster.machines[0].environment["AWS_SECRET_ACCESS_KEY"]


def test_machines_share_what_they_make(cluster: Cluster) -> None:
    """Two runs at once go to two machines; each run again, where the other one made it, trains nothing."""
    with ExitStack() as stack:
        for machine in cluster.machines:
            stack.enter_context(machine.working())
        runs = {epochs: cluster.ask(epochs) for epochs in (3, 4)}
        made = {epochs: cluster.completed(run) for epochs, run in runs.items()}
    assert made[3] is not made[4], cluster.said
    for epochs, machine in made.items():
        record = machine.record(runs[epochs])
        assert not {stage.stage: stage for stage in record.stages}["train"].cached
        assert record.warnings == ()
    for epochs, machine in made.items():
        with cluster.other(machine).working():
            again = cluster.ask(epochs)
            assert cluster.completed(again) is not machine
        record = cluster.other(machine).record(again)
        assert all(stage.cached for stage in record.stages), cluster.said
        assert {stage.stage: stage for stage in record.stages}["train"].fetched
        assert record.warnings == ()
    assert cluster.remote("verify")["problems"] == []
    cluster.remote("pull")
    at_the_desk = {each.version: each.digest for each in Store(cluster.desk.home).manifests("train")}
    for machine in cluster.machines:
        assert {each.version: each.digest for each in Store(machine.home).manifests("train")} == at_the_desk
        # A worker that is killed leaves its environment in its temporary folder, readable by its user: docs/cluster.md.
        found = traces_below(secrets_of(cluster), machine.folder)
        assert not [trace for trace in found if "/tmp/prefect-workspace-attempt-" not in trace]
    assert len(at_the_desk) == 2


@pytest.mark.parametrize(("epochs", "until_its_end"), [(4000, False), (1000, True)], ids=["meanwhile", "at its end"])
def test_a_machine_that_is_cut_off(cluster: Cluster, epochs: int, *, until_its_end: bool) -> None:
    """Its run goes on and is told in the end; meanwhile the other machine works, and nothing that is shared suffers."""
    with ExitStack() as stack:
        for machine in cluster.machines:
            stack.enter_context(machine.working())
        lonely = cluster.ask(epochs)
        cluster.desk.wait(lonely, "Running")
        until(lambda: any(machine.trains for machine in cluster.machines), 60, lambda: cluster.said)
        cut = cluster.ran(lonely)
        cut.host.cut()
        other = cluster.ask(3)
        assert cluster.completed(other) is not cut
        assert cluster.desk.state(lonely).name == "Running"
        if until_its_end:
            until(lambda: cut.record(lonely).state != "running", 240, lambda: cluster.said)
        assert cut.record(lonely).state == ("completed" if until_its_end else "running")
        cut.host.mend()
        assert cluster.completed(lonely, 400) is cut
    if until_its_end:
        assert any("`idxflow remote push` does it later" in each for each in cut.record(lonely).warnings)
    cut.call("remote", "push")
    assert cluster.remote("verify")["problems"] == []
    with cluster.other(cut).working():
        again = cluster.ask(epochs)
        cluster.completed(again)
    assert all(row.cached for row in cluster.other(cut).record(again).stages)


@needs_compiler
@pytest.mark.parametrize(("hours", "options"), [(1, ()), (-1, ("--prefetch-seconds", "3700"))], ids=["ahead", "behind"])
def test_a_clock_that_is_wrong(cluster: Cluster, hours: int, options: tuple[str, ...]) -> None:
    """An hour off, a machine takes part as any other: what is newest, latest and champion is not by its clock."""
    wrong, right = cluster.machines
    wrong.wrong = wrong_by(hours)
    if hours < 0:  # to such a worker a run that is due now is due in an hour: docs/cluster.md says so
        with wrong.working():
            left = cluster.ask(2)
            time.sleep(6)
            assert cluster.desk.state(left).is_scheduled(), cluster.said
            with right.working():
                assert cluster.completed(left) is right
    with wrong.working(*options):
        first = cluster.ask(3, promote="champion")
        assert cluster.completed(first) is wrong
    record = wrong.record(first)
    assert abs((datetime.fromisoformat(record.started) - datetime.now(UTC)) / timedelta(hours=1) - hours) < 0.1
    assert record.warnings == ()
    with right.working():
        same, better = cluster.ask(3), cluster.ask(60, promote="champion")
        assert cluster.completed(same) is cluster.completed(better) is right
    # The report of the first run has its verdict in it.
    assert all(row.cached for row in right.record(same).stages if row.stage != "report")
    assert promotion(right, better).outcome in {"promoted", "kept"}
    with wrong.working(*options):
        again = cluster.ask(60, promote="champion")
        assert cluster.completed(again) is wrong
    assert all(row.cached for row in wrong.record(again).stages if row.stage not in {"promote", "report"})
    assert promotion(wrong, again).outcome == promotion(right, better).outcome
    for machine, latest in ((wrong, again), (right, better)):
        assert find_run(Store(machine.home), "latest").id == latest.hex[-12:]
        assert not Auditor(Store(machine.home), everything=True, repair=False).run(datetime.now(UTC)).problems
    histories = {Names(Store(machine.home)).alias("champion@digits").history for machine in cluster.machines}
    assert len(histories) == 1
    assert cluster.remote("verify")["problems"] == []
    pulled = cluster.remote("pull", "latest")["moved"]
    assert [each["subject"] for each in pulled if each["kind"] == "run"] == [again.hex[-12:]]
    assert wrong.call("remote", "gc", "--yes")["going"] == []


@needs_compiler
@pytest.mark.parametrize("hours", [1, -1], ids=["ahead", "behind"])
def test_a_bucket_that_refuses_a_wrong_clock(cluster: Cluster, net: Network, hours: int) -> None:
    """As Amazon's does: the run completes without it, and says that it is the clock; set right, the next one pushes."""
    machine, _ = cluster.machines
    with serving(net.address) as strict:
        strict.skew = 900.0
        place = {"URL": strict.place.url, "ENDPOINT": strict.place.endpoint}
        machine.environment |= {f"IDXFLOW_REMOTE__{name}": str(value) for name, value in place.items()}
        machine.wrong = wrong_by(hours)
        with machine.working("--prefetch-seconds", "3700"):
            run = cluster.ask(3)
            cluster.completed(run)
        warning, left = machine.record(run).warnings
        assert "not pushed" in left
        assert "expected this machine's clock to be within some minutes of the server's" in warning
        assert not strict.objects
        machine.wrong = {}
        with machine.working():
            run = cluster.ask(4)
            cluster.completed(run)
        assert machine.record(run).warnings == ()
        assert any(name.startswith("artifacts/train/") for name in strict.named())


def promotion(machine: Machine, run: UUID) -> Promotion:
    """Return what a run says of its alias."""
    found = machine.record(run).promotion
    assert found is not None
    return found
