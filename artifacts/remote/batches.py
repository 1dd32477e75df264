"""
Many artifacts pulled: a batch at a time, of which what is small is flushed together, and no batch waits for another.

While one batch is published the records of the next are asked for. A version that somebody else is working on is left
for the end, when no lock is held any more, so that two who pull the same never wait for each other in a ring.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from artifacts.archive.roots import Artifact
from artifacts.manifest import Manifest
from artifacts.remote.backend import RemoteOdd
from artifacts.remote.crew import Crew
from artifacts.remote.layout import ArtifactRecord, Unbelievable
from artifacts.remote.pulling import Pulling
from artifacts.store.arriving import Arrival, publish_all
from artifacts.store.holds import hold_all
from artifacts.store.integrity import Stored
from artifacts.store.publishing import restore
from artifacts.store.store import Store

BATCH = 128
"""Artifacts that are flushed together, at most."""
FILES = 8
"""Files that a process may open for each of them at the least: two batches hold a lock and a folder each, of many."""
AHEAD = 16
"""Large artifacts of a batch under way at once."""
Look = tuple[ArtifactRecord, Manifest] | None
Told = Callable[[int], None]


@dataclass(frozen=True)
class Pulled:
    """
    What became of an artifact.

    Args:
        stored: as it is here now; None: it is not.
        fetched: whether it was taken from the remote, and had not been here.
        flaw:   why what is there cannot be believed; empty: it can, or there is nothing.
    """

    stored: Stored | None
    fetched: bool = False
    flaw: str = ""


def batch_size() -> int:
    """Return how many artifacts are pulled at once: fewer where this process may open few files."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return BATCH if most == resource.RLIM_INFINITY else max(1, min(BATCH, most // FILES))


@dataclass
class _Batch:
    """Artifacts whose locks are held, and what was asked about those that are not here."""

    held: ExitStack
    found: dict[Artifact, Pulled] = field(default_factory=dict)
    looks: dict[Artifact, Future[Look]] = field(default_factory=dict)
    busy: list[Artifact] = field(default_factory=list)


class Batches:
    """
    Pulls many artifacts of one remote into one store.

    Args:
        requests: carries out requests.  crew: carries out pulls of what is large; another one.
        hold:     under which name what was pulled is held.
        told:     called with the bytes that have come, from any thread.
    """

    def __init__(  # noqa: PLR0917 - whom it works for
        self, pulling: Pulling, store: Store, requests: Crew, crew: Crew, hold: str, told: Told
    ) -> None:
        self._pulling, self._store, self._requests, self._crew = pulling, store, requests, crew
        self._hold, self._told = hold, told

    def pull(self, artifacts: Sequence[Artifact]) -> dict[Artifact, Pulled]:
        """
        Pull artifacts, each named once. Returns: what became of each, in order.

        Raises: RemoteError: as the backend.  StoreError: the disk. What has come by then is whole, and held.
        """
        found, busy = dict[Artifact, Pulled](), list[Artifact]()
        with ExitStack() as open_batches:
            before: _Batch | None = None
            size = batch_size()
            for first in range(0, len(artifacts), size):
                batch = self._begin(artifacts[first : first + size], open_batches.enter_context(ExitStack()))
                busy += batch.busy
                if before:
                    self._end(before)
                    found |= before.found
                before = batch
            if before:
                self._end(before)
                found |= before.found
        found |= {artifact: self._wait_for(artifact) for artifact in busy}
        return {artifact: found[artifact] for artifact in artifacts}

    def _begin(self, wanted: Sequence[Artifact], held: ExitStack) -> _Batch:
        """Lock what nobody else works on, see what is here, and ask for the records of what is not."""
        batch, store = _Batch(held), self._store
        for artifact in wanted:
            if not held.enter_context(store.locked(*artifact)):
                batch.busy.append(artifact)
                continue
            restore(store, *artifact)
            if stored := store.read(*artifact, locked=True):
                batch.found[artifact] = Pulled(stored)
            else:
                batch.looks[artifact] = self._requests.submit(partial(self._pulling.look, *artifact))
        held.callback(lambda: [each.cancel() for each in batch.looks.values()])
        return batch

    def _end(self, batch: _Batch) -> None:
        """Publish and hold what has come, and let go of the locks."""
        with batch.held:
            arrivals, large = dict[Artifact, Arrival](), dict[Artifact, tuple[ArtifactRecord, Manifest]]()
            for artifact, future in batch.looks.items():
                self._sort(batch, artifact, future, arrivals, large)
            for stage in dict.fromkeys(artifact[0] for artifact in arrivals):
                some = [each for artifact, each in arrivals.items() if artifact[0] == stage]
                for stored in publish_all(self._store, stage, some):
                    batch.found[stage, stored.ref.version] = Pulled(stored, fetched=True)
                    self._told(stored.manifest.bytes)
            for artifact, pulled in zip(large, self._crew.each(self._take, large.values(), AHEAD), strict=True):
                batch.found[artifact] = pulled
            there = [artifact for artifact, pulled in batch.found.items() if pulled.stored]
            hold_all(self._store.holds, self._hold, there)

    def _sort(
        self,
        batch: _Batch,
        artifact: Artifact,
        future: Future[Look],
        arrivals: dict[Artifact, Arrival],
        large: dict[Artifact, tuple[ArtifactRecord, Manifest]],
    ) -> None:
        """Decide how an artifact that was asked for is taken, or that it is not."""
        try:
            if (found := future.result()) is None:
                batch.found[artifact] = Pulled(None)
            elif arrival := self._pulling.arrival(*found):
                arrivals[artifact] = arrival
            else:
                large[artifact] = found
        except (Unbelievable, RemoteOdd) as error:
            batch.found[artifact] = Pulled(None, flaw=_words(error))

    def _take(self, found: tuple[ArtifactRecord, Manifest]) -> Pulled:
        """Take one artifact whose lock is held, alone."""
        try:
            return Pulled(self._pulling.take(*found, self._told), fetched=True)
        except (Unbelievable, RemoteOdd) as error:
            return Pulled(None, flaw=_words(error))

    def _wait_for(self, artifact: Artifact) -> Pulled:
        """Take an artifact once whoever worked on it has ended."""
        with self._store.waited_for(*artifact):
            restore(self._store, *artifact)
            pulled = Pulled(self._store.read(*artifact, locked=True))
            if pulled.stored is None:
                try:
                    stored = self._pulling.pull(*artifact, self._told)
                    pulled = Pulled(stored, fetched=stored is not None)
                except (Unbelievable, RemoteOdd) as error:
                    return Pulled(None, flaw=_words(error))
            if pulled.stored:
                hold_all(self._store.holds, self._hold, [artifact])
            return pulled


def _words(error: Unbelievable | RemoteOdd) -> str:
    return error.found if isinstance(error, RemoteOdd) else str(error)
