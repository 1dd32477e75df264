"""train: fit the perceptron to the train table."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.errors import StageError, TrainingDiverged
from schemas.events import Progress, emit
from schemas.history import EpochRow, History
from schemas.image_table import Batch, ImageTable
from schemas.numerics import Numerics
from schemas.statistics import NormalizerFacts
from schemas.summary import Summary
from schemas.training import Training

if TYPE_CHECKING:
    from tasks.network import Network

log = logging.getLogger("idxflow.train")


def count_train_rows(rows: int, validation_fraction: float) -> int:
    """
    Return how many rows, the first ones, are trained on; the others are held out. Rounds as Keras's `validation_split`.

    Raises: StageError: none would be left.
    """
    kept = math.floor(rows * (1 - validation_fraction))
    if kept < 1:
        raise StageError(
            "training.validation_fraction",
            expected="at least one row left to train on",
            found=f"{validation_fraction:g} of {rows} rows held out",
            way_out="Hold out less, `--set training.validation_fraction=0` for nothing, or bring more images.",
        )
    return kept


def fit(network: Network, data: Batch, training: Training) -> History:
    """
    Fit `network` in place to the first rows of `data`, and validate it on the held-out last ones after each epoch.

    Raises:
        StageError:       no row is left to train on.
        TrainingDiverged: a loss or a weight is no longer a finite number.
    """
    from tasks.backend import keras

    kept = count_train_rows(len(data.label), training.validation_fraction)
    labels = data.label.astype(np.int32)
    images = data.image[:kept] if network.shifting else network.features(data.image[:kept])
    held_out = len(labels) - kept
    log.info("%d rows to train on, %d held out, %d weights", kept, held_out, network.trainee.count_params())
    rows: list[EpochRow] = []

    def end_epoch(epoch: int, logs: dict[str, float]) -> None:
        _refuse_divergence(epoch + 1, logs.values(), training)
        rows.append(
            EpochRow(
                epoch=epoch + 1,
                loss=logs["loss"],
                accuracy=logs["accuracy"],
                validation_loss=logs.get("val_loss"),
                validation_accuracy=logs.get("val_accuracy"),
            )
        )
        log.info("epoch %d of %d: %s", epoch + 1, training.epochs, ", ".join(f"{k} {v:.4f}" for k, v in logs.items()))
        emit(Progress("train", "epochs", epoch + 1, training.epochs, facts=dict(logs)))

    network.trainee.fit(
        _as_one(images, labels[:kept]),
        epochs=training.epochs,
        shuffle=False,  # the train step does it
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)],
        validation_data=_as_one(network.features(data.image[kept:]), labels[kept:]) if held_out else None,
    )
    # The last update may have broken what the mean over the last epoch does not show.
    _refuse_divergence(training.epochs, network.trainee.get_weights(), training)
    updates = training.count_updates(kept)
    return History(train_rows=kept, validation_rows=held_out, updates=updates, epochs=tuple(rows))


def write_curve(path: Path, history: History) -> None:
    """Write `history` as CSV: a header, then a row an epoch; a cell is empty where nothing was held out."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(EpochRow.model_fields), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.model_dump() for row in history.epochs)


def _as_one(images: npt.NDArray[Any], labels: npt.NDArray[np.int32]) -> Any:
    """Return a data set of one element, the whole split."""
    from tasks.backend import tf

    return tf.data.Dataset.from_tensors((images, labels))


def _refuse_divergence(epoch: int, values: Iterable[npt.ArrayLike], training: Training) -> None:
    if not all(np.isfinite(value).all() for value in values):
        raise TrainingDiverged(
            f"epoch {epoch} of {training.epochs}",
            expected="a finite loss and finite weights",
            found="NaN or infinity",
            way_out=f"Take smaller steps: `--set training.learning_rate={training.learning_rate / 10:g}`.",
        )


class TrainSummary(Summary):
    """The trained model and its last epoch."""

    weights: int
    train_rows: int
    validation_rows: int
    updates: int
    last: EpochRow
    numerics: Numerics


@stage("train", packages=("tensorflow", "keras", "numpy"), on_main_thread=True)
def train(table: Ref, normalizer: Ref, training: Training, out: Path) -> TrainSummary:
    """Fit the perceptron to the train table and save it with its normalisation, its history and its curve."""
    from tasks.backend import numerics
    from tasks.network import build_network, content_digest

    data = ImageTable(table.file("table.parquet"))
    facts = NormalizerFacts.model_validate_json(normalizer.file("normalizer.json").read_bytes())
    mean = np.load(normalizer.file("mean.npy"), allow_pickle=False)
    kept = count_train_rows(data.samples, training.validation_fraction)
    image = mean.reshape(data.metadata.shape)
    network = build_network(training, image, facts.std, len(data.metadata.classes), kept)
    history = fit(network, data.read(), training)
    network.classifier.save(out / "model.keras")
    (out / "history.json").write_text(history.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_curve(out / "curve.csv", history)
    return TrainSummary(
        content={"model.keras": content_digest(network.classifier)},
        weights=network.trainee.count_params(),
        train_rows=history.train_rows,
        validation_rows=history.validation_rows,
        updates=history.updates,
        last=history.epochs[-1],
        numerics=numerics(),
    )
