"""
What was made before what, whatever the clock said.

A run takes the number after the highest that any record has, under a lock, and keeps it in its record. A clock that
goes back changes nothing about that. Records of before the numbers have none: they come first, by their start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, Field, ValidationError

from artifacts.disk import disk
from artifacts.files import make_folder, read_plain
from artifacts.flock import locked
from artifacts.run_record import RunRecord
from artifacts.store import Store


class _Numbered(BaseModel):
    """What a record has to say of its number, also one that a newer version wrote."""

    sequence: int = Field(default=0, ge=0)


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

    Args: records: of all runs; what a run made that has none comes first.
    """

    def __init__(self, records: Iterable[RunRecord] = ()) -> None:
        self._numbers = {record.id: record.sequence for record in records}

    def __call__(self, made: Made) -> tuple[int, str]:
        """Return what is sorted by, the oldest first."""
        return self._numbers.get(made.run, 0), made.created


@contextmanager
def next_number(store: Store) -> Iterator[int]:
    """
    Give the number of a run that begins: one above those of all that are recorded.

    Who begins meanwhile waits for the end of the block, in which the record is written.

    Raises: StoreError: the disk.
    """
    with disk(store.locks):
        make_folder(store.locks)
        with locked(store.locks / "runs.lock"):
            yield 1 + max(_numbers(store), default=0)


def started_later(record: RunRecord, now: datetime) -> bool:
    """Tell whether a run says that it will start: the clock was wrong then, or is now."""
    return datetime.fromisoformat(record.started) > now


def _numbers(store: Store) -> Iterator[int]:
    for path in store.runs.glob("*.json"):
        with suppress(OSError, ValidationError):
            yield _Numbered.model_validate_json(read_plain(path)).sequence
