"""
One thread of this process in which all requests to remotes run, each within a time of its own.

A request that takes too long is cancelled, its connection closed; whoever waits for it goes on at once. So no thread is
ever stuck inside of the engine, whatever a server does.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def within(seconds: float, request: Callable[[], Awaitable[T]]) -> T:
    """
    Run a request, from any thread but the loop's own.

    Args:   request: begins it, in the loop's thread.
    Raises: TimeoutError: it took longer.  Otherwise what it raises.
    """

    async def run() -> T:
        async with asyncio.timeout(seconds):
            return await request()

    future = asyncio.run_coroutine_threadsafe(run(), _running())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # Ctrl-C: nobody wants the answer
        raise


def _running() -> asyncio.AbstractEventLoop:
    """Return the loop of this process; one that was forked has to have its own."""
    with _lock:
        if (loop := _loops.get(os.getpid())) is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="remote", daemon=True).start()
        return loop
