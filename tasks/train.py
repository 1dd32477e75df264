"""train: fit the perceptron to the train table."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.held_out import Way
from schemas.image_table import ImageTable
from schemas.model import MEAN, MODEL, NORMALIZER, NormalizerFacts, Numerics
from schemas.parameters import Summary
from schemas.training import CURVE, HISTORY, EpochRow, History, Training
from tasks.fitting.dealing import GROUPS, read_deal
from tasks.fitting.holding import Holding, hold_out
from tasks.fitting.memory import free_memory
from tasks.fitting.rows import Rows
from tasks.fitting.stretch import CHECKPOINT, WHOLE, Stretch
from tasks.formats.table import Parts, open_table

if TYPE_CHECKING:
    from tasks.fitting.course import Course
    from tasks.fitting.feed import Feed
    from tasks.fitting.network import Network

PROVED = 500
"""Train images at most on which the saved network is compared with Keras's."""
log = logging.getLogger("idxflow.train")


def fit(network: Network, table: ImageTable, training: Training, held: Holding, stretch: Stretch = WHOLE) -> History:
    """
    Fit `network` in place to the rows of `table` that are not held out, and give it the weights that are kept.

    Raises: as `run_epochs`.
    """
    course = run_epochs(network, table, training, held, stretch)
    course.finish()
    return course.history(held)


def run_epochs(network: Network, table: ImageTable, training: Training, held: Holding, stretch: Stretch) -> Course:
    """
    Fit `network` in place for the epochs of `stretch` that are not done, and validate it after each of them.

    Raises:
        TrainingDiverged: a loss or a weight is no longer a finite number.
        BadTable:         a row group is damaged.
    """
    from tasks.fitting.backend import keras
    from tasks.fitting.course import Course

    # A reader each: two threads read while an epoch ends and its validation begins.
    rows, held_out = Rows(table, held.fitted), Rows(ImageTable(*table.paths), held.rows)
    log.info("%d rows to train on, %d held out, %d weights", len(rows), len(held_out), network.trainee.count_params())
    course = Course(network.trainee, training, stretch)
    if not course.over:
        feed = _choose_feed(rows, held_out, network, training)
        with feed.telling():
            network.trainee.fit(
                feed.training(len(course.epochs)),
                initial_epoch=len(course.epochs),
                epochs=course.until,
                steps_per_epoch=feed.steps,
                shuffle=False,  # the feed does it
                verbose=0,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=course.end_epoch)],
                validation_data=feed.validation() if len(held_out) else None,
            )
    return course


def network_for(data: ImageTable, normalizer: Ref, training: Training, held: Holding) -> Network:
    """Build the network with fresh weights that is fitted to the rows of a table that are not held out."""
    from tasks.fitting.network import build_network

    facts = NormalizerFacts.model_validate_json(normalizer.file(NORMALIZER).read_bytes())
    mean = np.load(normalizer.file(MEAN), allow_pickle=False)
    image = mean.reshape(data.metadata.shape.array)
    return build_network(training, image, facts.std, len(data.metadata.classes), held.trained)


def tell_findings(held: Holding) -> None:
    """Warn of what is unusual about the held-out rows."""
    for finding in held.findings:
        log.warning("%s", finding)


def write_history(path: Path, history: History) -> None:
    """Write `history` as JSON."""
    path.write_text(history.model_dump_json(indent=2) + "\n", encoding="utf-8")


def write_curve(path: Path, history: History) -> None:
    """Write `history` as CSV: a header, then one row per epoch; a cell is empty where nothing was held out."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(EpochRow.model_fields), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in history.epochs)


def _choose_feed(rows: Rows, held_out: Rows, network: Network, training: Training) -> Feed:
    from tasks.fitting.feed import Held, Streamed

    needed, budget = (
        Held.memory(rows, held_out, network),
        free_memory() // 2 if training.memory is None else training.memory,
    )
    if needed <= budget:
        return Held(rows, held_out, network, training)
    log.info("the table is streamed: it would take %d MB of memory, and may take %d", needed // 10**6, budget // 10**6)
    return Streamed(rows, held_out, network, training)


class TrainSummary(Summary):
    """The trained model, the epoch that it is from, and the last one."""

    weights: int
    train_rows: int
    validation_rows: int
    held_out: Way
    findings: tuple[str, ...]
    updates: int
    kept: int
    last: EpochRow
    temperature: float | None = None
    numerics: Numerics


@stage(
    packages=("tensorflow", "keras", "numpy"),
    on_main_thread=True,
    imports="tasks.fitting.backend",
    outside_key=("begun",),
)
def train(  # noqa: PLR0917 - what the engine hands over counts as well
    table: Parts,
    normalizer: Ref,
    training: Training,
    held_out: Way,
    checkpoints: Path,
    out: Path,
    groups: Ref | None = None,
    begun: Ref | None = None,
) -> TrainSummary:
    """
    Fit the perceptron to the train table and save it with its normalisation, its history and its curve.

    Args: begun: of the stage begin, with the first epochs of this training; they are not done again.
    """
    data = open_table(table)
    deal = read_deal(groups.file(GROUPS)) if groups else None
    version = train.parts(train.bind(table, normalizer, training, held_out, groups)).version
    stretch = Stretch(version, checkpoints, begun.file(CHECKPOINT).parent if begun else None)
    return fit_and_save(data, normalizer, training, hold_out(data, held_out, training, deal), stretch, out)


def fit_and_save(  # noqa: PLR0917 - as of the stage
    data: ImageTable, normalizer: Ref, training: Training, held: Holding, stretch: Stretch, out: Path
) -> TrainSummary:
    """Fit the perceptron to the rows of a table that are neither held out nor apart; see `train`."""
    tell_findings(held)

    from tasks.fitting.backend import (
        numerics,  # no sooner: it takes seconds, and what is refused above needs nothing of it
    )
    from tasks.fitting.network import content_digest
    from tasks.fitting.proving import prove

    network = network_for(data, normalizer, training, held)
    history = fit(network, data, training, held, stretch)
    classifier = network.classifier
    if training.calibrate:
        from tasks.fitting.temperature import calibrate

        calibrated = calibrate(classifier, Rows(data, held.rows))
        classifier, findings = calibrated.classifier, history.findings
        if calibrated.finding:
            log.warning("%s", calibrated.finding)
            findings = (*findings, calibrated.finding)
        history = history.model_copy(update={"temperature": calibrated.temperature, "findings": findings})
    classifier.save(out / MODEL)
    prove(classifier, out / MODEL, data.group(0).image[:PROVED])
    write_history(out / HISTORY, history)
    write_curve(out / CURVE, history)
    return TrainSummary(
        content={MODEL: content_digest(classifier)},
        weights=network.trainee.count_params(),
        train_rows=history.train_rows,
        validation_rows=history.validation_rows,
        held_out=history.way,
        findings=history.findings,
        updates=history.updates,
        kept=history.kept,
        last=history.epochs[-1],
        temperature=history.temperature,
        numerics=numerics(),
    )
