"""The pushes of a run, in the background: a commit asks for one, the run's end waits for all of them, not too long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from artifacts.remote.crew import Crew
from artifacts.remote.link import Link
from artifacts.store.store import Store
from schemas.counts import counted

AT_ONCE = 4
"""Artifacts that are pushed at once."""
END = 30.0
"""Seconds for which the end of a run waits."""
logger = logging.getLogger("idxflow.remote")


class Background:
    """
    What one run puts into its remote.

    Args: run: its id: each warning is said once in it.
    """

    def __init__(self, link: Link, store: Store, run: str) -> None:
        self._link, self._store, self._run = link, store, run
        self._crew = Crew(AT_ONCE)
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], Future[bool]] = {}

    @property
    def link(self) -> Link:
        """The remote."""
        return self._link

    def add(self, stage: str, version: str) -> None:
        """Have a committed artifact pushed; from any thread, at once."""
        with self._lock:
            if (stage, version) not in self._asked:
                work = self._pushing(stage, version)
                self._asked[stage, version] = self._crew.submit(work)

    def _pushing(self, stage: str, version: str) -> Callable[[], bool]:
        def work() -> bool:
            pushed = self._link.push(self._store, stage, version, self._run)
            return pushed is not None and pushed.state in ("pushed", "there")

        return work

    def settle(self, seconds: float = END) -> int:
        """
        Wait for what was asked for, and say what is not pushed by then.

        Returns: how many artifacts are not.
        """
        end = time.monotonic() + seconds
        with self._lock:
            asked = dict(self._asked)
        wait(asked.values(), timeout=max(0.0, end - time.monotonic()))
        left = sum(
            not (future.done() and not future.cancelled() and future.exception() is None and future.result())
            for future in asked.values()
        )
        if left:
            logger.warning(
                "remote %s: %s of this run not pushed; `idxflow remote push` does it later.",
                self._link.place,
                f"{counted(left, 'artifact')} {'is' if left == 1 else 'are'}",
            )
        return left

    def close(self) -> None:
        """Begin nothing more."""
        self._crew.close()
