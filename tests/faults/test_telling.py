"""A completed run says so, whatever a clean-up takes at the moment of its end: its hold lasts until it has spoken."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.collect import collect
from artifacts.store.holds import lasting
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.events import Event, RunChanged, listening
from tests.artifacts.counting import counting
from tests.flows.seeing import artifacts
from tests.flows.showing import show
from tests.processes import run_python, served_environment

pytestmark = pytest.mark.usefixtures("prefect_server")
RUNS = 4


def clean_up(home: Path) -> None:
    """Take away everything that nothing holds."""
    collect(Store(home), keep=0, older_than=None, now=datetime.now(UTC))


def test_what_a_run_holds_lasts_until_it_was_told(home: Path) -> None:
    """After the flow's end and until the end of the block a clean-up leaves what the run used; then it takes it."""
    with lasting():
        with lasting():
            run: Any = counting()
        clean_up(home)
        assert all(Path(row.path).is_dir() for row in run.stages)
    clean_up(home)
    assert not any(Path(row.path).is_dir() for row in run.stages)


def test_a_run_that_nobody_tells_of_lets_go_at_its_end(home: Path) -> None:
    """Without such a block a clean-up takes everything once the flow has returned."""
    run: Any = counting()
    clean_up(home)
    assert not any(Path(row.path).is_dir() for row in run.stages)


def test_the_dashboard_shows_a_run_that_a_clean_up_came_after(home: Path) -> None:
    """The run's page is posted though everything is cleaned up between the end of the work and the page."""

    def ended(event: Event) -> None:
        if isinstance(event, RunChanged) and event.state == "completed":
            clean_up(home)

    with listening(ended):
        run = show()
    assert run.warnings == ()
    (page,) = (each.data for each in artifacts(run.flow_run) if each.type == "markdown")
    assert "Lineage" in str(page)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_beside_clean_ups_ends_well(tmp_path: Path) -> None:
    """However often everything is cleaned up meanwhile, a completed run exits with 0 and prints its record."""
    home, stop = tmp_path / "home", threading.Event()
    options = ("--json", "--dataset", "digits", "--set", "training.epochs=1", "--home", str(home))
    store = Store(home)

    def clean_up_again_and_again() -> None:
        while not stop.wait(0.02):
            collect(store, keep=0, older_than=None, now=datetime.now(UTC))

    cleaner = threading.Thread(target=clean_up_again_and_again)
    cleaner.start()
    try:
        for _ in range(RUNS):
            output, errors = run_python(
                "-m", "idxflow", "run", *options, cwd=tmp_path, environment=served_environment()
            )
            assert RunRecord.model_validate_json(output).state == "completed"
            assert "Test accuracy" in errors
    finally:
        stop.set()
        cleaner.join()
