"""The index of the history: it says what the records say, whatever became of it or of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.archive.index import LAYOUT, TABLES, VERSIONS, RunIndex
from artifacts.archive.runs import list_runs, unreadable_runs
from artifacts.ref import Ref
from artifacts.store.store import Store
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.together import at_once

MODEL = Ref(stage="train", name="", version="1" * 16, digest="", manifest="")
TABLE = Ref(stage="parse", name="train", version="2" * 16, digest="", manifest="")


def index_file(store: Store) -> Path:
    """Where the index is."""
    return store.home / "index" / f"runs-{LAYOUT}.sqlite"


def assert_true(store: Store) -> None:
    """What an index says is what the records say."""
    with RunIndex(store) as index:
        records = list_runs(store)
        assert [tuple(run) for run in index.runs()] == [
            (each.id, each.sequence, each.started, each.state, each.dataset, each.identity) for each in records
        ]
        assert index.unreadable() == unreadable_runs(store)
        for ref in (MODEL, TABLE):
            using = [record for record in records if ref.version in {row.version for row in record.stages}]
            assert [run.id for run in index.users(ref.stage, ref.version)] == [record.id for record in using]


def write_some(store: Store) -> None:
    """Write the records of three runs, and what is none."""
    write_run(store, "a" * 12, [stage_record(MODEL), stage_record(TABLE)], minute=3, sequence=1)
    write_run(store, "b" * 12, [stage_record(TABLE)], minute=1, sequence=2, dataset="digits", state="failed")
    write_run(store, "c" * 12, minute=2, state="running")
    (store.runs / "damaged.json").write_text("{")


def test_it_says_what_the_records_say(store: Store) -> None:
    """Of no run, of some, and of others that come, change and go while nobody looks."""
    assert_true(store)
    write_some(store)
    assert_true(store)
    write_run(store, "c" * 12, [stage_record(MODEL)], minute=2, sequence=3)
    write_run(store, "d" * 12, [stage_record(MODEL, cached=True)], minute=9)
    (store.runs / f"{'b' * 12}.json").unlink()
    (store.runs / f"{'a' * 12}.json").write_text("{}")
    (store.runs / "damaged.json").unlink()
    assert_true(store)


def test_one_that_is_open_learns_of_new_runs_when_it_is_asked_to(store: Store) -> None:
    """It stays as it is until it is brought up to date: a run sees the history that it began with."""
    with RunIndex(store) as index:
        write_some(store)
        assert index.runs() == []
        index.update()
        assert [run.id for run in index.runs()] == ["b" * 12, "a" * 12, "c" * 12]


def test_the_newest_run_of_a_data_set_names_its_version_first(store: Store) -> None:
    """Each version once, in the order of the runs of one data set; those of another name not at all."""
    other, test = (TABLE.model_copy(update=change) for change in ({"version": "3" * 16}, {"name": "test"}))
    for number, (ref, dataset) in enumerate(((TABLE, "leaves-1"), (other, "leaves-2"), (TABLE, "leaves-2"))):
        write_run(
            store, f"{number:012x}", [stage_record(ref), stage_record(test)], sequence=9 - number, dataset=dataset
        )
    with RunIndex(store) as index:
        assert index.versions("parse", "train", "leaves-2") == [other.version, TABLE.version]
        assert index.versions("parse", "train", "leaves-3") == []
        assert sorted(index.versions_elsewhere("parse", "train")) == [TABLE.version, other.version]
        assert index.versions_elsewhere("train", "") == []


def _steps(runs: int) -> int:
    """Return how many hundred steps SQLite takes to list two versions that `runs` runs used."""
    database, steps = sqlite3.connect(":memory:"), 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    for table in TABLES:
        database.execute(table)
    rows = [(b"", "parse", "train", f"v{at % 2}", "mnist", at + 1, f"{at:05}") for at in range(runs)]
    database.executemany("INSERT INTO used VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.set_progress_handler(count, 100)
    found = database.execute(VERSIONS, {"stage": "parse", "name": "train", "identity": "mnist"}).fetchall()
    database.close()
    assert found == [("v1",), ("v0",)]
    return steps


def test_what_versions_cost_does_not_grow_with_the_runs_that_used_them() -> None:
    """Of each version its newest run is looked up; the others are not read."""
    assert _steps(5000) <= _steps(10) + 1


def test_the_highest_number_is_told_also_by_a_record_that_only_a_newer_version_reads(store: Store) -> None:
    """It has a sequence, whatever else it has; without runs it is 0."""
    with RunIndex(store) as index:
        assert index.highest() == 0
    write_some(store)
    (store.runs / f"{'e' * 12}.json").write_text('{"sequence": 9, "of": "a newer idxflow"}')
    with RunIndex(store) as index:
        assert index.highest() == 9


def half_made(path: Path) -> None:
    """Leave a database in which another table has the name of one of the index's."""
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE used (other TEXT)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lambda path: (path.unlink(), path.mkdir()),
        half_made,
    ],
    ids=["missing", "garbage", "cut", "empty", "a folder", "half made"],
)
def test_one_that_is_harmed_is_rebuilt(store: Store, harm: Callable[[Path], object]) -> None:
    """Whatever lies in its place, what it says is what the records say."""
    write_some(store)
    assert_true(store)
    harm(index_file(store))
    assert_true(store)
    assert_true(store)
    if index_file(store).is_file():
        database = sqlite3.connect(index_file(store))
        assert database.execute("SELECT count(*) FROM runs").fetchall() == [(4,)]
        database.close()


