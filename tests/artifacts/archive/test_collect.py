"""Clean-up: what nothing holds goes, what anything holds stays, and a run beside it loses nothing."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.archive.collect import Cleanup, collect, survey
from artifacts.archive.runs import list_runs
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from tests.artifacts.building import build
from tests.faults.scenarios import record, ref_of

FILES = {"a": b"x" * 100}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of five artifacts that nothing holds."""
    store = Store(tmp_path / "home")
    for salt in range(5):
        build(store, FILES, salt=salt)
    return store


def clean_up(store: Store, keep: int = 1, older_than: timedelta | None = None) -> Cleanup:
    return collect(store, keep=keep, older_than=older_than, now=datetime.now(UTC))


def left(store: Store) -> set[int]:
    """Return the salts of the artifacts that are there."""
    return {salt for salt in range(5) if store.read("parse", ref_of(salt).version)}


def test_a_survey_changes_nothing_and_says_what_would_go(store: Store) -> None:
    """Without the word to do it, everything is named with its reason and size, and stays."""
    record(store, "a" * 12, (0,))
    found = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert {each.subject for each in found.candidates} == {f"parse/{ref_of(salt).version}" for salt in range(1, 5)}
    assert {each.reason for each in found.candidates} == {"no alias, no pin, not in the last run"}
    assert all(each.bytes > 100 for each in found.candidates)
    assert (found.done, found.kept) == (False, 1)
    assert left(store) == set(range(5))


def test_the_last_runs_of_each_data_set_hold_what_they_used(store: Store) -> None:
    """Older runs hold nothing; whatever began after the last completed run that counts does, however it ended."""
    record(store, "a" * 12, (0,), minute=0)
    record(store, "b" * 12, (1,), minute=1)
    record(store, "c" * 12, (2,), "failed", minute=2)
    record(store, "d" * 12, (3,), "running", minute=3)
    clean_up(store)
    assert left(store) == {1, 2, 3}
    assert len(list_runs(store)) == 4
    clean_up(store, keep=0)
    assert left(store) == set()


def test_what_a_living_run_uses_stays(store: Store) -> None:
    """A run that works holds what it has noted; one that has ended holds it until the next clean-up begins."""
    with Hold(store.holds, "run") as hold:
        hold.add("parse", ref_of(3).version)
        clean_up(store)
        assert left(store) == {3}
    clean_up(store)
    assert left(store) == set()


def test_what_is_being_made_stays(store: Store) -> None:
    """While somebody has the lock of a version, neither it nor its staging folder is touched."""
    version = ref_of(4).version
    staging = store.artifacts / "parse" / f".staging-{version}-1"
    staging.mkdir()
    with store.locked("parse", version) as had:
        assert had
        found = clean_up(store)
        assert left(store) == {4}
        assert staging.exists()
    assert [each.subject for each in found.spared] == [f"parse/{version}"]
    clean_up(store)
    assert not staging.exists()
    assert left(store) == set()


def test_what_is_young_can_be_spared(store: Store) -> None:
    """With an age, only what was made before is taken."""
    build(store, FILES, salt=2, created=datetime.now(UTC).isoformat(timespec="seconds"))
    clean_up(store, older_than=timedelta(hours=1))
    assert left(store) == {2}


def test_a_half_download_stays_for_a_day(store: Store) -> None:
    """The next run can go on with a part; one that nobody has touched for a day is a leftover."""
    young, old = (store.incoming / name for name in ("1-young.part", "2-old.part"))
    for path in (young, old):
        path.write_bytes(b"part")
    before = time.time() - 2 * 86400
    os.utime(old, (before, before))
    found = clean_up(store)
    assert [each.subject for each in found.candidates if each.kind == "download"] == ["incoming/2-old.part"]
    assert young.exists()
    assert not old.exists()


def test_locks_that_nobody_holds_go(store: Store) -> None:
    """After a clean-up no lock file of an artifact is left, and locking works as before."""
    with store.locked("parse", "0" * 16):
        pass
    clean_up(store)
    assert [path.name for path in store.locks.iterdir()] == ["names.lock"]
    with store.locked("parse", "0" * 16) as had:
        assert had


def test_a_thousand_versions_go_in_seconds(tmp_path: Path) -> None:
    """Cleaning a store of a thousand unused versions takes less than five seconds."""
    store = Store(tmp_path / "home")
    for salt in range(1000):
        build(store, {"a": b"x"}, salt=salt)
    started = time.perf_counter()
    found = clean_up(store)
    assert time.perf_counter() - started < 5
    assert len(found.candidates) == 1000
    assert not list(store.versions())
