"""A Prefect server, a worker and people, each a process with the environment that docs/team.md gives it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.run_record import RunRecord
from idxflow.server.local import api_answers
from tests.processes import PROJECT, bare_environment, ending, free_port, run_python, start_python, until

POOL = "idxflow"
TEMPLATE = ("--base-job-template", "idxflow/deploying/pool.json")


class Team:
    """
    A server over a database, and one store that its workers and people share.

    Args:
        folder:   where everything lies: the store in `store`, Prefect's own files, logs.
        database: the variables by which the server finds its database.
        password: of the API, as `user:password`.
        key:      for what Secret blocks keep in the database; 32 bytes in base 64.
        address:  of this machine, that the server listens on.
    """

    def __init__(
        self, folder: Path, database: Mapping[str, str], password: str, key: str, address: str = "127.0.0.1"
    ) -> None:
        self.folder, self.password, self.address = folder, password, address
        self.store, self.port = folder / "store", free_port()
        self.api = f"http://{address}:{self.port}/api"
        self._everyone = bare_environment(
            PREFECT_HOME=str(folder / "prefect"), PREFECT_API_URL=self.api, PYTHONPATH=str(PROJECT)
        )
        self.server_environment = {
            **self._everyone,
            **database,
            "PREFECT_SERVER_ENCRYPTION_KEY": key,
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        }
        self.environment = self._everyone | {"PREFECT_API_AUTH_STRING": password, "IDXFLOW_HOME": str(self.store)}

    @contextmanager
    def _process(self, name: str, environment: Mapping[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a process for as long as the block runs; what it says is in `<folder>/<name>.log`."""
        log = self.folder / f"{name}.log"
        with ending(start_python("-m", *command, cwd=self.folder, environment=environment, log=log)) as process:
            try:
                yield process
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)

    @contextmanager
    def server(self) -> Iterator[None]:
        """Keep the server, from when it answers and has the work pool and what prefect.yaml deploys."""
        command = ("idxflow.server.guard", "--host", self.address, "--port", str(self.port))
        with self._process("server", self.server_environment, *command) as process:
            until(lambda: api_answers(self.api) or process.poll() is not None, 120, lambda: self.log("server"))
            assert process.poll() is None, self.log("server")
            self.run("prefect", "--no-prompt", "work-pool", "create", POOL, "--type", "process", *TEMPLATE)
            self.run("prefect", "--no-prompt", "deploy", "--all")
            yield

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Keep a worker."""
        with self._process("worker", self.environment, "prefect", "worker", "start", "--pool", POOL):
            yield

    @contextmanager
    def up(self, told: Mapping[str, str]) -> Iterator[None]:
        """Keep an `idxflow up`, from when it takes runs; `told` as in `run`."""
        with self._process("up", {**self.environment, **told}, "idxflow", "up") as process:
            until(lambda: "Ctrl-C" in self.log("up") or process.poll() is not None, 120, lambda: self.log("up"))
            assert process.poll() is None, self.log("up")
            yield

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def ask(self, method: str, path: str, password: str | None, **body: Any) -> requests.Response:
        """Ask the API as any HTTP client can; with a body that is none of Prefect's."""
        credentials = tuple(password.split(":", 1)) if password else None
        return requests.request(method, f"{self.api}{path}", auth=credentials, timeout=10, **body)  # type: ignore[arg-type]

    def run(self, *command: str, code: int = 0, told: Mapping[str, str] | None = None) -> tuple[str, str]:
        """
        Run a command of a person to its end.

        Args:    code: with which it is expected to end.  told: environment variables of this one alone.
        Returns: its output, and what it said beside it.
        """
        return run_python("-m", *command, cwd=PROJECT, environment={**self.environment, **(told or {})}, code=code)

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Give a client of the API that knows the password."""
        with (
            temporary_settings({PREFECT_API_URL: self.api, PREFECT_API_AUTH_STRING: self.password}),
            get_client(sync_client=True) as client,
        ):
            yield client

    def records(self) -> list[RunRecord]:
        """Return the records of all runs, oldest first."""
        files = sorted((self.store / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime)
        return [RunRecord.model_validate_json(path.read_bytes()) for path in files]
