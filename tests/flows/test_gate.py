"""The gate in a run: the verdict as an artifact, the alias after it, and what is said of both."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.lookup import find_run
from artifacts.archive.names import Names
from artifacts.archive.roots import find_roots, read_graph
from artifacts.remote.opening import VARIABLES
from artifacts.store.files import remove_folder
from artifacts.store.store import Store
from flows.gate import Gate, Wanted
from flows.job import Job
from flows.pipeline import pipeline
from flows.plan import plan_pipeline
from flows.promoting import promoting
from flows.run_record import RunRecord
from flows.summary import metrics_table, summary_page
from schemas.errors import StoreError, UsageError
from schemas.training import Training
from schemas.verdict import VERDICT, Promotion, Verdict
from tests.artifacts.remote.server import Bucket, bucket
from tests.flows.own_sets import OwnSet, computed, make_set
from tests.flows.seeing import flow_run, posted

__all__ = ["bucket"]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
WEAK, STRONG = Training(epochs=1), Training(epochs=60, learning_rate=0.02)
"""A network that has learned next to nothing, and one that names every image of the set right."""


@pytest.fixture
def leaves(tmp_path: Path) -> OwnSet:
    """A set of 60 train and 30 test images."""
    return make_set(tmp_path / "leaves", 1)


def run(own: OwnSet, training: Training = WEAK, promote: str | None = "champion", **more: Any) -> RunRecord:
    """Run the pipeline; mypy sees through its decorators only so far."""
    record: RunRecord = pipeline(own.toml, training, promote=promote, **more)
    return record


def ask(record: RunRecord, alias: str = "champion", **more: Any) -> RunRecord:
    """Ask the gate about an earlier run."""
    asked: RunRecord = promoting(record.id, alias, **more)
    return asked


def became(record: RunRecord) -> Promotion:
    """Return what a run says of the alias."""
    assert record.promotion
    return record.promotion


def model(record: RunRecord) -> str:
    """Return the version of a run's model."""
    return next(row.version for row in record.stages if row.stage == "train")


def champion(home: Path, word: str = "champion") -> str | None:
    """Return the version that the alias stands for."""
    artifact = Names(Store(home)).alias(word).artifact
    return artifact[1] if artifact else None


def verdict(home: Path, record: RunRecord) -> Verdict:
    """Read the verdict that a run has left."""
    folder = Store(home).folder("promote", became(record).verdict)
    return Verdict.model_validate_json((folder / VERDICT).read_bytes())


def test_the_first_a_better_and_an_equal_model(home: Path, leaves: OwnSet) -> None:
    """The first is promoted as the first, a better one takes its place, the same once more computes nothing."""
    weak = run(leaves)
    assert (became(weak).outcome, became(weak).moved) == ("first", True)
    assert champion(home) == champion(home, "champion@leaves") == model(weak)
    strong = run(leaves, STRONG)
    assert (became(strong).outcome, champion(home)) == ("promoted", model(strong))
    found = verdict(home, strong)
    assert (found.worse, found.looks, found.accuracy) == (0, 2, 1)
    assert became(strong).alias.startswith("champion@leaves-")
    assert f"{found.better} better, 0 worse" in became(strong).words
    again = run(leaves, STRONG)
    assert computed(again) == []
    assert (became(again).standing, became(again).moved) == (True, False)
    assert became(again).words == became(strong).words
    back = run(leaves)
    assert (became(back).outcome, became(back).moved, champion(home)) == ("kept", False, model(strong))
    assert verdict(home, back).why.startswith("it is worse")
    assert computed(back) == ["promote", "report"]
    entries = Names(Store(home)).alias("champion").history
    assert [(each.version, each.verdict) for each in entries] == [
        (model(each), became(each).verdict) for each in (weak, strong)
    ]


def test_the_verdict_is_seen_in_report_record_and_dashboard(home: Path, leaves: OwnSet) -> None:
    """The same line stands in all of them; a run that promotes nothing has the report that it had."""
    plain = run(leaves, promote=None)
    assert plain.promotion is None
    record = run(leaves)
    assert computed(record) == ["promote", "report"]
    words = became(record).words
    assert record.report
    assert f"<strong>Promotion</strong>: {words}." in Path(record.report).read_text()
    assert json.loads((home / "runs" / f"{record.id}.json").read_text())["promotion"]["words"] == words
    assert {"figure": "promotion", "value": became(record).line} in metrics_table(record)
    assert "**Promotion:** champion@leaves" in summary_page(record).replace("\\", "")
    assert computed(run(leaves, promote=None)) == []


