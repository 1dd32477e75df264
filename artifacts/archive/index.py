"""
An index of the history: what is asked of all runs at once, without reading the record of each.

`<home>/index/runs-N.sqlite` notes for every file of `runs/` its size, inode and time, and of the record in it what is
looked for. Whoever opens the index brings it up to date with the folder: records whose files look otherwise are read
again.

It is a cache and is never believed over the records: whoever wants to know what a run did reads its record. An index
that is missing, damaged, of another layout, in use for too long, or in a place that cannot be written is rebuilt, in
memory if need be.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.journal import noted_sizes
from artifacts.archive.runs import read_run, record_files
from artifacts.store.disk import disk
from artifacts.store.files import make_folder, read_plain
from artifacts.store.store import Store
from schemas.errors import StoreError

LAYOUT = 2
"""Number of the tables below: another layout has another file, so that older and newer code work side by side."""
TABLES = (
    "DROP TABLE IF EXISTS runs",  # of a layout that was not made to its end
    "DROP TABLE IF EXISTS used",
    "CREATE TABLE runs (file BLOB PRIMARY KEY, size INT, inode TEXT, time INT,"
    " id TEXT, sequence INT, started TEXT, state TEXT, dataset TEXT, identity TEXT)",
    "CREATE TABLE used (file BLOB, stage TEXT, name TEXT, version TEXT, identity TEXT, sequence INT, started TEXT)",
    "CREATE INDEX used_by_file ON used (file)",
    "CREATE INDEX used_by_version ON used (stage, version)",
    "CREATE INDEX used_by_name ON used (stage, name, identity, version, sequence, started)",
)
RUNS = (
    "SELECT id, sequence, started, state, dataset, identity FROM runs WHERE id IS NOT NULL"
    " ORDER BY sequence DESC, started DESC, id DESC"
)
USERS = (
    "SELECT id, sequence, started, state, dataset, identity FROM runs WHERE id IS NOT NULL"
    " AND file IN (SELECT file FROM used WHERE stage = ? AND version = ?)"
    " ORDER BY sequence DESC, started DESC, id DESC"
)
_OF = "FROM used WHERE stage = :stage AND name = :name AND identity = :identity"
_NEWEST = "ORDER BY sequence DESC, started DESC LIMIT 1"
# From one version to the next, and its newest run: of 10,000 runs that used one version, three rows are read.
VERSIONS = (
    f"WITH RECURSIVE each(version) AS (SELECT min(version) {_OF} UNION ALL"  # noqa: S608 - no value is in it
    f" SELECT (SELECT min(version) {_OF} AND version > each.version) FROM each WHERE each.version IS NOT NULL)"
    " SELECT version FROM each WHERE version IS NOT NULL"
    f" ORDER BY (SELECT sequence {_OF} AND version = each.version {_NEWEST}) DESC,"
    f" (SELECT started {_OF} AND version = each.version {_NEWEST}) DESC"
)
ELSEWHERE = "SELECT DISTINCT version FROM used INDEXED BY used_by_name WHERE stage = ? AND name = ? LIMIT 32"
COMPANIONS = (
    "SELECT DISTINCT other.version FROM used AS own JOIN used AS other ON other.file = own.file"
    " JOIN used AS also ON also.file = own.file WHERE own.stage = :stage AND own.version = :version"
    " AND other.stage = :other AND also.stage = :also"
)
INSERT = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
UNREADABLE = "SELECT file FROM runs WHERE id IS NULL ORDER BY file"
BUSY_SECONDS = 5.0
"""For which another process may be writing."""
Look = tuple[int, str, int]
"""By what a file is seen to have changed: size, inode, time. Some inodes do not fit into SQLite's numbers."""
_SUFFIXES = ("", "-wal", "-shm", "-journal")


class Entry(NamedTuple):
    """What the index knows of a run; the fields are those of its record."""

    id: str
    sequence: int
    started: str
    state: str
    dataset: str
    identity: str


class _Numbered(BaseModel):
    """What a record of whatever version says of its place in the order."""

    model_config = ConfigDict(extra="ignore")
    sequence: int = Field(default=0, ge=0, lt=2**63)


