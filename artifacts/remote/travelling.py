"""
Records of runs and aliases, which change, between a home folder and a remote: each on condition of its last state.

A run's record only goes on: running, then how it ended. An alias only gets longer; one whose history has gone two ways
is nobody's to decide but a person's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Literal

from pydantic import ValidationError

from artifacts.archive.name_records import Alias, alias_path, find_alias, flaw_of, split_word
from artifacts.archive.names import Names
from artifacts.archive.runs import read_run
from artifacts.remote.backend import Backend, Entry
from artifacts.remote.crew import Crew
from artifacts.remote.layout import ALIASES, RUNS, Unbelievable
from artifacts.run_record import Record
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.store import Store

LARGEST = 8 * 2**20
"""Bytes of a run's record or an alias at most."""
AHEAD = 32
"""Records that are read at once."""
TRIES = 20
"""How often something is compared and swapped against others who do the same."""
Sent = Literal["pushed", "there", "behind", "apart"]
"""What became of it: `behind` is older than what is there, `apart` contradicts it. Neither changes anything."""
Taken = Literal["pulled", "there", "ahead", "apart"]
RUN_ID = frozenset("0123456789abcdef")


def push_run(backend: Backend, record: Record) -> Sent:
    """Put a run's record. Raises: as the backend; Unbelievable: something else has its place."""
    content = record.model_dump_json(indent=2).encode()

    def judge(theirs: bytes) -> Sent:
        if theirs == content:
            return "there"
        other = _run(theirs, record.id)
        if not record.sequence and _progress(record) == _progress(other):  # it was pulled: to put it again makes it new
            return "there"
        return "pushed" if _progress(record) >= _progress(other) else "behind"

    return _swap(backend, f"{RUNS}{record.id}.json", content, judge)


def pull_run(backend: Backend, store: Store, run: str) -> Record | None:
    """
    Take a run's record; the caller has taken its artifacts. One that is here stays as it is.

    Here it comes before all of this home's own runs: it has no number of this home, so that `latest` stays what it was.

    Returns: the record; None where the remote has none.
    Raises:  Unbelievable: it does not read.  RemoteError: as the backend.  StoreError: the disk.
    """
    if known := read_run(store, run):
        return known
    if (record := look_at_run(backend, run)) is None:
        return None
    rows = tuple(row.model_copy(update={"path": str(store.folder(row.stage, row.version))}) for row in record.stages)
    record = record.model_copy(update={"sequence": 0, "stages": rows})
    with disk(store.runs):
        files.write_once(store.runs / f"{run}.json", record.model_dump_json(indent=2).encode())
    return record


def look_at_run(backend: Backend, run: str) -> Record | None:
    """Return a run's record as the remote has it; raises as `pull_run`."""
    if len(run) != 12 or not set(run) <= RUN_ID:
        return None
    got = backend.get(f"{RUNS}{run}.json", LARGEST)
    return _run(bytes(got.content), run) if got else None


def last_first(backend: Backend, crew: Crew) -> Iterator[Record]:
    """
    Yield the records of the runs there, the one that was put last first, and read no more than are asked for.

    By the server's dates: what a record says of its time is by the clock of its host, and they are many. Of one second,
    as when a home folder puts its whole history there, it is what there is to tell by.

    Raises: Unbelievable: one does not read.  RemoteError: as the backend.
    """

    def read(entry: Entry) -> tuple[datetime, Record | None]:
        return entry.modified, look_at_run(backend, entry.name.removeprefix(RUNS).removesuffix(".json"))

    entries = sorted(backend.list(RUNS), key=attrgetter("modified"), reverse=True)
    for _, together in groupby(crew.each(read, entries, AHEAD), key=itemgetter(0)):
        yield from sorted((record for _, record in together if record), key=attrgetter("started"), reverse=True)


def push_alias(backend: Backend, alias: Alias) -> Sent:
    """Put an alias; where both have changed it nothing happens. Raises: as `push_run`."""

    def judge(theirs: bytes) -> Sent:
        other = _alias(theirs, alias.name)
        if other.history == alias.history:
            return "there"
        if begins(alias, other):
            return "pushed"
        return "behind" if begins(other, alias) else "apart"

    return _swap(backend, f"{ALIASES}{alias.name}.json", alias.content, judge)


def accept_alias(store: Store, theirs: Alias) -> Taken:
    """
    Take over an alias of the remote as it was seen there, if that only goes on where it is here.

    What it stood for then is what the caller has taken; it may stand for something else there by now.
    """
    with Names(store).changing():
        ours = find_alias(store, theirs.name)
        if ours and ours.history == theirs.history:
            return "there"
        if ours and not begins(theirs, ours):
            return "ahead" if begins(ours, theirs) else "apart"
        path = alias_path(store, theirs.name)
        with disk(path.parent):
            files.write_atomically(path, theirs.content)
    return "pulled"


def look_at_alias(backend: Backend, name: str) -> Alias | None:
    """Return an alias as the remote has it; raises as `pull_run`."""
    if flaw_of(split_word(name)[0]):
        return None
    got = backend.get(f"{ALIASES}{name}.json", LARGEST)
    return _alias(bytes(got.content), name) if got else None


def _swap(backend: Backend, name: str, content: bytes, judge: Callable[[bytes], Sent]) -> Sent:
    """Create, or compare and swap for as long as others do too. Args: judge: what to do about what is there."""
    for _ in range(TRIES):
        if backend.put_new(name, content):
            return "pushed"
        if (got := backend.get(name, LARGEST)) is None:
            continue
        if bytes(got.content) == content:
            return "there"
        if (verdict := judge(bytes(got.content))) != "pushed" or backend.replace(name, content, got.tag):
            return verdict
    raise Unbelievable(f"{name} changes all the time")


def _run(content: bytes, run: str) -> Record:
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        raise Unbelievable(f"the record of run {run} does not read") from error
    if record.id != run:
        raise Unbelievable(f"the record of run {run} is that of another")
    return record


def _alias(content: bytes, name: str) -> Alias:
    try:
        alias = Alias.model_validate_json(content)
    except ValidationError as error:
        raise Unbelievable(f"the alias {name} does not read") from error
    if alias.name != name:
        raise Unbelievable(f"the alias {name} is another's")
    return alias


def begins(longer: Alias, shorter: Alias) -> bool:
    """Tell whether the one history goes on where the other ends, or is the same."""
    return longer.history[: len(shorter.history)] == shorter.history


def _progress(record: Record) -> tuple[bool, int, float]:
    return record.state != "running", len(record.stages), record.seconds
