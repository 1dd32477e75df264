"""Whether the store is what it says: every file hashed in full, every manifest held against its record."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.leftovers import FOREIGN, find_leftovers, is_foreign
from artifacts.archive.names import Names
from artifacts.archive.order import started_later
from artifacts.archive.runs import list_runs, read_run, unreadable_runs
from artifacts.manifest import Manifest
from artifacts.ref import STAGE_WORD
from artifacts.run_record import Record
from artifacts.store.files import size_of
from artifacts.store.integrity import Damage, Stored
from artifacts.store.links import linked_folders
from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.events import Progress, emit

SUBJECT = "verify"
"""Of the progress that is told."""
A_LINK = "it is a link, and nothing behind it is looked at"


class Problem(BaseModel):
    """
    Something that is not what it should be.

    Args:
        subject:  stage and version, or the path below the home folder.
        found:    what is wrong.
        moved_to: where it lies in quarantine, below the home folder; None where it was left alone.
        way_out:  what a person can do about it; None where it is in quarantine, or repair would put it there.
    """

    model_config = ConfigDict(frozen=True)
    subject: str
    found: str
    moved_to: str | None = None
    way_out: str | None = None


class Audit(BaseModel):
    """
    What was checked and what was found.

    Args:
        artifacts, files, bytes: that were found sound.
        leftovers: what interrupted work left, and what lies in quarantine, as sentences; never believed, no damage.
        busy:      artifacts that a run was just making.
        future:    runs and artifacts whose records name a moment that is still to come; nothing is decided by it.
    """

    model_config = ConfigDict(frozen=True)
    artifacts: int
    files: int
    bytes: int
    seconds: float
    problems: tuple[Problem, ...] = ()
    leftovers: tuple[str, ...] = ()
    busy: int = Field(default=0)
    future: tuple[str, ...] = ()


class Auditor:
    """
    One check of a store.

    Args:
        everything: look at run records, aliases, pins, first uses and leftovers too.
        repair:     put what is damaged in quarantine; the next run rebuilds what it needs.
    """

    def __init__(self, store: Store, *, everything: bool, repair: bool) -> None:
        self._store, self._everything, self._repair = store, everything, repair
        self._problems: list[Problem] = []
        self._future: list[str] = []
        self._lock = threading.Lock()
        self._artifacts = self._files = self._bytes = self._busy = 0

    def run(self, now: datetime) -> Audit:
        """Check, with as many threads as there are cores; hashing frees the interpreter."""
        started = time.perf_counter()
        artifacts = [each for each in self._store.versions() if STAGE_WORD.fullmatch(each[0])]
        sizes = {artifact: size_of(self._store.folder(*artifact)) for artifact in artifacts}
        total, done = sum(sizes.values()), 0
        # The largest first: no thread is left alone with one at the end.
        order = sorted(sizes, key=lambda artifact: sizes[artifact], reverse=True)
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="verify") as pool:
            for artifact, _ in zip(order, pool.map(self._check, order), strict=True):
                done += sizes[artifact]
                emit(Progress(SUBJECT, "bytes", done, total))
        for path in self._foreign():
            self._report(path, A_LINK if path.is_symlink() else "it does not belong here", FOREIGN)
        for path in linked_folders(self._store.home):
            if path.parent != self._store.artifacts:
                way_out = "Delete the link."
                self._problems.append(Problem(subject=self._shown(path), found=A_LINK, way_out=way_out))
        if self._everything:
            self._check_the_rest(now)
        return Audit(
            artifacts=self._artifacts,
            files=self._files,
            bytes=self._bytes,
            seconds=round(time.perf_counter() - started, 3),
            problems=tuple(sorted(self._problems, key=lambda problem: problem.subject)),
            leftovers=tuple(self._leftovers(now)),
            busy=self._busy,
            future=tuple(self._future),
        )

    def _check(self, artifact: tuple[str, str]) -> None:
        """Hash an artifact in full. What looks damaged is looked at again under its lock: a run may be replacing it."""
        try:
            found = self._store.inspect(*artifact, fully=True)
        except Damage:
            with self._alone_with(artifact) as had:
                if had:
                    self._check_again(artifact)
        else:
            self._count(found)

    @contextlib.contextmanager
    def _alone_with(self, artifact: tuple[str, str]) -> Iterator[bool]:
        """Take the lock of an artifact, else count it as busy. Yields: whether nobody else is at work on it."""
        with contextlib.ExitStack() as stack:
            try:
                had = stack.enter_context(self._store.locked(*artifact))
            except StoreError:  # no lock can be made in a store that cannot be written
                had = True
            if not had:
                with self._lock:
                    self._busy += 1
            yield had

    def _check_again(self, artifact: tuple[str, str]) -> None:
        try:
            self._count(self._store.inspect(*artifact, fully=True))
        except Damage as damage:
            self._report(self._store.folder(*artifact), str(damage), artifact[0])

    def _check_record(self, artifact: tuple[str, str], run: Record) -> None:
        """Look whether an artifact has lost the record that it had when a run was completed with it."""
        if not self._lacks_record(artifact):
            return
        with self._alone_with(artifact) as had:
            manifest = self._store.manifest(*artifact) if had and self._lacks_record(artifact) else None
            if manifest and not self._made_after(run, manifest):
                found = f"its record is missing, though run {run.id} was completed with it"
                self._report(self._store.folder(*artifact), found, artifact[0])

    def _made_after(self, run: Record, manifest: Manifest) -> bool:
        """Tell whether an artifact was published after a run had ended, by one that may have died before its commit."""
        maker = read_run(self._store, manifest.run)
        if maker and maker.sequence and run.sequence:
            return maker.sequence > run.sequence
        return _seconds_between(run.started, manifest.created) > run.seconds

    def _lacks_record(self, artifact: tuple[str, str]) -> bool:
        return self._store.folder(*artifact).exists() and not self._store.is_committed(*artifact)

    def _count(self, found: Stored | None) -> None:
        if found:
            with self._lock:
                self._artifacts += 1
                self._files += len(found.manifest.files)
                self._bytes += found.manifest.bytes

    def _report(self, path: Path, found: str, group: str) -> None:
        """Put down a problem, and with `repair` put the thing in quarantine, under `group`."""
        moved = None
        if self._repair:
            with contextlib.suppress(StoreError):  # then it is a problem that could not be mended
                moved = self._store.quarantined.take(path, group, found)
        problem = Problem(subject=self._shown(path), found=found, moved_to=self._shown(moved) if moved else None)
        with self._lock:
            self._problems.append(problem)

    def _shown(self, path: Path) -> str:
        """Return a path below the home folder as text, also where its name is none."""
        return path.relative_to(self._store.home).as_posix().encode(errors="backslashreplace").decode()

    def _foreign(self) -> Iterator[Path]:
        """Yield what lies among the artifacts and is none."""
        for folder in sorted(self._store.artifacts.iterdir()):
            if not STAGE_WORD.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
                yield folder
            else:
                yield from (path for path in sorted(folder.iterdir()) if is_foreign(path))

    def _check_the_rest(self, now: datetime) -> None:
        for path in unreadable_runs(self._store):
            self._report(path, "it is no run's record", "runs")
        runs = list_runs(self._store)
        self._future += [f"run {run.id}" for run in runs if started_later(run, now)]
        made = self._store.manifests()
        self._future += [f"{each.stage}/{each.version}" for each in made if _moment(each.created) > now]
        completed = [run for run in reversed(runs) if run.state == "completed"]
        newest = {(row.stage, row.version): run for run in completed for row in run.stages}
        for artifact, used_by in newest.items():
            self._check_record(artifact, used_by)
        for problem in Names(self._store).problems():
            if problem.path:
                self._report(problem.path, problem.text, "names")
            else:
                self._problems.append(Problem(subject=problem.subject, found=problem.text, way_out=problem.way_out))
        for flaw in self._store.trust.flaws():
            self._problems.append(Problem(subject=flaw.subject, found=flaw.found, way_out=flaw.way_out))

    def _leftovers(self, now: datetime) -> Iterator[str]:
        wrong = {problem.subject for problem in self._problems}
        for each in find_leftovers(self._store, now):
            if (shown := self._shown(each.path)) not in wrong:
                yield f"{shown}: {each.reason}"


def _seconds_between(earlier: str, later: str) -> float:
    return (_moment(later) - _moment(earlier)).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
