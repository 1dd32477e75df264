"""What a sweep leaves: the best of the trials, whether it is better, what mattered, and nothing that is not so."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.space import configured, read_space
from schemas.training import Training
from schemas.tuning import BEST, HEADER, PAGE, STUDY, TRIALS, Study, Told, Trial, Trials
from tasks.quality.importance import find_importance
from tasks.study import UNMEASURED, best_configuration, study
from tests.tasks.sweeps import history_of, left, left_by, rules, sweep, version_of


def made(home: Path, *curves: list[float] | None, kept: int | None = None, **given: Any) -> dict[str, Any]:
    """Return the arguments of a sweep whose trials have these held-out accuracies; None: one that failed."""
    training = given.pop("training", Training(epochs=2))
    told = [
        Told(number=at, values={"learning_rate": at / 1000}, state="failed" if curve is None else "complete")
        for at, curve in enumerate(curves, 1)
    ]
    trained = [left_by(home / f"{at}", at, history_of(curve, kept=kept)) for at, curve in enumerate(curves, 1) if curve]
    nothing: dict[str, Any] = {key: [] for key in ("seeds", "models", "scores", "own_models", "own_scores")}
    said = rules(training, space={"learning_rate": "log:1e-4..1e-1"}, **given)
    trials = Trials(told=tuple(told))
    return {"rules": said, "training": training, "trials": trials, "ends": (64, 10), "trained": trained, **nothing}


def test_the_best_trial_wins(tmp_path: Path) -> None:
    """The highest held-out accuracy of the epoch that is kept wins, whatever later or earlier epochs had."""
    found = left(tmp_path / "out", made(tmp_path, [0.5, 0.9], [0.99, 0.8], [0.2, 0.95], None))
    assert found.best == 3
    assert found.winner is not None
    assert (found.winner.accuracy, found.winner.kept, found.winner.version) == (0.95, 2, version_of(3))
    assert found.winner.weights == 65 * 50 + 51 * 50 + 51 * 10
    assert [each.state for each in found.trials] == ["complete", "complete", "complete", "failed"]
    assert [each.number for each in found.ranked] == [3, 1, 2]


def test_equal_accuracy_is_decided_by_loss(tmp_path: Path) -> None:
    """Of trials with one accuracy the one with the lower loss wins, and of equal ones the first."""
    arguments = made(tmp_path, [0.9], [0.9], [0.9])
    for at, loss in ((0, 0.4), (1, 0.3), (2, 0.3)):
        left_by(tmp_path / f"{at + 1}", at + 1, history_of([0.9], losses=[loss]))
    assert left(tmp_path / "out", arguments).best == 2


def test_the_objective_may_be_the_loss(tmp_path: Path) -> None:
    """By loss the lowest wins, though another one has the higher accuracy."""
    arguments = made(tmp_path, [0.9], [0.8], objective="loss")
    left_by(tmp_path / "2", 2, history_of([0.8], losses=[0.05]))
    assert left(tmp_path / "out", arguments).best == 2


def test_a_pruned_trial_never_wins(tmp_path: Path) -> None:
    """A trial that was pruned is shown with what it had reached, and is not compared with those that were not."""
    arguments = made(tmp_path, [0.5, 0.6], [0.99])
    told = arguments["trials"].told
    arguments["trials"] = Trials(told=(told[0], told[1].model_copy(update={"state": "pruned", "reason": "after 1"})))
    found = left(tmp_path / "out", arguments)
    assert found.best == 1
    assert (found.trials[1].state, found.trials[1].accuracy) == ("pruned", 0.99)


def test_where_all_failed_there_is_no_winner(tmp_path: Path) -> None:
    """A study without a complete trial says so: it has no best one, and a configuration file without a table."""
    found = left(tmp_path / "out", made(tmp_path, None, None))
    assert (found.best, found.winner, found.means, found.looks) == (None, None, None, 0)
    assert found.unsaid == "0 trials are complete, and fewer than 6 tell nothing"
    text = (tmp_path / "out" / BEST).read_text()
    assert text.startswith(HEADER)
    assert "there is none" in text
    assert tomllib.loads(text) == {}


@pytest.mark.parametrize("field", ["validation_loss", "validation_accuracy"])
def test_what_is_no_number_never_wins(tmp_path: Path, field: str) -> None:
    """A trial without figures of its held-out rows has failed, and says why."""
    arguments = made(tmp_path, [0.5], [0.9])
    history = history_of([0.9])
    row = history.epochs[0].model_copy(update={field: None})
    left_by(tmp_path / "2", 2, history.model_copy(update={"epochs": (row,)}))
    found = left(tmp_path / "out", arguments)
    assert found.best == 1
    assert (found.trials[1].state, found.trials[1].reason, found.trials[1].version) == ("failed", UNMEASURED, "")


@pytest.mark.parametrize("more", [0, 2])
def test_trainings_belong_to_trials(tmp_path: Path, more: int) -> None:
    """One training too few, or one too many, is refused."""
    arguments = made(tmp_path, [0.5])
    with pytest.raises(ValueError, match="train"):
        left(tmp_path / "out", arguments | {"trained": arguments["trained"] * more})


def test_the_winner_is_tested_with_each_seed(tmp_path: Path) -> None:
    """Winner and profile name the same test images: who wins which, the exact p-value, and the means over seeds."""
    found = left(tmp_path / "out", sweep(tmp_path, 8, tests=3))
    assert [each.seed for each in found.tested] == [123, 124, 125]
    assert found.looks == 6
    for each in found.tested:
        assert each.better > each.worse == 0
        assert each.p_value == pytest.approx(2 * 0.5**each.better)
        assert 297 * (each.accuracies[0] - each.accuracies[1]) == pytest.approx(each.better)
    assert found.means == pytest.approx([sum(each.accuracies[at] for each in found.tested) / 3 for at in (0, 1)])


def test_models_of_other_images_are_not_compared(tmp_path: Path) -> None:
    """A pair that was tested on different images is refused, with its seed."""
    arguments, other = sweep(tmp_path / "a", 3, tests=1), sweep(tmp_path / "b", 3, tests=1)
    path = other["own_scores"][0].file("predictions.parquet")
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(path).slice(0, 500), path)
    with pytest.raises(ValueError, match="seed 123"):
        left(tmp_path / "out", arguments | {"own_scores": other["own_scores"]})


def test_the_same_sweep_leaves_the_same_bytes(tmp_path: Path) -> None:
    """Equal inputs give equal files, wherever they lie, whatever the profile is called and the memory allowed."""
    training = Training(epochs=12)
    named = Training.model_validate({**training.model_dump(), "profile": "tuned", "memory": 10**9})
    for name, shared in (("one", training), ("two", named)):
        left(tmp_path / name, sweep(tmp_path / f"of {name}", 12, training=shared, pruned=2, failed=1, tests=2))
    for file in (STUDY, TRIALS, BEST, PAGE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_table_has_a_row_for_each_trial(tmp_path: Path) -> None:
    """All trials stand in it in the order of asking, with their values to the last digit, and no cell is a formula."""
    arguments = sweep(tmp_path, 9, pruned=1, failed=1)
    told = list(arguments["trials"].told)
    at = next(at for at, each in enumerate(told) if each.state == "failed")
    told[at] = told[at].model_copy(update={"reason": "=cmd()\nx"})
    found = left(tmp_path / "out", arguments | {"trials": Trials(told=tuple(told))})
    with (tmp_path / "out" / TRIALS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == list(range(1, 10))
    assert rows[at]["reason"] == "'=cmd()\\nx"
    assert rows[at]["accuracy"] == rows[at]["version"] == ""
    for row, each in zip(rows, found.trials, strict=True):
        assert float(row["learning_rate"]) == each.values["learning_rate"]
        assert row["state"] == each.state
        if each.accuracy is not None:
            assert float(row["accuracy"]) == each.accuracy


@given(
    st.fixed_dictionaries(
        {
            "learning_rate": st.floats(1e-12, 10),
            "momentum": st.floats(0, 0.9999),
            "hidden": st.lists(st.integers(1, 800), max_size=3),
            "activation": st.sampled_from(["relu", "tanh"]),
            "calibrate": st.booleans(),
            "batch_size": st.integers(1, 4096),
        }
    ),
    st.sampled_from(["tutorial", "tuned"]),
)
def test_the_winner_can_be_run(values: dict[str, Any], profile: str) -> None:
    """Read back, the winner's file gives the very configuration, every digit of it; it says nothing of memory."""
    training = Training.model_validate({"profile": profile, "epochs": 7, "memory": 10**9})
    trial = Trial(number=4, values=values, state="complete", accuracy=0.9, loss=0.1, kept=2, stage="train", version="a")
    found = Study(training=training, rules=rules(training), trials=(trial,), best=4)
    text = best_configuration(found)
    read = tomllib.loads(text)["training"]
    assert Training.model_validate(read) == configured(
        Training.model_validate({"profile": profile, "epochs": 7}), values
    )
    assert "memory" not in read
    assert text.startswith(HEADER)


