"""
This process connects to the port of a home folder's server only while that server is alive.

Another process on that port would get its password, and be trusted.
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
"""By port, the last one that was named last."""
_hooked: list[bool] = []
"""Not empty once the check is in place."""


def stay_faithful(home: Path, server: Server, *, patient: bool) -> None:
    """
    From now on, and until the end of this process, check before each connection to the port of `server`.

    Whatever library connects: where the server of `home` is no longer at this port, nothing is sent. One that was
    restarted on the same port is the home folder's too.

    Args: patient: refuse the connection as the kernel does, so that a client retries for a while, as Prefect's do.
                   Otherwise raise ServerError, at which it gives up.
    """
    if not _hooked:
        sys.addaudithook(_check)  # it cannot be removed
        _hooked.append(True)
    _watched.pop(server.port, None)
    _watched[server.port] = _Watched(home, server.address, patient)


def is_gone() -> bool:
    """Return whether the server that this process watches has ended: the last one, where a notebook had several."""
    return any(not _lives(_watched[port].home, port) for port in [*_watched][-1:])


def gone(address: str) -> ServerError:
    """Return the error for a server that has ended."""
    return ServerError(
        f"Prefect server {address}",
        expected="it to run",
        found="its process has ended",
        way_out="Finished stages are stored. The next run starts a new server.",
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
        arguments[0].close()  # libraries leave it open for any but the system's own errors
        raise gone(watched.address)


def _lives(home: Path, port: int) -> bool:
    found = find_server(home)
    return found is not None and found.port == port


def _hush() -> None:
    """Silence Prefect's threads about each line that they can no longer send."""
    logging.raiseExceptions = False
