"""The pushes of a run, in the background: a commit asks for one, the run's end waits for all of them, not too long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from artifacts.archive.name_records import Alias
from artifacts.archive.names import GATE, Names
from artifacts.remote.backend import Backend, RemoteOdd
from artifacts.remote.crew import Crew
from artifacts.remote.layout import Unbelievable
from artifacts.remote.link import Link
from artifacts.remote.travelling import push_alias, push_run
from artifacts.run_record import Record
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
            return self._link.push(self._store, stage, version, self._run) is not None  # what is odd has been said

        return work

    def settle(self, seconds: float = END) -> int:
        """
        Wait for what was asked for, and say what is not pushed by then.

        Returns: how many artifacts are not.
        """
        end = time.monotonic() + seconds
        with self._lock:
            asked = dict(self._asked)
        wait(asked.values(), timeout=seconds)
        for artifact, future in asked.items():
            if future.done() and not _has_done(future):  # the remote may be back: once more
                asked[artifact] = self._crew.submit(self._pushing(*artifact))
        wait(asked.values(), timeout=max(0.0, end - time.monotonic()))
        left = sum(not _has_done(future) for future in asked.values())
        if left:
            logger.warning(
                "remote %s: %s of this run %s not pushed; `idxflow remote push` does it later.",
                self._link.place,
                counted(left, "artifact"),
                "is" if left == 1 else "are",
            )
        return left

    def send(self, record: Record) -> None:
        """Put the run's record, and the aliases that it has moved; wait for that, as long as for the answers."""
        aliases = [alias for alias in Names(self._store).aliases() if _moved_by(alias, record)]

        def work(backend: Backend) -> None:
            try:
                push_run(backend, record)
                for alias in aliases:
                    if push_alias(backend, alias) in ("behind", "apart"):
                        logger.warning(
                            "remote %s: the alias %s has gone another way there; `idxflow remote status` shows both.",
                            self._link.place,
                            alias.name,
                        )
            except (Unbelievable, RemoteOdd) as error:
                logger.warning("remote %s: the record of this run is not pushed: %s.", self._link.place, error)

        self._link.use(self._run, work)

    def close(self) -> None:
        """Begin nothing more."""
        self._crew.close()


def _has_done(future: Future[bool]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None and future.result()


def _moved_by(alias: Alias, record: Record) -> bool:
    """Tell whether an alias stands for what it does by a verdict of a run."""
    verdict = alias.history[-1].verdict
    return verdict is not None and any((row.stage, row.version) == (GATE, verdict) for row in record.stages)
