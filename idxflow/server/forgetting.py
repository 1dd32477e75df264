"""
While a home folder's server is idle, it deletes its oldest runs that changed nothing: each takes 100 kB for no news.

One at a time, and only between requests: SQLite is locked for 0.1 s by each, which a run would have to wait for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

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
AGAIN = 1.0
"""Seconds until the next try where a run began meanwhile: SQLite refuses the later of two writers at once."""
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
            except Exception as error:  # whatever it is, the next try makes up for it
                log.debug("Nothing deleted: %s", error)
                wait = self._again


async def forget_one(keep: int = UNCHANGED) -> bool:
    """
    Delete the newest run that changed nothing of those beyond the newest `keep`; the server is the configured one.

    Returns: whether there was one.
    Raises:  as Prefect's client, without a second try: a run must not wait behind it.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    wanted = FlowRunFilter.model_validate({"tags": {"all_": [NOTHING_CHANGED]}, "state": {"type": {"any_": ENDED}}})
    newest = FlowRunSort.START_TIME_DESC
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            old = await client.read_flow_runs(flow_run_filter=wanted, sort=newest, offset=keep, limit=1)
            if old:
                # The server's own clean-up takes its table. (Prefect's client does not know the route by its type.)
                body = {"flow_runs": {"id": {"any_": [str(run.id) for run in old]}}}
                await client.request("POST", "/flow_runs/bulk_delete", json=body)  # type: ignore[arg-type]
    return bool(old)
