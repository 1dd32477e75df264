"""What a person does with a remote: push, pull, status, check and clean-up, between two home folders."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.names import Names
from artifacts.archive.runs import read_run
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.remote.checking import RemoteAuditor
from artifacts.remote.lease import Lease
from artifacts.remote.opening import open_backend
from artifacts.remote.shared import Moved, Shared
from artifacts.run_record import Record, StageRecord
from artifacts.store.files import remove_folder, write_atomically
from artifacts.store.store import Store
from schemas.errors import UsageError
from schemas.remote import RemoteError, RemotePlace
from tests.artifacts.building import build, flip_unseen
from tests.artifacts.remote.server import Bucket, bucket

__all__ = ["bucket"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    """A home folder."""
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    """Another host's."""
    return Store(tmp_path / "there")


def made_of(*refs: Ref) -> tuple[Input, ...]:
    """Inputs, as a manifest names them."""
    return tuple(Input(argument="a", stage=r.stage, name=r.name, version=r.version, digest=r.digest) for r in refs)


def write_run(
    store: Store, run: str, *refs: Ref, state: str = "completed", sequence: int = 1, started: datetime = NOW
) -> Record:
    """Leave the record of a run that used artifacts."""
    rows = tuple(
        StageRecord(stage=r.stage, name=r.name, version=r.version, cached=False, seconds=1, bytes=1, path="/elsewhere")
        for r in refs
    )
    facts = {"id": run, "dataset": "leaves", "state": state, "started": started.isoformat(), "seconds": 1.0}
    record = Record.model_validate({**facts, "stages": rows, "flow_run": run, "sequence": sequence})
    write_atomically(store.runs / f"{run}.json", record.model_dump_json().encode())
    return record


def pipeline(store: Store, run: str, salt: int = 0) -> dict[str, Ref]:
    """A run of four stages: raw data, table, model and its scores."""
    raw = build(store, {"raw": b"r" * 3000 + b"%d" % salt}, "decompress", salt)
    table = build(store, {"table": b"t" * 70_000 + b"%d" % salt}, "parse", salt, inputs=made_of(raw))
    model = build(store, {"model": b"m" * 2_000_000 + b"%d" % salt}, "train", salt, inputs=made_of(table), run=run)
    scores = build(store, {"scores": b"s%d" % salt}, "evaluate", salt, inputs=made_of(model, table), run=run)
    write_run(store, run, raw, table, model, scores)
    return {"raw": raw, "table": table, "model": model, "scores": scores}


def shared(bucket: Bucket, store: Store) -> Shared:
    """The remote of a store."""
    return Shared(bucket.place, store)


def states(moved: list[Moved], kind: str = "artifact") -> Counter[str]:
    """How many of a kind have come to what."""
    return Counter(each.state for each in moved if each.kind == kind)


def named(ref: Ref) -> str:
    """The object of an artifact's record."""
    return f"artifacts/{ref.stage}/{ref.version}.json"


def test_a_run_travels_with_all_that_it_used(bucket: Bucket, here: Store, there: Store) -> None:
    """Pushed here and pulled there, a run has its record and its artifacts, whole, under the other home's paths."""
    run = "a" * 12
    refs = pipeline(here, run)
    pushed = shared(bucket, here).push(run)
    assert (states(pushed), states(pushed, "run")) == ({"pushed": 4}, {"pushed": 1})
    pulled = shared(bucket, there).pull(run[:4])
    assert (states(pulled), states(pulled, "run")) == ({"pulled": 4}, {"pulled": 1})
    record = read_run(there, run)
    assert record is not None
    assert record.sequence == 0
    assert [row.path for row in record.stages] == [str(there.folder(row.stage, row.version)) for row in record.stages]
    for ref in refs.values():
        found = there.read(ref.stage, ref.version, fully=True)
        assert found is not None
        assert found.ref.digest == ref.digest
    assert states(shared(bucket, there).pull(run)) == {"there": 4}
    assert states(shared(bucket, here).push(run)) == {"there": 4}


def test_a_model_is_pulled_with_its_run_and_without_raw_data(bucket: Bucket, here: Store, there: Store) -> None:
    """By its version, by an alias, or as latest: what a model is used with comes along, raw files do not."""
    run = "b" * 12
    refs = pipeline(here, run)
    Names(here).set_alias("champion", "train", refs["model"].version, NOW)
    shared(bucket, here).push()
    moved = shared(bucket, there).pull("champion")
    assert states(moved) == {"pulled": 3}
    assert not there.is_committed("decompress", refs["raw"].version)
    assert (states(moved, "run"), states(moved, "alias")) == ({"pulled": 1}, {"pulled": 1})
    assert Names(there).alias("champion").artifact == ("train", refs["model"].version)
    assert states(shared(bucket, there).pull(refs["model"].version[:8])) == {"there": 3}
    assert states(shared(bucket, there).pull("latest@leaves"))["pulled"] == 1


