"""A sweep: the same table whoever trains, nothing trained twice, nothing tested before the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline import pipeline
from flows.run_record import RunRecord
from schemas.errors import StageError, UsageError
from schemas.events import Event, Progress, StageChanged, listening
from schemas.profile_file import read_profile
from schemas.training import HISTORY, Training
from schemas.tuning import TrialEnded
from schemas.workers import Workers
from tests.flows.sweeps import TRAINING, facts, study_of, trained, tune

pytestmark = pytest.mark.usefixtures("prefect_server")
WILD: dict[str, str | tuple[Any, ...]] = {"learning_rate": (10.0, 0.01), "momentum": (0.9, 0.5)}
"""With rectified units a step size of 10 diverges."""
RELU = TRAINING.model_copy(update={"activation": "relu"})


def test_sweep_trains_each_trial_once_and_tests_the_winner_alone(home: Path) -> None:
    """Trials are told and kept; the test split is asked of the winner and the own settings, after the last trial."""
    told: list[Event] = []
    with listening(told.append):
        record = tune(seeds=2)
    study = study_of(record)
    assert [each.state for each in study.trials] == ["complete"] * 4
    assert study.trials[0].values == {"hidden": [20], "learning_rate": 0.001}  # the own settings lie in the space
    best = max(study.trials, key=lambda each: (each.accuracy or 0, -(each.loss or 0)))
    assert study.best == facts(record).winner == best.number
    assert [each.seed for each in study.tested] == [123, 124]
    ended = [event for event in told if isinstance(event, TrialEnded)]
    assert sorted(event.number for event in ended) == [1, 2, 3, 4]
    places = [
        place for place, event in enumerate(told) if isinstance(event, StageChanged) and event.stage == "evaluate"
    ]
    assert min(places) > max(told.index(event) for event in ended)
    # Trial 1 is the own settings with the first seed, and the winner's training with it is its trial's.
    assert sum(each.startswith("train ") for each in trained(record)) == 4 + (1 if study.best == 1 else 2)
    again = tune(seeds=2)
    assert (trained(again), facts(again).version) == ([], facts(record).version)
    assert all(row.cached for row in again.stages)


def test_own_settings_are_trained_where_a_round_leaves_a_worker_idle(home: Path) -> None:
    """Their other seeds begin with a round's last trials, one a round, and are trained once."""
    told: list[Event] = []
    with listening(told.append):
        record = tune(seeds=3)
    begun = [
        event.name
        for event in told
        if isinstance(event, StageChanged) and (event.stage, event.state) == ("train", "started")
    ]
    assert sorted(begun[:3]) == ["own seed 124", "trial 1", "trial 2"]
    assert sorted(begun[3:6]) == ["own seed 125", "trial 3", "trial 4"]
    assert len(trained(record)) == len({*trained(record)})
    assert [each.seed for each in study_of(record).tested] == [123, 124, 125]


