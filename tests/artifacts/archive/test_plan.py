"""A plan: what a run would do, walked over the store that a run left, without computing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.reasons import sentence
from artifacts.engine.plan import PlannedStage, Planning
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from schemas.training import Training
from tests.artifacts.counting import counting, fetch, join

pytestmark = pytest.mark.usefixtures("prefect_server")


def plan(home: Path, *names: str, refresh: tuple[str, ...] = (), **training: Any) -> dict[str, PlannedStage]:
    """Plan the counting flow."""
    planning = Planning(Store(home, create=False), Refresh(refresh), "two")
    with planning.walking():
        join([fetch(name) for name in names or ("one", "two")], Training(**training))
    return {f"{row.stage} {row.name}".strip(): row for row in planning.plan.stages}


def why(row: PlannedStage) -> tuple[str, str]:
    return row.state, sentence(row.changes)


def test_before_the_first_run_all_is_to_be_made_and_nothing_is(home: Path) -> None:
    """Over no store at all everything will run, and not even a folder is made."""
    rows = plan(home)
    assert why(rows["download one"]) == ("will run", "never run")
    assert why(rows["train"]) == ("will run", "never run")
    assert rows["train"].waits_for == ("download one", "download two")
    assert not home.exists()


def test_after_a_run_all_is_cached_under_the_versions_of_the_run(home: Path) -> None:
    """A plan finds what a run left, version by version, and a run after it does what the plan said."""
    record: Any = counting()
    rows = plan(home)
    assert {row.state for row in rows.values()} == {"cached"}
    assert {row.version for row in rows.values()} == {stage.version for stage in record.stages}


def test_what_changed_is_named_and_the_run_says_the_same(home: Path) -> None:
    """Another seed: the plan's reason for training is the one that the run then gives."""
    counting()
    rows = plan(home, seed=7)
    assert why(rows["train"]) == ("will run", "training.seed 123 -> 7")
    assert rows["download one"].state == "cached"
    record: Any = counting(training=Training(seed=7))
    trained = next(stage for stage in record.stages if stage.stage == "train")
    assert trained.version == rows["train"].version
    assert trained.reason == "training.seed 123 -> 7"
    assert [stage.reason for stage in record.stages if stage.cached] == ["", ""]


def test_a_stage_that_waits_says_for_what_and_what_else_changed(home: Path) -> None:
    """A refreshed input leaves what takes it open; what has changes of its own will run, whatever its input is."""
    counting()
    rows = plan(home, refresh=("download",))
    assert why(rows["download two"]) == ("will run", "refresh: asked for")
    assert why(rows["train"]) == ("depends", "")
    assert rows["train"].waits_for == ("download one", "download two")
    rows = plan(home, refresh=("download",), epochs=3)
    assert why(rows["train"]) == ("will run", "training.epochs 50 -> 3")
    assert rows["train"].version is None
    assert why(plan(home, refresh=("download", "train"))["train"]) == ("will run", "refresh: asked for")


def test_damage_is_told_and_left_where_it_is(home: Path) -> None:
    """A plan sees a damaged artifact, says what is wrong with it, and does not touch it."""
    counting()
    path = next(path for path in home.glob("artifacts/download/*/file") if path.read_text() == "two")
    path.chmod(0o644)
    path.write_text("TWOTWO")
    assert why(plan(home)["download two"]) == ("will run", "damaged: file: expected 3 bytes, found 6")
    assert path.read_text() == "TWOTWO"
    record: Any = counting()
    assert [stage.reason for stage in record.stages if not stage.cached] == ["damaged: file: expected 3 bytes, found 6"]


def test_what_a_killed_refresh_had_put_aside_counts(home: Path) -> None:
    """An artifact that was put aside for one that never came is as good as cached, for a plan and for a run."""
    record: Any = counting()
    train = next(stage for stage in record.stages if stage.stage == "train")
    store = Store(home)
    store.folder("train", train.version).rename(store.replaced("train", train.version))
    assert plan(home)["train"].state == "cached"
    again: Any = counting()
    assert all(stage.cached for stage in again.stages)


def test_an_unfinished_artifact_will_be_made_again(home: Path) -> None:
    """Without its record an artifact does not count."""
    record: Any = counting()
    train = next(stage for stage in record.stages if stage.stage == "train")
    (Path(train.path) / "record.json").unlink()
    assert why(plan(home)["train"]) == ("will run", "unfinished: a run ended before its record was written")


def test_a_plan_is_a_document(home: Path) -> None:
    """As JSON a plan has each change in parts, for programs."""
    counting()
    planning = Planning(Store(home), Refresh(), "two")
    with planning.walking():
        join([fetch("one"), fetch("two")], Training(seed=1))
    document = json.loads(planning.plan.model_dump_json())
    assert document["stages"][-1]["changes"] == [
        {"kind": "parameter", "subject": "training.seed", "before": 123, "after": 1}
    ]