def test_a_model_below_the_floor_is_not_promoted(home: Path, leaves: OwnSet) -> None:
    """alert_below is the floor, for the first model too; the run completes, and the alias is not set."""
    record = run(leaves, alert_below=0.99)
    assert (record.state, became(record).outcome, became(record).stands) == ("completed", "kept", False)
    with pytest.raises(UsageError, match="alias 'champion'"):
        champion(home)


@pytest.mark.slow
def test_an_earlier_run_is_promoted_later(home: Path, leaves: OwnSet) -> None:
    """A run of its own holds the two, with the verdict alone; by force a worse one is promoted, with the reason."""
    weak, strong = run(leaves, promote=None), run(leaves, STRONG)
    asked = ask(weak)
    assert (asked.state, asked.promotes, asked.dataset) == ("completed", weak.id, "leaves")
    assert (became(asked).outcome, champion(home)) == ("kept", model(strong))
    assert [row.stage for row in asked.stages] == ["promote"]
    (table,) = posted(asked.flow_run).values()
    assert f"promote/{became(asked).verdict}" in str(table.data)
    assert flow_run(asked.flow_run).name == f"leaves / {became(asked).alias} / kept"
    assert find_run(Store(home), "latest").id == strong.id
    forced = ask(weak, force="the labels were wrong")
    assert (became(forced).outcome, champion(home)) == ("forced", model(weak))
    assert Names(Store(home)).alias("champion").history[-1].force == "the labels were wrong"
    assert "promoted by force (the labels were wrong), although it is worse" in became(forced).words
    assert became(ask(strong)).outcome == "promoted"
    assert Names(Store(home)).alias("champion").history[-1].force is None


@pytest.mark.slow
def test_another_data_set_has_its_own_champion(home: Path, leaves: OwnSet, tmp_path: Path) -> None:
    """A name alone is the run's own; a model of another set is refused, and promoted by force."""
    other = make_set(tmp_path / "needles", 2)
    one, two = run(leaves), run(other)
    names = [alias.name for alias in Names(Store(home)).aliases()]
    assert names == sorted({became(one).alias, became(two).alias})
    refused = ask(two, became(one).alias)
    assert (became(refused).outcome, champion(home, became(one).alias)) == ("refused", model(one))
    assert "is an alias of leaves-" in became(refused).words
    assert became(ask(two, became(one).alias, force="moved")).moved
    assert champion(home, became(one).alias) == model(two)


@pytest.mark.slow
def test_other_test_images_are_refused(home: Path, leaves: OwnSet) -> None:
    """Where the test split has changed, models of before and after are not compared: the verdict says so."""
    first = run(leaves)
    leaves.write("test", 77, 30)
    second = run(leaves, STRONG)
    assert (became(second).outcome, champion(home)) == ("refused", model(first))
    assert verdict(home, second).why == "the champion was tested on other images"
    assert verdict(home, second).looks == 1


@pytest.mark.slow
def test_a_champion_that_is_no_model_or_has_no_evaluation(home: Path, leaves: OwnSet) -> None:
    """It cannot be compared with, and the verdict says why; an alias that a person has set is held against as well."""
    weak = run(leaves, promote=None)
    store, rows = Store(home), {row.stage: row.version for row in weak.stages}
    Names(store).set_alias("champion", "normalize", rows["normalize"], NOW)
    assert "champion stands for normalize/" in became(run(leaves, STRONG)).words
    Names(store).set_alias("champion", "train", rows["train"], NOW)
    remove_folder(store.folder("evaluate", rows["evaluate"]))
    assert "a model whose evaluation is no longer stored" in became(run(leaves, STRONG)).words
    run(leaves, promote=None)
    strong = run(leaves, STRONG)
    assert (became(strong).outcome, became(strong).alias) == ("promoted", "champion")


