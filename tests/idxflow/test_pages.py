"""The page of a run and of an artifact, and the summary that closes a run."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.lookup import stored_artifact
from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.holds import Hold
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.listing.rows import time_taken
from idxflow.views.artifact import ArtifactFacts, artifact_facts, print_artifact
from idxflow.views.console import Terminal
from idxflow.views.layout import local_time
from idxflow.views.run import RunFacts, print_run, print_summary, run_facts
from schemas.events import RunChanged
from schemas.results import LEAKED, Caveat
from schemas.training import Training
from tests.artifacts.archive.history import FIRST, stage_record, write_run
from tests.artifacts.archive.making import MACHINE, make
from tests.artifacts.building import build
from tests.idxflow.conftest import Screen
from tests.idxflow.recording import record_run

NOW = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
RUN = "0123456789ab"
SUMMARY = """
WARNING NOT MNIST
Run:             digits, tutorial profile: completed in 30.0 s
Artifacts:       3 stages: 1 cached, 2 computed
Train accuracy:  99.00 % (loss 0.0468)
Test accuracy:   90.00 % (loss 0.1330), 95 % interval 89.40 to 90.57 %
Calibration:     probabilities are 0.7 points off on average (ECE)
Dashboard:       http://127.0.0.1:4200/runs/flow-run/0123456789ab
Report:          /elsewhere/report.html
"""
WHOLE = """
WARNING NOT MNIST
Run:             digits, tutorial profile, seed 123: completed in 30.0 s
Artifacts:       3 stages: 1 cached, 2 computed
Train rows:      1500, columns: 64 (8 x 8 pixels); test rows: 297
First 3 labels:  5, 0, 4; predictions: 5, 0, 9
Held out:        150 of 1,500 train rows, stratified
Train accuracy:  99.00 % (loss 0.0468)
Test accuracy:   90.00 % (loss 0.1330), 95 % interval 89.40 to 90.57 %
Calibration:     probabilities are 0.7 points off on average (ECE)
Model:           .idxflow/artifacts/train/{version}/model.keras
Record:          .idxflow/runs/0123456789ab.json
Dashboard:       http://127.0.0.1:4200/runs/flow-run/0123456789ab
Stop the server: idxflow server stop
Report:          /elsewhere/report.html
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
Test accuracy:   96.06 % (loss 0.1330), 95 % interval 95.66 to 96.42 %
Calibration:     probabilities are 0.7 points off on average (ECE)
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
  calibrate            false
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
    assert (
        f"Test accuracy:   96.06 % (loss 0.1330), 95 % interval 95.66 to 96.42 %\nCaveat:          {leak.message}\n"
        in text
    )
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
    """A completed run: its warnings, then the figures, the report last; with `whole` also what `show` would tell."""
    home = desk / ".idxflow"
    record = record_run(home, warnings=("NOT MNIST",))
    print_summary(screen, record, home, "idxflow server stop")
    assert screen.text.getvalue() == SUMMARY
    screen = Screen()
    print_summary(screen, record, home, "idxflow server stop", whole=True)
    assert screen.text.getvalue() == WHOLE.format(version=record.stages[1].version)


def test_the_time_is_that_since_enter(desk: Path, screen: Screen) -> None:
    """A command tells the time since it was started, and how much of it went before the run began."""
    screen.now = 11.0
    screen.show(RunChanged(RUN, "running"))
    screen.now = 29.96
    print_summary(screen, record_run(desk / ".idxflow"), desk / ".idxflow", entered=0.0)
    assert "completed in 30.0 s, 11.0 of it to start\n" in screen.text.getvalue()


