"""
The local Prefect server of a home folder: found, started, waited for, stopped.

It outlives the run that starts it, and keeps its history in `<home>/prefect`. `<home>/server.json` describes it; a
process counts as the server only when its start time and its arguments agree. A lock on
`<home>/server.lock` lets two runs at once start one server. It requires the password of `idxflow.server.password`, and
answers pages of its own address only; see `idxflow.server.guard`.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.store.files import write_atomically
from artifacts.store.flock import locked
from idxflow.server.idling import IDLE_SECONDS, VARIABLE
from idxflow.server.machine import Process, find_process, reserved_port, start_process
from idxflow.server.password import CHOSEN, keep_password, private_folder
from schemas.errors import ServerError

HOST = "127.0.0.1"
PORTS = range(4200, 4300)
START_SECONDS = 120.0
STOP_SECONDS = 10.0
LEASH, GUARD = (Path(__file__).with_name(name) for name in ("leash.py", "guard.py"))
DAYS = 90
"""How long the server keeps runs, with their logs and pages."""
PASSING = (
    *(f"prefect.task-run.{state}" for state in ("Pending", "Running", "Cached", "Completed")),
    *(f"prefect.flow-run.{state}" for state in ("Pending", "Running", "heartbeat")),
    "prefect.artifact.created",
    # Each with its page.
    *(f"prefect.artifact-collection.{what}" for what in ("created", "updated", "deleted")),
)
"""Events that are only useful for a moment."""
DEFAULTS = {
    # Runs and their pages are deleted by age; Prefect's own default keeps them for good.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(DAYS * 24 * 3600),
    # A cached run of 20 stages emits 60 of these, most of what would be kept of it. A stage's states are kept.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": json.dumps(dict.fromkeys(PASSING, 30)),
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "60",
}
"""Unless the environment sets them otherwise."""


class Server(BaseModel):
    """
    A running server, as `<home>/server.json` has it.

    Args:
        home:      its home folder: a copy of that folder has the file, but not the server. Empty in a file that an
                   older idxflow wrote.
        pid, port: of the process, which listens on 127.0.0.1.
        started:   UTC, ISO 8601.
        born:      as in `idxflow.server.machine.Process`.
        log:       path of its output.
        idle:      seconds without use after which it ends by itself; 0: never, as one of an older idxflow.
    """

    model_config = ConfigDict(frozen=True)
    home: str = ""
    pid: int
    port: int
    started: str
    born: str
    log: str
    idle: float = 0

    @property
    def address(self) -> str:
        """The dashboard's address."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """The value of PREFECT_API_URL."""
        return f"{self.address}/api"


def find_server(home: Path) -> Server | None:
    """Return the server of `home` if its process is alive and is that server; it may still be starting."""
    try:
        server = Server.model_validate_json(state_file(home).read_bytes())
    except (OSError, ValidationError):
        return None
    process = find_process(server.pid)
    is_it = (
        server.home in {"", str(home)}
        and process
        and process.born == server.born
        and (_is_guarded(process, server.port) or _is_open(process, server.port))
    )
    return server if is_it else None


def lets_everybody_in(server: Server) -> bool:
    """Return whether an older idxflow started a server: without a password."""
    process = find_process(server.pid)
    return process is not None and _is_open(process, server.port)


def start_server(
    home: Path, *, ports: range = PORTS, leash: int | None = None, idle: float = IDLE_SECONDS
) -> tuple[Server, bool]:
    """
    Find the server of `home`, or start one on the first free port, without waiting until it answers.

    Args:
        leash: the reading end of a pipe. When its other end is closed, however its owner ends, the started server ends
               and deletes `home`; see `idxflow.server.leash`.
        idle:  seconds without use after which a started server ends by itself, 0 for never; see
               `idxflow.server.idling`. One on a leash does not.
    Returns: the server, and whether this call started it.
    Raises:  ServerError: no free port, the process ended at once, or an older idxflow's server still runs.
    """
    private_folder(home)
    with locked(home.resolve() / "server.lock"):
        if found := find_server(home):
            if lets_everybody_in(found):
                raise ServerError(
                    f"Prefect server {found.address}",
                    expected="one that requires a password",
                    found=f"process {found.pid}, which an older idxflow started without one",
                    way_out=f"Wait for its runs to end, then: {stop_command(home)}. The next command starts a new one.",
                )
            os.utime(state_file(home))  # it is about to be used, and does not end by itself meanwhile
            return found, False
        with reserved_port(HOST, ports) as reserved:
            if reserved is None:
                raise ServerError(
                    "Prefect server",
                    expected=f"a free port from {ports.start} to {ports.stop - 1}",
                    found="all in use",
                    way_out="Free one, set PREFECT_API_URL to a server of yours, or use --ephemeral.",
                )
            server = _spawn(home, *reserved, leash, idle if leash is None else 0)
        write_atomically(state_file(home), server.model_dump_json(indent=1).encode())
        return server, True


