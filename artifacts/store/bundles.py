"""
The members of a bundle, looked at as one when the bundle is used: what every run takes again costs a look, no reading.

A member counts as what it was where no file of its folder looks otherwise, by size, inode and times, than when it was
last checked: manifest, result and commit record as well as data. That is noted beside the hashes of the bundle's own
file, in its `hashed.json`. Any other member is checked as an artifact that is used alone; whoever reads one hashes it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from artifacts.bundle import BUNDLE, MEMBERS, Member, Members, bundles_in
from artifacts.code import TICK
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.run_record import StageRecord
from artifacts.store import files
from artifacts.store.holds import hold_all
from artifacts.store.integrity import Damage, Stored, hashed_notes, remember_hashed
from artifacts.store.publishing import restore
from artifacts.store.store import Store
from schemas.errors import StoreError

NOTE = "hashed.json"
Fetch = Callable[[str, str], Stored | None]
"""Takes an artifact from elsewhere while its lock is held; None: it is nowhere."""


def members_of(folder: Path) -> tuple[Member, ...]:
    """Read the members of a bundle that lies in a folder. Raises: Damage: they do not read."""
    try:
        look = (folder / MEMBERS).lstat()
        return _members(folder / MEMBERS, look.st_ino, look.st_mtime_ns, look.st_ctime_ns)
    except (OSError, ValidationError) as error:
        raise Damage(f"{MEMBERS} does not read") from error


@lru_cache(maxsize=4096)
def _members(path: Path, *_look: int) -> tuple[Member, ...]:
    return Members.model_validate_json(files.read_plain(path)).members


def take_members(store: Store, stored: Stored, run: str, fetch: Fetch) -> bool:
    """
    See that all members of a bundle are here, as they were, and hold them for a run; what is not here is fetched.

    The caller holds the lock of the bundle. Where nothing has changed this takes a look at each folder and one line.

    Returns: whether all are; if not, those that are damaged are in quarantine by now.
    Raises:  StoreError: the disk.
    """
    try:
        members = tuple(dict.fromkeys(members_of(stored.folder)))
    except Damage:
        return False
    notes, when = hashed_notes(stored.folder)
    looks = dict[str, object]()
    with store.holding():  # a clean-up takes nothing between the look and the hold
        for member in members:
            if look := _unchanged(store, member, notes, when):
                looks[_key(member)] = look
        hold_all(store.holds, run, [member.artifact for member in members if _key(member) in looks])
    others = [member for member in members if _key(member) not in looks]
    for member in others:
        with store.waited_for(*member.artifact):
            restore(store, *member.artifact)
            before = look_of(store.folder(*member.artifact))
            found = store.read(*member.artifact, locked=True)
            if found is None:
                found, before = fetch(*member.artifact), None
            if found is None or found.ref.digest != member.digest:
                return False
            hold_all(store.holds, run, [member.artifact])
            after = look_of(store.folder(*member.artifact))
            if after and (before is None or before == after):
                looks[_key(member)] = after[0]
    if others:
        # What is carried over has been proven: a note that was taken too soon after a change is not made older by this.
        known = notes.get(MEMBERS)
        proven = isinstance(known, list) and known and isinstance(known[-1], int) and when - known[-1] > TICK
        remember_hashed(stored.folder, {}, {**({MEMBERS: known} if proven else {}), **looks})
    return True


def has_members(store: Store, stored: Stored) -> bool:
    """Tell whether all members of a bundle are here and whole, as `take_members` would find, and change nothing."""
    try:
        members = dict.fromkeys(members_of(stored.folder))
        notes, when = hashed_notes(stored.folder)
        for member in members:
            if _unchanged(store, member, notes, when):
                continue
            found = store.inspect(*member.artifact)
            if found is None or found.ref.digest != member.digest:
                return False
    except (Damage, StoreError):
        return False
    return True


def _unchanged(store: Store, member: Member, notes: Mapping[str, object], when: int) -> str:
    """Return how a member looks if that is how it looked when it was last checked, else nothing. Args: when: noted."""
    look, newest = look_of(store.folder(*member.artifact)) or ("", 0)
    return look if notes.get(_key(member)) == look and when - newest > TICK else ""


def look_of(folder: Path) -> tuple[str, int] | None:
    """
    Say how the files of a committed artifact look, without reading any.

    Returns: a digest of their names, sizes, inodes and times, and the newest of those times, in nanoseconds; None where
             there is none, or something in it is no plain file.
    """
    seen, newest, path = [], 0, str(folder)
    try:
        above = os.path.dirname(path)  # noqa: PTH120 - of thousands of folders a path takes most of the time
        if not stat.S_ISDIR(os.lstat(path).st_mode) or stat.S_ISLNK(os.lstat(above).st_mode):
            return None
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name == NOTE or entry.name.startswith("."):
                    continue
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    return None
                seen.append((entry.name, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
                newest = max(newest, status.st_ctime_ns)
    except OSError:
        return None
    if not any(name == "record.json" for name, *_ in seen):
        return None
    return hashlib.sha256(repr(sorted(seen)).encode()).hexdigest()[:32], newest


def expanded(store: Store, refs: Iterable[Ref]) -> dict[Ref, list[Ref]]:
    """
    Hash the bundles among some artifacts, and return the members of each, as references.

    Raises: ArtifactDamaged: one is not what it was; it is in quarantine now.
    """
    found = dict[Ref, list[Ref]]()
    for ref in bundles_in(refs):
        folder = store.opened(ref)
        try:
            found[ref] = [member.ref for member in members_of(folder)]
        except Damage as damage:
            raise StoreError(
                f"artifact {ref.stage} {ref.version}",
                expected="a list of artifacts",
                found=str(damage),
                way_out=f"Delete {folder}, and run again.",
            ) from damage
    return found


def spread_refs(store: Store, refs: Iterable[Ref]) -> list[Ref]:
    """Return references with those of members where bundles are; of a bundle that does not read itself."""
    found = list[Ref]()
    for ref in refs:
        members = _known(store, ref.stage, ref.version)
        found += [ref] if members is None else [member.ref for member in members]
    return found


def spread_inputs(store: Store, inputs: Sequence[Input]) -> tuple[Input, ...]:
    """Return what an artifact was made from, members of bundles in their places; a bundle that is gone as itself."""
    if not any(taken.stage == BUNDLE for taken in inputs):
        return tuple(inputs)
    found = list[Input]()
    for taken in inputs:
        members = _known(store, taken.stage, taken.version)
        if members is None:
            found.append(taken)
            continue
        found += [
            Input(argument=taken.argument, stage=each.stage, name=each.name, version=each.version, digest=each.digest)
            for each in members
        ]
    return tuple(found)


def spread_rows(store: Store, rows: Iterable[StageRecord]) -> list[StageRecord]:
    """Return rows of a run's record with a row for each member where those of bundles are, cached as the bundle is."""
    found = list[StageRecord]()
    for row in rows:
        members = _known(store, row.stage, row.version)
        if members is None:
            found.append(row)
            continue
        found += [
            StageRecord(
                stage=each.stage,
                name=each.name,
                version=each.version,
                cached=True,
                seconds=0,
                bytes=0,
                path=str(store.folder(each.stage, each.version)),
                fetched=row.fetched,
            )
            for each in members
        ]
    return found


def _known(store: Store, stage: str, version: str) -> tuple[Member, ...] | None:
    """Return the members of a bundle; None of any other artifact, and of one that does not read."""
    if stage != BUNDLE:
        return None
    try:
        return members_of(store.folder(stage, version))
    except Damage:
        return None


def _key(member: Member) -> str:
    return "/".join(member.artifact)
