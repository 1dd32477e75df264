"""
Kinds of faults of a remote, each walked by the same way: a run under it completes, believes nothing that it has not
verified, and leaves a remote that is sound once whoever looks at it has looked.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.keys import KeyParts
from artifacts.remote import link, objects
from artifacts.remote.shared import Shared
from artifacts.run_record import Record
from artifacts.store import files
from artifacts.store.store import Store
from schemas.errors import IdxflowError
from schemas.remote import RemoteError
from tests.artifacts.building import build
from tests.artifacts.remote.server import PREFIX, Bucket, Fault, bucket
from tests.artifacts.remote.test_runs import run, use
from tests.artifacts.remote.test_shared import NOW
from tests.processes import PROJECT

__all__ = ["bucket"]
Answer = tuple[int, bytes, dict[str, str]]
Chosen = Callable[[str, str], bool]


@dataclass
class Scene:
    """What a kind is let loose on: a server with what host A has put there, and the folder of all homes."""

    bucket: Bucket
    folder: Path
    patch: pytest.MonkeyPatch

    @property
    def records(self) -> list[str]:
        """Names of the records of artifacts."""
        return sorted(self.bucket.named("artifacts/"))

    @property
    def blobs(self) -> list[str]:
        """Names of the blobs."""
        return sorted(self.bucket.named("blobs/"))


Kind = Callable[[Scene], None]
"""Begins a fault; what the server does wrong by itself ends with `Bucket.faults`."""


def to(method: str, start: str = "") -> Chosen:
    """Choose the requests of a method, or of several, whose name begins so."""
    return lambda asked, name: asked in method.split() and name.startswith(start)


def fault(chosen: Chosen, kind: str, value: float = 503, times: int = 10**9, later: int = 0) -> Kind:
    """Have the server do that to requests; see `Fault`."""
    return lambda scene: scene.bucket.faults.append(Fault(chosen, kind, value, times, later))


def answer(chosen: Chosen, change: Callable[[int, bytes, dict[str, str]], Answer]) -> Kind:
    """Have the server change its answers."""
    return lambda scene: scene.bucket.faults.append(Fault(chosen, "answer", change=change))


def store(chosen: Chosen, change: Callable[[bytes], bytes]) -> Kind:
    """Have the server keep something else than it was given."""
    return lambda scene: scene.bucket.faults.append(
        Fault(chosen, "store", change=lambda status, body, headers: (status, change(body), headers))
    )


def rewrite(start: str, change: Callable[[bytes], bytes | None]) -> Kind:
    """Change what lies there already, or take it away."""

    def kind(scene: Scene) -> None:
        for name, content in scene.bucket.named(start).items():
            if (new := change(content)) is None:
                scene.bucket.drop(name)
            else:
                scene.bucket.put(name, new)

    return kind


def clock(ahead: float, skew: float | None = None) -> Kind:
    """Have the server's clock go wrong. Args: skew: seconds by which requests may be off; None: it is not minded."""

    def kind(scene: Scene) -> None:
        scene.bucket.ahead, scene.bucket.skew = ahead, skew

    return kind


def host_clock(ahead: float) -> Kind:
    """Have the clock of the host go wrong, as far as Python reads it."""

    def kind(scene: Scene) -> None:
        now = time.time
        scene.patch.setattr(time, "time", lambda: now() + ahead)

    return kind


def at(endpoint: str) -> Kind:
    """Have the remote be somewhere else."""
    return lambda scene: use(scene.bucket.place.model_copy(update={"endpoint": endpoint}), scene.patch)


def listed(change: Callable[[str], str]) -> Kind:
    """Have lists changed."""
    return answer(to("LIST"), lambda status, body, headers: (status, change(body.decode()).encode(), _sized(headers)))


