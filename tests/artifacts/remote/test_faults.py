"""Faults of a remote: the process dies at any call, the server lies, cuts and flips; nothing false is ever believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.audit import Auditor
from artifacts.remote import link
from artifacts.remote.backend import Backend, Entry, Got, RemoteAway
from artifacts.remote.crew import Crew
from artifacts.remote.layout import Unbelievable, read_record
from artifacts.remote.opening import open_backend
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.remote.shared import Shared
from artifacts.store.store import Store
from schemas.remote import RemotePlace
from tests.artifacts.building import build
from tests.artifacts.remote.server import Bucket, Fault, bucket
from tests.artifacts.remote.test_shared import NOW, pipeline

__all__ = ["bucket"]
CONTENTS = {"small": b"{}", "packed": b"p" * 60_000, "large": b"l" * 1_200_000}
METHODS = ("get", "put_new", "replace", "list", "stat", "delete")


class Died(BaseException):
    """The process is dead."""


@dataclass
class Dying(Backend):
    """
    A remote at whose call number `at` the process dies, the first being 0.

    Args: after: only when the server has done it.
    """

    backend: Backend
    at: int
    after: bool
    calls: int = 0

    def _call(self, name: str, *arguments: Any) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if number > self.at or (number == self.at and not self.after):
            raise Died
        done = getattr(self.backend, name)(*arguments)
        if number == self.at:
            raise Died
        return done

    def get(self, name: str, most: int) -> Got | None:
        found: Got | None = self._call("get", name, most)
        return found

    def put_new(self, name: str, content: bytes | memoryview) -> bool:
        return bool(self._call("put_new", name, content))

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        return bool(self._call("replace", name, content, tag))

    def list(self, prefix: str) -> Iterator[Entry]:
        yield from list(self._call("list", prefix))

    def stat(self, name: str) -> Entry | None:
        found: Entry | None = self._call("stat", name)
        return found

    def delete(self, name: str) -> None:
        self._call("delete", name)


@pytest.fixture
def folder(tmp_path: Path) -> RemotePlace:
    """A remote in a folder."""
    return RemotePlace(url=(tmp_path / "shared").as_uri())


def sound(place: RemotePlace, store: Store) -> None:
    """Hold everything in a remote and in a store against what it says it is."""
    with closing(Shared(place, store)) as shared:
        assert shared.verify(fix=False).problems == ()
    assert Auditor(store, everything=True, repair=False).run(NOW).problems == ()


ACTS: dict[str, Callable[[Shared], object]] = {
    "push": lambda shared: shared.push(),
    "pull": lambda shared: shared.pull(),
    "gc": lambda shared: shared.collect(keep=0, grace=timedelta(0), really=True),
    "fix": lambda shared: shared.verify(fix=True),
}
"""What a process does with a remote in which another home's run lies."""


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 9])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["push", "pull", "gc", "fix"])
def test_a_process_that_dies_at_any_call_leaves_nothing_false(
    name: str, after: bool, stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying before or after each call in turn: both sides are sound, and the next try comes to its end."""
    monkeypatch.setattr("artifacts.remote.shared.AT_ONCE", 1)
    monkeypatch.setattr("artifacts.remote.shared.AHEAD", 1)
    monkeypatch.setattr("artifacts.remote.lease.LASTS", 0.05)
    at, ended = 0, False
    while not ended:
        place = RemotePlace(url=(tmp_path / f"{at}" / "shared").as_uri())
        (tmp_path / f"{at}").mkdir()
        mine, others = Store(tmp_path / f"{at}" / "mine"), Store(tmp_path / f"{at}" / "others")
        pipeline(mine, "a" * 12)
        pipeline(others, "b" * 12, salt=1)
        if name == "gc":
            build(others, {"big": b"z" * 1_100_000}, "score", 9)
        with closing(Shared(place, others)) as shared:
            shared.push()
        try:
            with closing(Shared(place, mine, Dying(open_backend(place), at, after))) as shared:
                ACTS[name](shared)
            ended = True
        except Died:
            sound(place, mine)
            sound(place, others)
        with closing(Shared(place, mine)) as shared:
            ACTS[name](shared)
            assert name != "push" or shared.status().only_here == 0
        sound(place, mine)
        at += stride
    assert at > 9


def pulled(place: RemotePlace, store: Store, stage: str, version: str) -> object:
    """Pull an artifact, under its lock."""
    with Crew(4) as crew, store.waited_for(stage, version):
        return Pulling(open_backend(place), store, crew).pull(stage, version)


@pytest.mark.parametrize("kind", ["flip", "lie"])
@pytest.mark.parametrize("object_", ["artifacts/", "blobs/"])
def test_an_answer_that_is_not_what_was_put_is_not_believed(
    kind: str, object_: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped bit, half a body: the pull fails, nothing is published, and once the server is right it succeeds."""
    monkeypatch.setattr("artifacts.remote.objects.ANSWER", 1.0)
    monkeypatch.setattr("artifacts.remote.objects.LEAST", 0.5)
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    ref = build(here, CONTENTS)
    with Crew(4) as crew:
        Pushing(open_backend(bucket.place), here, crew).push(ref.stage, ref.version)
    bucket.faults.append(Fault(lambda method, name: method == "GET" and name.startswith(object_), kind))
    with pytest.raises((Unbelievable, RemoteAway)):
        pulled(bucket.place, there, ref.stage, ref.version)
    assert list(there.versions()) == []
    bucket.faults.clear()
    assert pulled(bucket.place, there, ref.stage, ref.version) is not None
    sound(bucket.place, there)


@pytest.mark.parametrize("kind", ["error", "cut", "drop"])
def test_a_server_that_stumbles_is_asked_again(kind: str, bucket: Bucket, tmp_path: Path) -> None:
    """An error, a cut, an answer that is lost: once each, and the artifact travels all the same, there and back."""
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    ref = build(here, CONTENTS)
    for method in ("PUT", "GET"):
        for start in ("artifacts/", "blobs/"):
            bucket.faults.append(
                Fault(lambda m, n, method=method, start=start: m == method and n.startswith(start), kind, times=1)  # type: ignore[misc]
            )
    with Crew(4) as crew:
        pushed = Pushing(open_backend(bucket.place), here, crew).push(ref.stage, ref.version)
    assert pushed.state in ("pushed", "there")
    assert pulled(bucket.place, there, ref.stage, ref.version) is not None
    sound(bucket.place, there)


def forged(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a record that somebody has changed."""
    record = json.loads(content)
    change(record)
    return json.dumps(record).encode()


def rename_first(name: str) -> Callable[[dict[str, Any]], None]:
    """Call a file otherwise, in the record and in its manifest, digests and all."""

    def change(record: dict[str, Any]) -> None:
        from artifacts.keys import content_digest

        manifest = json.loads(record["manifest"])
        manifest["files"] = {name if each == "small" else each: entry for each, entry in manifest["files"].items()}
        manifest["digest"] = content_digest({each: entry["content"] for each, entry in manifest["files"].items()})
        record["files"] = {name if each == "small" else each: entry for each, entry in record["files"].items()}
        record |= {"manifest": json.dumps(manifest), "digest": manifest["digest"]}

    return change


def enlarge(record: dict[str, Any]) -> None:
    """Say that a file has a petabyte."""
    manifest = json.loads(record["manifest"])
    manifest["files"]["large"]["bytes"] = 10**15
    record["manifest"] = json.dumps(manifest)


def spread(record: dict[str, Any]) -> None:
    """Say that a file is the same blob over and over, a petabyte of it."""
    enlarge(record)
    blob = len(record["blobs"]) - 1
    size = record["blobs"][blob]["bytes"]
    record["files"]["large"]["spans"] = [[blob, 0, size]] * (10**15 // size // 10**4)


FORGERIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "up": rename_first("../../../evil"),
    "absolute": rename_first("/tmp/evil"),
    "folder": rename_first("a/b"),
    "hidden": rename_first(".evil"),
    "store's own": rename_first("record.json"),
    "long": rename_first("x" * 300),
    "line break": rename_first("a\nb"),
    "nothing": rename_first(""),
    "huge": enlarge,
    "bomb": spread,
    "blob twice": lambda record: (
        record["files"]["large"]["spans"].reverse() or record["blobs"].append(record["blobs"][0])
    ),
    "beyond": lambda record: record["files"]["packed"].update(spans=[[0, 10**9, 5]]),
    "no such blob": lambda record: record["files"]["packed"].update(spans=[[99, 0, 60_000]]),
    "negative": lambda record: record["files"]["packed"].update(spans=[[0, -1, 60_000]]),
    "path as a blob": lambda record: record["blobs"][0].update(called="../../idxflow.json"),
    "giant blob": lambda record: record["blobs"][0].update(bytes=10**12),
    "other stage": lambda record: record.update(stage="train"),
    "stage as a path": lambda record: record.update(stage="../evil"),
    "other digest": lambda record: record.update(digest="0" * 64),
    "newer": lambda record: record.update(format=2),
    "bad base64": lambda record: record["files"]["small"].update(inline="!!"),
    "missing file": lambda record: record["files"].pop("small"),
    "deep": lambda record: record.update(manifest="[" * 100_000),
    "no text": lambda record: record.update(manifest=None),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_record_is_refused(how: str, bucket: Bucket, tmp_path: Path) -> None:
    """Names that lead elsewhere, absurd sizes, blobs that there are not: refused before a byte is written."""
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    ref = build(here, CONTENTS)
    with Crew(4) as crew:
        Pushing(open_backend(bucket.place), here, crew).push(ref.stage, ref.version)
    name = f"artifacts/{ref.stage}/{ref.version}.json"
    good = bucket.named()[name]
    read_record(good, ref.stage, ref.version)
    bucket.put(name, forged(good, FORGERIES[how]))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Unbelievable):
        pulled(bucket.place, there, ref.stage, ref.version)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and "locks" not in str(path)] == []
    run_link = link.Link(bucket.place, there.home)
    with there.waited_for(ref.stage, ref.version):
        assert run_link.fetch(there, ref.stage, ref.version, "0" * 12) is None
    assert list(there.versions()) == []


def test_two_hosts_push_one_thing_at_once(bucket: Bucket, tmp_path: Path) -> None:
    """Eight hosts that have computed the same push it together: one record, sound, and each is told pushed or there."""
    stores = [Store(tmp_path / str(number)) for number in range(8)]
    refs = [build(store, CONTENTS, created=f"2026-01-0{n + 1}T00:00:00+00:00") for n, store in enumerate(stores)]
    with Crew(8) as outer, Crew(8) as inner:
        backend = open_backend(bucket.place)
        pushed = outer.each(
            lambda store: Pushing(backend, store, inner).push(refs[0].stage, refs[0].version).state, stores, 8
        )
        states = sorted(pushed)
    assert states == ["pushed"] + ["there"] * 7
    sound(bucket.place, stores[3])


def test_links_in_a_shared_folder_lead_nowhere(folder: RemotePlace, tmp_path: Path) -> None:
    """A link where a folder of the remote belongs is refused, and nothing is written behind it."""
    here, elsewhere = Store(tmp_path / "here"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "artifacts").symlink_to(elsewhere)
    ref = build(here, CONTENTS)
    assert link.Link(folder, here.home).push(here, ref.stage, ref.version, "0" * 12) is None
    assert list(elsewhere.iterdir()) == []
