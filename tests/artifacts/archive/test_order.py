"""The order of runs and of what they made, after a clock that was wrong, and the twin of what is gone."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect
from artifacts.archive.index import RunIndex
from artifacts.archive.leftovers import find_leftovers, touched
from artifacts.archive.lookup import find_artifact, find_run
from artifacts.archive.order import Order, next_number
from artifacts.archive.reasons import explain
from artifacts.archive.runs import list_runs, read_run
from artifacts.archive.twins import Twins
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.run_record import Record
from artifacts.store.holds import Hold, forget_dead
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.errors import StoreError
from tests.artifacts.archive.history import FIRST, stage_record, write_run
from tests.artifacts.archive.making import make
from tests.artifacts.building import build, key_parts
from tests.artifacts.together import at_once

NOW = FIRST + timedelta(days=1)
YEAR = 525_600
"""Minutes of one."""
OLD, NEW = "a" * 12, "b" * 12


def train(store: Store, run: str, minute: int, code: str = "1") -> Ref:
    """Make a model, at the time that the clock of its run shows."""
    return make(store, "train", code=code, run=run, created=(FIRST + timedelta(minutes=minute)).isoformat())


@pytest.fixture
def models(store: Store) -> tuple[Ref, Ref]:
    """Models of two runs, between which the clock went back by a year."""
    old, new = train(store, OLD, YEAR, "1"), train(store, NEW, 0, "2")
    write_run(store, OLD, [stage_record(old)], minute=YEAR, sequence=1)
    write_run(store, NEW, [stage_record(new)], minute=0, sequence=2)
    return old, new


def test_after_the_clock_went_back_the_newest_run_is_the_latest(store: Store, models: tuple[Ref, Ref]) -> None:
    """The list begins with it, `latest` is it, and so is its model."""
    assert [record.id for record in list_runs(store)] == [NEW, OLD]
    assert find_run(store, "latest").id == NEW
    assert find_artifact(store, "latest").ref.version == models[1].version


def test_after_the_clock_went_back_a_clean_up_keeps_the_newest_model(store: Store, models: tuple[Ref, Ref]) -> None:
    """Of the last run what it used stays, and the older run's goes, though it says that it is from next year."""
    collect(store, keep=1, older_than=None, now=NOW)
    assert list(store.versions()) == [("train", models[1].version)]


def test_records_without_a_number_come_first_by_their_start(store: Store) -> None:
    """What an older idxflow wrote is older than all that has a number, and in its own order."""
    for run, minute, sequence in (("1" * 12, 5, 0), ("2" * 12, 9, 0), ("3" * 12, 1, 2), ("4" * 12, 7, 1)):
        write_run(store, run, minute=minute, sequence=sequence)
    assert [record.id[0] for record in list_runs(store)] == ["3", "4", "2", "1"]


def test_the_next_number_is_above_all_that_are_recorded(store: Store) -> None:
    """Also above that of a record which does not read as one of today; what is no record has none."""
    with next_number(store, RunIndex(store)) as first:
        assert first == 1
    write_run(store, OLD, sequence=7)
    (store.runs / f"{NEW}.json").write_text('{"sequence": 9, "of": "a newer idxflow"}')
    (store.runs / "garbage.json").write_text("{")
    with next_number(store, RunIndex(store)) as following:
        assert following == 10


def test_an_index_that_is_wrong_decides_neither_number_nor_latest(store: Store) -> None:
    """A row that somebody changed, while its record looks as noted, makes no run the latest and no number a second."""
    write_run(store, OLD, sequence=1)
    write_run(store, NEW, sequence=7, state="failed")
    with RunIndex(store):
        pass
    database = sqlite3.connect(next((store.home / "index").glob("runs-*.sqlite")))
    database.execute("UPDATE runs SET state = 'completed', sequence = 3 WHERE id = ?", [NEW])
    database.commit()
    database.close()
    assert find_run(store, "latest").id == OLD
    with next_number(store, RunIndex(store)) as following:
        assert following == 8


def test_of_many_that_begin_at_once_each_has_a_number_of_its_own(store: Store) -> None:
    """A number is taken by whoever writes it down: the next one reads that first."""

    def begin(number: int) -> Record:
        with next_number(store, RunIndex(store)) as sequence:
            return write_run(store, f"{number:012x}", sequence=sequence)

    numbers = sorted(record.sequence for record in at_once(begin))
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_number_that_could_not_be_written_down_is_told(store: Store) -> None:
    """Where no lock can be had the run's record is not written either."""
    store.locks.rmdir()
    store.locks.write_text("")
    with pytest.raises(StoreError, match="locks"), next_number(store, RunIndex(store)):
        pass


def test_the_newest_twin_is_of_the_newest_run(store: Store) -> None:
    """Of two artifacts with the content of one that is gone, the one of the later run stands for it."""
    gone = make(store, "parse", "train", code="0")
    one = make(store, "parse", "train", code="1", run=OLD, created="2027-01-01T00:00:00+00:00")
    other = make(store, "parse", "train", code="2", run=NEW, created="2026-01-01T00:00:00+00:00")
    records = [write_run(store, OLD, minute=YEAR, sequence=1), write_run(store, NEW, sequence=2)]
    left = [each for each in store.manifests() if each.version != gone.version]
    taken = Input(argument="table", stage="parse", name="train", version=gone.version, digest=gone.digest)
    found = Twins(left, Order(records)).of(taken)
    assert found is not None
    assert found.version == other.version != one.version


