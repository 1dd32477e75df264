"""
What the store does to the disk, each as a scene that can be played, broken off, and played again.

A scene prepares a home folder, acts on it, and says what has to hold afterwards, whether or not it got to its end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from artifacts.archive.collect import collect
from artifacts.archive.names import Names
from artifacts.archive.runs import list_runs, unreadable_runs
from artifacts.bundle import MEMBERS, Member, Members
from artifacts.ref import Ref
from artifacts.remote.backend import Backend
from artifacts.remote.batches import Batches
from artifacts.remote.crew import Crew
from artifacts.remote.opening import open_backend
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.store.bundles import take_members
from artifacts.store.holds import Held, Hold
from artifacts.store.publishing import restore
from artifacts.store.store import Store
from artifacts.store.trust import FirstUse, Trusted
from schemas.remote import RemotePlace
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build, key_parts, publish

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = {"a": b"old", "b": b"more"}, {"a": b"new", "b": b"more"}
FIRST_USE = Trusted(
    place="0123456789abcdef",
    address="http://mirror/",
    sets={"own-01234567": "own"},
    since="2026-01-01T00:00:00+00:00",
    files={"own.gz": FirstUse(sha256="c" * 64, bytes=9)},
)


@dataclass(frozen=True)
class Scene:
    """
    Something that the store does.

    Args:
        prepare: fill an empty store.
        act:     do it; doing it again after it was broken off has to succeed.
        check:   what has to hold even when it was broken off.
        ended:   what has to hold once it was played to its end.
    """

    prepare: Callable[[Store], None]
    act: Callable[[Store], None]
    check: Callable[[Store], None]
    ended: Callable[[Store], None]


def content(store: Store, ref: Ref) -> bytes | None:
    """Return what the store serves of an artifact as a run would take it, every hash checked; None for nothing."""
    restore(store, ref.stage, ref.version)
    found = store.read(ref.stage, ref.version, fully=True)
    return found.ref.file("a").read_bytes() if found else None


def ref_of(salt: int, stage: str = "parse") -> Ref:
    """Return a reference that is good enough to look an artifact up."""
    return Ref(stage=stage, name="train", version=key_parts(stage, salt).version, digest="", manifest="")


def record(store: Store, run: str, salts: tuple[int, ...], state: str = "completed", minute: int = 0) -> None:
    """Write a run's record that used these artifacts."""
    rows = [stage_record(ref_of(salt)) for salt in salts]
    write_run(store, run, rows, minute=minute, state=state, dataset="own")


def three_artifacts(home: Path, files: dict[str, bytes]) -> Store:
    """Fill a store with three artifacts, the first of which the last run used."""
    store = Store(home)
    for salt in range(3):
        build(store, files, salt=salt)
    record(store, "a" * 12, (0,))
    return store


def _nothing(store: Store) -> None:
    pass


def _expect(salt: int, *allowed: bytes | None) -> Callable[[Store], None]:
    def check(store: Store) -> None:
        assert content(store, ref_of(salt)) in allowed

    return check


def _damage(store: Store) -> None:
    build(store, OLD)
    path = store.folder("parse", ref_of(0).version) / "a"
    path.chmod(0o644)
    path.write_bytes(b"bad")
    time.sleep(0.03)


def _heal(store: Store) -> None:
    if content(store, ref_of(0)) is None:
        build(store, OLD)


def _refresh(store: Store) -> None:
    restore(store, "parse", ref_of(0).version)
    build(store, NEW)


def _record(store: Store) -> None:
    record(store, "b" * 12, (0,), minute=1)


def _check_records(store: Store) -> None:
    assert {each.id for each in list_runs(store)} >= {"a" * 12}
    assert not unreadable_runs(store)


def _named(store: Store) -> None:
    for salt in (0, 1):
        build(store, OLD, salt=salt)
    Names(store).set_alias("champion", "parse", ref_of(0).version, NOW)


def _rename(store: Store) -> None:
    names, later = Names(store), NOW + timedelta(days=1)
    names.set_alias("champion", "parse", ref_of(1).version, later)
    names.pin_artifact("parse", ref_of(0).version, "good", later)


def _check_alias(store: Store) -> None:
    alias = Names(store).alias("champion")
    assert alias is not None
    versions = [placement.version for placement in alias.history]
    assert versions in ([ref_of(0).version], [ref_of(0).version, ref_of(1).version])
    assert len(Names(store).pins()) <= 1