def test_one_whose_pages_are_harmed_is_rebuilt(store: Store) -> None:
    """A file that opens well, and turns out damaged when it is asked, misleads nobody, and is whole afterwards."""
    write_some(store)
    assert_true(store)
    whole = index_file(store).read_bytes()
    for place in range(4096, len(whole), 4096):
        index_file(store).write_bytes(whole[:place] + b"\xff" * 4096 + whole[place + 4096 :])
        assert_true(store)
    index_file(store).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert_true(store)
    database = sqlite3.connect(index_file(store))
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


@pytest.mark.parametrize("odd", ["number", "name"])
def test_what_the_index_cannot_hold_stops_nobody(store: Store, odd: str) -> None:
    """A number beyond 64 bits, or a file name that is no text, is none of a run's record; the runs are told."""
    write_some(store)
    if odd == "number":
        text = (store.runs / f"{'a' * 12}.json").read_text()
        (store.runs / f"{'a' * 12}.json").write_text(text.replace('"sequence": 1,', f'"sequence": {2**63},'))
    else:
        Path(os.fsdecode(os.fsencode(store.runs) + b"/\xff.json")).write_text("{")
    assert_true(store)
    with RunIndex(store) as index:
        assert index.highest() == 2


def test_a_link_in_its_place_is_not_followed(store: Store, tmp_path: Path) -> None:
    """Nothing is written behind a link; the index is kept in memory."""
    write_some(store)
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    index_file(store).parent.mkdir()
    index_file(store).symlink_to(outside)
    assert_true(store)
    assert outside.read_bytes() == b""


def test_where_there_is_no_store_nothing_is_made(tmp_path: Path) -> None:
    """To look at a folder without a store makes none."""
    with RunIndex(Store(tmp_path / "none", create=False)) as index:
        assert index.runs() == []
    assert not (tmp_path / "none").exists()


def test_many_may_bring_it_up_to_date_at_once(store: Store) -> None:
    """Of eight that begin together each has all runs, and so has the file."""
    for number in range(50):
        write_run(store, f"{number:012x}", [stage_record(MODEL)], sequence=number)

    def look(_: int) -> tuple[int, int]:
        with RunIndex(store) as index:
            return len(index.runs()), len(index.users("train", MODEL.version))

    assert at_once(look) == [(50, 50)] * 8
    assert_true(store)
