"""
Clean-up: what nothing holds any more goes, and it is safe at any time.

An artifact is taken under its own lock, and only if no living run holds it: a run notes what it uses under the same
lock, or, of many at once, under one that all clean-ups take as well (`Store.holding`). Names do not change meanwhile
(`Names.changing`). What goes is first moved aside, whole, and then deleted.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.leftovers import FOREIGN, RESUMABLE, Leftover, LeftoverKind, find_leftovers, touched
from artifacts.archive.names import Names
from artifacts.archive.roots import Artifact, Graph, find_roots, read_graph
from artifacts.store import files
from artifacts.store.disk import LinkRefused, disk
from artifacts.store.flock import delete_unlocked
from artifacts.store.holds import Held, forget_dead
from artifacts.store.links import linked_folders, real_folders
from artifacts.store.locks import Locks
from artifacts.store.publishing import restore
from artifacts.store.store import REPLACED_PREFIX, Store


class Candidate(BaseModel):
    """
    Something that a clean-up takes away.

    Args:
        subject: as a person would name it: stage and version, or the path below the home folder.
        reason:  why it can go.
        bytes:   size of all that is in it.
    """

    model_config = ConfigDict(frozen=True)
    kind: LeftoverKind | Literal["artifact"]
    subject: str
    reason: str
    bytes: int
    path: Path = Field(exclude=True)
    artifact: Artifact | None = Field(default=None, exclude=True)


class Cleanup(BaseModel):
    """
    What a clean-up took away, or would.

    Args:
        done:      whether it did.
        spared:    those of `candidates` that somebody had begun to use by the time it was their turn.
        kept, kept_bytes: the artifacts that stay.
        links:     below the home folder; nothing behind them was looked at, and they stay.
    """

    model_config = ConfigDict(frozen=True)
    done: bool
    candidates: tuple[Candidate, ...]
    spared: tuple[Candidate, ...] = ()
    kept: int
    kept_bytes: int
    links: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all that went, or would."""
        return sum(candidate.bytes for candidate in self.candidates) - sum(each.bytes for each in self.spared)


def survey(store: Store, *, keep: int, older_than: timedelta | None, now: datetime) -> Cleanup:
    """
    Say what a clean-up would take away; nothing but lock files is touched.

    Args:
        keep:       how many completed runs of each data set hold what they used.
        older_than: spare what was made since; None: spare nothing for its age.
    Raises: StoreError: an alias or a pin does not read.
    """
    held, graph = Held(store.holds, only_living=True), read_graph(store)
    roots = find_roots(store, graph, keep)

    def is_young(moment: datetime) -> bool:
        return older_than is not None and now - moment < older_than

    going = [
        artifact
        for artifact in graph
        if artifact not in roots and artifact not in held and not is_young(_made(store, graph, artifact))
    ]
    leftovers = [
        each
        for each in find_leftovers(store, now)
        if each.kind != FOREIGN and each.artifact not in held and not is_young(each.touched)
    ]
    unfinished = {each.artifact for each in leftovers if each.kind == "unfinished"}
    candidates = (
        *(_artifact(store, artifact, keep) for artifact in going if artifact not in unfinished),
        *(_leftover(store, each) for each in leftovers),
    )
    stays = graph.keys() - set(going) - unfinished
    kept_bytes = sum(_size(store, artifact) for artifact in stays)
    links = tuple(path.relative_to(store.home).as_posix() for path in linked_folders(store.home))
    return Cleanup(done=False, candidates=candidates, kept=len(stays), kept_bytes=kept_bytes, links=links)


