"""
What was made before what, whatever the clock said.

A run takes the number after the highest that any record has, under a lock, and keeps it in its record. A clock that
goes back changes nothing about that. Records of before the numbers have none: they come first, by their start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from artifacts.archive.index import RunIndex
from artifacts.archive.runs import read_run
from artifacts.run_record import Record
from artifacts.store.disk import disk
from artifacts.store.files import make_folder
from artifacts.store.flock import locked
from artifacts.store.store import Store


class Numbered(Protocol):
    """A run: its record, or what the index says of it."""

    @property
    def id(self) -> str:
        """12 hexadecimal digits."""

    @property
    def sequence(self) -> int:
        """Its number; 0 where it has none."""


class Made(Protocol):
    """Something that a run made."""

    @property
    def run(self) -> str:
        """The run's id."""

    @property
    def created(self) -> str:
        """When: UTC, ISO 8601."""


class Order:
    """
    The order of what runs made: by the number of the run, within one by time.

    Args: runs: all of them; what a run made that has none comes first.
    """

    def __init__(self, runs: Iterable[Numbered] = ()) -> None:
        self._numbers = {run.id: run.sequence for run in runs}

    def __call__(self, made: Made) -> tuple[int, str]:
        """Return what is sorted by, the oldest first."""
        return self._numbers.get(made.run, 0), made.created


@contextmanager
def next_number(store: Store, index: RunIndex) -> Iterator[int]:
    """
    Give the number of a run that begins: one above those of all that are recorded.

    Args: index: of this store's history; it is brought up to date.

    Who begins meanwhile waits for the end of the block, in which the record is written.

    Raises: StoreError: the disk.
    """
    with disk(store.locks):
        make_folder(store.locks)
        with locked(store.locks / "runs.lock"):
            index.update()
            newest = next(filter(None, (read_run(store, each.id) for each in index.runs())), None)
            yield 1 + max(index.highest(), newest.sequence if newest else 0)


def started_later(record: Record, now: datetime) -> bool:
    """Tell whether a run says that it will start: the clock was wrong then, or is now."""
    return datetime.fromisoformat(record.started) > now
