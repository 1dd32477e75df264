"""The Prefect API that a command uses: the one that is configured, or a local server of the home folder."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from idxflow.server.environment import user_api_url
from idxflow.server.faithful import stay_faithful
from idxflow.server.idling import words
from idxflow.server.local import (
    Server,
    api_answers,
    find_server,
    outlast_server,
    password_command,
    start_server,
    stop_command,
    wait_for_server,
)
from idxflow.server.password import read_password
from idxflow.views.console import Console
from schemas.addresses import redact
from schemas.errors import ServerError

REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True)
class Connection:
    """
    An API that answers, or is about to.

    Args:
        wait: returns when it answers. Raises ServerError: it does not, or refuses this password.
        stop: the command that ends the local server; None for any other server.
        started: whether that server was started just now.
        password: the command that prints the password of its dashboard; None for any other server.
    """

    wait: Callable[[], None]
    stop: str | None
    started: bool = False
    password: str | None = None


def connect(home: Path, console: Console, *, patient: bool = False) -> Connection:
    """
    Find the configured API or the server of `home`; start a server where there is none, and print how to stop it.

    Args:   patient: as in `idxflow.server.faithful.stay_faithful`.
    Raises: ServerError: it cannot be started, or the configured API does not answer.
    """
    if (url := user_api_url()) and not _is_own(home, url):
        if not api_answers(url, 5.0, healthy=False):
            raise ServerError(
                f"Prefect API {redact(url)}",
                expected="an answer",
                found="none within 5 s",
                way_out="Start that server, or unset PREFECT_API_URL for one of idxflow's own; --ephemeral needs none.",
            )
        return Connection(lambda: _check_access(url), None)
    server, started = start_server(home)
    enter(home, server, patient=patient)
    if started:
        console.line(f"Prefect server started at {server.address}; it ends after {words(server.idle)} unused.")
        console.line(f"To stop it: {stop_command(home)}")
    return Connection(lambda: wait_for_server(home, server), stop_command(home), started, password_command(home))


def temporary_server() -> Connection:
    """
    Start a server that ends with this process, but does not get its Ctrl-C: the run still has to report to it.

    Where this process is killed, the server ends when the pipe between them is closed.

    Raises: ServerError: it cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="idxflow-server-"))
    # Its history is the home folder's: only the files that identify the server are apart.
    leash, held = os.pipe()  # no child inherits `held`: it is open until this process ends
    server, _ = start_server(folder, leash=leash)
    os.close(leash)
    enter(folder, server, patient=False)

    def end() -> None:
        os.close(held)  # deletes the folder and ends the server, also where this process does not wait
        outlast_server(server)
        shutil.rmtree(folder, ignore_errors=True)

    # Registered first, it runs last: Prefect, which is imported later, sends its last lines and events before.
    atexit.register(end)
    return Connection(lambda: wait_for_server(folder, server), None)


def enter(home: Path, server: Server, *, patient: bool) -> None:
    """Set the address and password of the server of `home` for this process and its children; refuse other servers."""
    stay_faithful(home, server, patient=patient)
    os.environ |= {
        "PREFECT_API_URL": server.api,
        "PREFECT_API_AUTH_STRING": read_password(home),  # one that is set is for another server
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
    }


def _check_access(url: str) -> None:
    """
    Make a request as Prefect's client will, with its password or key: `/health` needs neither.

    Raises: ServerError: the password or key is refused.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    try:
        with get_client(sync_client=True) as client:
            client.hello()
    except PrefectHTTPStatusError as error:
        if (status := error.response.status_code) not in REFUSED:
            raise
        # A password wins over a key, as in Prefect's client.
        given = next((each.name for each in (PREFECT_API_AUTH_STRING, PREFECT_API_KEY) if each.value()), None)
        raise ServerError(
            f"Prefect API {redact(url)}",
            expected="a valid password or key",
            found=f"{status} {HTTPStatus(status).phrase}, with {f'what {given} holds' if given else 'neither'}",
            way_out="Set PREFECT_API_AUTH_STRING to its user:password (see docs/team.md), or PREFECT_API_KEY for "
            "Prefect Cloud.",
        ) from error


def _is_own(home: Path, url: str) -> bool:
    """Return whether an address is that of the server of `home`, which may still be starting."""
    server = find_server(home)
    return server is not None and server.api == url
