"""The thread in which requests run, and its end."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from artifacts.remote.loop import within
from tests.processes import PROJECT, run_python

ENDING = """
import _thread, sys, time
from artifacts.remote.loop import within

async def answer():
    return 1

def call():
    time.sleep(0.5)
    sys.stdout.write("has returned")
    sys.stdout.flush()

within(5, answer)
_thread.start_new_thread(call, ())  # as of the engine: none that Python knows of
time.sleep(0.1)
"""


def test_what_a_request_returns_or_raises_is_what_came_of_it() -> None:
    """A result, an error, and a time that is up reach whoever waits."""

    async def fail() -> None:
        raise KeyError("it")

    assert within(5, lambda: asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError, match="it"):
        within(5, fail)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.1, lambda: asyncio.sleep(60))
    assert time.monotonic() - began < 30


def test_the_end_of_a_process_waits_for_calls_of_threads_that_are_not_pythons() -> None:
    """A thread of the engine that is in the middle of telling comes to the end of it before the interpreter ends."""
    said, _ = run_python("-c", ENDING, cwd=PROJECT, environment=os.environ)
    assert said == "has returned"
