"""
While a home folder's server is idle, it deletes its oldest runs that changed nothing: each takes 100 kB for no news.

One at a time, and only between requests, so that no run waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

UNCHANGED = 300
"""How many runs that changed nothing the dashboard keeps."""
NOTHING_CHANGED = "nothing-changed"
"""The tag that `flows.dashboard` gives such a run."""
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
QUIET = 0.3
"""Seconds without a request after which the server counts as idle: a run has such a time while it starts."""
PAUSE = 10.0
"""Seconds until the next look where there was nothing to delete."""
AGAIN = 60.0
"""Seconds until the next try where one failed."""
log = logging.getLogger("idxflow.server")


class WhenIdle:
    """
    An application that does a piece of work whenever no request has come for a while, one piece after the other.

    The first one is tried when it has lived for `pause`.

    Args:
        work:  does a piece. Returns: whether there may be another one; if not, the next one is tried after `pause`.
        quiet: seconds without a request, 0 or more.
        pause: seconds.
        again: seconds after a piece that failed.
    """

    def __init__(
        self,
        app: ASGIApp,
        work: Callable[[], Awaitable[bool]],
        quiet: float = QUIET,
        pause: float = PAUSE,
        again: float = AGAIN,
    ) -> None:
        self._app, self._work, self._quiet, self._pause, self._again = app, work, quiet, pause, again
        self._busy, self._last = 0, time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; what lives as long as the application is the work."""
        if scope["type"] == "lifespan":
            working = asyncio.create_task(self._go_on())
            try:
                await self._app(scope, receive, send)
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working
        elif scope["type"] == "http":  # a socket stays open for as long as a page is
            self._busy += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._busy, self._last = self._busy - 1, time.monotonic()
        else:
            await self._app(scope, receive, send)

    async def _go_on(self) -> None:
        wait = self._pause
        while True:
            await asyncio.sleep(wait)
            while self._busy or (left := self._last + self._quiet - time.monotonic()) > 0:
                await asyncio.sleep(self._quiet if self._busy else left)
            try:
                wait = 0 if await self._work() else self._pause
            except Exception as error:  # of a full disk, or of a Prefect that works otherwise: the server goes on
                if wait != self._again:  # said once, and not each time
                    log.warning("Runs that changed nothing are not deleted: %s", error)
                wait = self._again


async def forget_one(keep: int = UNCHANGED) -> bool:
    """
    Delete the oldest run that changed nothing if there are more than so many: of the server that this process is.

    By one short transaction that has the write lock from its beginning: through the API, which reads first, requests
    of runs would be refused now and then, and tried again seconds later.

    Returns: whether there was one.
    """
    from prefect.server import models as untyped
    from prefect.server.database import provide_database_interface
    from prefect.server.schemas.filters import FlowRunFilter, LogFilter
    from prefect.server.schemas.sorting import FlowRunSort

    models: Any = untyped  # its decorators hide that they are coroutines
    wanted = FlowRunFilter.model_validate({"tags": {"all_": [NOTHING_CHANGED]}, "state": {"type": {"any_": ENDED}}})
    database, oldest = provide_database_interface(), FlowRunSort.START_TIME_ASC
    async with database.session_context() as session:
        if await models.flow_runs.count_flow_runs(session, flow_run_filter=wanted) <= keep:
            return False
        found = await models.flow_runs.read_flow_runs(session, flow_run_filter=wanted, sort=oldest, limit=1)
        runs = [run.id for run in found]
    async with database.session_context(begin_transaction=True, with_for_update=True) as session:
        await models.flow_runs.delete_flow_runs(session, runs)
        # The server's own clean-up takes its table.
        await models.logs.delete_logs(session, LogFilter.model_validate({"flow_run_id": {"any_": runs}}))
    return True