def test_two_who_promote_at_once(home: Path, leaves: OwnSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the alias has moved meanwhile the verdict is void: the model is held against the new champion."""
    weak, strong = run(leaves, promote=None), run(leaves, STRONG, promote=None)
    settle, others = Gate.settle, [strong, None]

    def late(self: Gate, *given: Any) -> Promotion | None:
        if other := others.pop(0):
            others.insert(0, None)
            ask(other)
        return settle(self, *given)

    monkeypatch.setattr(Gate, "settle", late)
    others = [strong, None, None]
    record = run(leaves, Training(epochs=2))
    assert (became(record).outcome, champion(home)) == ("kept", model(strong))
    assert [row.stage for row in record.stages].count("promote") == 1
    assert [row.stage for row in record.stages].count("report") == 1
    assert model(weak) != model(strong)
    monkeypatch.setattr(Gate, "settle", lambda *_: None)
    with pytest.raises(
        StoreError, match=r"alias champion: expected it to stay .* moved it 3 times meanwhile\. Run again"
    ):
        run(leaves)


def test_a_plan_has_the_gate_in_it(home: Path, leaves: OwnSet) -> None:
    """What a run would judge is planned: to be computed at first, then cached, whatever became of the alias."""

    def planned() -> dict[str, str]:
        job = Job(dataset=leaves.toml, training=WEAK, promote="champion")
        found = plan_pipeline(Store(home, create=False), job)
        return {row.stage: row.state for row in found.stages}

    assert planned()["promote"] == "will run"
    run(leaves)
    assert set(planned().values()) == {"cached"}


def test_a_clean_up_keeps_what_a_champion_was_held_against(home: Path, leaves: OwnSet) -> None:
    """The verdict, both evaluations and both models stay: one can go back, and see why the alias was moved."""
    weak, strong = run(leaves), run(leaves, STRONG)
    kept = find_roots(Store(home), read_graph(Store(home)), keep=0)
    rows = {(row.stage, row.version) for each in (weak, strong) for row in each.stages if row.stage != "report"}
    assert {each for each in rows if each != ("promote", became(weak).verdict)} <= kept


@pytest.mark.parametrize("word", ["latest", "train", "abc", "Champion", "champion@", "a b"])
def test_what_is_no_alias_is_refused_before_anything_runs(home: Path, leaves: OwnSet, word: str) -> None:
    """A word that means something else is wrong usage, in a job as in the command."""
    with pytest.raises(ValueError, match="expected an alias, as champion or champion@mnist"):
        Job(promote=word)
    assert Wanted(word).floor is None


def test_machines_have_one_champion(
    home: Path, leaves: OwnSet, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is held against the one that another machine has promoted; who moves the alias goes on from there."""
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(variable, str(getattr(bucket.place, name)))
    first = run(leaves)
    monkeypatch.setenv("IDXFLOW_HOME", str(tmp_path / "other"))
    better = run(leaves, STRONG)
    assert (became(better).outcome, champion(tmp_path / "other")) == ("promoted", model(better))
    assert verdict(tmp_path / "other", better).looks == 2
    monkeypatch.setenv("IDXFLOW_HOME", str(home))
    back = run(leaves)
    assert (became(back).outcome, became(back).moved, champion(home)) == ("kept", False, model(better))
    assert verdict(home, back).why.startswith("it is worse")
    for each in (home, tmp_path / "other"):
        assert [entry.version for entry in Names(Store(each)).alias("champion").history] == [
            model(first),
            model(better),
        ]
    assert (first.warnings, better.warnings, back.warnings) == ((), (), ())


@pytest.mark.parametrize("gone", ["artifacts/train/", "runs/", "aliases/"])
def test_a_champion_that_cannot_be_had_is_left_alone(
    home: Path, leaves: OwnSet, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Where the remote has lost it, its record, or the alias does not read, the run completes with one of its own."""
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(variable, str(getattr(bucket.place, name)))
    run(leaves, STRONG)
    for name in bucket.named(gone):
        bucket.put(name, b"{") if gone == "aliases/" else bucket.drop(name)
    monkeypatch.setenv("IDXFLOW_HOME", str(tmp_path / "other"))
    alone = run(leaves)
    assert (alone.state, became(alone).outcome, champion(tmp_path / "other")) == ("completed", "first", model(alone))
    assert alone.warnings
    assert all("alias" in warning or "the record of this run" in warning for warning in alone.warnings)
