"""
One thread of this process in which all requests to remotes run, each within a time of its own.

A request that takes too long is cancelled, its connection closed; whoever waits for it goes on at once. So no thread is
ever stuck inside of the engine, whatever a server does.

The engine's own threads call Python to say that they are done. One that is in such a call when the interpreter ends
takes the whole process down, its exit code too: so the end waits for them.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
LAST = 5.0
"""Seconds that the end of a process waits for the engine's threads at most."""
LOOK = 0.001
"""Seconds between two looks at them."""
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
            thread = threading.Thread(target=loop.run_forever, name="remote", daemon=True)
            thread.start()
            atexit.register(_end, loop, thread, os.getpid())
        return loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, process: int) -> None:
    """Stop the loop, and wait until no thread that is not Python's own is in the middle of a call."""
    if process != os.getpid():  # of a fork the threads are the other process's
        return
    until = time.monotonic() + LAST
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LAST)
    while _foreign() and time.monotonic() < until:
        time.sleep(LOOK)


def _foreign() -> set[int]:
    """Return the threads that run Python code though Python has not started them."""
    return sys._current_frames().keys() - {thread.ident for thread in threading.enumerate()}