class RunIndex:
    """
    The index of one store's history, as it was at the last `update`: as a context it begins with one.

    It can be asked from any thread.

    Raises: StoreError: a record cannot be read for no reason of its own: the disk, or somebody else's rights.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._guard, self._rebuilt = store, threading.RLock(), False
        self._database = _open(store) or _connect(":memory:")

    def __enter__(self) -> RunIndex:
        self.update()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._database.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            self._database.close()

    def update(self) -> None:
        """Read the records whose files do not look as noted."""
        with self._guard:
            there = dict(_looks(self._store))
            noted = {row[0]: row[1:] for row in self._ask("SELECT file, size, inode, time FROM runs")}
            changed = [file for file in there if noted.get(file) != there[file]]
            stale = [(file,) for file in (*changed, *(noted.keys() - there.keys()))]
            if not stale:
                return
            rows = [self._row(file, there[file]) for file in changed]
            used = [each for _, used in rows for each in used]
            try:
                database = self._database
                with _writing(database):
                    database.executemany("DELETE FROM runs WHERE file = ?", stale)
                    database.executemany("DELETE FROM used WHERE file = ?", stale)
                    database.executemany(INSERT, [row for row, _ in rows])
                    database.executemany("INSERT INTO used VALUES (?, ?, ?, ?, ?, ?, ?)", used)
            except sqlite3.Error as error:
                self._go_on(error)

    def runs(self) -> list[Entry]:
        """List the runs whose records read, newest first: by number; of those without one by start and id."""
        return [Entry(*row) for row in self._ask(RUNS)]

    def unreadable(self) -> list[Path]:
        """List the files of the history that are no run's record."""
        found = [self._store.runs / os.fsdecode(file) for (file,) in self._ask(UNREADABLE)]
        return [path for path in found if os.path.lexists(path)]

    def highest(self) -> int:
        """Return the highest number of a run, also of one that only a newer idxflow can read; 0 where none has one."""
        ((number,),) = self._ask("SELECT max(sequence) FROM runs")
        return number or 0

    def users(self, stage: str, version: str) -> list[Entry]:
        """List the runs that made or used an artifact, newest first."""
        return [Entry(*row) for row in self._ask(USERS, stage, version)]

    def versions(self, stage: str, name: str, identity: str) -> list[str]:
        """List the versions that a stage had of `name` in runs of a data set, each once, the newest run's first."""
        return [version for (version,) in self._ask(VERSIONS, stage=stage, name=name, identity=identity)]

    def versions_elsewhere(self, stage: str, name: str) -> list[str]:
        """List versions that a stage had of `name` in runs of whatever data set: 32 at most, in no order."""
        return [version for (version,) in self._ask(ELSEWHERE, stage, name)]

    def companions(self, stage: str, version: str, other: str, also: str) -> list[str]:
        """
        List the versions of another stage in the runs that used an artifact.

        Args: also: a stage that these runs have come to as well.
        """
        return [each for (each,) in self._ask(COMPANIONS, stage=stage, version=version, other=other, also=also)]

    def _ask(self, question: str, *values: str, **named: str) -> list[tuple[Any, ...]]:
        given = named or values
        with self._guard:
            try:
                return self._database.execute(question, given).fetchall()
            except sqlite3.Error as error:
                self._go_on(error)
                return self._database.execute(question, given).fetchall()

    def _go_on(self, error: sqlite3.Error) -> None:
        """Begin again: with a new file for one that is damaged, once; else in memory."""
        self._database.close()
        rebuilt = None
        if not self._rebuilt and not isinstance(error, sqlite3.OperationalError):
            rebuilt = _open(self._store, damaged=True)
        self._rebuilt, self._database = True, rebuilt or _connect(":memory:")
        self.update()

    def _row(self, file: bytes, look: Look) -> tuple[tuple[object, ...], list[tuple[object, ...]]]:
        """Return what is noted of a file: its row, and a row for each artifact that the run used."""
        path = self._store.runs / os.fsdecode(file)
        record = read_run(self._store, path.stem)
        if record is None:
            return (file, *look, None, _number(path), None, None, None, None), []
        entry = Entry(record.id, record.sequence, record.started, record.state, record.dataset, record.identity)
        run = (entry.identity, entry.sequence, entry.started)
        return (file, *look, *entry), [(file, row.stage, row.name, row.version, *run) for row in record.stages]


def _open(store: Store, *, damaged: bool = False) -> sqlite3.Connection | None:
    """Open the file, made or rebuilt where need be; None where that cannot be. Args: damaged: it is to be rebuilt."""
    path = store.home / "index" / f"runs-{LAYOUT}.sqlite"
    files = [path.with_name(f"{path.name}{suffix}") for suffix in _SUFFIXES]
    if not store.runs.is_dir() or any(each.is_symlink() for each in (path.parent, *files)):
        return None
    with suppress(StoreError, sqlite3.Error), disk(path.parent):
        make_folder(path.parent)
        if not damaged:
            try:
                return _connect(path)
            except sqlite3.OperationalError:
                raise  # busy, or not to be written; a damaged file is another error
            except sqlite3.DatabaseError:
                pass
        for each in files:
            each.unlink(missing_ok=True)
        return _connect(path)
    return None


def _connect(path: Path | str) -> sqlite3.Connection:
    """Connect to a database that has, or gets, the tables."""
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # With a log that is written ahead a crash costs the last rows, which are noted again.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if not _is_made(database):
            with _writing(database):
                for statement in () if _is_made(database) else (*TABLES, f"PRAGMA user_version = {LAYOUT}"):
                    database.execute(statement)
    except BaseException:
        database.close()
        raise
    return database


def _is_made(database: sqlite3.Connection) -> bool:
    return bool(database.execute("PRAGMA user_version").fetchone()[0] == LAYOUT)


@contextmanager
def _writing(database: sqlite3.Connection) -> Iterator[None]:
    """Make the block one transaction, begun when nobody else writes."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.rollback()
        raise
    database.commit()


def _looks(store: Store) -> Iterator[tuple[bytes, Look]]:
    """Yield the names of the files of the history, and how each looks."""
    noted_by = dict(noted_sizes(store))
    for entry in record_files(store):
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            noted = noted_by.get(entry.name.removesuffix(".json"), 0)
            yield os.fsencode(entry.name), (status.st_size + noted, str(status.st_ino), status.st_mtime_ns)


def _number(path: Path) -> int:
    """Return the number in a record that only a newer idxflow can read; 0 where there is none."""
    with suppress(OSError, ValidationError):
        return _Numbered.model_validate_json(read_plain(path)).sequence
    return 0
