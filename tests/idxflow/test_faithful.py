"""A process speaks to the server of its home folder, and to nobody who takes the port after it."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Literal

import httpx
import pytest

from flows.run_record import RunRecord
from idxflow.cli.run import run_pipeline
from idxflow.cli.settings import load_settings
from idxflow.server.connection import Connection
from idxflow.server.faithful import is_gone, stay_faithful
from idxflow.server.local import Server, find_server
from idxflow.server.machine import Process, find_process
from schemas.errors import BadIdx, ServerError
from schemas.events import RunChanged, emit
from tests.idxflow.conftest import Screen, Stranger
from tests.idxflow.recording import record_run
from tests.processes import PROJECT, bare_environment, ending, free_port, open_python, start_python, until

ENDING_SECONDS = 5


def settled_on(port: int) -> Stranger | None:
    """A stranger on a port, as soon as it is free."""
    try:
        return Stranger(port)
    except OSError:
        return None


def dead_server(home: Path, port: int) -> Server:
    """A server that is written down in the home folder, and whose process is none."""
    home.mkdir(exist_ok=True)
    server = Server(home=str(home), pid=2**22 + 1, port=port, started="", born="0", log="log")
    (home / "server.json").write_text(server.model_dump_json())
    return server


def test_who_takes_the_port_is_told_nothing(desk: Path, stranger: Stranger) -> None:
    """Once the server is gone no library connects to its port; to all others it does."""
    home = desk / "home"
    stay_faithful(home, dead_server(home, stranger.port), patient=False)
    with pytest.raises(ServerError, match="expected it to run, found its process has ended"):
        httpx.get(f"http://127.0.0.1:{stranger.port}/", auth=("idxflow", "secret"))
    with pytest.raises(ServerError):
        socket.create_connection(("localhost", stranger.port), 5)
    assert is_gone()
    assert not stranger.told
    with Stranger(0) as other:
        assert httpx.get(f"http://127.0.0.1:{other.port}/").status_code == 200
        other.shutdown()


def test_a_patient_client_finds_nobody_there(desk: Path, stranger: Stranger) -> None:
    """What should try again sees a refused connection, as where nobody listens."""
    home = desk / "home"
    stay_faithful(home, dead_server(home, stranger.port), patient=True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{stranger.port}/")
    assert not stranger.told


def test_only_the_last_server_counts_as_gone(desk: Path, stranger: Stranger) -> None:
    """A notebook that has gone on to another server does not miss an earlier one, and tells its port nothing."""
    gone, home = desk / "gone", desk / "home"
    home.mkdir()
    stay_faithful(gone, dead_server(gone, stranger.port), patient=False)
    words = ["/server/guard.py", "--listener", "3", "--port", str(port := free_port())]
    with ending(open_python("-c", "import time; time.sleep(60)", *words, environment=bare_environment())) as process:
        born = (find_process(process.pid) or Process("", "")).born
        server = Server(home=str(home), pid=process.pid, port=port, started="", born=born, log="log")
        (home / "server.json").write_text(server.model_dump_json())
        stay_faithful(home, server, patient=False)
        assert not is_gone()
    assert is_gone()
    with pytest.raises(ServerError):
        httpx.get(f"http://127.0.0.1:{stranger.port}/")
    assert not stranger.told


def test_a_process_that_is_faithful_to_nobody_misses_nobody() -> None:
    """Where the API is somebody else's, none is gone."""
    assert not is_gone()


@pytest.mark.parametrize("state", ["completed", "failed", "running"])
def test_a_run_whose_server_is_gone_ends_by_its_record(
    state: Literal["completed", "failed", "running"],
    desk: Path,
    screen: Screen,
    stranger: Stranger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A completed one is done, a failed one fails by its stage's error, one without an end by its server's."""
    home = desk / ".idxflow"
    monkeypatch.setattr("idxflow.running.connect", lambda *_: Connection(lambda: None, "stop", started=True))

    def flow(*_: object, **__: object) -> RunRecord:
        stay_faithful(home, dead_server(home, stranger.port), patient=False)
        record_run(home, state=state)
        emit(RunChanged("0123456789ab", state))
        try:
            if state == "failed":
                raise BadIdx("x.gz", expected="8", found="7", way_out="Get another.")
        finally:
            httpx.get(f"http://127.0.0.1:{stranger.port}/api")
        raise AssertionError

    try:
        run_pipeline(load_settings({}), screen, flow=flow)
        outcome: object = None
    except ServerError as error:
        outcome = ServerError if "process has ended" in str(error) else error
    except BadIdx:
        outcome = BadIdx
    assert outcome is {"completed": None, "failed": BadIdx, "running": ServerError}[state]
    assert ("Prefect's server ended before the run did" in screen.text.getvalue()) == (state == "completed")
    assert "Stop the server" not in screen.text.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--ephemeral",), ()], ids=["ephemeral", "staying"])
def test_a_run_whose_server_dies_ends_by_its_record(desk: Path, options: tuple[str, ...]) -> None:
    """Killed while it trains, with a stranger on its port: completed, exit code 0, its JSON, at once; nothing told."""
    environment = bare_environment(PYTHONPATH=str(PROJECT), TMPDIR=str(desk), HOME=str(desk))
    words = ("-m", "idxflow", "run", "--json", "--dataset", "digits", "--set", "training.epochs=150", *options)
    home, log = desk / ".idxflow", desk / "log"
    with ending(start_python(*words, cwd=desk, environment=environment, log=log)) as run:
        until(lambda: list(home.glob("artifacts/train/.staging*")) or run.poll() is not None, 120, log.read_text)
        (place,) = [*desk.glob("idxflow-server-*/server.json"), *home.glob("server.json")]
        server = find_server(place.parent)
        assert server is not None, log.read_text()
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: find_server(place.parent) is None)
        settled = until(lambda: settled_on(server.port), 10)  # its threads end one by one, and hold the port
        assert settled
        with settled as stranger:
            (record_file,) = home.glob("runs/*.json")
            until(lambda: json.loads(record_file.read_bytes())["state"] != "running", 120, log.read_text)
            assert run.wait(ENDING_SECONDS) == 0, log.read_text()
            stranger.shutdown()
    assert not stranger.told
    said = log.read_text()
    record = RunRecord.model_validate_json(said[said.index("{\n") : said.rindex("\n}") + 2])
    assert record.state == "completed"
    assert "Prefect's server ended before the run did" in said
    assert "Dashboard:" not in said
    assert "EventsWorker" not in said
    assert "Traceback" not in said
