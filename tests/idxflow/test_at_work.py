"""`idxflow server stop` while somebody needs the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.store.flock import locked
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.main import main
from idxflow.server.at_work import runs_at_work
from idxflow.server.local import Server, find_server
from idxflow.server.machine import Process, find_process
from idxflow.views.layout import local_time
from idxflow.views.server import print_servers
from tests.artifacts.archive.history import write_run
from tests.processes import bare_environment, ending, free_port, open_python, until

WORKING = "c" * 12
STARTED = "2026-11-24T17:05:52+00:00"


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    """A process that counts as the home folder's server."""
    words = ["/server/guard.py", "--listener", "3", "--port", str(port := free_port())]
    (folder := store.home / "prefect").mkdir()
    sleeper = open_python("-c", "import time; time.sleep(60)", *words, environment=bare_environment(), cwd=folder)
    with ending(sleeper) as process:
        born = (find_process(process.pid) or Process("", "")).born
        there = Server(home=str(store.home), pid=process.pid, port=port, started=STARTED, born=born, log="log")
        (store.home / "server.json").write_text(there.model_dump_json())
        until(lambda: find_server(store.home))
        yield there


def work_on(store: Store, address: str, run: str = WORKING) -> Hold:
    """Leave the record of a run that is at work, as long as what is returned is not released."""
    record = write_run(store, run, state="running").model_copy(update={"dashboard": f"{address}/runs/flow-run/{run}"})
    (store.runs / f"{run}.json").write_text(record.model_dump_json())
    return Hold(store.holds, run)


def test_a_server_with_a_run_at_work_is_not_stopped(
    store: Store, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is named, the way to stop all the same is told, and the server lives; with --force it ends."""
    with work_on(store, server.address):
        assert main(["server", "stop"]) == FAILED
        output, errors = capsys.readouterr()
        assert not output
        assert f"expected nobody who needs it, found 1 run: {WORKING} (mnist, since " in errors
        assert "or: idxflow server stop --force. A run then goes on without its dashboard." in errors
        assert find_server(store.home) == server
        assert main(["server", "stop", "--force"]) == DONE
    assert find_server(store.home) is None


def test_runs_that_do_not_need_it_are_no_reason(
    store: Store, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was killed, one that has ended, and one on another server are let be: the server is stopped."""
    work_on(store, server.address, "a" * 12).release()
    write_run(store, "b" * 12)
    with work_on(store, "http://127.0.0.1:1"):
        assert runs_at_work(store.home, server) == []
        assert main(["server", "stop"]) == DONE
    assert capsys.readouterr().out == f"Prefect server at {server.address} stopped\n"


def test_idxflow_up_needs_it(store: Store, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """While `idxflow up` takes runs, its server stays."""
    with locked(store.home / "up.lock"):
        assert main(["server", "stop"]) == FAILED
    assert "found `idxflow up`, which takes scheduled runs." in capsys.readouterr().err
    assert find_server(store.home) == server


def test_without_a_server_nobody_is_asked(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where none runs, that is said, and nothing is made."""
    assert main(["server", "stop"]) == DONE
    assert "No Prefect server" in capsys.readouterr().out
    assert not list(desk.iterdir())


def test_the_servers_of_this_machine_are_listed(
    store: Store, server: Server, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From whatever folder: each with its home folder, its address and the runs at work on it."""
    (desk / "elsewhere").mkdir()
    with work_on(store, server.address):
        assert main(["server", "list", "--json", "--home", "elsewhere"]) == DONE
        found = [each for each in json.loads(capsys.readouterr().out) if each["home"] == str(store.home)]
        assert found == [
            {
                "home": str(store.home),
                "address": server.address,
                "pid": server.pid,
                "started": STARTED,
                "answers": False,
                "runs": [WORKING],
            }
        ]
        assert main(["server", "list"]) == DONE
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["address", "process", "since", "runs", "at", "work", "home"]
    assert [server.address, str(server.pid), *local_time(STARTED).split(), WORKING] in [line[:5] for line in lines]


def test_without_servers_the_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is told in words."""
    print_servers([])
    assert capsys.readouterr().out == "No Prefect server of idxflow runs on this machine.\n"
