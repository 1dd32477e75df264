"""The page of a run, and the summary that closes one."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from idxflow.views.console import Terminal
from idxflow.views.layout import local_time
from idxflow.views.run import RunFacts, print_run, print_summary, run_facts, time_taken
from schemas.results import LEAKED, Caveat
from schemas.training import Training
from tests.artifacts.archive.history import FIRST, stage_record, write_run
from tests.artifacts.building import build
from tests.idxflow.conftest import Screen
from tests.idxflow.recording import record_run

NOW = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
RUN = "0123456789ab"
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


@pytest.fixture
def refs(store: Store) -> tuple[Ref, Ref, Ref]:
    """A table, a model and a report in the store."""
    return (
        build(store, {"table.parquet": b"rows"}, "parse"),
        build(store, {"model.keras": b"weights"}, "train"),
        build(store, {"report.html": b"<html>"}, "report"),
    )


def page(screen: Screen, facts: RunFacts) -> str:
    """The page as text."""
    print_run(screen, facts)
    return screen.text.getvalue()


def test_the_page_of_a_completed_run(store: Store, refs: tuple[Ref, Ref, Ref], screen: Screen) -> None:
    """All that there is to a run: figures, places as they are now, configuration, stages and why they were computed."""
    table, model, report = refs
    reason = "training.epochs: 10 in place of 50"
    rows = [stage_record(table, cached=True), stage_record(model, reason=reason), stage_record(report)]
    record = write_run(store, RUN, rows, training=Training(epochs=10, hidden=(100, 50)), warnings=("NOT MNIST",))
    names = Names(store)
    names.set_alias("champion", "train", model.version, NOW)
    names.pin_artifact("parse", table.version, "", NOW)
    names.pin_run(RUN, "the one of the paper", NOW)
    assert (
        page(screen, run_facts(store, record, NOW))
        == f"""\
Run:             {RUN}: completed in 30.0 s
Started:         {local_time(record.started, seconds=True)}
Data set:        mnist
Train accuracy:  99.00 % (loss 0.0468)
Test accuracy:   96.06 % (loss 0.1330)
Model:           .idxflow/artifacts/train/{model.version}/model.keras
Report:          .idxflow/artifacts/report/{report.version}/report.html
Record:          .idxflow/runs/{RUN}.json
Dashboard:       http://127.0.0.1:4200/runs/flow-run/{RUN}
Alias:           champion of train/{model.version}
Pin:             parse/{table.version}
Pin:             run {RUN}: the one of the paper
Warning:         NOT MNIST

Configuration: the tutorial profile
  hidden               [100,50]  in the profile: [50,50]
  epochs               10        in the profile: 50
  activation           tanh
  dropout              0.0
  optimizer            sgd
  learning_rate        0.001
  schedule             inverse_time
  decay                1e-07
  warmup               0.0
  momentum             0.9
  weight_decay         0.0
  label_smoothing      0.0
  shift                0
  batch_size           64
  patience             0
  shuffle_window       100000
  validation_fraction  0.1
  seed                 123

Stages: 1 cached, 2 computed; all in the store
stage   of     state      time    size  version
parse   train  cached    1.5 s  1.0 kB  {table.version}
train   train  computed  1.5 s  1.0 kB  {model.version}
            {reason}
