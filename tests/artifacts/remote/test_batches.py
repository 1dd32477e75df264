"""Many artifacts pulled at once: small ones together, others alone, and what somebody else works on at the end."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.remote import batches
from artifacts.remote.batches import Batches, Pulled
from artifacts.remote.crew import Crew
from artifacts.remote.opening import open_backend
from artifacts.remote.pulling import Pulling
from artifacts.remote.pushing import Pushing
from artifacts.store import arriving
from artifacts.store.holds import Held, Hold
from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.remote import RemotePlace
from tests.artifacts.building import build
from tests.artifacts.remote.server import Bucket, Fault, bucket
from tests.artifacts.remote.test_shared import NOW
from tests.faults.disk import steps_of

__all__ = ["bucket"]
RUN = "a" * 12
Artifact = tuple[str, str]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four artifacts are a batch."""
    monkeypatch.setattr(batches, "BATCH", 4)
    yield


@pytest.mark.parametrize(
    ("most", "size"), [(256, 32), (1024, 128), (2**20, 128), (4, 1), (resource.RLIM_INFINITY, 128)]
)
def test_a_batch_keeps_to_the_files_that_may_be_open(most: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each artifact holds a lock and a folder open: where few files may be, fewer are pulled at once."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    assert batches.batch_size() == size


def share(folder: Path, place: RemotePlace) -> list[Artifact]:
    """Put ten small artifacts of two stages there, and a large one and one of no files."""
    here = Store(folder / "here")
    refs = [build(here, {"a": b"%d" % salt, "b": b"more"}, ("parse", "score")[salt % 2], salt) for salt in range(10)]
    refs.append(build(here, {"large": b"l" * 1_200_000, "a": b"x"}, "train", 1))
    refs.append(build(here, {}, "verify", 1))
    with Crew(4) as crew:
        for ref in refs:
            assert Pushing(open_backend(place), here, crew).push(ref.stage, ref.version).state == "pushed"
    return [(ref.stage, ref.version) for ref in refs]


def pull(store: Store, place: RemotePlace, wanted: list[Artifact]) -> dict[Artifact, Pulled]:
    """Pull artifacts as a command does."""
    with Crew(4) as requests, Crew(4) as crew, Hold(store.holds, RUN):
        found = Batches(Pulling(open_backend(place), store, requests), store, requests, crew, RUN, lambda _: None)
        return found.pull(wanted)


def sound(store: Store) -> None:
    """Hold all of a store against what it says it is."""
    assert Auditor(store, everything=True, repair=False).run(NOW).problems == ()


def test_all_come_in_order_and_are_held(bucket: Bucket, tmp_path: Path, small: None) -> None:
    """Small ones, a large one and one without files are there, whole, held, and read-only; what is nowhere is told."""
    wanted, there = share(tmp_path, bucket.place), Store(tmp_path / "there")
    wanted.insert(5, ("parse", "0" * 16))
    found = pull(there, bucket.place, wanted)
    assert list(found) == wanted
    assert [artifact for artifact, pulled in found.items() if not pulled.fetched] == [("parse", "0" * 16)]
    sound(there)
    for artifact in set(wanted) - {("parse", "0" * 16)}:
        assert artifact in Held(there.holds)
        stored, here = there.read(*artifact, fully=True), Store(tmp_path / "here").read(*artifact)
        assert stored and here
        assert (stored.ref.model_dump(), stored.manifest) == (here.ref.model_dump(), here.manifest)
        assert {
            path.stat().st_mode & 0o222 for path in stored.folder.iterdir() if path.name in stored.manifest.files
        } <= {0}
    assert {pulled.fetched for pulled in pull(there, bucket.place, wanted).values()} == {False}
    assert not list(there.artifacts.rglob(".*"))


def test_many_are_flushed_together(bucket: Bucket, tmp_path: Path) -> None:
    """Of ten small artifacts of two stages the file system is flushed four times, and each folder of a stage once."""
    wanted, there = share(tmp_path, bucket.place)[:10], Store(tmp_path / "there")
    steps = steps_of(lambda: pull(there, bucket.place, wanted))
    assert (steps.count("sync_all"), steps.count("sync")) == (4, 2)
    first = steps.index("sync_all")
    assert "rename_in" not in steps[:first]
    assert steps[first + 1 :].index("sync") < steps[first + 1 :].index("sync_all")


def test_where_no_file_system_can_be_flushed_each_comes_alone(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without such a call of the system all comes as well, one by one."""
    monkeypatch.setattr(arriving, "can_sync_all", lambda: False)
    wanted, there = share(tmp_path, bucket.place), Store(tmp_path / "there")
    steps = steps_of(lambda: pull(there, bucket.place, wanted))
    assert "sync_all" not in steps
    assert all(there.is_committed(*artifact) for artifact in wanted)
    sound(there)


def test_what_somebody_works_on_comes_at_the_end(bucket: Bucket, tmp_path: Path, small: None) -> None:
    """Two who pull the same in opposite orders both come to their end, with all of it, at whatever moment they meet."""
    wanted, there = share(tmp_path, bucket.place), Store(tmp_path / "there")
    with Crew(2) as two:
        ends = [two.submit(lambda order=order: pull(there, bucket.place, order)) for order in (wanted, wanted[::-1])]  # type: ignore[misc]
        found = [end.result(timeout=60) for end in ends]
    for each in found:
        assert all(pulled.stored for pulled in each.values())
    assert sum(pulled.fetched for each in found for pulled in each.values()) == len(wanted)
    sound(there)


def test_a_flaw_of_one_is_not_that_of_others(bucket: Bucket, tmp_path: Path) -> None:
    """A record with another byte in a file is told, and nothing of it is left; the others of its batch are there."""
    wanted, there = share(tmp_path, bucket.place), Store(tmp_path / "there")
    name = "artifacts/{}/{}.json".format(*wanted[2])
    content = bucket.named()[name]
    assert b'"inline":"Mg=="' in content
    bucket.put(name, content.replace(b'"inline":"Mg=="', b'"inline":"Mw=="'))
    found = pull(there, bucket.place, wanted)
    assert found[wanted[2]].flaw == "a: not the bytes that its manifest says"
    assert [artifact for artifact, pulled in found.items() if not pulled.stored] == [wanted[2]]
    assert not there.folder(*wanted[2]).exists()
    sound(there)


def test_what_was_not_finished_gives_way(bucket: Bucket, tmp_path: Path) -> None:
    """A folder without a commit record, one in the works and a damaged artifact are replaced by what comes."""
    wanted, there = share(tmp_path, bucket.place)[:4], Store(tmp_path / "there")
    pull(there, bucket.place, wanted)
    (there.folder(*wanted[0]) / "record.json").unlink()
    (there.folder(*wanted[1]) / "a").chmod(0o644)
    (there.folder(*wanted[1]) / "a").write_bytes(b"?")
    stage, version = wanted[2]
    (there.folder(*wanted[2]) / "record.json").unlink()
    (there.artifacts / stage / f".staging-{version}-{os.getpid()}").mkdir()
    found = pull(there, bucket.place, wanted)
    assert [pulled.fetched for pulled in found.values()] == [True, True, True, False]
    sound(there)


def test_a_remote_that_goes_away_leaves_what_has_come(bucket: Bucket, tmp_path: Path, small: None) -> None:
    """An error in a later batch ends the pull; what had come by then is whole, no lock is held, and it goes on."""
    wanted, there = share(tmp_path, bucket.place), Store(tmp_path / "there")
    last = "artifacts/{}/{}.json".format(*wanted[9])
    bucket.faults.append(Fault(lambda method, name: name == last, "error", 403))
    with pytest.raises(Exception, match="credentials"):
        pull(there, bucket.place, wanted)
    assert sum(there.is_committed(*artifact) for artifact in wanted) >= 4
    sound(there)
    bucket.faults.clear()
    assert all(pulled.stored for pulled in pull(there, bucket.place, wanted).values())


def test_a_link_in_the_place_of_a_stage_is_not_followed(bucket: Bucket, tmp_path: Path) -> None:
    """Nothing is written behind it."""
    wanted, there, elsewhere = share(tmp_path, bucket.place)[:1], Store(tmp_path / "there"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (there.artifacts / wanted[0][0]).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="link"):
        pull(there, bucket.place, wanted)
    assert list(elsewhere.iterdir()) == []