def _sized(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Content-Length"}


def first_items(text: str) -> str:
    """Leave the first object of a list only, and call it whole."""
    items = re.findall(r"<Contents>.*?</Contents>", text)
    for item in items[1:]:
        text = text.replace(item, "")
    return text.replace("<IsTruncated>true", "<IsTruncated>false")


def twice(text: str) -> str:
    """List everything twice."""
    return re.sub(r"(<Contents>.*</Contents>)", r"\1\1", text)


def ghosts(text: str) -> str:
    """List objects that are not there, and names that lead elsewhere."""
    made = "".join(
        f"<Contents><Key>{PREFIX}/{name}</Key><Size>5</Size><ETag>&quot;0&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for name in ("artifacts/parse/0123456789abcdef.json", "artifacts/../../evil", "blobs/.x", "runs/0.json", "x y")
    )
    return text.replace("</ListBucketResult>", f"{made}</ListBucketResult>")


def endless(text: str) -> str:
    """Say of each page that another one follows, by the same token."""
    text = text.replace("<IsTruncated>false", "<IsTruncated>true")
    return text.replace("</ListBucketResult>", "<NextContinuationToken>a</NextContinuationToken></ListBucketResult>")


def tag(value: Callable[[], str | None]) -> Kind:
    """Have another ETag, or none, in each answer."""

    def change(status: int, body: bytes, headers: dict[str, str]) -> Answer:
        rest = {name: each for name, each in headers.items() if name != "ETag"}
        return status, body, {**rest, "ETag": found} if (found := value()) else rest

    return answer(to("GET PUT HEAD"), change)


def stale(scene: Scene) -> None:
    """Serve the first state of everything that changes."""
    old = {f"{PREFIX}/{name}": content for name, content in scene.bucket.named().items()}

    def change(name: str) -> Callable[[int, bytes, dict[str, str]], Answer]:
        return lambda status, body, headers: (200, old[name], _sized(headers))

    for name in old:
        short = name.removeprefix(f"{PREFIX}/")
        chosen = lambda method, asked, short=short: method == "GET" and asked == short  # noqa: E731
        scene.bucket.faults.append(Fault(chosen, "answer", change=change(name)))


def unwritable(failing: str, number: int) -> Kind:
    """Have the disk fail in a call of the file layer, but in the first ones."""

    def kind(scene: Scene) -> None:
        calls, genuine = [0], getattr(files.DISK, failing)

        def failed(*arguments: object) -> object:
            calls[0] += 1
            if calls[0] > 6:
                raise OSError(number, os.strerror(number))
            return genuine(*arguments)

        class Full(type(files.DISK)):  # type: ignore[misc]
            pass

        full = Full()
        setattr(full, failing, failed)
        scene.patch.setattr(files, "DISK", full)

    return kind


def small_disk(scene: Scene) -> None:
    """Have no room for what is to be fetched."""
    usage = type("Usage", (), {"free": 1000, "total": 1000, "used": 0})
    scene.patch.setattr("artifacts.remote.pulling.shutil.disk_usage", lambda _: usage)


def other_content(scene: Scene) -> None:
    """Have another host's artifact under the versions that are there, of other content and sound in itself."""
    others = Store(scene.folder / "others")
    for name in scene.records:
        record = json.loads(scene.bucket.named()[name])
        manifest = json.loads(record["manifest"])
        build(
            others,
            {"word": OTHERS.encode(), "big": OTHERS[:3].encode() * 400_000},
            parts=KeyParts.model_validate(manifest["parts"]),
        )
        scene.bucket.drop(name)
    with closing(Shared(scene.bucket.place, others)) as shared:
        shared.push()


def stolen(scene: Scene) -> None:
    """Have somebody take the lease over again and again."""

    def steal() -> None:
        while not scene.bucket.ended.wait(0.01):
            if f"{PREFIX}/lease.json" in scene.bucket.objects:
                scene.bucket.put("lease.json", json.dumps({"holder": "thief", "nonce": secrets.token_hex(4)}).encode())

    threading.Thread(target=steal, daemon=True).start()


def newer(content: bytes) -> bytes:
    """Return a document of a form that is not known yet."""
    return json.dumps({**json.loads(content), "format": 99, "more": [1, 2]}).encode()


def swapped(scene: Scene) -> None:
    """Have each record of an artifact hold another one's."""
    contents = [scene.bucket.named()[name] for name in scene.records]
    for name, content in zip(scene.records, contents[1:] + contents[:1], strict=True):
        scene.bucket.put(name, content)


OTHERS = "rum" * 3
"""What another host has made under the same version."""
HTML = b"<html><body>Please log in</body></html>"
RECORDS, BLOBS = "artifacts/", "blobs/"
KINDS: dict[str, Kind] = {
    # what the server answers instead of doing it
    "500 to every get": fault(to("GET"), "error", 500),
    "500 to every put": fault(to("PUT"), "error", 500),
    "500 to the second put and all that follow": fault(to("PUT"), "error", 500, later=1),
    "503 to everything": fault(lambda *_: True, "error", 503),
    "503 once to each kind of request": fault(to("GET PUT LIST"), "error", 503, times=3),
    "429 to every get": fault(to("GET"), "error", 429),
    "429 to every put": fault(to("PUT"), "error", 429),
    "409 to the record of an artifact": fault(to("PUT", RECORDS), "error", 409),
    "409 to a blob": fault(to("PUT", BLOBS), "error", 409),
    "412 to the record of an artifact that is not there": fault(to("PUT", RECORDS), "error", 412),
    "412 to a blob that is not there": fault(to("PUT", BLOBS), "error", 412),
    "412 to the record of a run": fault(to("PUT", "runs/"), "error", 412),
    "404 to a blob that is there": fault(to("GET", BLOBS), "error", 404),
    "404 to a record that is there": fault(to("GET", RECORDS), "error", 404),
    "400 to every put, as of an expired token": fault(to("PUT"), "error", 400, later=1),
    "403 in the middle of a push, as of expired credentials": fault(to("PUT"), "error", 403, later=1),
    "401 to everything": fault(lambda *_: True, "error", 401),
    "403 to puts alone": fault(to("PUT"), "error", 403),
    "403 to gets alone": fault(to("GET HEAD"), "error", 403),
    "403 to lists alone": fault(to("LIST"), "error", 403),
    "403 to deletions alone": fault(to("DELETE"), "error", 403),
    "304 to every get": fault(to("GET"), "error", 304),
    "405 to every put": fault(to("PUT"), "error", 405),
    "501 to every put, as of conditions that are not known": fault(to("PUT"), "error", 501),
    "a bucket that was deleted": lambda scene: scene.bucket.faults.append(
        Fault(lambda *_: True, "answer", change=lambda *_: (404, b"<Error><Code>NoSuchBucket</Code></Error>", {}))
    ),
    # where it sends the client
    "301 to another region": answer(to("GET PUT"), lambda *_: (301, b"", {"x-amz-bucket-region": "eu-central-1"})),
    "307 to itself, without end": answer(to("GET"), lambda *_: (307, b"", {"Location": "./again"})),
    "302 to what is no server": answer(to("GET"), lambda *_: (302, b"", {"Location": "http://127.0.0.1:9/x"})),
    # bodies
    "a page to log in instead of every object": answer(to("GET"), lambda *_: (200, HTML, {"ETag": '"1"'})),
    "an error called 200": answer(to("GET"), lambda *_: (200, b"<Error><Code>x</Code></Error>", {"ETag": '"1"'})),
    "an empty body": answer(to("GET"), lambda status, body, headers: (status, b"", _sized(headers))),
    "204 and nothing": answer(to("GET"), lambda status, body, headers: (204, b"", {"ETag": '"1"'})),
    "a flipped bit in a record": fault(to("GET", RECORDS), "flip"),
    "a flipped bit in a blob": fault(to("GET", BLOBS), "flip"),
    "half a record called whole": fault(to("GET", RECORDS), "lie"),
    "half a blob called whole": fault(to("GET", BLOBS), "lie"),
    "bytes behind a blob": answer(
        to("GET", BLOBS), lambda status, body, headers: (status, body + b"more", _sized(headers))
    ),
    "a record called ten gigabytes": answer(
        to("GET", RECORDS), lambda status, body, headers: (status, body, {**headers, "Content-Length": str(10**10)})
    ),
    "a length that is no number": answer(
        to("GET"), lambda status, body, headers: (status, body, {**headers, "Content-Length": "many"})
    ),
    "206 where the whole was asked for": answer(
        to("GET"),
        lambda status, body, headers: (
            206,
            body[:10],
            {**_sized(headers), "Content-Range": f"bytes 0-9/{len(body)}"},
        ),
    ),
    "another blob's content": answer(
        to("GET", BLOBS), lambda status, body, headers: (status, b"?" * len(body), headers)
    ),
    # the connection
    "reset before every answer": fault(lambda *_: True, "reset"),
    "reset once": fault(to("GET PUT"), "reset", times=2),
    "cut in the middle of a body": fault(to("GET"), "cut"),
    "reset after the first byte": fault(to("GET"), "after", 1),
    "reset after 10,000 bytes": fault(to("GET", BLOBS), "after", 10_000),
    "done, and no answer": fault(to("PUT"), "drop"),
    "done once, and no answer": fault(to("PUT"), "drop", times=1),
    "no answer at all": fault(to("GET"), "hang"),
    "no answer to puts": fault(to("PUT"), "hang"),
    "an answer that is too late": fault(to("GET"), "slow", 0.6),
    "an answer that drips": fault(to("GET", BLOBS), "drip", 0.05),
    "another service at that port": fault(lambda *_: True, "noise"),
    "nobody at that port": at("http://127.0.0.1:9"),
    "a name that nobody knows": at("http://bucket.invalid:80"),
    # what is kept
    "a bit flipped as a blob is kept": store(to("PUT", BLOBS), lambda body: body[:-1] + bytes([body[-1] ^ 1])),
    "a bit flipped as a record is kept": store(to("PUT", RECORDS), lambda body: body[:-9] + b"?" + body[-8:]),
    "half of each blob kept": store(to("PUT", BLOBS), lambda body: body[: len(body) // 2]),
    "nothing of each record kept": store(to("PUT", RECORDS), lambda body: b""),
    "blobs emptied": rewrite(BLOBS, lambda _: b""),
    "blobs gone": rewrite(BLOBS, lambda _: None),
    "blobs of other bytes": rewrite(BLOBS, lambda content: b"?" * len(content)),
    "records cut": rewrite(RECORDS, lambda content: content[:100]),
    "records gone": rewrite(RECORDS, lambda _: None),
    "records of a newer form": rewrite(RECORDS, newer),
    "records of other artifacts": swapped,
    "records of runs that do not read": rewrite("runs/", lambda _: b"{"),
    "records of runs of a newer form": rewrite("runs/", newer),
    "roots that do not read": rewrite("roots/", lambda _: b"\x00"),
    "roots of a newer form": rewrite("roots/", newer),
    "a marker of a newer form": rewrite("idxflow.json", newer),
    "a marker that does not read": rewrite("idxflow.json", lambda _: b"?"),
    "a marker that is gone": rewrite("idxflow.json", lambda _: None),
    "two hosts, one version, other contents": other_content,
    # states and conditions
    "another ETag each time": tag(lambda: f'"{secrets.token_hex(8)}"'),
    "no ETag": tag(lambda: None),
    "one ETag for all": tag(lambda: '"same"'),
    "weak ETags": tag(lambda: f'W/"{secrets.token_hex(8)}"'),
    "old states of all that changes": stale,
    "If-None-Match ignored from now on": lambda scene: scene.bucket.ignores.add("If-None-Match"),
    "If-Match ignored from now on": lambda scene: scene.bucket.ignores.add("If-Match"),
    "a lease that is stolen all the time": stolen,
    "a lease that does not read": lambda scene: scene.bucket.put("lease.json", b"\xff\x00"),
    # lists
    "lists cut, and called whole": listed(first_items),
    "lists that are empty": listed(lambda text: re.sub(r"<Contents>.*</Contents>", "", text)),
    "lists with everything twice": listed(twice),
    "lists with what is not there": listed(ghosts),
    "lists without end": listed(endless),
    "lists that are no XML": listed(lambda _: "{}"),
    # clocks
    "the server an hour ahead": clock(3600),
    "the server an hour behind": clock(-3600),
    "the server a day ahead": clock(86_400),
    "the server a day behind": clock(-86_400),
    "the server an hour ahead, which it minds": clock(3600, 900),
    "the host an hour ahead": host_clock(3600),
    "the host a day behind": host_clock(-86_400),
    # the host's disk
    "no room for what is fetched": small_disk,
    "a disk that is full while files are written": unwritable("write", errno.ENOSPC),
    "a disk that fails to flush": unwritable("sync", errno.EIO),
}
"""The kinds; docs/guarantees.md says how many there are."""
QUICK = 3
"""Every such kind is in the quick tests, all are in the slow ones."""
LOCAL = {name for name in KINDS if "disk" in name}
"""Those under which a run may fail for its own disk."""


@contextmanager
def impatient(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait less than a person's runs do."""
    with patch.context() as patched:
        for name, seconds in (("ANSWER", 0.25), ("LEAST", 0.15), ("LISTING", 0.5), ("CONNECT", 0.2)):
            patched.setattr(objects, name, seconds)
        patched.setattr(link, "AWAY", 0.2)
        patched.setattr("artifacts.remote.lease.LASTS", 0.1)
        patched.setattr("artifacts.remote.background.Background.settle.__defaults__", (3.0,))
        yield


COMMANDS: dict[str, Callable[[Shared], object]] = {
    "status": lambda shared: shared.status(),
    "push": lambda shared: shared.push(),
    "pull": lambda shared: shared.pull(),
    "verify": lambda shared: shared.verify(fix=False),
    "gc": lambda shared: shared.collect(keep=5, grace=timedelta(days=1), really=True),
}


def right(home: Path, record: Record) -> None:
    """See that a run completed, and that all that it used is what it has to be, and nothing in its home is not."""
    assert record.state == "completed"
    for row in record.stages:
        words = (home / "artifacts" / row.stage / row.version / "word").read_text()
        assert words in {"tea" * 3, "milk" * 3, "jam" * 3, OTHERS}
        assert (home / "artifacts" / row.stage / row.version / "big").read_bytes()[:3].decode() == words[:3]
    assert len({row.version for row in record.stages}) == len(record.stages)
    assert Auditor(Store(home), everything=True, repair=False).run(NOW).problems == ()


def test_the_page_of_guarantees_counts_the_kinds() -> None:
    """How many kinds are walked is what docs/guarantees.md says."""
    assert f"{len(KINDS)} kinds of faults" in (PROJECT / "docs" / "guarantees.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if place % QUICK == 0 else pytest.mark.slow, id=name)
        for place, name in enumerate(KINDS)
    ],
)
def test_a_fault_of_any_kind_harms_nobody(
    name: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run under it completes with what is right; afterwards the remote is sound, and a new host has all of it."""
    use(bucket.place, monkeypatch)
    with impatient(monkeypatch):
        run(tmp_path / "a", "tea")
        with closing(Shared(bucket.place, Store(tmp_path / "a"))) as shared:
            shared.push()
        with monkeypatch.context() as patch:
            KINDS[name](Scene(bucket, tmp_path, patch))
            try:
                right(tmp_path / "b", run(tmp_path / "b", "tea", "milk"))
            except IdxflowError:
                assert name in LOCAL
            for command in COMMANDS.values():
                with suppress(IdxflowError), closing(Shared(bucket.place, Store(tmp_path / "b"))) as shared:
                    command(shared)
    bucket.faults.clear()
    bucket.ignores.clear()
    bucket.ahead, bucket.skew = 0.0, None
    use(bucket.place, monkeypatch)
    if name.startswith("a marker"):  # a home that has seen the remote goes on with it; a new one asks a person
        with pytest.raises(RemoteError, match=r"idxflow\.json|form 99") if "gone" not in name else nullcontext():
            Shared(bucket.place, Store(tmp_path / "new")).close()
        bucket.put("idxflow.json", b'{"idxflow":"artifacts","format":1}')
    monkeypatch.setattr(link, "AWAY", 0.0)
    stores = [Store(tmp_path / home) for home in ("a", "b", "c")]
    assert Auditor(stores[1], everything=True, repair=False).run(NOW).problems == ()
    for each in stores[:2]:
        with closing(Shared(bucket.place, each)) as shared:
            shared.verify(fix=True)
            assert not [moved for moved in shared.push() if moved.is_wrong and moved.state != "differs"]
    with closing(Shared(bucket.place, stores[2])) as shared:
        assert shared.verify(fix=False).problems == ()
        assert not [moved for moved in shared.pull() if moved.is_wrong]
    right(tmp_path / "c", run(tmp_path / "c", "tea", "milk", "jam"))
