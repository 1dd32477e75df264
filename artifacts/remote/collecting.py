"""
Clean-up of a remote: what nobody who shares it holds any more goes, once it is old enough by the server's own clock.

Held is what each home folder says (`roots/`), what the last runs used whose records are there, what the aliases of the
remote stand for, and what all that was made from. A record goes before its blobs. Right before each deletion the object
is looked at again: one that was put again since is left. What is younger than the grace stays whatever anybody says: it
may be part of a push under way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.lookup import MODEL
from artifacts.archive.names import GATE
from artifacts.archive.roots import WITH_A_MODEL, Artifact
from artifacts.manifest import Manifest
from artifacts.remote.backend import LARGEST_DOCUMENT, Backend, Entry
from artifacts.remote.crew import Crew
from artifacts.remote.layout import (
    ALIASES,
    ARTIFACTS,
    BLOBS,
    ArtifactRecord,
    Unbelievable,
    artifact_of,
    read_record,
)
from artifacts.remote.lease import Lease
from artifacts.remote.probing import PROBES
from artifacts.remote.pushing import CLOCK, ServerClock
from artifacts.remote.roots import Home, home_id, put_roots, read_roots
from artifacts.remote.travelling import last_first, look_at_alias
from artifacts.store.store import Store

GRACE = timedelta(days=1)
"""Age below which nothing goes; twice `artifacts.remote.pushing.FRESH`, which a push believes of a blob."""
AHEAD = 32


class Going(BaseModel):
    """An artifact that nobody holds. `bytes`: of its record and of blobs that no other artifact has."""

    model_config = ConfigDict(frozen=True)
    subject: str
    bytes: int


class Collected(BaseModel):
    """
    What a clean-up of a remote took away, or would.

    Args:
        done:    whether it did.
        homes:   who shares it.
        going:   artifacts that nobody holds.
        blobs, bytes: all objects that go beside records, and what all that goes takes.
        kept, young: artifacts that stay; those of them that stay for their age alone.
        spared:  objects that were put again in the meantime.
    """

    model_config = ConfigDict(frozen=True)
    done: bool
    homes: tuple[Home, ...]
    going: tuple[Going, ...]
    blobs: int
    bytes: int
    kept: int
    young: int
    spared: int = 0


class _Known(BaseModel):
    """What a clean-up has found of one artifact."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    entry: Entry
    record: ArtifactRecord
    manifest: Manifest = Field(repr=False)


def collect_remote(
    backend: Backend, store: Store, crew: Crew, keep: int, grace: timedelta, *, really: bool
) -> Collected:
    """
    Find what nobody holds, and with `really` take it away.

    Args:   keep: completed runs of each data set that hold what they used: those of this home folder, and those there.
    Raises: Unbelievable: something does not read, so that nobody knows what it holds; nothing was taken away.
            RemoteError: as the backend, or another clean-up is under way.  StoreError.
    """
    with Lease(backend, home_id(store)) as lease:
        put_roots(backend, store, keep)
        now = ServerClock(backend).now()
        # Blobs first: a record that is put after its list was taken has blobs that are young, or were put again.
        blobs = {entry.name: entry for entry in backend.list(BLOBS)}
        known = _read_all(backend, crew, lease)
        roots = read_roots(backend)
        held = {artifact for each, _ in roots for artifact in each.artifacts} | _named(backend)
        held |= _recent(backend, crew, keep, lease)
        kept = _closed(held, known)
        young = {artifact for artifact, each in known.items() if now - each.entry.modified < grace} - kept
        stays = _closed(kept | young, known)
        going = known.keys() - stays
        wanted = {blob.name for artifact in stays & known.keys() for blob in known[artifact].record.blobs}
        loose = [entry for name, entry in blobs.items() if name not in wanted and now - entry.modified >= grace]
        crumbs = [each for folder in (PROBES, CLOCK) for each in backend.list(folder) if now - each.modified >= grace]
        records = [known[artifact].entry for artifact in sorted(going)]
        alone = {entry.name: entry.bytes for entry in loose}
        found = Collected(
            done=really,
            homes=tuple(home for _, home in roots),
            going=tuple(
                Going(subject="/".join(artifact), bytes=_size(known[artifact], alone)) for artifact in sorted(going)
            ),
            blobs=len(loose),
            bytes=sum(entry.bytes for entry in (*records, *loose)),
            kept=len(stays & known.keys()),
            young=len(young),
        )
        if not really:
            return found
        spared = sum(not _take(backend, entry, lease) for entry in (*records, *loose, *crumbs))
    return found.model_copy(update={"spared": spared})


def _take(backend: Backend, entry: Entry, lease: Lease) -> bool:
    """Delete an object, unless it was put again since it was listed."""
    lease.renew()
    now = backend.stat(entry.name)
    if now is None or now.modified != entry.modified:
        return now is None
    backend.delete(entry.name)
    return True


def _read_all(backend: Backend, crew: Crew, lease: Lease) -> dict[Artifact, _Known]:
    """Read the record of every artifact."""

    def read(entry: Entry) -> tuple[Artifact, _Known] | None:
        if (artifact := artifact_of(entry.name)) is None or (got := backend.get(entry.name, LARGEST_DOCUMENT)) is None:
            return None
        try:
            record, manifest = read_record(got.content, *artifact)
        except Unbelievable as error:
            raise Unbelievable(f"{'/'.join(artifact)}: {error}") from error
        return artifact, _Known(entry=entry, record=record, manifest=manifest)

    found = {}
    for each in crew.each(read, backend.list(ARTIFACTS), AHEAD):
        lease.renew()
        if each:
            found[each[0]] = each[1]
    return found


def _recent(backend: Backend, crew: Crew, keep: int, lease: Lease) -> set[Artifact]:
    """Return what the runs used that ended last, by the server's dates, as `idxflow gc` counts them in one home."""
    found, completed = set[Artifact](), Counter[str]()
    for record in last_first(backend, crew):
        lease.renew()
        if completed[record.identity] < keep:
            found |= {(row.stage, row.version) for row in record.stages}
            completed[record.identity] += record.state == "completed"
    return found


def _named(backend: Backend) -> set[Artifact]:
    """Return what the remote's aliases stand for, and the verdicts by which they do."""
    found = set[Artifact]()
    for entry in backend.list(ALIASES):
        alias = look_at_alias(backend, entry.name.removeprefix(ALIASES).removesuffix(".json"))
        if alias and alias.artifact:
            found.add(alias.artifact)
            if verdict := alias.history[-1].verdict:
                found.add((GATE, verdict))
    return found


def _closed(held: set[Artifact], known: dict[Artifact, _Known]) -> set[Artifact]:
    """Return what is held, what that was made from, and of models what tells what they are worth."""
    models = {known[artifact].manifest.digest for artifact in held & known.keys() if artifact[0] == MODEL}
    found = set(held) | {
        artifact
        for artifact, each in known.items()
        if artifact[0] in WITH_A_MODEL and models & {taken.digest for taken in each.manifest.inputs}
    }
    waiting = list(found)
    for artifact in waiting:
        new = set(_made_from(artifact, known)) - found
        waiting += new
        found |= new
    return found


def _made_from(artifact: Artifact, known: dict[Artifact, _Known]) -> Iterator[Artifact]:
    if each := known.get(artifact):
        yield from ((taken.stage, taken.version) for taken in each.manifest.inputs)


def _size(each: _Known, alone: dict[str, int]) -> int:
    return each.entry.bytes + sum(alone.get(blob.name, 0) for blob in each.record.blobs)