def test_what_matters_is_found(tmp_path: Path) -> None:
    """The field that decides has the largest share, the shares add up to 1, and the evaluator is named."""
    found = left(tmp_path / "out", sweep(tmp_path, 40))
    assert next(iter(found.importance)) == "learning_rate"
    assert sum(found.importance.values()) == pytest.approx(1, abs=1e-5)
    assert found.importance["learning_rate"] > 0.6
    assert (found.evaluator, found.unsaid) == ("PED-ANOVA", "")


def test_what_matters_is_found_among_many() -> None:
    """A field that decides is told from one that does not, and the evaluator is named."""
    space = read_space({"learning_rate": "log:1e-4..1e-1", "batch_size": "16..256"}, Training())
    values = [{"learning_rate": 10 ** -(1 + 3 * at / 150), "batch_size": 16 + at % 7} for at in range(150)]
    found = find_importance(space, values, [0.9 - 0.2 * (each["learning_rate"] - 0.01) ** 2 for each in values])
    assert found.evaluator == "PED-ANOVA"
    assert found.shares["learning_rate"] > found.shares["batch_size"]


@pytest.mark.parametrize(
    ("count", "spread", "why"),
    [(1, True, "1 trial is complete"), (5, True, "5 trials are complete"), (8, False, "came to the same")],
)
def test_too_little_says_nothing(count: int, spread: bool, why: str) -> None:
    """Of few trials, or of equal ones, no field is said to matter, and it is said why."""
    space = read_space({"learning_rate": "log:1e-4..1e-1", "momentum": "0.5..0.9"}, Training())
    values = [{"learning_rate": 0.001 * (at + 1), "momentum": 0.5 + at / 100} for at in range(count)]
    found = find_importance(space, values, [0.5 + at / 100 * spread for at in range(count)])
    assert not found.shares
    assert why in found.unsaid


def test_values_that_lie_outside_count_for_nothing() -> None:
    """A trial that a person asked for, beyond the bounds or without a field, is left out of the importance."""
    space = read_space({"learning_rate": "log:1e-4..1e-1"}, Training())
    values: list[dict[str, Any]] = [{"learning_rate": 5.0}, {}, *({"learning_rate": 0.01} for _ in range(5))]
    assert find_importance(space, values, [0.5] * 7).unsaid.startswith("5 trials are complete")


def test_the_summary_says_what_the_study_does(tmp_path: Path) -> None:
    """Counts, the winner and the means stand in the manifest, for people who read no file."""
    (tmp_path / "out").mkdir()
    summary: Any = study.function(**sweep(tmp_path, 9, pruned=2, failed=1, tests=1), out=tmp_path / "out")
    assert (summary.trials, summary.complete, summary.pruned, summary.failed, summary.looks) == (9, 6, 2, 1, 2)
    assert summary.values.keys() == {"learning_rate", "momentum", "hidden"}