report  train  computed  1.5 s  1.0 kB  {report.version}
"""
    )


def test_what_voids_the_accuracy_stands_below_it(store: Store, screen: Screen) -> None:
    """A caveat follows the test accuracy and is in the facts; the warning that says the same is not repeated."""
    leak = Caveat(kind="leak", message="99 of 297 test images occur in the train split")
    record = write_run(store, RUN, caveats=(leak,), warnings=(f"own test: {LEAKED}: 99", "NOT MNIST"))
    facts = run_facts(store, record, NOW)
    text = page(screen, facts)
    assert f"Test accuracy:   96.06 % (loss 0.1330)\nCaveat:          {leak.message}\n" in text
    assert "Warning:         NOT MNIST\n" in text
    assert LEAKED not in text
    assert json.loads(facts.model_dump_json())["caveats"] == [{"kind": "leak", "message": leak.message}]


def test_what_has_become_of_the_artifacts_is_told(store: Store, refs: tuple[Ref, Ref, Ref], screen: Screen) -> None:
    """A stage whose artifact was cleaned up or damaged says so, and its file has no path; nothing is moved."""
    table, model, report = refs
    record = write_run(store, RUN, [stage_record(ref) for ref in refs])
    files.remove_folder(store.folder("train", model.version))
    path = store.folder("parse", table.version) / "table.parquet"
    path.chmod(0o644)
    path.write_bytes(b"rOWs")
    facts = run_facts(store, record, NOW)
    assert [stage.store for stage in facts.stages] == ["damaged", "gone", "there"]
    assert facts.model is None
    assert facts.report == store.folder("report", report.version) / "report.html"
    text = page(screen, facts)
    assert "Stages: 0 cached, 3 computed; 1 damaged, 1 gone\n" in text
    assert f"{table.version}\n            damaged: table.parquet: expected SHA-256" in text
    assert f"{model.version}\n            gone from the store\n" in text
    assert "Model:" not in text
    assert path.is_file()


def test_a_moved_store_shows_its_new_places(store: Store, refs: tuple[Ref, Ref, Ref], desk: Path) -> None:
    """The paths of the page are those of the store as it lies now, never those of the record."""
    record = write_run(store, RUN, [stage_record(ref) for ref in refs])
    moved = Store(store.home.rename(desk / "moved"))
    facts = run_facts(moved, record, NOW)
    assert facts.model == desk / "moved" / "artifacts" / "train" / refs[1].version / "model.keras"
    assert {stage.store for stage in facts.stages} == {"there"}
    assert "/elsewhere" not in facts.model_dump_json()


@pytest.mark.parametrize(
    ("state", "first", "other"),
    [
        ("failed", f"Run:             {RUN}: failed in 30.0 s\n", "Error:           it broke\n"),
        ("running", f"Run:             {RUN}: running for 2 min 00 s\n", "Data set:        not chosen yet\n"),
        ("killed", f"Run:             {RUN}: killed\n", "Data set:        not chosen yet\n"),
    ],
)
def test_the_page_of_a_run_without_a_result(store: Store, screen: Screen, state: str, first: str, other: str) -> None:
    """A run that failed says why, one that is under way for how long; neither has figures or stages."""
    recorded = "failed" if state == "failed" else "running"
    record = write_run(store, RUN, state=recorded, dataset="" if recorded == "running" else "mnist")
    if state == "running":
        with Hold(store.holds, RUN):
            text = page(screen, run_facts(store, record, NOW))
    else:
        text = page(screen, run_facts(store, record, NOW))
    assert text.startswith(first)
    assert other in text
    assert "accuracy" not in text
    assert "Stages" not in text


def test_names_of_other_runs_are_not_told(store: Store, refs: tuple[Ref, Ref, Ref]) -> None:
    """What keeps another run or another artifact is not on the page."""
    write_run(store, "b" * 12)
    names = Names(store)
    names.pin_run("b" * 12, "", NOW)
    names.set_alias("champion", "train", refs[1].version, NOW)
    facts = run_facts(store, write_run(store, RUN, [stage_record(refs[0])]), NOW)
    assert (facts.aliases, facts.pins) == ((), ())


def test_the_facts_are_json(store: Store, refs: tuple[Ref, Ref, Ref]) -> None:
    """The same facts as JSON, moments in UTC."""
    record = write_run(store, RUN, [stage_record(refs[1])], training=Training(epochs=10))
    told = json.loads(run_facts(store, record, NOW).model_dump_json())
    assert (told["kind"], told["id"], told["started"]) == ("run", RUN, "2026-01-01T00:00:00+00:00")
    assert told["configuration"][0] == {"name": "epochs", "value": 10, "profile": 50}
    assert told["stages"][0]["store"] == "there"
    assert told["metrics"]["test"]["accuracy"] == 0.9606


def test_values_of_the_configuration_stand_below_each_other(store: Store, screen: Screen) -> None:
    """A changed value that is long moves what stands beside it, of all changed ones alike."""
    training = Training(schedule="cosine", optimizer="adamw", activation="sigmoid", learning_rate=0.000123456789)
    text = page(screen, run_facts(store, write_run(store, RUN, training=training), NOW))
    beside = [line for line in text.splitlines() if "in the profile" in line]
    assert len(beside) == 4
    assert len({line.index("in the profile") for line in beside}) == 1


def test_a_page_fits_a_terminal(store: Store, refs: tuple[Ref, Ref, Ref]) -> None:
    """At 80 columns a stage of a file with a long name stays one line: its version is cut in half."""
    row = stage_record(refs[1]).model_copy(update={"stage": "decompress", "name": "train-images-idx3-ubyte.gz"})
    screen = Screen()
    screen.out = Terminal(file=screen.text, force_terminal=True, width=80, soft_wrap=True, color_system=None)
    text = page(screen, run_facts(store, write_run(store, RUN, [row]), NOW))
    line = next(line for line in text.splitlines() if line.startswith("decompress"))
    assert line.endswith(f"kB  {row.version[:8]}")
    assert len(line) <= 80


def test_a_running_run_takes_the_time_since_its_start(tmp_path: Path) -> None:
    """A run that ended took what it recorded, one that goes on the time so far, and of a killed one nobody knows."""
    record = write_run(Store(tmp_path / "home"), "a" * 12, state="running")
    now = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
    assert time_taken(record, "running", now) == 120.0
    assert time_taken(record, "running", FIRST.replace(year=2025)) == 0.0
    assert time_taken(record, "completed", now) == time_taken(record, "failed", now) == 30.0
    assert time_taken(record, "killed", now) is None


def test_the_summary_has_the_tutorials_figures_and_every_place(desk: Path, screen: Screen) -> None:
    """A completed run: figures, what was cached, where things are, and its warnings once more."""
    home = desk / ".idxflow"
    print_summary(screen, record_run(home, warnings=("NOT MNIST",)), home, "idxflow server stop")
    assert screen.text.getvalue() == SUMMARY


def test_what_voids_the_accuracy_stands_below_it_in_the_summary(desk: Path, screen: Screen) -> None:
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