def test_an_artifact_is_pulled_with_what_it_was_made_from(bucket: Bucket, here: Store, there: Store) -> None:
    """A table comes with its raw file, and nothing that was made from it."""
    refs = pipeline(here, "c" * 12)
    shared(bucket, here).push(f"parse/{refs['table'].version[:6]}")
    assert set(bucket.named("artifacts/")) == {named(refs["table"]), named(refs["raw"])}
    assert states(shared(bucket, there).pull(f"parse/{refs['table'].version}")) == {"pulled": 2}


@pytest.mark.parametrize("word", ["nothing", "0" * 16, "latest", "train/", "champion@leaves", "../up"])
def test_a_word_for_nothing_is_refused(bucket: Bucket, here: Store, word: str) -> None:
    """What the remote does not have is said, and nothing changes."""
    with pytest.raises(UsageError, match="expected"):
        shared(bucket, here).pull(word)
    assert list(here.versions()) == []


def test_status_counts_both_sides(bucket: Bucket, here: Store, there: Store) -> None:
    """What is there, here, and only here; who shares the remote, by the server's dates."""
    pipeline(here, "d" * 12)
    shared(bucket, here).push()
    pipeline(there, "e" * 12, salt=1)
    found = shared(bucket, there).status()
    assert (found.artifacts, found.both, found.only_here) == (4, 0, 4)
    assert (found.runs, found.runs_here, found.aliases) == (1, 1, 0)
    assert [home.artifacts for home in found.homes] == [4]
    assert found.bytes == sum(len(content) for content in bucket.named("blobs/").values())


def test_a_run_record_only_goes_on(bucket: Bucket, here: Store, there: Store) -> None:
    """One that runs is replaced by how it ended, and never the other way round."""
    run = "f" * 12
    ref = build(here, {"a": b"a"})
    ended = write_run(here, run, ref)
    bucket.put(
        f"runs/{run}.json", ended.model_copy(update={"state": "running", "stages": ()}).model_dump_json().encode()
    )
    assert states(shared(bucket, here).push(run), "run") == {"pushed": 1}
    build(there, {"a": b"a"})
    write_run(there, run, ref, state="interrupted")
    later = ended.model_copy(update={"seconds": 9.0})
    bucket.put(f"runs/{run}.json", later.model_dump_json().encode())
    assert states(shared(bucket, there).push(run), "run") == {"behind": 1}
    assert Record.model_validate_json(bucket.named()[f"runs/{run}.json"]).seconds == 9.0


def test_what_is_latest_there_is_by_the_servers_dates(
    bucket: Bucket, here: Store, there: Store, tmp_path: Path
) -> None:
    """A host whose clock is a year ahead has the last word no longer than until another host's run is put there."""
    ahead, right = "a" * 12, "b" * 12
    write_run(here, ahead, build(here, {"model": b"1"}, "train", 1, run=ahead), started=NOW + 365 * DAY)
    write_run(there, right, build(there, {"model": b"2"}, "train", 2, run=right))
    shared(bucket, here).push()
    bucket.age(60)
    shared(bucket, there).push()
    laptop = Store(tmp_path / "laptop")
    assert [each.subject for each in shared(bucket, laptop).pull("latest") if each.kind == "run"] == [right]


def test_a_history_that_is_put_there_at_once_keeps_its_order(bucket: Bucket, here: Store, there: Store) -> None:
    """The newest run goes last, so that it is the latest there too, and one that a clean-up spares."""
    for number in range(3):
        run = f"{2 - number}" * 12
        ref = build(here, {"model": b"%d" % number}, "train", number, run=run)
        write_run(here, run, ref, sequence=1 + number, started=NOW + number * DAY)
    shared(bucket, here).push()
    put = [name for method, name in bucket.seen if method == "PUT" and name.startswith("runs/")]
    assert put == [f"runs/{digit * 12}.json" for digit in "210"]
    assert [each.subject for each in shared(bucket, there).pull("latest") if each.kind == "run"] == ["0" * 12]
    for name in bucket.named("roots/"):
        bucket.drop(name)
    bucket.age(2 * DAY.total_seconds())
    shared(bucket, there).collect(keep=1, grace=DAY, really=True)
    assert [name for name in bucket.named("artifacts/") if name.startswith("artifacts/train/")] == [named(ref)]


