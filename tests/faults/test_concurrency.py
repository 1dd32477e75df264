"""Several processes on one store: what is the same is computed once, what is not does not wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.collect import collect
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.training import Training
from tests.artifacts.counting import counting
from tests.artifacts.test_run import ALL, counted, start
from tests.faults.test_crashes import assert_sound
from tests.processes import ending, until

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 8])
def test_who_wants_the_same_at_once_computes_it_once(home: Path, processes: int) -> None:
    """Of two, and of eight, one computes each stage, and the others wait and find it cached."""
    runs = [start(home, 1, sleep=1) for _ in range(processes)]
    records = [RunRecord.model_validate_json(process.communicate(timeout=280)[0]) for process in runs]
    assert counted(home) == ALL
    for place in range(3):
        assert sorted(record.stages[place].cached for record in records) == [False, *[True] * (processes - 1)]
    assert_sound(Store(home))


@pytest.mark.slow
def test_who_wants_something_else_does_not_wait(home: Path) -> None:
    """While one process computes a stage for long, another that needs others of the same kind starts and ends."""
    with ending(start(home, 1, sleep=120, names=("slow",))) as slow:
        begun = Path(f"{home}.count")
        until(lambda: begun.exists() and begun.read_text(), 60)
        assert counted(home) == ["download slow"]
        record: Any = counting()
        assert record.state == "completed"
        assert slow.poll() is None
        assert counted(home) == ALL


@pytest.mark.parametrize("keep", [0, 1])
def test_a_clean_up_beside_runs_takes_nothing_from_them(home: Path, keep: int) -> None:
    """However often everything is cleaned up while runs work, each ends well, and what it made was there."""
    store, stop, found = Store(home), threading.Event(), list[Any]()

    def clean_up() -> None:
        while not stop.is_set():
            found.append(collect(store, keep=keep, older_than=None, now=datetime.now(UTC)))

    cleaner = threading.Thread(target=clean_up)
    cleaner.start()
    try:
        for number in range(6):
            record: Any = counting(training=Training(seed=number % 2))
            assert record.state == "completed"
            assert record.warnings == ("They are odd",)  # of the model itself, and nothing else
    finally:
        stop.set()
        cleaner.join()
    assert any(cleanup.candidates for cleanup in found)
    assert_sound(store)
    final: Any = counting()
    assert Path(final.model).read_text() == "123 one two"
