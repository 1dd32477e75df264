"""Ctrl-C, for real: what a run says, leaves and records when a person interrupts it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from artifacts.archive.runs import list_runs, state_of
from artifacts.store.store import Store
from idxflow.server.local import Server
from idxflow.server.machine import find_process
from tests.processes import PROJECT, bare_environment, ending, served_environment, until

pytestmark = pytest.mark.slow


def heed_ctrl_c() -> None:
    """Be interruptible, also where the tests themselves run in the background, which a shell lets ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what `nohup` starts ignores it


def start(*arguments: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a Python program that heeds Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )


def ephemeral(folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """Keep a run with a temporary server, whose folder is in `tmp` here."""
    (folder / "tmp").mkdir()
    environment = bare_environment(TMPDIR=str(folder / "tmp"), HOME=str(folder), PYTHONPATH=str(PROJECT))
    command = ("idxflow", "run", "--dataset", "digits", "--ephemeral", "--home", "h", "--set", "training.epochs=10000")
    return ending(start(*command, cwd=folder, environment=environment))


@pytest.mark.usefixtures("prefect_server")
def test_an_interrupted_run_stays_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while stages work: what they commit later is in the record, which never says running again."""
    home = tmp_path / "home"
    environment = served_environment(IDXFLOW_HOME=str(home), COUNTING_SLEEP="6")
    with ending(start("tests.artifacts.counting", "1", cwd=PROJECT, environment=environment)) as process:
        until(lambda: len(list(home.glob("artifacts/download/.staging*"))) == 2, 60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    store = Store(home)
    (left,) = list_runs(store)
    assert left.state == "interrupted"
    assert state_of(store, left) == "interrupted"
    committed = {artifact for artifact in store.versions() if store.is_committed(*artifact)}
    assert committed <= {(row.stage, row.version) for row in left.stages}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_beside_a_temporary_server_ends_at_once(number: signal.Signals, tmp_path: Path) -> None:
    """A run with a server of its own that is interrupted says and records so within seconds, and leaves no server."""
    with ephemeral(tmp_path) as process:
        until(lambda: list(tmp_path.glob("h/artifacts/train/.staging*")), 120)
        time.sleep(2)  # TensorFlow is there, and epochs go by
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == "ERROR Interrupted. Finished stages are stored; run again to continue.\n"
    assert not list((tmp_path / "tmp").glob("idxflow-server-*"))
    (left,) = list_runs(Store(tmp_path / "h"))
    assert (left.state, left.error) == ("interrupted", "Interrupted before its end; what was finished is stored.")


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.4])
def test_ctrl_c_once_more_ends_what_is_ending(tmp_path: Path, seconds: float) -> None:
    """While an interrupted run stops its server another Ctrl-C ends it at once: no more is said, no server stays."""
    with ephemeral(tmp_path) as process:
        (state,) = until(lambda: list(tmp_path.glob("tmp/idxflow-server-*/server.json")), 60)
        server = Server.model_validate_json(state.read_bytes()).pid
        until(lambda: list(tmp_path.glob("h/artifacts/train/.staging*")), 120)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        said = process.stderr.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    assert errors == ""
    assert process.returncode in {130, -signal.SIGINT}  # where no Python is left: to a shell that is 130 as well
    assert said == "ERROR Interrupted. Finished stages are stored; run again to continue.\n"
    until(lambda: find_process(server) is None, 20)
    assert not list((tmp_path / "tmp").glob("idxflow-server-*"))
