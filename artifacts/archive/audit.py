"""Whether the store is what it says: every file hashed in full, every manifest held against its record."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.leftovers import find_leftovers, is_foreign
from artifacts.archive.names import Names
from artifacts.archive.runs import unreadable_runs
from artifacts.files import size_of
from artifacts.integrity import Damage, Stored
from artifacts.store import Store
from schemas.events import Progress, emit
from schemas.stages import STAGES

SUBJECT = "verify"
"""Of the progress that is told."""


class Problem(BaseModel):
    """
    Something that is not what it should be.

    Args:
        subject:  stage and version, or the path below the home folder.
        found:    what is wrong.
        moved_to: where it lies in quarantine, below the home folder; None where it was left alone.
    """

    model_config = ConfigDict(frozen=True)
    subject: str
    found: str
    moved_to: str | None = None


class Audit(BaseModel):
    """
    What was checked and what was found.

    Args:
        artifacts, files, bytes: that were found sound.
        leftovers: what interrupted work left, and what lies in quarantine, as sentences; never believed, no damage.
        busy:      artifacts that a run was just making.
    """

    model_config = ConfigDict(frozen=True)
    artifacts: int
    files: int
    bytes: int
    seconds: float
    problems: tuple[Problem, ...] = ()
    leftovers: tuple[str, ...] = ()
    busy: int = Field(default=0)


class Auditor:
    """
    One check of a store.

    Args:
        everything: look at run records, aliases, pins, first uses and leftovers too.
        repair:     put what is damaged in quarantine; the next run makes anew what it needs.
    """

    def __init__(self, store: Store, *, everything: bool, repair: bool) -> None:
        self._store, self._everything, self._repair = store, everything, repair
        self._problems: list[Problem] = []
        self._lock = threading.Lock()
        self._artifacts = self._files = self._bytes = self._busy = 0

    def run(self, now: datetime) -> Audit:
        """Check, with as many threads as there are cores; hashing frees the interpreter."""
        started = time.perf_counter()
        sizes = {artifact: size_of(self._store.folder(*artifact)) for artifact in self._store.versions()}
        total, done = sum(sizes.values()), 0
        # The largest first: no thread is left alone with one at the end.
        order = sorted(sizes, key=lambda artifact: sizes[artifact], reverse=True)
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="verify") as pool:
            for artifact, _ in zip(order, pool.map(self._check, order), strict=True):
                done += sizes[artifact]
                emit(Progress(SUBJECT, "bytes", done, total))
        for path in self._foreign():
            self._report(path, "it does not belong here", "foreign")
        if self._everything:
            self._check_the_rest()
        return Audit(
            artifacts=self._artifacts,
            files=self._files,
            bytes=self._bytes,
            seconds=round(time.perf_counter() - started, 3),
            problems=tuple(sorted(self._problems, key=lambda problem: problem.subject)),
            leftovers=tuple(self._leftovers(now)),
            busy=self._busy,
        )

    def _check(self, artifact: tuple[str, str]) -> None:
        """Hash an artifact in full. What looks damaged is looked at again under its lock: a run may be replacing it."""
        try:
            found = self._store.inspect(*artifact, fully=True)
        except Damage:
            with self._store.locked(*artifact) as had:
                if not had:
                    with self._lock:
                        self._busy += 1
                    return
                try:
                    found = self._store.inspect(*artifact, fully=True)
                except Damage as damage:
                    self._report(self._store.folder(*artifact), str(damage), artifact[0])
                    return
        if found:
            self._count(found[0])

    def _count(self, stored: Stored) -> None:
        with self._lock:
            self._artifacts += 1
            self._files += len(stored.manifest.files)
            self._bytes += stored.manifest.bytes

    def _report(self, path: Path, found: str, group: str) -> None:
        """Put down a problem, and with `repair` put the thing in quarantine, under `group`."""
        moved = self._store.quarantined.take(path, group, found) if self._repair else None
        place = moved.relative_to(self._store.home).as_posix() if moved else None
        subject = path.relative_to(self._store.home).as_posix()
        with self._lock:
            self._problems.append(Problem(subject=subject, found=found, moved_to=place))

    def _foreign(self) -> Iterator[Path]:
        """Yield what lies among the artifacts and is none."""
        for folder in sorted(self._store.artifacts.iterdir()):
            if folder.name not in STAGES or folder.is_symlink() or not folder.is_dir():
                yield folder
            else:
                yield from (path for path in sorted(folder.iterdir()) if is_foreign(path))

    def _check_the_rest(self) -> None:
        for path in unreadable_runs(self._store):
            self._report(path, "it is no run's record", "runs")
        others = [(problem.subject, problem.text) for problem in Names(self._store).problems()]
        others += [(error.subject, error.found) for error in self._store.trust.flaws()]
        self._problems += [Problem(subject=subject, found=found) for subject, found in others]

    def _leftovers(self, now: datetime) -> Iterator[str]:
        for each in find_leftovers(self._store, now):
            yield f"{each.path.relative_to(self._store.home).as_posix()}: {each.reason}"
