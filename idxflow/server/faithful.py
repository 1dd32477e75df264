"""
To the port of a home folder's server this process connects only while that server lives.

Whoever takes the port after it would be told its password, and be believed.
"""

from __future__ import annotations

import logging
import sys
from errno import ECONNREFUSED
from pathlib import Path
from typing import Any, NamedTuple

from idxflow.server.local import Server, find_server
from schemas.errors import ServerError


class _Watched(NamedTuple):
    home: Path
    address: str
    patient: bool


_watched: dict[int, _Watched] = {}
"""By port."""
_hooked: list[bool] = []
"""Not empty once the check is in place."""


def stay_faithful(home: Path, server: Server, *, patient: bool) -> None:
    """
    From now on, and until the end of this process, check before each connection to the port of `server`.

    Whatever library makes it: where the server of `home` is not the one at this port any more, nothing is sent. One
    that was restarted on the same port is the home folder's, and good.

    Args: patient: refuse the connection as the kernel does where nobody listens, so that a client tries again for a
                   while, as Prefect's do. Otherwise raise ServerError, at which it gives up.
    """
    if not _hooked:
        sys.addaudithook(_check)  # it cannot be removed
        _hooked.append(True)
    _watched[server.port] = _Watched(home, server.address, patient)


def is_gone() -> bool:
    """Tell whether a server that this process is faithful to is gone."""
    return not all(_lives(watched.home, port) for port, watched in _watched.items())


def gone(address: str) -> ServerError:
    """Return the error of a server that has ended meanwhile."""
    return ServerError(
        f"Prefect server {address}",
        expected="it to run",
        found="its process has ended",
        way_out="What was finished is stored. The next run starts a server again.",
    )


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if not isinstance(address, tuple) or (watched := _watched.get(address[1])) is None:
        return
    if not _lives(watched.home, address[1]):
        if watched.patient:
            raise ConnectionRefusedError(ECONNREFUSED, "gone")
        _hush()
        arguments[0].close()  # of an error that is none of the system's own, libraries leave it open
        raise gone(watched.address)


def _lives(home: Path, port: int) -> bool:
    found = find_server(home)
    return found is not None and found.port == port


def _hush() -> None:
    """Spare a person what Prefect's threads say of each line that they cannot send any more."""
    logging.raiseExceptions = False
