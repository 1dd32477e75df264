"""
The remote of a run, as its stages see it: it is asked, waited for some seconds, and done without.

Whatever goes wrong with a remote is a warning, once a run. One that is away is not asked again for a minute.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from artifacts.remote.backend import Backend, RemoteAway, RemoteOdd
from artifacts.remote.crew import Crew
from artifacts.remote.layout import Unbelievable
from artifacts.remote.opening import open_backend
from artifacts.remote.probing import ensure_sound
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushed, Pushing
from artifacts.store.integrity import Damage, Stored
from artifacts.store.store import Store
from schemas.errors import UsageError
from schemas.remote import RemoteError, RemotePlace

AWAY = 60.0
"""Seconds for which a remote that was away is left alone."""
REQUESTS = 8
"""Requests under way at once, of all transfers of a process together."""
GOES_ON = "The run goes on without it."
logger = logging.getLogger("idxflow.remote")
T = TypeVar("T")


class Link:
    """A remote and a home folder, in one process; see `link_to`. No method raises for what is wrong with the remote."""

    def __init__(self, place: RemotePlace, home: Path) -> None:
        self.place, self._home = place, home
        self.crew = Crew(REQUESTS)
        self._opening, self._saying = threading.Lock(), threading.Lock()
        self._backend: Backend | None = None
        self._refused = ""
        self._away_until, self._away_for = 0.0, ""
        self._said: set[tuple[str, str]] = set()
        self.trouble = ""
        """What was wrong the last time that it could not be used, one sentence or two; empty: nothing yet."""

    def fetch(self, store: Store, stage: str, version: str, run: str) -> Stored | None:
        """
        Take an artifact from the remote; the caller holds the lock of the version.

        Returns: None where it is not there, cannot be believed, or nobody can tell.
        Raises:  StoreError: the disk.
        """
        return self._trying(lambda backend: self._fetch(backend, store, stage, version, run), run)

    def _fetch(self, backend: Backend, store: Store, stage: str, version: str, run: str) -> Stored | None:
        try:
            return Pulling(backend, store, self.crew).pull(stage, version)
        except (Unbelievable, RemoteOdd, OSError) as error:  # the last of what was to be written here
            text = error.found if isinstance(error, RemoteOdd) else str(error)
            looks = "`idxflow remote verify` looks at it."
            self._warn(run, f"remote {self.place}: {stage} {version} is not taken: {text}. {looks}")
            return None

    def push(self, store: Store, stage: str, version: str, run: str) -> Pushed | None:
        """Put an artifact. Returns: None where that could not be done: the remote is away, or refuses."""
        return self._trying(lambda backend: self._push(backend, store, stage, version, run), run)

    def _push(self, backend: Backend, store: Store, stage: str, version: str, run: str) -> Pushed | None:
        try:
            pushed = Pushing(backend, store, self.crew).push(stage, version)
        except (Damage, Unbelievable, RemoteOdd) as damage:
            self._warn(run, f"{stage} {version} is not pushed: {damage}")
            return None
        if text := told(self.place, stage, version, pushed):
            self._warn(run, text)
        return pushed

    def is_refused(self, run: str) -> bool:
        """Tell whether the remote has refused in this run, which asks it no more."""
        return self._refused == run

    def use(self, run: str, work: Callable[[Backend], T]) -> T | None:
        """Do something with the remote. Returns: None where it is away or refuses."""
        return self._trying(work, run)

    def _trying(self, work: Callable[[Backend], T], run: str) -> T | None:
        """Do something, unless the remote is left alone. Args: run: a refusal holds for it, and for no other."""
        try:
            if (backend := self._ready(run)) is not None:
                return work(backend)
        except RemoteAway as error:
            self._leave_alone(error)
        except (RemoteError, UsageError) as error:  # the latter of a worker without obstore, in a run that others began
            self._refused, self.trouble = run, str(error)
            self._warn(run, f"{error} {GOES_ON}", kind="refused")
            return None
        if self._away_for:
            self._warn(run, f"{self._away_for} {GOES_ON}", kind="away")
        return None

    def _leave_alone(self, error: RemoteAway) -> None:
        self._away_until, self._away_for = time.monotonic() + AWAY, str(error)
        self.trouble = self._away_for

    def _ready(self, run: str) -> Backend | None:
        """Return the backend, once it is known to be sound; None while it is left alone."""
        with self._opening:
            if run == self._refused or time.monotonic() < self._away_until:
                return None
            self._away_for = ""
            if self._backend is None:
                backend = open_backend(self.place)
                try:
                    ensure_sound(backend, self.place, self._home)
                except RemoteAway as error:
                    self._leave_alone(error)  # before whoever waits for the lock asks as well
                    raise
                except RemoteError:
                    self._refused = run
                    raise
                self._backend = backend
            return self._backend

    def _warn(self, run: str, text: str, kind: str = "") -> None:
        """Say it, once a run."""
        with self._saying:
            if (run, kind or text) in self._said:
                return
            self._said.add((run, kind or text))
        logger.warning("%s", text)


def told(place: RemotePlace, stage: str, version: str, pushed: Pushed) -> str:
    """Say what is odd about what became of an artifact; nothing where nothing is."""
    if pushed.state == "differs":
        return (
            f"remote {place}: {stage} {version} has another content there ({pushed.theirs[:16]}), of whoever was "
            "first; here this one stays."
        )
    if pushed.state == "unreadable":
        return (
            f"remote {place}: {stage} {version} is not pushed: what is there cannot be believed ({pushed.theirs}). "
            "`idxflow remote verify --fix` takes it away."
        )
    return ""


@cache
def _linked(place: RemotePlace, home: Path, _process: int) -> Link:
    return Link(place, home)


def link_to(place: RemotePlace, home: Path) -> Link:
    """Return the link of this process to a remote; all runs and executions of it share it."""
    return _linked(place, home, os.getpid())