@pytest.mark.parametrize(("no_color", "links"), [(False, 2), (True, 0)])
def test_the_summary_fits_a_terminal(desk: Path, *, no_color: bool, links: int) -> None:
    """At 80 columns no line is wider, addresses are whole, report and dashboard are links where there are colours."""
    screen = Screen()
    screen.out = Terminal(
        file=screen.text,
        force_terminal=True,
        width=80,
        soft_wrap=True,
        color_system="256",
        no_color=no_color,
        _environ={},
    )
    home, address = desk / ".idxflow", f"http://127.0.0.1:4200/runs/flow-run/{RUN * 3}"
    words = "probabilities are 0.9 points off on average (ECE), 0.4 by chance alone; leave the least sure to a person"
    record = record_run(home)
    score = record.metrics["test"].model_copy(update={"calibration": words})
    made = {"metrics": record.metrics | {"test": score}, "report": f"{home}/artifacts/a.html", "dashboard": address}
    record = record.model_copy(update=made)
    print_summary(screen, record, home, password="idxflow server password")
    text = screen.text.getvalue()
    assert len(re.findall(r"\x1b\]8;[^;]*;(?:http|file)://\S+", text)) == links
    lines = re.sub(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-3:] == [
        "Dashboard:       (password: idxflow server password)",
        address,
        "Report:          .idxflow/artifacts/a.html",
    ]


def test_what_voids_the_accuracy_stands_below_it_in_the_summary(desk: Path, screen: Screen) -> None:
    """A caveat follows the test accuracy, and the warning that says the same is not repeated; others are."""
    home = desk / ".idxflow"
    leak = Caveat(kind="leak", message="99 of 297 test images (33.33 %) occur in the train split")
    print_summary(screen, record_run(home, caveats=(leak,), warnings=(f"own test: {LEAKED}: 99", "NOT MNIST")), home)
    lines = screen.text.getvalue().splitlines()
    place = lines.index("Test accuracy:   90.00 % (loss 0.1330), 95 % interval 89.40 to 90.57 %")
    assert lines[place + 1] == f"Caveat:          {leak.message}"
    assert [line for line in lines if "WARNING" in line] == ["WARNING NOT MNIST"]


def test_a_run_whose_artifacts_are_gone_is_summed_up_from_its_record(desk: Path, screen: Screen) -> None:
    """Whatever became of what a completed run made, the summary says how good it was, and leaves out what it read."""
    home = desk / ".idxflow"
    record = record_run(home)
    shutil.rmtree(home / "artifacts")
    print_summary(screen, record, home)
    lines = screen.text.getvalue().splitlines()
    assert "Test accuracy:   90.00 % (loss 0.1330), 95 % interval 89.40 to 90.57 %" in lines
    assert not any(line.startswith(("Train rows", "First 3 labels")) for line in lines)


def test_a_failed_run_has_no_figures(desk: Path, screen: Screen) -> None:
    """A failed run: how far it came, and where its record is."""
    home = desk / ".idxflow"
    print_summary(screen, record_run(home, state="failed"), home)
    labels = [line.partition(":")[0] for line in screen.text.getvalue().splitlines() if line]
    assert labels == ["Run", "Artifacts", "Record", "Dashboard"]
    assert "failed after 30.0 s" in screen.text.getvalue()


@pytest.fixture
def stored(store: Store) -> Stored:
    """A model in the store, with a manifest as a run writes one."""
    ref = make(
        store, "train", inputs={"table": make(store, "parse", "train")},
        parameters={"training": {"epochs": 50, "hidden": [50, 50], "decay": 1e-7, "long": {"a": "x" * 40, "b": "y"}}},
        files={"model.keras": b"weights", "history.json": b"{}" * 500},
        summary={"weights": 42310, "last": {"loss": 0.0439325645}},
        environment=MACHINE.model_copy(update={"numerics": {"TF_ENABLE_ONEDNN_OPTS": "0"}, "git_dirty": True}),
    )  # fmt: skip
    return stored_artifact(store, ref.stage, ref.version)


def shown(screen: Screen, facts: ArtifactFacts) -> str:
    """The page as text, each moment as MOMENT."""
    print_artifact(screen, facts)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "MOMENT", screen.text.getvalue())


