"""Moments as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.store.store import Store
from idxflow.views.times import local_time, time_taken
from tests.artifacts.archive.history import FIRST, write_run


@pytest.fixture
def india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is five and a half hours ahead of UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


def test_a_moment_is_told_in_local_time(india: None) -> None:
    """A recorded moment is told as the clock on the wall showed it, whatever offset it was written with."""
    assert local_time("2026-11-24T20:00:05+00:00") == "2026-11-25 01:30"
    assert local_time("2026-11-24T20:00:05+00:00", seconds=True) == "2026-11-25 01:30:05"
    assert local_time("2026-11-24T21:00:05+01:00") == "2026-11-25 01:30"


def test_a_running_run_takes_the_time_since_its_start(tmp_path: Path) -> None:
    """A run that ended took what it recorded, one that goes on the time so far, and of a killed one nobody knows."""
    record = write_run(Store(tmp_path / "home"), "a" * 12, state="running")
    now = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
    assert time_taken(record, "running", now) == 120.0
    assert time_taken(record, "running", FIRST.replace(year=2025)) == 0.0
    assert time_taken(record, "completed", now) == time_taken(record, "failed", now) == 30.0
    assert time_taken(record, "killed", now) is None
