"""The local Prefect server, for real: found, started once, stopped, told from anything else; and one on a leash."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idxflow.server.environment import prepare_environment
from idxflow.server.local import (
    LEASH,
    Server,
    api_answers,
    find_server,
    start_server,
    stop_command,
    stop_server,
    wait_for_server,
)
from idxflow.server.machine import find_process
from schemas.errors import ServerError
from tests.processes import ending, until

PORTS = range(29200, 29300)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of idxflow's business."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def write_state(home: Path, server: Server) -> None:
    """Write down a server."""
    home.mkdir(exist_ok=True)
    (home / "server.json").write_text(server.model_dump_json())


def test_another_process_is_not_the_server(home: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A process that merely has the recorded pid is not found, not waited for, and above all not stopped."""
    process = find_process(bystander.pid)
    assert process is not None
    log = home / "log"
    moment = "2026-01-01T00:00:00+00:00"
    server = Server(home=str(home), pid=bystander.pid, port=29299, started=moment, born=process.born, log=str(log))
    write_state(home, server)
    log.write_text("\nfirst\n\nPort 29299 is already in use.\n")
    assert find_server(home) is None
    with pytest.raises(ServerError, match=r"the process ended; its log ends: first \| Port 29299 is already in use"):
        wait_for_server(home, server)
    assert stop_server(home) is None
    assert bystander.poll() is None


def test_a_server_that_lets_everybody_in_is_not_used(home: Path) -> None:
    """One that an older idxflow started, without a password, is left alone; a run says how to stop it."""
    words = [*("-m", "prefect", "server", "start"), *("--host", "127.0.0.1", "--port", "29299")]
    command = [sys.executable, "-c", "import time; time.sleep(60)", *words]
    with subprocess.Popen(command) as older:
        process = until(lambda: find_process(older.pid))
        assert process
        server = Server(home=str(home), pid=older.pid, port=29299, started="", born=process.born, log="log")
        write_state(home, server)
        assert until(lambda: find_server(home)) == server
        with pytest.raises(ServerError, match=r"one that requires a password, found .*, then: idxflow server stop"):
            start_server(home)
        assert older.poll() is None
        assert stop_server(home) == server
        older.wait(10)


@pytest.mark.parametrize("place", ["idxflow/guard.py", "idxflow/server/guard.py"])
def test_a_server_is_known_wherever_its_idxflow_lies(home: Path, place: str) -> None:
    """A guarded server that another installation started is found by its arguments, also one before the rooms."""
    words = ["/srv/" + place, "--listener", "5", "--port", "29299"]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words]) as started:
        process = until(lambda: find_process(started.pid))
        assert process
        server = Server(home=str(home), pid=started.pid, port=29299, started="", born=process.born, log="log")
        write_state(home, server)
        assert find_server(home) == server
        started.kill()


@pytest.mark.parametrize("state", ["", "{}", "[]", '{"pid": "x"}'])
def test_an_unreadable_state_is_no_server(state: str, home: Path) -> None:
    """A state file that makes no sense means that there is no server."""
    home.mkdir()
    (home / "server.json").write_text(state)
    assert find_server(home) is None


def test_without_a_home_folder_nothing_is_made(home: Path) -> None:
    """Asking for, or stopping, a server leaves no trace where there is none."""
    assert find_server(home) is None
    assert stop_server(home) is None
    assert not home.exists()


def test_without_a_free_port_the_way_out_is_told(home: Path) -> None:
    """When every port is in use the error says which, and what to do instead."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ServerError, match=rf"a free port from {port} to {port}, found all in use\. .*--ephemeral"):
            start_server(home, ports=range(port, port + 1))


def test_an_api_answers_or_not() -> None:
    """A good answer is health; another answer is one only for somebody else's API; silence is neither."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{service.server_port}"
        assert api_answers(f"{url}/api")
        assert api_answers(f"{url}/api/")
        assert not api_answers(f"{url}/other")
        assert api_answers(f"{url}/other", healthy=False)
        service.shutdown()
    assert not api_answers(f"{url}/api", 0.5, healthy=False)


def test_the_stop_command_fits_the_home_folder(desk: Path) -> None:
    """The home folder is named where it is not the usual one, quoted for the shell."""
    assert stop_command(desk / ".idxflow") == "idxflow server stop"
    assert stop_command(Path("/a b")) == "idxflow server stop --home '/a b'"


@pytest.mark.slow
def test_two_runs_at_once_start_one_server(home: Path) -> None:
    """Two starts at once make one server, which answers, keeps its history in the home folder, and stops."""
    prepare_environment(home)
    with ThreadPoolExecutor(2) as pool:
        pair = [pool.submit(start_server, home, ports=PORTS) for _ in range(2)]
        (one, started), (other, started_too) = (future.result() for future in pair)
    try:
        assert one == other == find_server(home)
        assert {started, started_too} == {True, False}
        wait_for_server(home, one)
        assert api_answers(one.api)
        assert (home / "prefect" / "prefect.db").is_file()
        assert json.loads((home / "server.json").read_bytes())["pid"] == one.pid
        assert start_server(home, ports=PORTS) == (one, False)
    finally:
        stopped = stop_server(home)
    assert stopped == one
    assert find_process(one.pid) is None
    assert find_server(home) is None
    assert not api_answers(one.api)
    assert stop_server(home) is None


@pytest.mark.slow
def test_a_server_that_cannot_start_is_told_with_its_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies while it starts is an error with the end of its log, at once and not after the time-out."""
    monkeypatch.setitem(os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL", "nonsense")
    prepare_environment(home)
    server, _ = start_server(home, ports=PORTS)
    with pytest.raises(ServerError, match=r"the process ended; its log ends: .*SQLAlchemy URL"):
        wait_for_server(home, server)


def test_a_copied_home_folder_has_no_server(home: Path, tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    """A copy of a home folder has the state of the original's server, and can neither find nor stop it."""
    process = find_process(bystander.pid)
    assert process is not None
    moment = "2026-01-01T00:00:00+00:00"
    server = Server(home=str(home), pid=bystander.pid, port=29299, started=moment, born=process.born, log="log")
    write_state(tmp_path / "copy", server)
    assert find_server(tmp_path / "copy") is None
    assert stop_server(tmp_path / "copy") is None
    assert bystander.poll() is None


PROGRAM = """
import sys, time
print(sys.argv[1:], __name__, flush=True)
time.sleep(60)
"""


def test_it_runs_until_the_pipe_is_closed(tmp_path: Path) -> None:
    """The program has its own arguments; when the pipe is closed its process ends, and the folder is gone."""
    folder = tmp_path / "owned"
    folder.mkdir()
    (folder / "file").touch()
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-P", str(LEASH), str(folder), str(tmp_path / "program.py"), "--port", "1"]
    pipe = subprocess.PIPE
    with ending(subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe)) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "['--port', '1'] __main__\n"
        assert folder.exists()
        process.stdin.close()
        assert process.wait(10) < 0
    assert not folder.exists()