def test_the_page_of_an_artifact(store: Store, stored: Stored, screen: Screen) -> None:
    """All that there is to an artifact: who made and uses it, from what, with what, and what is in it."""
    version, entries = stored.ref.version, stored.manifest.files
    write_run(store, "a" * 12, [stage_record(stored.ref)])
    write_run(store, "b" * 12, [stage_record(stored.ref, cached=True)], minute=1)
    write_run(store, "c" * 12)
    names = Names(store)
    names.set_alias("champion", "train", version, NOW)
    names.pin_artifact("train", version, "good", NOW)
    names.pin_run("a" * 12, "", NOW)
    names.pin_run("c" * 12, "", NOW)
    assert (
        shown(screen, artifact_facts(store, stored))
        == f"""\
Artifact:        train/{version}
Made:            MOMENT in 1.5 s by run 000000000000
Used by:         {"b" * 12}, {"a" * 12}
Aliases:         champion
Pin:             run {"a" * 12}
Pin:             train/{version}: good
Folder:          .idxflow/artifacts/train/{version}
Size:            1.0 kB in 2 files
Content:         {stored.manifest.digest[:16]}
Code:            1 file
Bits decided by: keras 3.15.1
Environment:     Python 3.12.1, Linux x86_64, 2 cores
Packages:        idxflow 0.1.0
Variables:       TF_ENABLE_ONEDNN_OPTS=0
Git commit:      {MACHINE.git_commit} with changes

Parameters
  training.epochs  50
  training.hidden  [50, 50]
  training.decay   1e-07
  training.long.a  {"x" * 40}
  training.long.b  y

Inputs
  table  parse/{stored.manifest.inputs[0].version} train

Result
  weights  42310
  last     {{"loss": 0.0439325645}}

Files, with their SHA-256
  history.json  1.0 kB
    {entries["history.json"].sha256}
  model.keras      7 B
    {entries["model.keras"].sha256}
"""
    )


def test_an_artifact_that_no_run_knows_says_so(store: Store, screen: Screen) -> None:
    """Without a record, a name, parameters or a result there is nothing to tell of them."""
    ref = build(store, {"a": b"a"})
    text = shown(screen, artifact_facts(store, stored_artifact(store, "parse", ref.version)))
    assert "Used by:         no run in the history\n" in text
    assert "Size:            1 B in 1 file\n" in text
    assert not re.search("Aliases|Pin:|Inputs|Result", text)


def test_many_runs_are_counted(store: Store, stored: Stored, screen: Screen) -> None:
    """Of many runs the newest three are named."""
    for number in range(6):
        write_run(store, f"{number:012}", [stage_record(stored.ref)], minute=number)
    facts = artifact_facts(store, stored)
    assert len(facts.runs) == 6
    assert "Used by:         000000000005, 000000000004, 000000000003, and 3 more\n" in shown(screen, facts)


def test_nested_parameters_are_told_part_by_part(store: Store, stored: Stored, screen: Screen) -> None:
    """Lists of objects are told by their places, long lists of values in one line that is cut."""
    parts = stored.manifest.parts.model_copy(
        update={"parameters": {"shards": [{"name": "a"}, {"name": "b"}], "classes": ["x" * 9] * 20}}
    )
    manifest = stored.manifest.model_copy(update={"parts": parts})
    text = shown(screen, artifact_facts(store, Stored(ref=stored.ref, manifest=manifest, folder=stored.folder)))
    assert '  shards.0  {"name": "a"}\n  shards.1  {"name": "b"}\n  classes   ["xxxxxxxxx", ' in text
    assert max(map(len, text.splitlines())) == 80


def test_the_facts_of_an_artifact_are_json(store: Store, stored: Stored) -> None:
    """The same facts as JSON, with the whole manifest."""
    Names(store).pin_artifact("train", stored.ref.version, "good", NOW)
    told = json.loads(artifact_facts(store, stored).model_dump_json())
    assert (told["kind"], told["bytes"]) == ("artifact", 1007)
    assert told["manifest"]["parts"]["code"] == {"tasks/train.py": "1"}
    assert told["pins"][0]["note"] == "good"
    assert Path(told["folder"]) == stored.folder
