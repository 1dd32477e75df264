"""The history: the record of every run, and how each of them ended."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from artifacts.archive.journal import with_noted
from artifacts.run_record import Record
from artifacts.store.disk import disk
from artifacts.store.files import read_plain
from artifacts.store.holds import is_alive
from artifacts.store.store import Store
from schemas.errors import StoreError

NOT_FOR_ITS_OWN_SAKE = frozenset({errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE})
"""Errors that say nothing about whether a file is a record."""
RunState = Literal["running", "completed", "failed", "interrupted", "killed"]
ENDED: dict[RunState, str] = {
    "running": "is still running",
    "completed": "completed",
    "failed": "failed",
    "interrupted": "was interrupted",
    "killed": "was killed",
}
"""What became of a run, as a sentence about it goes on."""


@dataclass(frozen=True)
class RunHistory:
    """
    All runs.

    Args:
        records:    those that read, newest first: by their number; of one, as of those without, by start and id.
        unreadable: files of the history that are no run's record.
    """

    records: list[Record]
    unreadable: list[Path]


def read_history(store: Store) -> RunHistory:
    """Read the record of every run."""
    # Validating a whole record takes no longer than reading its JSON alone: 70 us for 20 stages.
    read = {Path(entry.path): read_run(store, Path(entry.path).stem) for entry in record_files(store)}
    records = sorted(filter(None, read.values()), key=_place, reverse=True)
    # What a clean-up has deleted since its name was read is not damaged.
    return RunHistory(records, sorted(path for path, record in read.items() if record is None and path.exists()))


def list_runs(store: Store) -> list[Record]:
    """List the runs whose records read, newest first."""
    return read_history(store).records


def unreadable_runs(store: Store) -> list[Path]:
    """List the files of the history that are no run's record."""
    return read_history(store).unreadable


def run_ids(store: Store) -> list[str]:
    """List the ids of all runs by the names of their files; nothing is read."""
    return sorted(entry.name.removesuffix(".json") for entry in record_files(store))


def read_run(store: Store, run: str) -> Record | None:
    """
    Return the record of a run.

    Returns: None where there is none that reads and is of that run.
    Raises:  StoreError: nobody may read it, or the disk fails: it may well be a record.
    """
    path = store.runs / f"{run}.json"
    try:
        with disk(path):
            content = read_plain(path)
    except StoreError as error:
        if getattr(error.__cause__, "errno", None) in NOT_FOR_ITS_OWN_SAKE:
            raise
        return None
    try:
        record = Record.model_validate_json(content)
    except ValidationError:
        return None
    return with_noted(store, record) if record.id == run else None


def state_of(store: Store, record: Record) -> RunState:
    """Return a run's state: killed, where its record says running and no process runs it any more."""
    if record.state != "running" or is_alive(store.holds, record.id):
        return record.state
    # A run writes its last record and then lets go: it may have done both since `record` was read.
    latest = read_run(store, record.id) or record
    return "killed" if latest.state == "running" else latest.state


def subject_of(store: Store, record: Record) -> str:
    """Return what an error calls a run: that one did not complete explains most of what it lacks."""
    state = state_of(store, record)
    return f"run {record.id}" if state == "completed" else f"run {record.id}, which {ENDED[state]}"


def _place(record: Record) -> tuple[int, str, str]:
    return record.sequence, record.started, record.id


def record_files(store: Store) -> Iterator[os.DirEntry[str]]:
    """Yield the files of the history: those whose names begin with a dot are being written."""
    with disk(store.runs):
        for entry in os.scandir(store.runs) if store.runs.is_dir() else ():
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                yield entry
