"""Runs that differ in their seed alone, as one line."""

from __future__ import annotations

import statistics

import pytest

from idxflow.listing.rows import Line, Row, lines_of
from idxflow.views.runs import accuracy, configuration
from schemas.results import wilson_interval
from schemas.training import Training
from tests.artifacts.archive.history import FIRST


def run(
    name: str, accuracy: float | None = 0.96, *, seed: int = 123, dataset: str = "mnist", state: str = "completed"
) -> Row:
    """A run of the tutorial profile."""
    return Row.model_validate(
        {
            "id": name * 12,
            "started": FIRST.isoformat(),
            "dataset": dataset,
            "dataset_id": dataset,
            "profile": "tutorial",
            "differs": {"seed": seed} if seed != 123 else {},
            "state": state,
            "seconds": 1.0,
            "stages": 1,
            "computed": (),
            "training": Training(seed=seed).model_dump(mode="json"),
            "test_accuracy": accuracy,
            "interval": None if accuracy is None else wilson_interval(accuracy, 10_000),
        }
    )


def names(lines: list[Line]) -> list[str]:
    """Return which runs stand on which line."""
    return ["".join(row.id[0] for row in line.rows) for line in lines]


def test_seeds_of_one_configuration_are_one_line() -> None:
    """In the place of the newest, with mean and standard deviation over the seeds; others stay as they are."""
    rows = [run("a", 0.97, seed=7), run("b", 0.5, dataset="digits"), run("c", 0.96), run("d", 0.95, seed=8)]
    lines = lines_of(rows)
    assert names(lines) == ["acd", "b"]
    assert lines[0].accuracy == pytest.approx(0.96)
    assert lines[0].spread == pytest.approx(statistics.stdev([0.97, 0.96, 0.95]))
    assert accuracy(lines[0]) == "96.00 \u00b1 1.00 %"
    assert configuration(lines[0]) == "(3 seeds)"
    assert (accuracy(lines[1]), configuration(lines[1])) == ("50.00 %", "")


def test_each_run_has_a_line_where_that_is_asked_for() -> None:
    """Nothing is put together, and the seed is told."""
    lines = lines_of([run("a", seed=7), run("b")], each=True)
    assert names(lines) == ["a", "b"]
    assert configuration(lines[0]) == "seed=7"


def test_a_seed_counts_once() -> None:
    """Of several runs with one seed the newest counts; that a cached run repeats it makes the mean no surer."""
    lines = lines_of([run("a", 0.97), run("b", 0.90), run("c", 0.95, seed=7)])
    assert names(lines) == ["abc"]
    assert lines[0].accuracies == (0.97, 0.95)
    assert lines[0].seeds == (123, 7)


def test_runs_of_one_seed_stay_apart() -> None:
    """The same run twice is two lines, as ever."""
    assert names(lines_of([run("a"), run("b")])) == ["a", "b"]


def test_what_has_no_accuracy_stays_apart() -> None:
    """A run that failed, or is under way, is no part of a mean."""
    rows = [run("a", None, seed=7, state="failed"), run("b", seed=8), run("c"), run("d", None, seed=9, state="running")]
    assert names(lines_of(rows)) == ["a", "bc", "d"]


def test_other_configurations_and_sets_stay_apart() -> None:
    """Two seeds of two configurations are no two seeds of one."""
    wide = run("a", seed=7).model_copy(update={"differs": {"epochs": 9, "seed": 7}})
    assert names(lines_of([wide, run("b"), run("c", seed=8, dataset="digits")])) == ["a", "b", "c"]
