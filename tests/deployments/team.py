"""A Prefect server, a worker and people, each a process with the environment that docs/team.md gives it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from artifacts.run_record import RunRecord

ROOT = Path(__file__).parents[2]
OURS = ("PREFECT_", "IDXFLOW_", "TF_")
START_SECONDS = 120.0


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def traces(secrets: tuple[str, ...], text: bytes) -> list[str]:
    """Name the secrets that occur in `text`: as they are, as an address has them, or in base 64."""
    found = []
    for secret in secrets:
        # Within a longer text base 64 has three ways to write it; digits that its neighbours share are left out.
        word = secret.encode()
        shifted = [
            b64encode(bytes(shift) + word)[-(-shift * 4 // 3) : (shift + len(word)) * 4 // 3] for shift in (0, 1, 2)
        ]
        if any(form in text for form in (word, quote(secret, safe="").encode(), *shifted)):
            found.append(secret)
    return found


def traces_below(secrets: tuple[str, ...], folder: Path) -> list[str]:
    """Name every file below `folder` in which, or in whose name, a secret occurs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"nothing to look at in {folder}"
    return [f"{path}: {trace}" for path in files for trace in traces(secrets, bytes(path) + path.read_bytes())]


class Team:
    """
    A server over a database, and one store that its workers and people share.

    Args:
        folder:   where everything lies: the store in `store`, Prefect's own files, logs.
        database: the variables by which the server finds its database.
        password: of the API, as `user:password`.
        key:      for what Secret blocks keep in the database; 32 bytes in base 64.
    """

    def __init__(self, folder: Path, database: Mapping[str, str], password: str, key: str) -> None:
        self.folder, self.password = folder, password
        self.store, self.port = folder / "store", free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self._everyone = {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.server_environment = {
            **self._everyone,
            **database,
            "PREFECT_SERVER_ENCRYPTION_KEY": key,
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        }
        self.environment = self._everyone | {"PREFECT_API_AUTH_STRING": password, "IDXFLOW_HOME": str(self.store)}

    @contextmanager
    def process(self, name: str, environment: Mapping[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a process for as long as the block runs; what it says is in `<folder>/<name>.log`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @contextmanager
    def server(self) -> Iterator[None]:
        """Keep the server, from when it answers."""
        command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        with self.process("server", self.server_environment, *command) as process:
            deadline = time.monotonic() + START_SECONDS
            while not self._answers():
                assert process.poll() is None, self.log("server")
                assert time.monotonic() < deadline, self.log("server")
                time.sleep(0.2)
            yield

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/health", None).ok
        except requests.ConnectionError:
            return False

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
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**self.environment, **(told or {})},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

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
