"""`idxflow server stop --force` at ten moments of a run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.run_record import RunRecord
from idxflow.server.local import api_answers, find_server, stop_server
from tests.processes import PROJECT, bare_environment, ending, start_python, until

pytestmark = pytest.mark.slow
ENDING_SECONDS = 5
RAW = ("Traceback", "EventsWorker", "Logging error", "httpx", "ConnectError", "prefect.", "ServerError:")
"""What a library would say of a server that it no longer finds."""
Moment = Callable[[Path], object]


def record_of(home: Path) -> RunRecord | None:
    """The record of the one run, as far as it is written."""
    found = [*home.glob("runs/*.json")]
    return RunRecord.model_validate_json(found[0].read_bytes()) if found else None


def answers(home: Path) -> bool:
    """Whether the home folder's server answers."""
    return (server := find_server(home)) is not None and api_answers(server.api)


def after(seconds: float, moment: Moment) -> Moment:
    """So many seconds after another moment."""

    def later(home: Path) -> bool:
        if not moment(home):
            return False
        time.sleep(seconds)
        return True

    return later


def committed(stage: str) -> Moment:
    """Once an artifact of a stage is there."""
    return lambda home: [*home.glob(f"artifacts/{stage}/*/record.json")]


def begun(stage: str) -> Moment:
    """While a stage works."""
    return lambda home: [*home.glob(f"artifacts/{stage}/.staging*")]


MOMENTS: dict[str, Moment] = {
    "the server is starting": find_server,
    "it answers": answers,
    "the run begins": lambda home: record_of(home) is not None,
    "files arrive": committed("download"),
    "tables are written": committed("parse"),
    "it trains": begun("train"),
    "it has trained a while": after(1, begun("train")),
    "it evaluates": committed("train"),
    "it reports": committed("evaluate"),
    "all is done": lambda home: (record := record_of(home)) is not None and record.state == "completed",
}


@pytest.fixture
def home(desk: Path) -> Iterator[Path]:
    """A home folder of which no server is left, whatever went wrong."""
    yield desk / "home"
    stop_server(desk / "home")


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=[*MOMENTS])
def test_a_run_whose_server_is_stopped_ends_as_its_record_says(moment: Moment, desk: Path, home: Path) -> None:
    """One that has begun goes on and completes; one that has not says so. Both end at once, with no library's lines."""
    log = desk / "log"
    environment = bare_environment(PYTHONPATH=str(PROJECT), TMPDIR=str(desk), HOME=str(desk), COLUMNS="200")
    words = ("-m", "idxflow", "run", "--dataset", "digits", "--home", str(home))
    with ending(start_python(*words, cwd=desk, environment=environment, log=log)) as run:
        until(lambda: moment(home) or run.poll() is not None, 120, log.read_text)
        stop = [sys.executable, "-m", "idxflow", "server", "stop", "--force", "--home", str(home)]
        subprocess.run(stop, check=True, cwd=desk, env=environment, capture_output=True)
        stopped = time.monotonic()
        if record_of(home):
            until(lambda: (record := record_of(home)) and record.state != "running", 120, log.read_text)
            stopped = time.monotonic()
        code = run.wait(60)
        assert time.monotonic() - stopped < ENDING_SECONDS
    said, record = log.read_text(), record_of(home)
    assert not [raw for raw in RAW if raw in said], said
    if record:
        assert (code, record.state) == (0, "completed"), said
        assert "completed in" in said
    else:
        assert code == 1, said
        assert "found that it was stopped" in said or "found its process has ended" in said, said
        assert "next run starts a new" in said
    assert not find_server(home)
