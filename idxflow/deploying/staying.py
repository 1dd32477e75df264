"""A service of Prefect's that runs in the foreground until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stay(
    work: Callable[[], Awaitable[None]], ready: Callable[[], object], end_runs: Callable[[threading.Event], object]
) -> None:
    """
    Run `work` until it ends by itself, or until Ctrl-C, SIGTERM, or SIGHUP that is not ignored.

    Args:
        work:     the service.
        ready:    called once it has begun, and signals stop it as described here.
        end_runs: called in another thread before the service is stopped, which would kill its runs. Its event is set
                  by a second Ctrl-C.
    Raises: what ended `work`.
    """
    asyncio.run(_stay(work, ready, end_runs))


async def _stay(
    work: Callable[[], Awaitable[None]], ready: Callable[[], object], end_runs: Callable[[threading.Event], object]
) -> None:
    stop, hurry = asyncio.Event(), threading.Event()

    def heard() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    service = asyncio.ensure_future(work())
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as by `nohup`
    signals = [number for number in SIGNALS if number != signal.SIGHUP or not ignored]
    # In its first step Prefect's Runner takes SIGTERM for itself, to exit at once. From then on it is ours.
    await asyncio.sleep(0)
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, heard)
    asked = asyncio.ensure_future(stop.wait())
    ready()
    try:
        await asyncio.wait({service, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not service.done():
            await asyncio.to_thread(end_runs, hurry)
    finally:
        asked.cancel()
        stopped_here = service.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await service
        for number in signals if stopped_here else ():
            asyncio.get_running_loop().remove_signal_handler(number)
