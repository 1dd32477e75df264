"""`idxflow up` in the foreground: what ends it, and what a signal does, in which order."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from idxflow.cli.settings import load_settings
from idxflow.deploying.bringing_up import bring_up, stay
from schemas.errors import ServerError
from tests.idxflow.conftest import Screen


def test_an_api_that_does_not_answer_ends_it(desk: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PREFECT_API_URL set to nobody it ends with the way out, twice: the first one's place is free again."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    for _ in range(2):
        with pytest.raises(ServerError, match=r"Prefect API http://127.0.0.1:9/api: expected an answer"):
            bring_up(load_settings({}), screen, serve=False, limit=None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_runs_are_ended_before_the_service(number: signal.Signals) -> None:
    """A signal first ends the runs, while the service still works, and then the service; nothing is raised."""
    order: list[str] = []

    async def work() -> None:
        signal.signal(signal.SIGTERM, lambda *_: order.append("the service's own handler"))  # as Prefect's Runner does
        try:
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), number)
            await asyncio.sleep(30)
        finally:
            order.append("service")

    before = signal.getsignal(signal.SIGTERM)
    try:
        stay(work, lambda: order.append("ready"), lambda hurry: order.append("runs"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert order == ["ready", "runs", "service"]


def test_a_second_signal_hurries() -> None:
    """Ctrl-C once more sets the event that whoever ends the runs looks at."""
    hurried: list[bool] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        loop.call_later(0.3, os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    def end_runs(hurry: threading.Event) -> None:
        hurried.append(hurry.wait(10))

    started = time.monotonic()
    stay(work, lambda: None, end_runs)
    assert hurried == [True]
    assert time.monotonic() - started < 5


def test_what_ends_the_service_is_told() -> None:
    """An error of the service ends everything with that error, and no run is ended in its name."""

    async def work() -> None:
        await asyncio.sleep(0.01)
        raise RuntimeError("the pool is gone")

    with pytest.raises(RuntimeError, match="the pool is gone"):
        stay(work, lambda: None, lambda hurry: pytest.fail("nobody asked for it"))
