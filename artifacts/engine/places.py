"""Places for so many at a time, given in the order in which they were asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

TICK = 0.5
"""Seconds after which who waits looks whether it still should."""


class Places:
    """
    So many places; of those who wait the one with the lowest turn has the next, whoever came first.

    Args: free: how many there are.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._changed = threading.Condition()
        self._waiting: set[tuple[int, int]] = set()
        self._numbers = count()

    @contextmanager
    def taken(self, turn: int, begin: Callable[[], None]) -> Iterator[None]:
        """
        Have a place for the block, after waiting for it.

        Args:   begin: called again and again while it waits.
        Raises: what `begin` does, and then no place was taken.
        """
        self._await((turn, next(self._numbers)), begin)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _await(self, mine: tuple[int, int], begin: Callable[[], None]) -> None:
        with self._changed:
            self._waiting.add(mine)
        try:
            while True:
                with self._changed:
                    if self._changed.wait_for(lambda: self._free and min(self._waiting) == mine, TICK):
                        self._free -= 1
                        return
                begin()
        finally:
            with self._changed:
                self._waiting.remove(mine)
                self._changed.notify_all()
