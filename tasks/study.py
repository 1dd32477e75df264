"""study: what a sweep found: its trials, the best of them, what mattered, and whether the winner is better at all."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.parameters import Summary
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.space import Space, compact, configured
from schemas.text import share
from schemas.training import HISTORY, History, Training
from schemas.tuning import (
    BEST,
    HEADER,
    PAGE,
    STUDY,
    TRIALS,
    Rules,
    Study,
    Tested,
    Trial,
    Trials,
    count_weights,
    measure,
)
from schemas.visible import cell, in_a_line
from tasks.explaining.profiles import nearest_profile
from tasks.explaining.study_page import render_study
from tasks.promote import read_pair
from tasks.quality.importance import Importance, find_importance
from tasks.quality.paired import mcnemar

UNMEASURED = "its held-out rows gave no figure"
COLUMNS = ("accuracy", "loss", "epochs", "kept", "weights", "stage", "version", "reason")
"""Of `trials.csv`, behind number, state and the values that were tried."""


def read_trials(trials: Trials, trained: list[Ref], training: Training, ends: tuple[int, int]) -> Iterator[Trial]:
    """
    Yield each trial with its figures; one whose figures are no numbers has failed.

    Args: as of `study`.  Raises: ValueError: there are more or fewer artifacts than trials that did not fail.
    """
    left = iter(trained)
    for told in trials.told:
        values = _jsonable(told.values)
        failed = Trial(number=told.number, values=values, state="failed", reason=told.reason)
        if told.state == "failed":
            yield failed
            continue
        if (ref := next(left, None)) is None:
            raise ValueError(f"{told.words} is {told.state}, and no training of it was given")
        history = History.model_validate_json(ref.file(HISTORY).read_bytes())
        row = history.epochs[history.kept - 1]
        accuracy, loss = row.validation_accuracy, row.validation_loss
        if accuracy is None or loss is None or not (math.isfinite(accuracy) and math.isfinite(loss)):
            yield failed.model_copy(update={"reason": UNMEASURED})
            continue
        yield Trial(
            number=told.number,
            values=values,
            state=told.state,
            reason=told.reason,
            stage=ref.stage,
            version=ref.version,
            weights=count_weights(configured(training, told.values), ends),
            accuracy=accuracy,
            loss=loss,
            kept=history.kept,
            history=history,
        )
    if next(left, None) is not None:
        raise ValueError("more trainings than trials that did not fail")


def compare_pair(seed: int, winner: tuple[Ref, Ref], own: tuple[Ref, Ref]) -> Tested:
    """
    Hold the winner against the profile's own settings, image by image.

    Args:   winner, own: a model and what evaluate left of it.
    Raises: ValueError: they were tested on other images.
    """
    pair = read_pair(winner[1].file(PREDICTIONS), own[1].file(PREDICTIONS))
    if pair is None:
        raise ValueError(f"seed {seed}: the two models were tested on other images")
    better, worse = int(pair.better.sum()), int(pair.worse.sum())
    accuracies = tuple(
        Metrics.model_validate_json(scores.file(METRICS).read_bytes()).test.accuracy for _, scores in (winner, own)
    )
    return Tested(
        seed=seed,
        winner=winner[0].version,
        own=own[0].version,
        accuracies=(accuracies[0], accuracies[1]),
        better=better,
        worse=worse,
        p_value=mcnemar(worse, better),
    )


def find_out(rules: Rules, training: Training, trials: tuple[Trial, ...], tested: tuple[Tested, ...]) -> Study:
    """Gather a study: the best of its trials, and which fields mattered."""
    profile, _ = nearest_profile(training)
    # Neither of the two is in the key, and nothing that is left may depend on them.
    shared = training.model_copy(update={"profile": profile, "memory": None})
    study = Study(training=shared, rules=rules, trials=trials, tested=tested)
    ranked = study.ranked
    importance = _importance(rules.space, ranked, rules)
    return study.model_copy(
        update={
            "best": ranked[0].number if ranked else None,
            "importance": importance.shares,
            "evaluator": importance.evaluator,
            "unsaid": importance.unsaid,
        }
    )


def _importance(space: Space, ranked: tuple[Trial, ...], rules: Rules) -> Importance:
    # In the order of asking: a forest draws its rows by their place.
    complete = [(each, each.history) for each in sorted(ranked, key=lambda each: each.number)]
    known = [(each.values, measure(told, rules.objective)) for each, told in complete if told]
    return find_importance(space, [values for values, _ in known], [of for _, of in known])


def write_trials(path: Path, study: Study) -> None:
    """Write the trials as CSV, a row each; no cell of it is a formula."""
    names = list(study.rules.space.domains)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["number", "state", *names, *COLUMNS])
        for each in study.trials:
            tried = [_cell(each.values.get(name)) for name in names]
            epochs = len(each.history.epochs) if each.history else None
            facts = (each.accuracy, each.loss, epochs, each.kept, each.weights, each.stage, each.version, each.reason)
            writer.writerow([each.number, each.state, *tried, *map(_cell, facts)])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return cell(value)
        case list() | tuple():
            return compact(value)
    return repr(value)


def best_configuration(study: Study) -> str:
    """Return the winner's configuration as TOML: the profile, and every value that differs from the profile's."""
    winner = study.winner
    counts = f"{len(study.trials)} trials, {study.count('complete')} of which completed"
    lines = [HEADER, f"# on {in_a_line(study.rules.dataset)}, of {counts}:"]
    if winner is None or winner.accuracy is None or winner.loss is None:
        return "\n".join([*lines, "# there is none.", ""])
    figures = f"held-out accuracy {share(winner.accuracy)}, loss {winner.loss:.4f}"
    lines.append(f"# trial {winner.number}, {figures}; trained as {winner.stage}/{winner.version}.")
    found = configured(study.training, winner.values)
    profile, _ = nearest_profile(study.training)
    usual = Training.model_validate({"profile": profile})
    lines += ["", "[training]", f"profile = {_toml(profile)}"]
    lines += [
        f"{name} = {_toml(value)}"
        for name in Training.model_fields
        if name not in Training.outside_key and (value := getattr(found, name)) != getattr(usual, name)
    ]
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return json.dumps(value)
    return repr(value)


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back, so that a study read from its file equals the one that was written."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class StudySummary(Summary):
    """
    What was found, briefly.

    Args:
        best, values, accuracy, loss: of the winner: its number, what was tried, its held-out rows; None: there is none.
        tested:                       mean test accuracy of the winner and of the profile's own settings.
        looks:                        models that were evaluated on the test images.
    """

    trials: int
    complete: int
    pruned: int
    failed: int
    best: int | None
    values: dict[str, Any]
    accuracy: float | None
    loss: float | None
    tested: tuple[float, float] | None
    looks: int


@stage(packages=("optuna", "numpy", "scipy"))
def study(  # noqa: PLR0917 - what a sweep leaves is as much
    rules: Rules,
    training: Training,
    trials: Trials,
    ends: tuple[int, int],
    trained: list[Ref],
    seeds: list[int],
    models: list[Ref],
    scores: list[Ref],
    own_models: list[Ref],
    own_scores: list[Ref],
    out: Path,
    untested: Sequence[str] = (),
) -> StudySummary:
    """
    Write what a sweep found, as JSON, as a page, as a table, and the winner's configuration as TOML.

    Args:
        training:               what the trials share.
        ends:                   values of an image, and classes: from what to what a network leads.
        trained:                of each trial that did not fail, in the order of `trials`: train's, or begin's.
        seeds:                  those of the following; all of them empty: nothing is tested.
        models, scores:         the winner, trained with each seed, and evaluated.
        own_models, own_scores: the profile's own settings.
        untested:               why seeds were not tested, a sentence each.
    Raises: ValueError: lists that do not belong together.
    """
    tested = tuple(
        compare_pair(seed, (model, score), (own_model, own_score))
        for seed, model, score, own_model, own_score in zip(seeds, models, scores, own_models, own_scores, strict=True)
    )
    found = find_out(rules, training, tuple(read_trials(trials, trained, training, ends)), tested)
    found = found.model_copy(update={"untested": tuple(untested)})
    (out / STUDY).write_text(found.model_dump_json() + "\n", encoding="utf-8")
    write_trials(out / TRIALS, found)
    (out / BEST).write_text(best_configuration(found), encoding="utf-8", newline="\n")
    (out / PAGE).write_text(render_study(found), encoding="utf-8", newline="\n")
    winner = found.winner
    return StudySummary(
        trials=len(found.trials),
        complete=found.count("complete"),
        pruned=found.count("pruned"),
        failed=found.count("failed"),
        best=found.best,
        values=winner.values if winner else {},
        accuracy=winner.accuracy if winner else None,
        loss=winner.loss if winner else None,
        tested=found.means,
        looks=found.looks,
    )