def _check_renamed(store: Store) -> None:
    kept = Names(store).kept()
    assert kept.artifacts == {("parse", ref_of(salt).version) for salt in (0, 1)}


def _promotable(store: Store) -> None:
    for salt in (0, 1):
        build(store, OLD, salt=salt)
    Names(store).promote("champion@own", ("parse", ref_of(0).version), None, "0" * 16, None, NOW)


def _promote(store: Store) -> None:
    old, new = (("parse", ref_of(salt).version) for salt in (0, 1))
    names = Names(store)
    assert names.promote("champion@own", new, old, "1" * 16, "a reason", NOW) or names.aliases()[0].artifact == new


def _check_promoted(store: Store, *allowed: int) -> None:
    last = Names(store).alias("champion").history[-1]
    assert (last.version, last.verdict) in [(ref_of(salt).version, f"{salt}" * 16) for salt in allowed or (0, 1)]


def _crowded(store: Store) -> None:
    """Artifact 0 is held by the last run, 1 by an alias, 2 by a pin, 3 and 4 by nothing, 5 is unfinished; leftovers."""
    for salt in range(5):
        build(store, OLD, salt=salt)
    record(store, "a" * 12, (3,))
    record(store, "b" * 12, (0,), minute=1)
    names = Names(store)
    names.set_alias("champion", "parse", ref_of(1).version, NOW)
    names.pin_artifact("parse", ref_of(2).version, "", NOW)
    (store.folder("parse", ref_of(5).version)).mkdir()
    staging = store.artifacts / "parse" / f".staging-{ref_of(6).version}-1"
    staging.mkdir()
    (staging / "half").write_bytes(b"half")
    store.quarantined.take(_stray(store), "parse", "it was damaged")
    os.utime(store.incoming, (0, 0))


def _stray(store: Store) -> Path:
    path = store.artifacts / "stray"
    path.write_bytes(b"?")
    return path


def _clean_up(store: Store) -> None:
    collect(store, keep=1, older_than=None, now=datetime.now(UTC))


def _check_held(store: Store) -> None:
    for salt in (0, 1, 2):
        assert content(store, ref_of(salt)) == b"old"


def _check_gone(store: Store) -> None:
    assert {version for _, version in store.versions()} == {ref_of(salt).version for salt in (0, 1, 2)}
    assert not list(store.artifacts.glob("*/.*"))
    assert not list(store.quarantined.folder.glob("*/*"))
    assert not (store.home / "trash").exists()


def _trust(store: Store) -> None:
    store.trust.write(FIRST_USE)
    assert store.trust.read(FIRST_USE.place) == FIRST_USE


def _check_trust(store: Store) -> None:
    assert store.trust.read(FIRST_USE.place) in (None, FIRST_USE)


def _restored(store: Store) -> None:
    build(store, OLD)
    publish(store, NEW)