def test_a_reason_is_held_against_the_newest_run(store: Store) -> None:
    """What changed is told against the last run's artifact, not against the one that says it is from next year."""
    for run, salt, minute, sequence in ((OLD, 1, YEAR, 1), (NEW, 2, 0, 2)):
        created = (FIRST + timedelta(minutes=minute)).isoformat()
        ref = build(store, {"a": b"x"}, "train", salt=salt, created=created, run=run)
        write_run(store, run, [stage_record(ref)], minute=minute, sequence=sequence)
    with RunIndex(store) as index:
        (change,) = explain(store, index, "train", key_parts("train", 3), ())
    assert (change.before, change.after) == (2, 3)


def test_a_lost_record_is_told_from_a_run_that_was_killed_after_the_clock_went_back(store: Store) -> None:
    """What a later run had published when it was killed has lost no record, whatever the clock says."""
    model = train(store, NEW, 0)
    (store.folder("train", model.version) / "record.json").unlink()
    write_run(store, OLD, [stage_record(model)], minute=YEAR, sequence=1)
    write_run(store, NEW, state="running", sequence=2)
    auditor = Auditor(store, everything=True, repair=False)
    assert auditor.run(NOW + timedelta(days=999)).problems == ()
    write_run(store, NEW, state="failed", sequence=0)
    write_run(store, OLD, [stage_record(model)], minute=0, sequence=1)
    (problem,) = Auditor(store, everything=True, repair=False).run(NOW).problems
    assert "its record is missing" in problem.found


def test_a_record_from_the_future_is_told(store: Store, models: tuple[Ref, Ref]) -> None:
    """A check of everything names the run and its model; that is no damage, and none once the time has come."""
    found = Auditor(store, everything=True, repair=True).run(NOW)
    assert found.problems == ()
    assert found.future == (f"run {OLD}", f"train/{models[0].version}")
    assert Auditor(store, everything=True, repair=False).run(NOW + timedelta(minutes=YEAR)).future == ()


def test_what_is_from_the_future_counts_as_new(store: Store, models: tuple[Ref, Ref]) -> None:
    """An age that is asked for spares it: it is neither ancient nor of an age below zero."""
    for run in (OLD, NEW):
        (store.runs / f"{run}.json").unlink()
    found = collect(store, keep=1, older_than=timedelta(hours=1), now=NOW)
    assert [each.subject for each in found.candidates] == [f"train/{models[1].version}"]


@pytest.mark.parametrize("days", [9, 99_999])
def test_a_file_from_the_future_is_no_leftover(store: Store, days: int) -> None:
    """A half download and a half record of a wrong clock are gone on with, and not taken for ancient ones."""
    moment = (NOW + timedelta(days=days)).timestamp()
    for path in (store.incoming / "1-x.part", store.runs / ".x.json.1-2"):
        path.touch()
        os.utime(path, (moment, moment))
        assert touched(path) > NOW
    assert list(find_leftovers(store, NOW)) == []
    assert len(list(find_leftovers(store, NOW + timedelta(days=days + 2)))) == 2


def test_a_hold_from_the_future_is_not_forgotten_for_its_age(store: Store) -> None:
    """The note of what a dead run used goes when it is old, not when its clock was wrong."""
    with Hold(store.holds, OLD) as hold:
        hold.add("train", "0" * 16)
    os.utime(store.holds / OLD, (NOW.timestamp() + 9e6,) * 2)
    forget_dead(store.holds, before=NOW.timestamp())
    assert (store.holds / OLD).exists()


@pytest.mark.usefixtures("prefect_server")
def test_a_run_has_the_number_after_all_others(home: Path) -> None:
    """A run after one that says it is from next year is the latest, and its record says so from its start on."""
    from tests.artifacts.counting import counting

    store = Store(home)
    write_run(store, OLD, minute=10 * YEAR, sequence=41)
    run: Any = counting()
    assert run.sequence == 42
    record = read_run(store, run.id)
    assert record is not None
    assert RunRecord.of(record) == run
    assert find_run(store, "latest").id == run.id


def table(store: Store, code: str, day: int = 1, content: bytes = b"table") -> Ref:
    return make(store, "parse", "train", code=code, files={"t": content}, created=f"2026-01-0{day}T12:00:00+00:00")


def taken(ref: Ref, **changes: str) -> Input:
    facts = {"argument": "table"} | ref.model_dump(include={"stage", "name", "version", "digest"}) | changes
    return Input.model_validate(facts)


def test_what_is_there_needs_no_twin(store: Store) -> None:
    """However many artifacts of its content are newer."""
    first = table(store, "1")
    table(store, "2", day=2)
    assert Twins(store.manifests(), Order()).of(taken(first)) is None


def test_the_newest_of_the_same_stage_and_content_stands_for_what_is_gone(store: Store) -> None:
    """Neither an older one, nor one of other content, nor another stage's."""
    for code, day in (("2", 2), ("3", 3), ("1", 1)):
        table(store, code, day)
    table(store, "4", day=4, content=b"another")
    newest = table(store, "3", day=3)
    twins = Twins(store.manifests(), Order())
    found = twins.of(taken(newest, version="f" * 16))
    assert found is not None
    assert found.version == newest.version
    assert twins.of(taken(newest, version="f" * 16, stage="validate")) is None
    assert twins.of(taken(newest, version="f" * 16, digest="0" * 64)) is None


def test_what_was_made_anew_with_other_content_has_a_twin(store: Store) -> None:
    """A version alone is not what was taken."""
    changed, alike = table(store, "1", content=b"another"), table(store, "2")
    found = Twins(store.manifests(), Order()).of(taken(changed, digest=alike.digest))
    assert found is not None
    assert found.version == alike.version
