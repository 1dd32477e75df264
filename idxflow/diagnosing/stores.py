"""What a diagnosis says of a store: how much is in it, what works in it, and whether its locks hold."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, Field

from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import alias_files, pin_files
from artifacts.keys import FORMAT
from artifacts.store.flock import delete_unlocked, is_locked, try_lock
from artifacts.store.holds import is_alive
from artifacts.store.store import Store
from schemas.errors import IdxflowError

WORK, UNTRIED = "work", "not tried: nothing was ever locked"
SOUND = (WORK, UNTRIED)
"""What is said of locks that are as they have to be."""


class StoreFacts(BaseModel, frozen=True):
    """A store, counted; no file of an artifact is hashed."""

    format: int = Field(description="of its keys")
    artifacts: int
    runs: dict[str, int] = Field(description="by their state; killed: it says running, and no process runs it")
    unreadable: int = Field(description="records of runs that do not read")
    aliases: int
    pins: int
    quarantined: int
    locks: str = Field(description="`work`, or what happened when one was tried")


def look_at(store: Store) -> StoreFacts:
    """Count what is in a store. Raises: StoreError: a record cannot be read for no reason of its own."""
    with RunIndex(store) as index:
        runs, unreadable = index.runs(), index.unreadable()
    states = Counter(
        "killed" if run.state == "running" and not is_alive(store.holds, run.id) else run.state for run in runs
    )
    return StoreFacts(
        format=FORMAT,
        artifacts=sum(1 for _ in store.versions()),
        runs=dict(sorted(states.items())),
        unreadable=len(unreadable),
        aliases=len(list(alias_files(store))),
        pins=len(list(pin_files(store))),
        quarantined=_entries(store.quarantined.folder),
        locks=try_locks(store.locks),
    )


def try_locks(folder: Path) -> str:
    """
    Take a lock in a folder, and look whether others would see it.

    Returns: one of `SOUND`, or what is wrong, in words.
    """
    if not folder.is_dir():
        return UNTRIED
    path = folder / f"doctor-{os.getpid()}"
    try:
        held = try_lock(path)
    except OSError as error:
        return f"none can be taken: {error.strerror or error}"
    except IdxflowError as error:
        return f"none can be taken: {error.found}"
    if held is None:
        return "a new one is held by somebody"
    try:
        seen = is_locked(path)
    except OSError as error:
        return f"one cannot be asked about: {error.strerror or error}"
    finally:
        os.close(held)
        with suppress(OSError, IdxflowError):
            delete_unlocked(path)
    return WORK if seen else "two can hold one at once"


def _entries(folder: Path) -> int:
    return sum(1 for stage in folder.glob("*") if stage.is_dir() for _ in stage.glob("*"))
