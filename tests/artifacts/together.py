"""Threads that do something at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")
THREADS = 8


def at_once(act: Callable[[int], T]) -> list[T]:
    """Call a function in eight threads at once, each with its number from 0. Returns: what each call did."""
    start = Barrier(THREADS)

    def run(number: int) -> T:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))
