"""
What a run under way has done so far: `<home>/runs/<id>.stages`, a line per stage, until its record says all of it.

A line costs one write, where the whole record would have to be written and flushed for each stage. A line that a full
disk has torn is left out. After a loss of power the last ones may be missing from the history; the artifacts are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.run_record import Record, StageRecord
from artifacts.store import files
from artifacts.store.disk import disk, open_plainly
from artifacts.store.store import Store

SUFFIX = ".stages"


class Line(BaseModel):
    """
    One stage, and what was known of the run by then; the fields are those of its record.

    Args: place: of the stage in the order of the graph.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    dataset: str
    dataset_id: str
    seconds: float
    warnings: tuple[str, ...]
    place: int
    stage: StageRecord


def journal(store: Store, run: str) -> Path:
    """Return where the lines of a run lie."""
    return store.runs / f"{run}{SUFFIX}"


def note(store: Store, run: str, lines: Sequence[Line]) -> None:
    """Add lines; from any thread. Raises: StoreError: the disk."""
    path = journal(store, run)
    with disk(path):
        descriptor = open_plainly(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            # They begin a line of their own: one that was torn takes no other with it.
            files.DISK.write(descriptor, "".join(f"\n{line.model_dump_json()}\n" for line in lines).encode())
        finally:
            os.close(descriptor)


def noted_sizes(store: Store) -> Iterator[tuple[str, int]]:
    """Yield the ids of the runs that have lines, and how many bytes."""
    with disk(store.runs):
        for entry in os.scandir(store.runs) if store.runs.is_dir() else ():
            if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    yield entry.name.removesuffix(SUFFIX), entry.stat(follow_symlinks=False).st_size


def forget(store: Store, run: str) -> None:
    """Delete the lines of a run whose record says all of it. Raises: StoreError: the disk."""
    path = journal(store, run)
    with disk(path):
        if path.exists():
            files.DISK.unlink(path)


def with_noted(store: Store, record: Record) -> Record:
    """Return the record of a run under way, or of one that was killed, with what was noted since it was written."""
    if record.state != "running":
        return record
    try:
        text = files.read_plain(journal(store, record.id)).decode(errors="replace")
    except OSError:
        return record
    lines = [line for line in map(_read, text.splitlines()) if line]
    if not lines:
        return record
    rows = {_key(row): row for row in record.stages}
    rows |= {_key(line.stage): line.stage for line in sorted(lines, key=lambda line: line.place)}
    known = lines[-1].model_dump(include={"dataset", "dataset_id", "seconds", "warnings"})
    return record.model_copy(update={**known, "stages": tuple(rows.values())})


def _read(line: str) -> Line | None:
    try:
        return Line.model_validate_json(line)
    except ValidationError:
        return None


def _key(row: StageRecord) -> tuple[str, str, str]:
    """Return what tells a row from others; two trials of a sweep may come to one artifact."""
    return row.stage, row.name, row.version
