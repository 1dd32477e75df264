"""A run whose Prefect server goes away while it works."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.run_record import RunRecord
from idxflow.server.local import api_answers
from tests.flows.seeing import flow_run, posted
from tests.processes import ending, free_port, open_python, until

pytestmark = pytest.mark.slow


class Server:
    """A Prefect server of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        database = f"sqlite+aiosqlite:///{folder / 'prefect.db'}"
        self.environment = os.environ | {
            "PREFECT_HOME": str(folder),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
            "IDXFLOW_HOME": str(folder / "home"),
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: api_answers(self.api), 120)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that answers."""
    server = Server(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_a_run_outlives_its_server(server: Server) -> None:
    """A server that is killed and started again costs one warning; the run completes, and is shown in the end."""
    home = Path(server.environment["IDXFLOW_HOME"])
    with ending(open_python("-m", "tests.flows.showing", "8", environment=server.environment)) as process:
        until(lambda: list(home.glob("artifacts/train/.staging*")) or process.poll() is not None, 120)
        time.sleep(2.5)
        server.kill()
        time.sleep(3)
        server.start()
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    record = RunRecord.model_validate_json(output)
    assert record.state == "completed"
    assert len(record.warnings) == 1
    assert record.warnings[0].startswith("dashboard: expected Prefect's API to take what it is to show")
    with temporary_settings({PREFECT_API_URL: server.api}):
        assert flow_run(record.flow_run).name == "two / tutorial / 96.30 %"
        assert set(posted(record.flow_run)) == {"metrics-two-tutorial", "summary-two-tutorial"}
