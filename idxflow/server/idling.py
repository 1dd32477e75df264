"""
A home folder's server that nobody has used for long ends by itself: else one stays for each folder that was ever tried.

Used it is by a request, by a page that is open in a browser, by a run at work, by `idxflow up`, and by whoever has
found it to use it: that is the time of `server.json`, which `idxflow.server.local` sets under the lock of the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

IDLE_SECONDS = 8 * 3600.0
"""After which a server ends unless told otherwise."""
VARIABLE = "IDXFLOW_SERVER_IDLE"
"""Of the server's process: its home folder and these seconds, with a line's end between."""
LOOKS = 8
"""How often it is looked at within its time; at most once a minute, and at least each minute."""
log = logging.getLogger("idxflow.server")


class UntilUnused:
    """
    An application that says when nobody has used it for a while.

    Args:
        seconds: of that while, above 0.
        leave:   tries to end it, in a thread of its own; where it returns false, the while begins again.
    """

    def __init__(self, app: ASGIApp, seconds: float, leave: Callable[[], bool]) -> None:
        self._app, self._seconds, self._leave = app, seconds, leave
        self._open, self._last = 0, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; what lives as long as the application is the look at it."""
        if scope["type"] == "lifespan":
            looking = asyncio.create_task(self._look())
            try:
                await self._app(scope, receive, send)
            finally:
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await looking
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open, self._last = self._open - 1, time.monotonic()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(min(60.0, self._seconds / LOOKS))
            if self._open or time.monotonic() - self._last < self._seconds:
                continue
            if await asyncio.to_thread(self._leave):
                return
            self._last = time.monotonic()


def leave(home: Path, seconds: float, end: Callable[[], None]) -> bool:
    """
    End the server that this process is, unless somebody works on it or has found it within so many seconds.

    Args:    end: ends it.
    Returns: whether it ends. An error of the store, or a lock that somebody has, counts as work.
    """
    from artifacts.store.flock import try_lock
    from idxflow.server.at_work import UP, runs_at_work
    from idxflow.server.local import find_server, state_file

    if not home.is_dir():  # somebody has deleted it: nothing can be at work there
        end()
        return True
    try:
        if (lock := try_lock(home.resolve() / "server.lock")) is None:
            return False
        try:
            state, server = state_file(home), find_server(home)
            if server is not None and server.pid == os.getpid():
                at_work = runs_at_work(home, server) or _is_held(home / UP)
                if at_work or time.time() - state.stat().st_mtime < seconds:
                    return False
                state.unlink()
        finally:
            os.close(lock)
    except Exception as error:  # of a disk, or a damaged store: the server stays
        log.warning("Whether anybody works on this server is not known, and it stays: %s", error)
        return False
    log.warning("Nobody has used this server for %g s: it ends.", seconds)
    end()
    return True


def _is_held(path: Path) -> bool:
    from artifacts.store.flock import is_locked

    return is_locked(path.resolve())


def words(seconds: float) -> str:
    """Say for how long: `8 h`, `1.5 h`."""
    return f"{seconds / 3600:g} h"
