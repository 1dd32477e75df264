"""What the stage study takes, built without a training: histories of trials, and predictions of tested models."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.ref import Ref
from schemas.image_table import Batch
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.space import read_space
from schemas.training import HISTORY, EpochRow, History, Training
from schemas.tuning import STUDY, Rules, Study, Told, Trials
from tasks.evaluate import write_predictions
from tasks.quality.scoring import Scores
from tasks.study import study
from tests.tasks.measured import measured

SPACE = {"learning_rate": "log:1e-4..1e-1", "momentum": "0.5..0.99", "hidden": "[50,50]|[100,50]|[300,100]"}
ENDS = (64, 10)
CLASSES = tuple("0123456789")


def version_of(number: int) -> str:
    """Return a version for a trial's training."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"


def rules(training: Training, *, space: dict[str, Any] | None = None, **given: Any) -> Rules:
    """Return the rules of a sweep of `training`."""
    facts: dict[str, Any] = {"dataset": "digits", "round": 8, "objective": "accuracy", "seed": training.seed}
    facts |= {"epochs": training.epochs, "rungs": (training.epochs,)}
    return Rules.model_validate({**facts, "space": read_space(space or SPACE, training), **given})


def history_of(
    accuracies: Sequence[float], *, losses: Sequence[float] | None = None, kept: int | None = None
) -> History:
    """Return a training whose held-out rows had these accuracies, epoch by epoch."""
    told = losses or [1 - each for each in accuracies]
    rows = tuple(
        EpochRow(epoch=epoch, loss=loss, accuracy=accuracy, validation_loss=loss, validation_accuracy=accuracy)
        for epoch, (accuracy, loss) in enumerate(zip(accuracies, told, strict=True), 1)
    )
    return History(train_rows=1350, validation_rows=150, updates=22 * len(rows), kept=kept or len(rows), epochs=rows)


def left_by(folder: Path, number: int, history: History, stage: str = "train") -> Ref:
    """Leave the history of a trial, as train and begin do."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HISTORY).write_text(history.model_dump_json())
    return Ref(stage=stage, name="", version=version_of(number), digest="0" * 64, manifest="0" * 64).at(folder)


def tested(folder: Path, number: int, right: Sequence[bool]) -> tuple[Ref, Ref]:
    """Leave a model and its scores of test images, of which some are named right."""
    folder.mkdir(parents=True)
    label = np.arange(len(right)) % len(CLASSES)
    guess = np.where(np.array(right), label, (label + 1) % len(CLASSES))
    scores = Scores(label, guess, np.full(len(label), 0.75), np.where(label == guess, 0.25, 1.5))
    rows = Batch(np.arange(len(label), dtype=np.uint32), label.astype(np.uint16), np.empty((len(label), 0), np.uint8))
    write_predictions(folder / PREDICTIONS, iter([("train", rows, scores), ("test", rows, scores)]))
    split = measured(scores, CLASSES)
    (folder / METRICS).write_text(Metrics(train=split, test=split).model_dump_json())
    refs = [
        Ref(stage=stage, name="", version=version_of(number), digest="0" * 64, manifest="0" * 64).at(folder)
        for stage in ("train", "evaluate")
    ]
    return refs[0], refs[1]


def sweep(
    home: Path, count: int, *, training: Training | None = None, pruned: int = 0, failed: int = 0, tests: int = 0,
    seed: int = 7, epochs: int | None = None, **given: Any,
) -> dict[str, Any]:  # fmt: skip
    """
    Return the arguments of the stage for a sweep that looks like a real one.

    Args: count: trials in all; every so many of them are pruned or failed, the last ones of each round.
    """
    training = training or Training(epochs=12)
    said, drawn = rules(training, **given), random.Random(seed)
    told, trained = list[Told](), list[Ref]()
    last = epochs or training.epochs
    bad = {at * count // (failed + 1): "failed" for at in range(1, failed + 1)}
    left = [number for number in range(1, count + 1) if number not in bad]
    for at in range(1, pruned + 1):
        bad[left[(at * len(left) // (pruned + 1)) - 1]] = "pruned"
    for number in range(1, count + 1):
        values: dict[str, Any] = {}
        for name, domain in said.space.domains.items():
            if domain.kind == "choice":
                values[name] = drawn.choice(domain.values)
            elif domain.log:
                values[name] = 10 ** drawn.uniform(math.log10(domain.low), math.log10(domain.high))
            else:
                values[name] = drawn.uniform(domain.low, domain.high)
            if domain.kind == "range" and domain.whole:
                values[name] = round(values[name])
        state = bad.get(number, "complete")
        reason = {"failed": "its loss is no number", "pruned": "after epoch 2"}.get(state, "")
        told.append(Told.model_validate({"number": number, "values": values, "state": state, "reason": reason}))
        if state == "failed":
            continue
        rate = values.get("learning_rate", 0.01)
        top = 0.98 - 0.06 * abs(math.log10(rate) + 1.7) + 0.01 * drawn.random()
        curve = [round(top * (1 - 0.8 * math.exp(-epoch * 6 / last)), 4) for epoch in range(1, last + 1)]
        curve = curve[:2] if state == "pruned" else curve
        stage = "begin" if state == "pruned" else "train"
        trained.append(left_by(home / f"{number}", number, history_of(curve), stage))
    pairs = []
    for at in range(tests):
        coin = random.Random(100 + at)
        own = [coin.random() < 0.93 for _ in range(297)]
        better = [each or coin.random() < 0.6 for each in own]
        pairs.append((tested(home / f"winner {at}", 2000 + at, better), tested(home / f"own {at}", 3000 + at, own)))
    return {
        "rules": said,
        "training": training,
        "trials": Trials(told=tuple(told)),
        "ends": ENDS,
        "trained": trained,
        "seeds": [123 + at for at in range(tests)],
        "models": [winner[0] for winner, _ in pairs],
        "scores": [winner[1] for winner, _ in pairs],
        "own_models": [own[0] for _, own in pairs],
        "own_scores": [own[1] for _, own in pairs],
    }


def left(out: Path, arguments: dict[str, Any]) -> Study:
    """Run the stage into a new folder and return the study that it leaves."""
    out.mkdir()
    study.function(**arguments, out=out)
    return Study.model_validate_json((out / STUDY).read_bytes())