def wait_for_server(home: Path, server: Server, seconds: float = START_SECONDS) -> None:
    """
    Return when the server answers.

    Raises: ServerError: it ended, or did not answer in time; it quotes the log's last lines.
    """
    deadline = time.monotonic() + seconds
    while not api_answers(server.api):
        if find_server(home) != server:
            with locked(home.resolve() / "server.lock"):  # whoever stops it has it until the file is gone
                stopped = not state_file(home).exists()
            raise _stopped(server) if stopped else _failed(server, "the process ended")
        if time.monotonic() > deadline:
            raise _failed(server, f"no answer in {seconds:g} s")
        time.sleep(0.05)


def stop_server(home: Path, seconds: float = STOP_SECONDS) -> Server | None:
    """
    End the server of `home`, and no other process, and wait until it has ended.

    Returns: the server that was stopped; None when none was running.
    Raises:  ServerError: it does not end.
    """
    if not home.is_dir():
        return None
    with locked(home.resolve() / "server.lock"):
        server = find_server(home)
        if server and not any(_end(server, number, seconds) for number in (signal.SIGTERM, signal.SIGKILL)):
            raise ServerError(
                f"Prefect server {server.address}",
                expected="the process to end",
                found=f"process {server.pid} still alive",
                way_out=f"Kill it: kill -9 {server.pid}.",
            )
        state_file(home).unlink(missing_ok=True)
        return server


def outlast_server(server: Server, seconds: float = 2 * STOP_SECONDS) -> None:
    """Wait until a server whose leash was closed has ended; kill it where it does not end by itself."""
    if not _end(server, None, seconds):
        _end(server, signal.SIGKILL, STOP_SECONDS)


def api_answers(url: str, seconds: float = 2.0, *, healthy: bool = True) -> bool:
    """Ask an API's `/health`. Args: healthy: only a good answer counts; otherwise any HTTP answer does."""
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=seconds)
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/health")
        return connection.getresponse().status == http.HTTPStatus.OK or not healthy
    except (OSError, http.client.HTTPException, ServerError):
        return False
    finally:
        connection.close()


def stop_command(home: Path) -> str:
    """Return the command that stops the server of `home`."""
    return f"idxflow server stop{_elsewhere(home)}"


def password_command(home: Path) -> str:
    """Return the command that prints the password of the server of `home`."""
    return f"idxflow server password{_elsewhere(home)}"


def _elsewhere(home: Path) -> str:
    return "" if home == Path(".idxflow").absolute() else f" --home {shlex.quote(str(home))}"


def state_file(home: Path) -> Path:
    """Return the file that describes the server of `home`; its time is when somebody last found it to use it."""
    return home.resolve() / "server.json"  # the home folder may be a link; no other is followed


def _is_guarded(process: Process, port: int) -> bool:
    """Return whether a process has a server's arguments, wherever idxflow is installed, also one before the rooms."""
    return re.search(rf"/(idxflow|server)/guard\.py --listener \d+ --port {port}$", process.command) is not None


def _is_open(process: Process, port: int) -> bool:
    """Return whether a process is a server as an older idxflow started it: without a password."""
    return process.command.endswith(f" -m prefect server start --host {HOST} --port {port}")


def _spawn(home: Path, port: int, listener: int, leash: int | None, idle: float) -> Server:
    log, api = home / "prefect" / "server.log", f"http://{HOST}:{port}/api"
    environment = {
        **DEFAULTS,
        **os.environ,
        # The dashboard uses the API at this address, not the one that it was loaded from.
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        CHOSEN: keep_password(home),
        VARIABLE: f"{home}\n{idle:g}" if idle else "",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
    }
    arguments = [str(GUARD), "--listener", str(listener), "--port", str(port)]
    if leash is None:
        pid = start_process([sys.executable, "-P", *arguments], environment, log, listener)
    else:
        command = [sys.executable, "-P", str(LEASH), str(home), *arguments]
        pid = start_process(command, environment, log, listener, leash)
    process, now = find_process(pid), datetime.now(UTC).isoformat(timespec="seconds")
    born = process.born if process else ""
    server = Server(home=str(home), pid=pid, port=port, started=now, born=born, log=str(log), idle=idle)
    if process is None:
        raise _failed(server, "the process ended at once")
    return server


def _end(server: Server, number: signal.Signals | None, seconds: float) -> bool:
    """Send a signal, if there is one, and return whether the process has ended within `seconds`."""
    deadline = time.monotonic() + seconds
    try:
        os.kill(server.pid, number or 0)
    except ProcessLookupError:
        return True
    # Its arguments vanish before it does: only the start time identifies it to the end.
    while (process := find_process(server.pid)) and process.born == server.born:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _stopped(server: Server) -> ServerError:
    """Return the error for a server that somebody stopped before it was of use."""
    return ServerError(
        f"Prefect server {server.address}",
        expected="it to answer",
        found="that it was stopped",
        way_out="Nothing has run: the next run starts a new one.",
    )


def _failed(server: Server, found: str) -> ServerError:
    """Return the error for a server that does not start, with the end of its log."""
    log = Path(server.log)
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return ServerError(
        f"Prefect server {server.address}",
        expected="it to answer",
        found=f"{found}; its log ends: {' | '.join(lines[-3:]) or '(empty)'}",
        way_out=f"See the whole log: {log}.",
    )
