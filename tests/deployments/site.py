"""A real Prefect server, with what a person does there: deploy, start a worker, ask for runs, wait, look, kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State

from flows.run_record import RunRecord
from idxflow.server.local import find_server
from tests.processes import PROJECT, bare_environment, run_python, start_python, until

LONG = {"dataset": "digits", "training": {"epochs": 10000}}
"""Parameters of a run that trains for minutes."""
QUICK = {"dataset": "digits", "training": {"epochs": 3}}


class Site:
    """
    One home folder, with its workers, on a server.

    Args:
        api:      address of the server's API.
        folder:   where everything of this test lies; no checkout.
        password: of the API, `user:password`; None where it asks for none.
    """

    def __init__(self, api: str, folder: Path, password: str | None = None) -> None:
        self.api, self.folder, self.home, self.password = api, folder, folder / "home", password
        self.client = SyncPrefectClient(api, auth_string=password)
        self._open = contextlib.ExitStack()
        self.environment = bare_environment(
            HOME=str(folder),
            PREFECT_HOME=str(folder / "prefect-home"),
            PREFECT_API_URL=api,
            PREFECT_WORKER_QUERY_SECONDS="1",
            IDXFLOW_HOME=str(self.home),
            **({"PREFECT_API_AUTH_STRING": password} if password else {}),
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

    def prefect(self, *arguments: str) -> None:
        """Run Prefect's command."""
        run_python("-m", "prefect", "--no-prompt", *arguments, cwd=PROJECT, environment=self.environment)

    def run(self, *options: str) -> RunRecord:
        """Run the pipeline by `idxflow run`."""
        command = ("-m", "idxflow", "run", "--json", *options)
        output, _ = run_python(*command, cwd=self.folder, environment=self.environment)
        return RunRecord.model_validate_json(output)

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """Start a Python program in the test's folder."""
        process = start_python(*command, cwd=self.folder, environment=self.environment, log=self.folder / log)
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

    def record(self, run: UUID) -> RunRecord:
        """Return the record that a run left in the home folder."""
        return RunRecord.model_validate_json((self.home / "runs" / f"{run.hex[-12:]}.json").read_bytes())

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
