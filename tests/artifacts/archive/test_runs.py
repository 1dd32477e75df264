"""The history: what is listed, in which order, and how each run ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.archive.index import RunIndex
from artifacts.archive.runs import list_runs, read_run, run_ids, state_of, subject_of, unreadable_runs
from artifacts.ref import Ref
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from tests.artifacts.archive.history import stage_record, write_run


def test_runs_are_listed_newest_first(store: Store) -> None:
    """The newest run comes first; of two that started in the same second, the greater id."""
    write_run(store, "00000000000a", minute=1)
    write_run(store, "00000000000b", minute=2)
    write_run(store, "00000000000c", minute=1)
    assert [record.id for record in list_runs(store)] == ["00000000000b", "00000000000c", "00000000000a"]


def test_an_empty_history_is_an_empty_list(tmp_path: Path) -> None:
    """A home folder without a run has no history, and none is made by looking."""
    store = Store(tmp_path / "home", create=False)
    assert (list_runs(store), unreadable_runs(store), run_ids(store)) == ([], [], [])
    assert not store.home.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_record_that_does_not_read_is_listed_apart(store: Store, content: str) -> None:
    """A damaged record hides no other one, and is named."""
    write_run(store, "00000000000a")
    damaged = store.runs / "00000000000b.json"
    damaged.write_text(content)
    assert [record.id for record in list_runs(store)] == ["00000000000a"]
    assert unreadable_runs(store) == [damaged]
    assert run_ids(store) == ["00000000000a", "00000000000b"]


def test_a_record_of_another_run_is_not_believed(store: Store) -> None:
    """A record under another run's name, or with a start that is no time, is none."""
    write_run(store, "00000000000a")
    path = store.runs / "00000000000a.json"
    path.rename(store.runs / "00000000000b.json")
    assert read_run(store, "00000000000b") is None
    record = write_run(store, "00000000000c").model_copy(update={"started": "yesterday"})
    (store.runs / "00000000000c.json").write_text(record.model_dump_json())
    assert read_run(store, "00000000000c") is None
    assert list_runs(store) == []


def test_a_folder_in_place_of_a_record_is_listed_apart(store: Store) -> None:
    """What is no file is no record."""
    (store.runs / "00000000000a.json").mkdir()
    assert list_runs(store) == []
    assert unreadable_runs(store) == [store.runs / "00000000000a.json"]


def test_what_is_being_written_is_not_listed(store: Store) -> None:
    """A hidden file is a record under way, and other files are none."""
    (store.runs / ".00000000000a.json.1-2").write_text("{")
    (store.runs / ".00000000000a.json").write_text("{")
    (store.runs / "notes.txt").write_text("x")
    assert (list_runs(store), unreadable_runs(store), run_ids(store)) == ([], [], [])


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_run_that_ended_is_what_its_record_says(store: Store, state: str) -> None:
    """A run that ended by itself is as its record says, alive or not."""
    assert state_of(store, write_run(store, "00000000000a", state=state)) == state


def test_a_run_without_a_process_was_killed(store: Store) -> None:
    """A record that says running is believed for as long as a process holds the run."""
    record = write_run(store, "00000000000a", state="running")
    assert state_of(store, record) == "killed"
    with Hold(store.holds, record.id):
        assert state_of(store, record) == "running"
    assert state_of(store, record) == "killed"


def test_a_run_that_ends_meanwhile_was_not_killed(store: Store) -> None:
    """A run that completed after its record was read is not taken for a killed one."""
    record = write_run(store, "00000000000a", state="running")
    write_run(store, "00000000000a", state="completed")
    assert state_of(store, record) == "completed"


def test_an_error_calls_a_run_by_how_it_ended(store: Store) -> None:
    """What did not complete is called that before anything is said of it."""
    completed, failed, interrupted, killed = (
        write_run(store, digit * 12, state=state)
        for digit, state in (("a", "completed"), ("b", "failed"), ("c", "interrupted"), ("d", "running"))
    )
    assert subject_of(store, completed) == f"run {'a' * 12}"
    assert subject_of(store, failed) == f"run {'b' * 12}, which failed"
    assert subject_of(store, interrupted) == f"run {'c' * 12}, which was interrupted"
    assert subject_of(store, killed) == f"run {'d' * 12}, which was killed"
    with Hold(store.holds, killed.id):
        assert subject_of(store, killed) == f"run {'d' * 12}, which is still running"


def test_runs_are_found_by_an_artifact(store: Store) -> None:
    """The runs with an artifact are those that made or used that version of that stage."""
    one = Ref(stage="train", name="", version="1" * 16, digest="", manifest="")
    other = one.model_copy(update={"stage": "parse"})
    write_run(store, "00000000000a", [stage_record(one)])
    write_run(store, "00000000000b", [stage_record(other)])
    write_run(store, "00000000000c", [stage_record(other), stage_record(one, cached=True)])
    with RunIndex(store) as index:
        assert [run.id for run in index.users("train", one.version)] == ["00000000000c", "00000000000a"]
