"""What a run under way has noted: read with its record until that says all of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from artifacts.archive.index import RunIndex
from artifacts.archive.journal import Line, forget, journal, note
from artifacts.archive.leftovers import find_leftovers
from artifacts.archive.runs import read_run, state_of
from artifacts.engine.recorder import Recorder
from artifacts.refresh import Refresh
from artifacts.run_record import StageRecord
from artifacts.store.store import Store
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build

RUN = "a" * 12


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def line(row: StageRecord, place: int = 0) -> Line:
    """What a run says with one of its stages."""
    return Line(dataset="leaves", dataset_id="leaves-1", seconds=4.5, warnings=("odd",), place=place, stage=row)


def test_a_run_under_way_tells_what_it_has_done(store: Store) -> None:
    """Its record has the rows, data set and warnings that were noted, and the index finds it by what it made."""
    rows = [stage_record(build(store, {"a": b"x"}, salt=salt)) for salt in range(2)]
    write_run(store, RUN, state="running", dataset="")
    with RunIndex(store) as index:
        for place, row in zip((1, 0), rows, strict=True):
            note(store, RUN, [line(row, place)])
            index.update()
            assert [run.identity for run in index.users(row.stage, row.version)] == ["leaves-1"]
    record = read_run(store, RUN)
    assert record is not None
    assert record.stages == (rows[1], rows[0])  # in the order of the graph
    assert (record.dataset, record.seconds, record.warnings) == ("leaves", 4.5, ("odd",))
    assert state_of(store, record) == "killed"


def test_a_torn_line_takes_no_other_with_it(store: Store) -> None:
    """Of what a full disk or a crash has left the whole lines are read."""
    rows = [stage_record(build(store, {"a": b"x"}, salt=salt)) for salt in range(2)]
    write_run(store, RUN, state="running")
    note(store, RUN, [line(rows[0])])
    with journal(store, RUN).open("ab") as file:
        file.write(b'\n{"dataset": "lea\xff')
    note(store, RUN, [line(rows[1])])
    record = read_run(store, RUN)
    assert record is not None
    assert record.stages == tuple(rows)


def test_an_attempt_begins_without_the_lines_of_the_one_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow run that Prefect starts again, after it was killed, has done nothing yet."""
    monkeypatch.setenv("IDXFLOW_HOME", str(store.home))
    flow_run = UUID(int=int(RUN, 16))
    run = Recorder(store, flow_run, Refresh(), "leaves")
    note(store, run.id, [line(stage_record(build(store, {"a": b"x"})))])
    run.save("running")
    record = read_run(store, run.id)
    assert record is not None
    assert (record.stages, record.warnings) == ((), ())
    run.close()


def test_a_record_that_says_all_of_it_is_believed(store: Store) -> None:
    """Lines beside the record of a run that has ended are not read; they are left over, and go."""
    row = stage_record(build(store, {"a": b"x"}))
    write_run(store, RUN, [row])
    note(store, RUN, [line(row.model_copy(update={"cached": True}))])
    record = read_run(store, RUN)
    assert record is not None
    assert record.stages == (row,)
    path, now = journal(store, RUN), datetime.now(UTC)
    os.utime(path, ((now - timedelta(days=1)).timestamp(),) * 2)
    assert [left.path for left in find_leftovers(store, now)] == [path]
    forget(store, RUN)
    assert not path.exists()
    forget(store, RUN)
