"""The closing summary."""

from __future__ import annotations

import shutil
from pathlib import Path

from idxflow.views.summary import print_summary, short_path
from schemas.results import LEAKED, Caveat
from tests.idxflow.conftest import Screen
from tests.idxflow.recording import record_run

SUMMARY = """
Run:             digits, tutorial profile, seed 123: completed in 28.4 s
Artifacts:       3 stages: 1 cached, 2 computed
Train rows:      1500, columns: 64 (8 x 8 pixels); test rows: 297
Held out:        150 of 1,500 train rows, stratified
First 3 labels:  5, 0, 4; predictions: 5, 0, 9
Train accuracy:  98.77 % (loss 0.0500)
Test accuracy:   90.00 % (loss 0.0500)
Model:           .idxflow/artifacts/train/2222222222222222/model.keras
Report:          .idxflow/artifacts/report/x/report.html
Record:          .idxflow/runs/0123456789ab.json
Dashboard:       http://127.0.0.1:4200/runs/flow-run/x
Stop the server: idxflow server stop
WARNING NOT MNIST
"""


def test_the_summary_has_the_tutorials_figures_and_every_place(desk: Path, screen: Screen) -> None:
    """A completed run: figures, what was cached, where things are, and its warnings once more."""
    home = desk / ".idxflow"
    print_summary(screen, record_run(home, warnings=("NOT MNIST",)), home, "idxflow server stop")
    assert screen.text.getvalue() == SUMMARY


def test_what_voids_the_accuracy_stands_below_it(desk: Path, screen: Screen) -> None:
    """A caveat follows the test accuracy, and the warning that says the same is not repeated; others are."""
    home = desk / ".idxflow"
    leak = Caveat(kind="leak", message="99 of 297 test images (33.33 %) occur in the train split")
    print_summary(screen, record_run(home, caveats=(leak,), warnings=(f"own test: {LEAKED}: 99", "NOT MNIST")), home)
    lines = screen.text.getvalue().splitlines()
    place = lines.index("Test accuracy:   90.00 % (loss 0.0500)")
    assert lines[place + 1] == f"Caveat:          {leak.message}"
    assert [line for line in lines if "WARNING" in line] == ["WARNING NOT MNIST"]


def test_a_run_whose_artifacts_are_gone_is_summed_up_from_its_record(desk: Path, screen: Screen) -> None:
    """Whatever became of what a completed run made, the summary says how good it was, and leaves out what it read."""
    home = desk / ".idxflow"
    record = record_run(home)
    shutil.rmtree(home / "artifacts")
    print_summary(screen, record, home)
    lines = screen.text.getvalue().splitlines()
    assert "Test accuracy:   90.00 % (loss 0.0500)" in lines
    assert not any(line.startswith(("Train rows", "First 3 labels")) for line in lines)


def test_a_failed_run_has_no_figures(desk: Path, screen: Screen) -> None:
    """A failed run: how far it came, and where its record is."""
    home = desk / ".idxflow"
    print_summary(screen, record_run(home, state="failed"), home)
    labels = [line.partition(":")[0] for line in screen.text.getvalue().splitlines() if line]
    assert labels == ["Run", "Artifacts", "Record", "Dashboard"]
    assert "failed in 28.4 s" in screen.text.getvalue()


def test_a_path_is_seen_from_the_working_folder(desk: Path) -> None:
    """Below the working folder a path is relative, elsewhere it is whole."""
    assert short_path(desk / "a" / "b") == "a/b"
    assert short_path(Path("/elsewhere")) == "/elsewhere"
