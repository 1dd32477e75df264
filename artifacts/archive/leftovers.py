"""What interrupted work leaves beside the artifacts, and what was put aside; none of it is ever believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from artifacts.archive.journal import journal, noted_sizes
from artifacts.archive.runs import read_run
from artifacts.store.files import TEMPORARY, read_plain, size_of
from artifacts.store.links import real_folders
from artifacts.store.quarantine import REASON
from artifacts.store.store import CHECKPOINTS_PREFIX, REPLACED_PREFIX, STAGING_PREFIX, VERSION, Store

LeftoverKind = Literal[
    "unfinished", "staging", "checkpoints", "download", "temporary", "trash", "quarantine", "foreign"
]
FOREIGN = "foreign"
"""Below the quarantine: what lay among the artifacts and is none of idxflow's. Only its owner may delete it."""
SETTLED = timedelta(hours=1)
"""How long nobody must have touched a half-written file before it counts as abandoned."""
RESUMABLE = timedelta(days=1)
"""The same for a half download and for checkpoints, which the next run goes on with."""


@dataclass(frozen=True)
class Leftover:
    """
    A file or folder that nothing needs.

    Args:
        reason:   why it is there.
        artifact: stage and version of the artifact whose lock guards it, if one does.
    """

    kind: LeftoverKind
    path: Path
    reason: str
    artifact: tuple[str, str] | None = None

    @property
    def bytes(self) -> int:
        """Size of all that is in it."""
        return size_of(self.path)

    @property
    def touched(self) -> datetime:
        """When it was last changed, UTC."""
        return touched(self.path)


def touched(path: Path) -> datetime:
    """Return when a file or folder was last changed, UTC; the beginning of time for one that is gone."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.min.replace(tzinfo=UTC)
    except (OverflowError, ValueError):  # a time that no calendar knows, as a file system in memory can have it
        return datetime.max.replace(tzinfo=UTC)


def find_leftovers(store: Store, now: datetime) -> Iterator[Leftover]:
    """
    Find everything below a home folder that interrupted work left, and what lies in quarantine.

    What somebody works on is none, nor what was put aside while it is rebuilt: that comes back.
    """
    for stage, version in store.versions():
        if not store.is_committed(stage, version) and not store.is_busy(stage, version):
            reason = "a run ended before its record was written"
            yield Leftover("unfinished", store.folder(stage, version), reason, (stage, version))
    for path in store.hidden(STAGING_PREFIX):
        artifact = path.parent.name, path.name.removeprefix(STAGING_PREFIX).partition("-")[0]
        if not store.is_busy(*artifact):
            yield Leftover("staging", path, "a run was killed while it computed this", artifact)
    for path in store.hidden(CHECKPOINTS_PREFIX):
        artifact = path.parent.name, path.name.removeprefix(CHECKPOINTS_PREFIX)
        if now - touched(path) > RESUMABLE and not store.is_busy(*artifact):
            yield Leftover("checkpoints", path, "a run was killed while it trained this", artifact)
    yield from _half_written(store, now)
    for path in sorted((store.home / "trash").glob("*")):
        yield Leftover("trash", path, "a clean-up was interrupted")
    for group in real_folders(store.quarantined.folder):
        kind: LeftoverKind = "foreign" if group.name == FOREIGN else "quarantine"
        for path in sorted(group.glob("*")):
            yield Leftover(kind, path, _why(path))


def _half_written(store: Store, now: datetime) -> Iterator[Leftover]:
    for path in sorted(store.incoming.glob("*")):
        if path.is_file() and now - touched(path) > RESUMABLE:
            yield Leftover("download", path, "a download that was not finished")
    for run, _ in noted_sizes(store):
        path = journal(store, run)
        if now - touched(path) > SETTLED and ((record := read_run(store, run)) is None or record.state != "running"):
            yield Leftover("temporary", path, "its run's record says all of it")
    # Hidden names below an artifact are the store's own business: they go with it.
    for folder in (
        store.runs,
        *(store.home / name for name in ("aliases", "pins", "trust", "own", "index", "prefect")),
    ):
        for path in sorted(folder.glob(".*")):
            if TEMPORARY.fullmatch(path.name) and now - touched(path) > SETTLED:
                yield Leftover("temporary", path, "a file that was not written to its end")


def is_foreign(path: Path) -> bool:
    """Tell whether something in a stage's folder is named like nothing of the store's, and still there."""
    if path.name.startswith((STAGING_PREFIX, REPLACED_PREFIX, CHECKPOINTS_PREFIX)) or VERSION.fullmatch(path.name):
        return False
    return os.path.lexists(path)


def _why(path: Path) -> str:
    try:
        return "a link" if path.is_symlink() else read_plain(path / REASON).decode(errors="replace")
    except OSError:
        return "no reason is written down"