def _torn(store: Store) -> None:
    """Artifact 0 and the successor of artifact 1 were published, and Prefect's write of their results was torn."""
    build(store, OLD, salt=1)
    for salt, content in ((0, OLD), (1, NEW)):
        ref = publish(store, content, salt=salt)
        whole = json.dumps(ref.model_dump())
        (store.folder("parse", ref.version) / "result.json").write_text(whole[: len(whole) // 2])


def _mend(store: Store) -> None:
    _heal(store)
    assert content(store, ref_of(1)) == b"old"


def _check_torn(store: Store) -> None:
    assert content(store, ref_of(0)) in (None, b"old")
    assert content(store, ref_of(1)) == b"old"


def _hold(store: Store) -> None:
    with Hold(store.holds, "c" * 12) as hold:
        for salt in (0, 1):
            hold.add("parse", ref_of(salt).version)


def _check_hold(store: Store) -> None:
    assert all(("parse", ref_of(salt).version) in Held(store.holds) for salt in (0, 1))


def _remote_of(store: Store) -> Backend:
    """Return a remote in a folder beside all home folders of a test."""
    return open_backend(RemotePlace(url=(store.home.parent / "shared").as_uri()))


def _shared(store: Store) -> None:
    other = Store(store.home.parent / "other")
    ref = build(other, {"a": b"old" * 9000, "b": b"more", "c": b"large" * 300_000})
    with Crew(1) as crew:
        Pushing(_remote_of(store), other, crew).push(ref.stage, ref.version)


def _pull(store: Store) -> None:
    with Crew(1) as crew, store.waited_for("parse", ref_of(0).version):
        restore(store, "parse", ref_of(0).version)
        if store.read("parse", ref_of(0).version, locked=True) is None:
            Pulling(_remote_of(store), store, crew).pull("parse", ref_of(0).version)


def _shared_small(store: Store) -> None:
    """Have three small artifacts in the remote; here one of them was not finished, and one was in the works."""
    other = Store(store.home.parent / "other")
    with Crew(1) as crew:
        for salt in range(3):
            ref = build(other, OLD, salt=salt)
            Pushing(_remote_of(store), other, crew).push(ref.stage, ref.version)
    publish(store, NEW, salt=1)
    (store.artifacts / "parse" / f".staging-{ref_of(2).version}-{os.getpid()}").mkdir()


def _pull_many(store: Store) -> None:
    with Crew(1) as requests, Crew(1) as crew, Hold(store.holds, "d" * 12):
        pulling = Pulling(_remote_of(store), store, requests)
        wanted = [("parse", ref_of(salt).version) for salt in range(3)]
        found = Batches(pulling, store, requests, crew, "d" * 12, lambda _: None).pull(wanted)
        assert all(pulled.stored for pulled in found.values())


def _check_many(*allowed: bytes | None) -> Callable[[Store], None]:
    def check(store: Store) -> None:
        for salt in range(3):
            assert content(store, ref_of(salt)) in allowed

    return check


def _bundle(store: Store) -> None:
    """Make a bundle of two artifacts, of which one is damaged."""
    refs = [build(store, {**OLD, "a": b"old"}, salt=salt) for salt in (0, 1)]
    members = [Member(stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest) for ref in refs]
    build(store, {MEMBERS: Members(members=tuple(members)).model_dump_json().encode()}, "bundle")
    time.sleep(0.03)
    path = store.folder("parse", ref_of(1).version) / "a"
    path.chmod(0o644)
    path.write_bytes(b"bad")


def _take_bundle(store: Store) -> None:
    version = key_parts("bundle").version
    with Hold(store.holds, "d" * 12), store.waited_for("bundle", version):
        for _ in range(2):
            if (stored := store.read("bundle", version, locked=True)) and take_members(
                store, stored, "d" * 12, lambda *_: None
            ):
                return
            if content(store, ref_of(1)) is None:
                build(store, OLD, salt=1)
        raise AssertionError("it is not taken though all is there")


def _check_many_of_bundle(store: Store) -> None:
    assert [content(store, ref_of(salt)) for salt in (0, 1)] == [b"old", b"old"]


def _check_bundle(store: Store) -> None:
    assert content(store, ref_of(0)) == b"old"
    assert content(store, ref_of(1)) in (None, b"old")


SCENES = {
    "an artifact": Scene(_nothing, lambda store: _build(store, OLD), _expect(0, None, b"old"), _expect(0, b"old")),
    "an artifact rebuilt": Scene(
        lambda store: _build(store, OLD), _refresh, _expect(0, b"old", b"new"), _expect(0, b"new")
    ),
    "an artifact brought back": Scene(
        _restored, lambda store: restore(store, "parse", ref_of(0).version), _expect(0, b"old"), _expect(0, b"old")
    ),
    "a damaged artifact": Scene(_damage, _heal, _expect(0, None, b"old"), _expect(0, b"old")),
    "a torn result": Scene(_torn, _mend, _check_torn, _expect(0, b"old")),
    "a hold": Scene(_nothing, _hold, _nothing, _check_hold),
    "a run's record": Scene(lambda store: record(store, "a" * 12, (0,)), _record, _check_records, _nothing),
    "an alias and a pin": Scene(_named, _rename, _check_alias, _check_renamed),
    "a promotion": Scene(_promotable, _promote, _check_promoted, lambda store: _check_promoted(store, 1)),
    "a clean-up": Scene(_crowded, _clean_up, _check_held, _check_gone),
    "a pull": Scene(_shared, _pull, _expect(0, None, b"old" * 9000), _expect(0, b"old" * 9000)),
    "a pull of many": Scene(_shared_small, _pull_many, _check_many(None, b"old"), _check_many(b"old")),
    "a bundle taken": Scene(_bundle, _take_bundle, _check_bundle, _check_many_of_bundle),
    "a first use": Scene(_nothing, _trust, _check_trust, _check_trust),
}


def _build(store: Store, content: dict[str, bytes]) -> None:
    build(store, content)
