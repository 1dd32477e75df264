"""A real Prefect server, with what a person does there: deploy, start a worker, ask for runs, wait, look, kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State

from idxflow.server import find_server

PROJECT = Path(__file__).parents[2]
LONG = {"dataset": "digits", "training": {"epochs": 10000}}
"""Parameters of a run that trains for minutes."""
QUICK = {"dataset": "digits", "training": {"epochs": 3}}
FOREIGN = ("IDXFLOW_", "PREFECT_", "TF_")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment without anybody's settings, whose home is `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    return kept | quiet | {"HOME": str(folder), "PREFECT_HOME": str(folder / "prefect-home")} | more


class Site:
    """
    One home folder, with its workers, on a server.

    Args:
        api:    address of the server's API.
        folder: where everything of this test lies; no checkout.
    """

    def __init__(self, api: str, folder: Path) -> None:
        self.api, self.folder, self.home = api, folder, folder / "home"
        self.client = SyncPrefectClient(api)
        self._open = contextlib.ExitStack()
        self.environment = environment(
            folder, PREFECT_API_URL=api, IDXFLOW_HOME=str(self.home), PREFECT_WORKER_QUERY_SECONDS="1"
        )
        self.processes: list[subprocess.Popen[bytes]] = []
        self.runs: list[UUID] = []

    def __enter__(self) -> Self:
        self._open.enter_context(self.client)
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs, here and in the server's books."""
        from prefect.states import Cancelled

        self.kill_everything()
        for run in self.runs:
            if not self.state(run).is_final():
                self.client.set_flow_run_state(run, Cancelled(message="The test has ended."), force=True)
        self._open.close()

    def prefect(self, *arguments: str, cwd: Path = PROJECT) -> str:
        """Run Prefect's command. Returns: what it says."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *command: str, log: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a Python program in the test's folder, with a process group of its own."""
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env=self.environment | more,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker with Prefect's own command."""
        name = f"worker-{len(self.processes)}"
        return self.start("-m", "prefect", "worker", "start", "--pool", "idxflow", "--name", name, log=f"{name}.log")

    def up(self, *options: str, log: str = "up.log") -> subprocess.Popen[bytes]:
        """Start `idxflow up`, and return when it says that it takes runs."""
        process = self.start("-m", "idxflow", "up", *options, log=log)
        until(lambda: "Ctrl-C" in (self.folder / log).read_text() or process.poll() is not None, 120)
        assert process.poll() is None, (self.folder / log).read_text()
        return process

    def request(self, deployment: str, parameters: Mapping[str, Any]) -> UUID:
        """Ask for a run of a deployment."""
        found = self.client.read_deployment_by_name(f"idxflow/{deployment}")
        self.runs.append(self.client.create_flow_run_from_deployment(found.id, parameters=dict(parameters)).id)
        return self.runs[-1]

    def state(self, run: UUID) -> State[Any]:
        """Return the state that a run has."""
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state

    def wait(self, run: UUID, *names: str, seconds: float = 90) -> State[Any]:
        """Return the state of a run once it has one of these names."""
        until(lambda: self.state(run).name in names, seconds, lambda: f"{self.state(run)}, not {names}")
        return self.state(run)

    def task_states(self, run: UUID) -> dict[str, str]:
        """Return each task run's state, by name, as the dashboard shows it."""
        wanted: Any = {"id": {"any_": [str(run)]}}
        from prefect.client.schemas.filters import FlowRunFilter

        found = self.client.read_task_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))
        return {task.name: task.state.name or "" for task in found if task.state}

    def train(self, deployment: str = "on-demand") -> UUID:
        """Ask for a long run, and return when it trains."""
        run = self.request(deployment, LONG)
        self.wait(run, "Running")
        until(lambda: list(self.home.glob("artifacts/train/.staging*")), 60)
        time.sleep(1.5)  # TensorFlow is there, and epochs go by
        return run

    def living(self) -> dict[int, str]:
        """Return the pid and command of each living process that works in this home folder, but for its server."""
        server = find_server(self.home)
        mark, found = f"IDXFLOW_HOME={self.home}".encode(), {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = mark in (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if ours and state not in "ZX" and (server is None or process.name != str(server.pid)):
                found[int(process.name)] = command
        return found

    def kill_everything(self) -> None:
        """Kill -9 whatever works in this home folder, as the end of a machine does."""
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()


def until(true: Any, seconds: float, told: Any = lambda: "it did not happen") -> float:
    """Wait until something is so. Returns: the seconds that it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, told()
        time.sleep(0.05)
    return time.monotonic() - started