def test_a_run_that_was_pulled_is_not_put_there_again(bucket: Bucket, here: Store, there: Store) -> None:
    """Whoever pushes what others have made changes neither their record nor its date."""
    run = "a" * 12
    pipeline(here, run)
    shared(bucket, here).push()
    shared(bucket, there).pull()
    bucket.age(60)
    (before,) = (each for name, each in bucket.objects.items() if "/runs/" in name)
    assert states(shared(bucket, there).push(), "run") == {"there": 1}
    (after,) = (each for name, each in bucket.objects.items() if "/runs/" in name)
    assert after == before


def test_an_alias_is_not_given_up_for_what_is_not_there(bucket: Bucket, here: Store, there: Store) -> None:
    """Where the remote has lost the model that an alias stands for, the alias that works stays as it is."""
    first, second = (pipeline(here, run * 12, salt)["model"] for salt, run in enumerate("ab"))
    Names(here).set_alias("champion", first.stage, first.version, NOW)
    shared(bucket, here).push()
    shared(bucket, there).pull()
    Names(here).set_alias("champion", second.stage, second.version, NOW + DAY)
    shared(bucket, here).push("champion")
    remove_folder(there.folder(second.stage, second.version))
    open_backend(bucket.place).delete(named(second))
    moved = shared(bucket, there).pull("champion")
    assert states(moved, "alias") == {"missing": 1}
    assert Names(there).alias("champion").artifact == (first.stage, first.version)


