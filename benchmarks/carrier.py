"""
One journey to or from a remote in a process of its own, for its time and its memory. Started by `benchmarks.remotes`.

What is imported, and the first request, are not timed; what obstore carries is carried by its two plain calls.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from artifacts.environment import current_environment
from artifacts.keys import KeyParts, content_digest
from artifacts.manifest import FileEntry, Manifest
from artifacts.remote.crew import Crew
from artifacts.remote.opening import open_backend
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.remote.shared import Shared
from artifacts.store.arriving import Arrival, publish_all
from artifacts.store.publishing import commit, publish, seal_entries, staging
from artifacts.store.store import Store
from schemas.remote import RemotePlace

BLOCK = 2**20
TOGETHER = 200
STAGE, FILE, PLAIN = "parse", "file", "plain"


class Journey(BaseModel):
    """
    What to carry.

    Args:
        kind:  push, pull: an artifact of one large file.  put, get: a file, by obstore alone.  push many, pull many:
               all artifacts of a home folder, or of the remote.
        home:  the store, or the folder of the file.
        place: the remote.
    """

    model_config = ConfigDict(frozen=True)
    kind: Literal["push", "pull", "put", "get", "push many", "pull many"]
    home: Path
    place: RemotePlace


class Carried(BaseModel):
    """What it took: seconds, and bytes of memory at most."""

    model_config = ConfigDict(frozen=True)
    seconds: float
    peak: int
    moved: int


def manifest_of(number: int, entries: dict[str, FileEntry]) -> Manifest:
    """Return the manifest of an artifact of these files."""
    parts = KeyParts(stage=STAGE, parameters={"number": number}, inputs={}, code={}, packages={})
    return Manifest(
        stage=STAGE,
        name=f"number {number}",
        version=parts.version,
        key=parts.key,
        parts=parts,
        inputs=(),
        files=entries,
        digest=content_digest({name: entry.content for name, entry in entries.items()}),
        summary={},
        created="2026-01-01T00:00:00+00:00",
        seconds=0.0,
        environment=current_environment(),
        run="0" * 12,
        flow_run="",
    )


def make_many(store: Store, count: int) -> None:
    """Leave so many artifacts of one file of 200 bytes in a store."""
    arrivals = list[Arrival]()
    for number in range(count):
        content = f"{number:08}".encode() * 25
        digest = hashlib.sha256(content).hexdigest()
        manifest = manifest_of(number, {FILE: FileEntry(bytes=len(content), sha256=digest, content=digest)})
        arrivals.append(Arrival(manifest, manifest.model_dump_json(indent=2).encode(), {FILE: content}))
    for first in range(0, count, TOGETHER):
        publish_all(store, STAGE, arrivals[first : first + TOGETHER])


def make_large(store: Store, size: int) -> str:
    """Leave an artifact of one file of so many bytes, no two blocks of which are equal. Returns: its version."""
    block, version = os.urandom(BLOCK), manifest_of(0, {}).version
    with staging(store, STAGE, version) as out:
        with (out / FILE).open("wb") as file:
            file.writelines(number.to_bytes(8, "big") + block[8:] for number in range(size // BLOCK))
        ref = publish(store, out, manifest_of(0, seal_entries(out, {})))
    commit(store, ref)
    return version


def work_of(journey: Journey) -> Callable[[], int]:
    """Return what is timed: it returns how many artifacts, or files, were carried."""
    store, version = Store(journey.home), ""
    match journey.kind:
        case "push many" | "pull many":
            shared = Shared(journey.place, store)

            def many() -> int:
                with closing(shared):
                    moved = shared.push() if journey.kind == "push many" else shared.pull()
                return sum(each.state in {"pushed", "pulled"} for each in moved)

            return many
        case "push" | "pull":
            backend, crew = open_backend(journey.place), Crew(8)
            names = [entry.name for entry in backend.list(f"artifacts/{STAGE}/")]
            version = next(iter(store.versions()))[1] if journey.kind == "push" else names[0][-21:-5]

            def one() -> int:
                if journey.kind == "push":
                    return int(Pushing(backend, store, crew).push(STAGE, version).state == "pushed")
                with store.waited_for(STAGE, version):
                    return int(Pulling(backend, store, crew).pull(STAGE, version) is not None)

            return one
    return plain(journey)


def plain(journey: Journey) -> Callable[[], int]:
    """Return what obstore does, as its documentation has it; what is fetched is flushed, as an artifact is."""
    import obstore
    from obstore.store import S3Store

    bucket, _, prefix = str(journey.place.url).partition("://")[2].partition("/")
    endpoint = journey.place.endpoint or ""
    bare = S3Store(bucket, prefix=prefix, endpoint=endpoint, region="us-east-1", client_options={"allow_http": True})
    path = journey.home / PLAIN
    list(obstore.list(bare, "nothing"))

    def work() -> int:
        if journey.kind == "put":
            obstore.put(bare, PLAIN, path)
            return 1
        with path.open("wb") as file:
            for chunk in obstore.get(bare, PLAIN).stream(min_chunk_size=8 * BLOCK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return 1

    return work


def carry(journey: Journey) -> Carried:
    """Do it."""
    work = work_of(journey)
    started = time.perf_counter()
    moved = work()
    seconds = time.perf_counter() - started
    return Carried(seconds=seconds, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, moved=moved)


if __name__ == "__main__":
    sys.stdout.write(carry(Journey.model_validate_json(sys.argv[1])).model_dump_json())
    sys.stdout.flush()
    os._exit(0)  # as a command ends: the engine's threads are not waited for