@pytest.mark.slow
def test_more_trials_go_on_after_those_that_are_there(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that is made longer, also in the midst of a round, ends as one that was as long from the beginning."""
    tune(trials=3)
    longer = tune(trials=6)
    # Of those that wait for a worker the larger network begins first.
    begun = sorted(each.removeprefix("train ") for each in trained(longer) if "trial" in each)
    assert begun == ["trial 4", "trial 5", "trial 6"]
    monkeypatch.setenv("IDXFLOW_HOME", str(tmp_path / "other"))
    assert study_of(tune(trials=6)) == study_of(longer)


def test_winner_is_taken_everywhere_as_a_profile(home: Path) -> None:
    """The run with best.toml finds the winner's model in the store."""
    record = tune()
    winner = study_of(record).winner
    assert winner is not None
    training = Training.model_validate(read_profile(facts(record).best))
    run: RunRecord = pipeline(dataset="digits", training=training)
    model = next(row for row in run.stages if row.stage == "train")
    assert (model.cached, model.version) == (True, winner.version)


@pytest.mark.slow
def test_trial_that_fails_is_an_outcome(home: Path) -> None:
    """It is told with its reason and not trained again, until somebody asks for that; the others are as ever."""
    record = tune(training=RELU, space=WILD, trials=6, round=6)
    study = study_of(record)
    failed = [each for each in study.trials if each.state == "failed"]
    assert failed
    assert all("NaN or infinity" in each.reason for each in failed)
    assert study.winner is not None
    assert record.state == "completed"
    again: list[Event] = []
    with listening(again.append):
        assert study_of(tune(training=RELU, space=WILD, trials=6, round=6)) == study
    assert not any(isinstance(event, Progress) and event.unit == "epochs" for event in again)
    with listening(again.append):
        assert study_of(tune(training=RELU, space=WILD, trials=6, round=6, retry=True)) == study
    assert any(isinstance(event, StageChanged) and event.state == "started" for event in again)


def test_sweep_in_which_every_trial_fails_fails(home: Path) -> None:
    """There is nothing to test: the run says so, with a trial's reason."""
    with pytest.raises(StageError, match=r"a trial that completes, found none: .*NaN or infinity"):
        tune(training=RELU, space={"learning_rate": (10.0, 9.0)}, trials=2)


def test_pruned_sweep_trains_no_epoch_twice(home: Path) -> None:
    """A third goes on from each rung, from where it was, and ends with the weights of a training in one go."""
    training, epochs = TRAINING.model_copy(update={"epochs": 9}), list[tuple[str, int]]()

    def count(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "epochs" and event.subject.startswith("trial"):
            epochs.append((event.subject, event.done))

    with listening(count):
        record = tune(training=training, trials=4, round=4, prune=True)
    study = study_of(record)
    assert study.rules.rungs == (1, 3, 9)
    assert sorted(len(each.history.epochs) for each in study.trials if each.history) == [1] * 2 + [3] + [9]
    assert sorted(epochs) == sorted({*epochs})
    assert len(epochs) == 2 * 1 + 3 + 9
    winner = study.winner
    assert winner is not None
    whole: RunRecord = pipeline(
        dataset="digits", training=Training.model_validate(read_profile(facts(record).best)), refresh=("train",)
    )
    row = next(row for row in whole.stages if row.stage == "train")
    assert (row.cached, row.version) == (False, winner.version)
    found = json.loads((Path(row.path) / HISTORY).read_text("utf-8"))
    assert winner.history is not None
    assert found["epochs"] == winner.history.model_dump(mode="json")["epochs"]


@pytest.mark.parametrize(
    ("training", "sweep", "words"),
    [
        (TRAINING.model_copy(update={"validation_fraction": 0.0}), {}, "held-out rows"),
        (TRAINING, {"space": {"epochs": "1..3"}, "prune": True}, "trials of one length"),
        (TRAINING, {"space": {"epoch": "1..3"}}, "did you mean training.epochs"),
    ],
)
def test_sweep_that_makes_no_sense_is_refused(
    home: Path, training: Training, sweep: dict[str, object], words: str
) -> None:
    """What cannot be compared is refused before anything runs."""
    with pytest.raises(UsageError, match="Nothing has run") as caught:
        tune(training=training, **sweep)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert not list(home.glob("artifacts/*/*"))


LATE: dict[str, str | tuple[Any, ...]] = {"learning_rate": (2.0, 0.5), "dropout": "0..0.1"}
WARMED = Training(epochs=9, hidden=(50, 50, 50), activation="relu", schedule="cosine", warmup=0.8, seed=2)
"""Of nine trials two have a step size of 0.5, three go on, and what grows to 2.0 diverges after the first epoch."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("prune", [False, True], ids=["whole", "pruned"])
def test_sweep_is_the_same_table_for_any_number_of_workers(
    prune: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1, 2 and 4 threads and Dask workers, and asked again, the study is the same to the byte, and all weights."""
    sweep = {"training": WARMED, "space": LATE, "trials": 12, "round": 9, "prune": prune}
    found, states = set(), set()
    for runner in ("threads", "dask"):
        for count in (1, 2, 4):
            home = tmp_path / f"{runner}-{count}"
            monkeypatch.setenv("IDXFLOW_HOME", str(home))
            workers = Workers.model_validate({"runner": runner, "count": count})
            record = tune(workers=workers, **sweep)  # type: ignore[arg-type]
            states |= {each.state for each in study_of(record).trials}
            again = tune(workers=workers, **sweep)  # type: ignore[arg-type]
            assert (trained(again), facts(again).version) == ([], facts(record).version)
            manifests = sorted(home.glob("artifacts/train/*/manifest.json"))
            digests = tuple(json.loads(each.read_text("utf-8"))["digest"] for each in manifests)
            found.add((Path(facts(record).page).with_name("study.json").read_bytes(), digests))
    assert len(found) == 1
    assert states == {"complete", "failed", *(["pruned"] if prune else [])}


@pytest.mark.slow
def test_trial_that_fails_on_its_way_is_told_so_again(home: Path) -> None:
    """A trial that went on from a rung and then diverged has failed, keeps its place, and nobody moves up for it."""
    found = [tune(training=WARMED, space=LATE, trials=9, round=9, prune=True) for _ in range(2)]
    study = study_of(found[0])
    assert study_of(found[1]) == study
    assert trained(found[1]) == []
    failed = [each for each in study.trials if each.state == "failed"]
    assert failed
    assert any(not each.reason.startswith("epoch 1 ") for each in failed)
    assert len(failed) + sum(len(each.history.epochs) > 1 for each in study.trials if each.history) == 3


def test_winner_that_fails_with_another_seed_keeps_its_study(home: Path) -> None:
    """What cannot be tested is said, and the study, its page and the winner's settings are there."""
    training = Training(epochs=3, hidden=(20,), activation="relu", learning_rate=10)  # the own settings diverge
    record = tune(training=training, space={"learning_rate": (0.01, 0.02)}, trials=2)
    study = study_of(record)
    assert (study.best is not None, study.tested, study.looks) == (True, (), 0)
    assert "own settings with seed 123 were not tested" in study.verdict
    assert any("were not tested" in said for said in record.warnings)
    assert Path(facts(record).best).is_file()