def collect(store: Store, *, keep: int, older_than: timedelta | None, now: datetime) -> Cleanup:
    """
    Take away what `survey` finds, but for what somebody has begun to use meanwhile.

    Raises: StoreError: an alias or a pin does not read, or the disk; what has gone by then was meant to go.
    """
    with Names(store).changing(), disk(store.home):
        _settle(store)
        # From here on the holds of runs that end stay, so that each artifact of theirs is seen, here or in a record.
        forget_dead(store.holds)
        found, held = survey(store, keep=keep, older_than=older_than, now=now), Held(store.holds)
        spared = tuple(each for each in found.candidates if not _take(store, each, held, now))
        for folder in {each.path.parent for each in found.candidates if each.kind == "artifact"}:
            files.sync(folder)
        files.remove_folder(store.home / "trash")
        _forget_locks(store)
    artifacts = [each for each in spared if each.kind == "artifact"]
    return found.model_copy(
        update={
            "done": True,
            "spared": spared,
            "kept": found.kept + len(artifacts),
            "kept_bytes": found.kept_bytes + sum(each.bytes for each in artifacts),
        }
    )


def _take(store: Store, candidate: Candidate, held: Held, now: datetime) -> bool:
    """Move an artifact out of the store, or delete a leftover. Returns: False when somebody uses it."""
    if candidate.kind == "download":
        return _take_download(store, candidate.path, now)
    if candidate.artifact is None:
        _remove(candidate.path)
        return True
    with store.locked(*candidate.artifact) as had, store.holding(alone=True):
        if not had or candidate.artifact in held:
            return False
        if candidate.kind == "artifact":
            restore(store, *candidate.artifact)  # what lies aside goes with it
            trash = store.home / "trash"
            files.make_folder(trash)
            # One flush of each stage's folder at the end will do: what comes back after a power cut is whole.
            with contextlib.suppress(FileNotFoundError):
                files.DISK.rename(candidate.path, trash / "-".join(candidate.artifact))
        elif candidate.kind in ("staging", "checkpoints") or not store.is_committed(*candidate.artifact):
            _remove(candidate.path)
        else:
            return False  # it was brought back meanwhile
    return True


def _take_download(store: Store, path: Path, now: datetime) -> bool:
    """Delete a half download, unless a run goes on with it; its lock has the name of its part."""
    with Locks(store.incoming / "locks").tried(path.name.removesuffix(".json")) as had:
        if not had or now - touched(path) <= RESUMABLE:
            return False
        _remove(path)
        return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        files.remove_folder(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            files.remove_file(path)


def _settle(store: Store) -> None:
    """Bring back what killed runs had put aside, and empty what a killed clean-up left."""
    for path in store.hidden(REPLACED_PREFIX):
        stage, version = path.parent.name, path.name.removeprefix(REPLACED_PREFIX)
        with store.locked(stage, version) as had:
            if had:
                restore(store, stage, version)
    files.remove_folder(store.home / "trash")


def _forget_locks(store: Store) -> None:
    """Delete the lock files that nobody holds; that of names is the clean-up's own."""
    folders = [store.locks, *(path for path in real_folders(store.incoming) if path.name == "locks")]
    for path in (path for folder in folders for path in folder.glob("*.lock")):
        with contextlib.suppress(LinkRefused):  # it is told whoever needs that lock
            delete_unlocked(path)


def _artifact(store: Store, artifact: Artifact, keep: int) -> Candidate:
    return Candidate(
        kind="artifact",
        subject="/".join(artifact),
        reason=f"no alias, no pin, not in the last {'run' if keep == 1 else f'{keep} runs'}",
        bytes=_size(store, artifact),
        path=store.folder(*artifact),
        artifact=artifact,
    )


def _leftover(store: Store, leftover: Leftover) -> Candidate:
    return Candidate(
        kind=leftover.kind,
        subject=str(leftover.path.relative_to(store.home)),
        reason=leftover.reason,
        bytes=leftover.bytes,
        path=leftover.path,
        artifact=leftover.artifact,
    )


def _size(store: Store, artifact: Artifact) -> int:
    return files.size_of(store.folder(*artifact)) + files.size_of(store.replaced(*artifact))


def _made(store: Store, graph: Graph, artifact: Artifact) -> datetime:
    try:
        return datetime.fromisoformat(graph[artifact].created).astimezone(UTC)
    except ValueError:
        return touched(store.folder(*artifact))