def test_a_fix_leaves_what_is_pushed_meanwhile(bucket: Bucket, here: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that comes while a remote is checked has blobs that were not listed yet: it is sound, and stays."""
    pipeline(here, "a" * 12)
    shared(bucket, here).push()
    listed = RemoteAuditor._record

    def later(self: RemoteAuditor, name: str, sizes: dict[str, int]) -> Any:
        return listed(self, name, {})  # as if all of it had come after the list

    with monkeypatch.context() as patch:
        patch.setattr(RemoteAuditor, "_record", later)
        assert not shared(bucket, here).verify(fix=True).problems
    assert not shared(bucket, here).verify(fix=False).problems


def test_an_alias_gets_longer_or_is_left_alone(bucket: Bucket, here: Store, there: Store) -> None:
    """Who has the earlier history is behind, who has gone another way is told so; nothing is overwritten."""
    first, second = build(here, {"a": b"1"}, salt=1), build(here, {"a": b"2"}, salt=2)
    for ref in (first, second):
        build(there, {"a": b"1" if ref is first else b"2"}, salt=1 if ref is first else 2)
    Names(here).set_alias("champion", first.stage, first.version, NOW)
    assert states(shared(bucket, here).push("champion"), "alias") == {"pushed": 1}
    assert states(shared(bucket, there).pull("champion"), "alias") == {"pulled": 1}
    Names(here).set_alias("champion", second.stage, second.version, NOW + DAY)
    assert states(shared(bucket, here).push("champion"), "alias") == {"pushed": 1}
    assert states(shared(bucket, there).push("champion"), "alias") == {"behind": 1}
    assert states(shared(bucket, there).pull("champion"), "alias") == {"pulled": 1}
    Names(here).remove_alias("champion", NOW + 2 * DAY)
    Names(there).remove_alias("champion", NOW + 3 * DAY)
    assert states(shared(bucket, here).push(), "alias") == {}
    third = Names(here).set_alias("champion", first.stage, first.version, NOW + 4 * DAY)
    assert states(shared(bucket, here).push("champion"), "alias") == {"pushed": 1}
    Names(there).set_alias("champion", first.stage, first.version, NOW + 5 * DAY)
    moved = shared(bucket, there).pull("champion")
    assert states(moved, "alias") == {"apart": 1}
    assert [each.is_wrong for each in moved if each.kind == "alias"] == [True]
    assert bucket.named()["aliases/champion.json"] == third.content


def test_a_damaged_artifact_is_not_pushed(bucket: Bucket, here: Store) -> None:
    """A bit that only a full hash sees keeps a file here, whether it would be packed or in pieces; nothing is there."""
    for size in (10, 100_000, 3_000_000):
        ref = build(here, {"a": b"x" * size}, salt=size)
        flip_unseen(here.folder(ref.stage, ref.version) / "a")
    moved = shared(bucket, here).push()
    assert {each.state for each in moved} == {"damaged"}
    assert not bucket.named("artifacts/")
    assert not bucket.named("blobs/")


def test_a_piece_that_somebody_has_left_is_compared(bucket: Bucket, here: Store, there: Store) -> None:
    """Of the right name and size, and with other bytes: whoever pushes the whole file mends it, packs as well."""
    ref = build(here, {"large": b"l" * 2_000_000, "packed": b"p" * 90_000})
    shared(bucket, here).push()
    good = bucket.named("blobs/")
    bucket.drop(named(ref))
    for name, content in good.items():
        bucket.put(name, b"?" + content[1:])
    shared(bucket, here).push()
    assert bucket.named("blobs/") == good
    assert states(shared(bucket, there).pull()) == {"pulled": 1}


class TestVerify:
    """The check of a remote."""

    @pytest.fixture
    def refs(self, bucket: Bucket, here: Store) -> dict[str, Ref]:
        """A run that was pushed, and an alias."""
        refs = pipeline(here, "a" * 12)
        Names(here).set_alias("champion", "train", refs["model"].version, NOW)
        shared(bucket, here).push()
        return refs

    def test_what_is_sound_is_sound(self, bucket: Bucket, here: Store, refs: dict[str, Ref]) -> None:
        """All is read, nothing is wrong, nothing is changed."""
        before = bucket.named()
        found = shared(bucket, here).verify(fix=False)
        assert (found.artifacts, found.runs, found.aliases, found.problems) == (4, 1, 1, ())
        blobs = bucket.named("blobs/")
        assert found.blobs == len(blobs)
        assert found.bytes >= sum(len(content) for content in blobs.values())
        assert bucket.named() == before

    @pytest.mark.parametrize("how", ["flip", "cut", "gone", "record", "text", "inline"])
    def test_what_is_damaged_is_told_fixed_and_pushed_again(
        self, bucket: Bucket, here: Store, refs: dict[str, Ref], how: str
    ) -> None:
        """Each damage is named; without --fix nothing is deleted; with it a push mends the remote."""
        record = named(refs["scores" if how == "inline" else "model"])
        piece = next(name for name in bucket.named("blobs/") if "-0-" in name)
        before = bucket.named()
        match how:
            case "flip":
                bucket.put(piece, before[piece][:-1] + b"?")
            case "cut":
                bucket.put(piece, before[piece][:-1])
            case "gone":
                bucket.drop(piece)
            case "record":
                bucket.put(record, before[record][:-20])
            case "text":
                bucket.put(record, before[record].replace(b'"version":"', b'"version":"0', 1))
            case "inline":
                bucket.put(record, before[record].replace(b'"inline":"c', b'"inline":"d', 1))
        damaged = bucket.named()
        assert damaged != before
        found = shared(bucket, here).verify(fix=False)
        (problem,) = found.problems
        assert problem.subject in record
        assert bucket.named() == damaged
        assert shared(bucket, here).verify(fix=True).problems == found.problems
        assert record not in bucket.named()
        shared(bucket, here).push()
        assert shared(bucket, here).verify(fix=False).problems == ()
        assert {name: bucket.named()[name] for name in bucket.named("blobs/")} == {
            name: content for name, content in before.items() if name.startswith("blobs/")
        }

    def test_records_and_names_are_looked_at(self, bucket: Bucket, here: Store, refs: dict[str, Ref]) -> None:
        """A run's record, an alias and an object of an odd name that cannot be believed are told and deleted."""
        bucket.put("runs/" + "a" * 12 + ".json", b"{}")
        bucket.put("aliases/champion.json", b'{"name": "other", "history": []}')
        bucket.put("artifacts/train/odd.json", b"{}")
        found = shared(bucket, here).verify(fix=True)
        assert len(found.problems) == 3
        assert shared(bucket, here).verify(fix=False).problems == ()


class TestCollect:
    """The clean-up of a remote."""

    def collect(self, bucket: Bucket, store: Store, *, really: bool = True, keep: int = 5) -> list[str]:
        """Clean up. Returns: what has gone, or would."""
        found = shared(bucket, store).collect(keep=keep, grace=DAY, really=really)
        return [each.subject for each in found.going]

    def test_what_any_home_holds_stays(self, bucket: Bucket, here: Store, there: Store) -> None:
        """What another host's runs used stays; what nobody holds goes, its blobs too, once it is old."""
        mine, theirs = pipeline(here, "a" * 12), pipeline(there, "b" * 12, salt=1)
        loose = build(here, {"big": b"z" * 1_500_000}, "score", 9)
        shared(bucket, here).push()
        shared(bucket, there).push()
        assert self.collect(bucket, here) == []
        bucket.age(2 * DAY.total_seconds())
        assert self.collect(bucket, here, really=False) == [f"score/{loose.version}"]
        before = bucket.named()
        assert self.collect(bucket, here) == [f"score/{loose.version}"]
        gone = before.keys() - bucket.named().keys()
        assert {name.partition("/")[0] for name in gone} == {"artifacts", "blobs"}
        assert len(gone) == 2
        for ref in (*mine.values(), *theirs.values()):
            assert named(ref) in bucket.named()
        assert shared(bucket, there).verify(fix=False).problems == ()

    def test_an_alias_of_the_remote_holds_though_no_home_does(self, bucket: Bucket, here: Store, there: Store) -> None:
        """A model with an alias there stays, as do the last runs, with table and scores, also when its home is gone."""
        refs = pipeline(here, "a" * 12)
        Names(here).set_alias("champion", "train", refs["model"].version, NOW)
        shared(bucket, here).push()
        for name in bucket.named("roots/"):
            bucket.drop(name)
        bucket.age(2 * DAY.total_seconds())
        assert self.collect(bucket, there) == []
        bucket.drop("aliases/champion.json")
        assert self.collect(bucket, there) == []
        bucket.drop("runs/" + "a" * 12 + ".json")
        assert len(self.collect(bucket, there)) == 4
        assert not bucket.named("blobs/")

    @pytest.mark.parametrize("ahead", [-1e6, 3600.0, 1e6])
    def test_only_the_servers_clock_counts(self, bucket: Bucket, here: Store, there: Store, ahead: float) -> None:
        """Whatever this machine's clock says: what the server calls young stays, what it calls old goes."""
        bucket.ahead = ahead
        pipeline(here, "a" * 12)
        shared(bucket, here).push()
        for name in (*bucket.named("roots/"), *bucket.named("runs/")):
            bucket.drop(name)
        assert self.collect(bucket, there) == []
        bucket.age(DAY.total_seconds() - 60)
        assert self.collect(bucket, there) == []
        bucket.age(120)
        assert len(self.collect(bucket, there)) == 4

    def test_roots_that_do_not_read_keep_everything(self, bucket: Bucket, here: Store) -> None:
        """Where nobody knows what a home folder holds nothing goes."""
        build(here, {"a": b"a"})
        shared(bucket, here).push()
        bucket.put("roots/" + "0" * 16 + ".json", b"{}")
        bucket.age(2 * DAY.total_seconds())
        with pytest.raises(RemoteError, match="nobody knows what that home folder holds"):
            self.collect(bucket, here, keep=0)
        assert bucket.named("artifacts/")

    def test_an_old_blob_that_is_pushed_again_is_young(self, bucket: Bucket, here: Store) -> None:
        """Left over from a push that was cut off, it is put once more before a record speaks of it."""
        ref = build(here, {"a": b"x" * 1_500_000, "b": b"y" * 200_000})
        shared(bucket, here).push()
        bucket.drop(named(ref))
        bucket.age(2 * DAY.total_seconds())
        old = {name: moment for name, (_, moment) in bucket.objects.items() if "/blobs/" in name}
        shared(bucket, here).push()
        assert all(bucket.objects[name][1] > moment + DAY.total_seconds() for name, moment in old.items())
        assert len(old) == 2


class TestLease:
    """Who cleans up."""

    class Clock:
        """A clock that goes on when somebody sleeps."""

        def __init__(self) -> None:
            self.now = 0.0

        def __call__(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            """Wait."""
            self.now += seconds

    def test_one_at_a_time(self, bucket: Bucket) -> None:
        """Who gives signs of life keeps it; who has let go leaves it to the next one at once."""
        backend, clock = open_backend(bucket.place), self.Clock()
        with Lease(backend, "one", lasts=0.1, clock=clock) as lease:

            def wait(seconds: float) -> None:
                clock.sleep(seconds)
                lease.renew()

            with (
                pytest.raises(RemoteError, match="one who does"),
                Lease(backend, "two", lasts=3, clock=clock, sleep=wait),
            ):
                pass
        waited = clock.now
        with Lease(backend, "two", clock=clock, sleep=clock.sleep):
            assert clock.now == waited

    def test_a_dead_holder_is_followed(self, bucket: Bucket) -> None:
        """A lease that does not change for its time is taken over, and its holder, if it lives after all, is told."""
        backend, clock = open_backend(bucket.place), self.Clock()
        with (
            Lease(backend, "dead", clock=clock) as dead,
            Lease(backend, "next", clock=clock, sleep=clock.sleep),
        ):
            assert clock.now >= 30
            with pytest.raises(RemoteError, match="another holder"):
                dead.renew()
        assert b'"holder":""' in bucket.named()["lease.json"]


def test_without_an_address_there_is_no_remote(here: Store) -> None:
    """Commands say where the address goes."""
    with pytest.raises(UsageError, match=r"\[remote\] url"):
        Shared(RemotePlace(), here)
