"""What interrupted work leaves beside the artifacts, and what was put aside; none of it is ever believed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from artifacts.files import size_of
from artifacts.quarantine import REASON
from artifacts.store import REPLACED_PREFIX, STAGING_PREFIX, VERSION, Store

LeftoverKind = Literal["unfinished", "staging", "download", "temporary", "trash", "quarantine"]
SETTLED = timedelta(hours=1)
"""How long nobody must have touched a half-written file before it counts as abandoned."""
RESUMABLE = timedelta(days=1)
"""The same for a half download, which the next run goes on with."""
TEMPORARY = re.compile(r"\..+\.\d+-\d+")
"""As `artifacts.files.temporary_name` names them."""


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


def find_leftovers(store: Store, now: datetime) -> Iterator[Leftover]:
    """Find everything below a home folder that interrupted work left, and what lies in quarantine."""
    for artifact in store.versions():
        folder = store.folder(*artifact)
        if not (folder / "record.json").exists():
            yield Leftover("unfinished", folder, "a run ended before its record was written", artifact)
    for path in sorted(store.artifacts.glob("*/.*")):
        stage, name = path.parent.name, path.name
        if name.startswith(STAGING_PREFIX):
            version = name.removeprefix(STAGING_PREFIX).partition("-")[0]
            yield Leftover("staging", path, "a run was killed while it computed this", (stage, version))
        elif name.startswith(REPLACED_PREFIX):
            version = name.removeprefix(REPLACED_PREFIX)
            yield Leftover("staging", path, "a run was killed while it made this anew", (stage, version))
    yield from _half_written(store, now)
    for path in sorted((store.home / "trash").glob("*")):
        yield Leftover("trash", path, "a clean-up was interrupted")
    for path in sorted(store.quarantined.folder.glob("*/*")):
        yield Leftover("quarantine", path, _why(path))


def _half_written(store: Store, now: datetime) -> Iterator[Leftover]:
    for path in sorted(store.incoming.glob("*")):
        if path.is_file() and now - touched(path) > RESUMABLE:
            yield Leftover("download", path, "a download that was not finished")
    # Hidden names below an artifact are the store's own business: they go with it.
    for folder in (store.runs, store.home / "aliases", store.home / "pins", *store.home.glob("trust/*")):
        for path in sorted(folder.glob(".*")):
            if TEMPORARY.fullmatch(path.name) and now - touched(path) > SETTLED:
                yield Leftover("temporary", path, "a file that was not written to its end")


def is_foreign(path: Path) -> bool:
    """Tell whether something in a stage's folder is neither an artifact nor what interrupted work leaves."""
    if path.name.startswith((STAGING_PREFIX, REPLACED_PREFIX)):
        return False
    return not VERSION.fullmatch(path.name) or path.is_symlink() or not path.is_dir()


def _why(path: Path) -> str:
    try:
        return (path / REASON).read_text("utf-8", "replace")
    except OSError:
        return "no reason is written down"
