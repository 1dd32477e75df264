"""evaluate: score every image of both splits once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import TableWriter
from schemas.counts import counted
from schemas.errors import BadTable
from schemas.image_spec import ImageSpec
from schemas.image_table import Batch, ImageTable
from schemas.model import MODEL
from schemas.parameters import Summary
from schemas.results import CONFUSION, LISTED, METRICS, PREDICTIONS, Metrics, SplitMetrics
from schemas.visible import cell
from tasks.formats.table import Parts, open_table, profile_of
from tasks.inference.perceptron import Perceptron
from tasks.quality.duplicates import Leak, find_leak
from tasks.quality.scoring import Scores, Tally, score

if TYPE_CHECKING:
    import pyarrow as pa


def predict(network: Perceptron, batch: Batch) -> Scores:
    """Score `batch`, of at least one row. Raises: TrainingDiverged: see `tasks.inference.perceptron`."""
    parts = [score(probabilities, batch.label[rows]) for rows, probabilities in network.blocks(batch.image)]
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Scores(*map(np.concatenate, columns))


def check_fit(network: Perceptron, table: ImageTable, name: str) -> None:
    """Check that the network was made for images and classes as the table's. Raises: BadTable: it was not."""
    made_for, found = (network.pixels, network.classes), (table.pixels, len(table.metadata.classes))
    if made_for != found:
        text = [f"{counted(pixels, 'pixel')} and {counted(classes, 'class')}" for pixels, classes in (made_for, found)]
        raise BadTable(
            f"the {name} table",
            expected=f"{text[0]}, which the model was trained for",
            found=text[1],
            way_out="Both splits of a data set need one shape and one list of classes.",
        )


def prediction_schema() -> pa.Schema:
    """
    Return the Arrow schema of `predictions.parquet`: one row per image, train before test, in the order of the tables.

    `probability` is that of the predicted class, in [0, 1]; `loss` is the cross-entropy of the true one, in nats.
    """
    import pyarrow as pa

    types = {
        "split": pa.string(),
        "sample_id": pa.uint32(),
        "label": pa.uint16(),
        "predicted": pa.uint16(),
        "probability": pa.float32(),
        "loss": pa.float32(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def write_predictions(path: Path, batches: Iterator[tuple[str, Batch, Scores]]) -> str:
    """Write batches with their split and scores, a row group each. Returns: the digest of the content."""
    import pyarrow as pa

    schema = prediction_schema()
    with TableWriter(path, schema, compression="zstd", use_dictionary=["split"]) as writer:
        for split, batch, scores in batches:
            columns = [
                pa.repeat(split, len(batch.label)),
                batch.sample_id,
                batch.label,
                scores.predicted.astype(np.uint16),
                scores.probability.astype(np.float32),
                scores.loss.astype(np.float32),
            ]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return writer.content


def write_confusion(path: Path, metrics: SplitMetrics) -> None:
    """
    Write the confusion matrix as CSV: a header of predicted classes, then one row per true class, counts of images.

    Of more than 256 classes a row is a pair of classes that occurs, in class order: true, predicted, how many images.

    A name that a spreadsheet would take for a formula has a ' before it; see `schemas.visible.cell`.
    """
    names = [cell(one.name) for one in metrics.classes]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if len(names) > LISTED:
            writer.writerow(["true class", "predicted class", "images"])
            writer.writerows((names[true], names[predicted], count) for true, predicted, count in metrics.pairs)
            return
        writer.writerow(["true class", *names])
        writer.writerows([name, *row] for name, row in zip(names, metrics.confusion, strict=True))


def join_metrics(train: SplitMetrics, test: SplitMetrics, leak: Leak, shape: ImageSpec) -> Metrics:
    """
    Join the metrics of both splits, and the accuracy on the test images that do not occur in the train split.

    Args: shape: of an image.
    """
    right, unseen = sum(one.images for one in test.pairs if one.true == one.predicted), test.samples - leak.images
    accuracy = (right - leak.right) / unseen if unseen else None
    return Metrics(train=train, test=test, leaked=leak.images, unseen_accuracy=accuracy, shape=shape)


class EvaluateSummary(Summary):
    """The headline of both splits."""

    train_samples: int
    train_accuracy: float
    train_loss: float
    test_samples: int
    test_accuracy: float
    test_loss: float
    calibration_error: float | None
    leaked: int


@stage(packages=("numpy", "scipy"))
def evaluate(model: Ref, train: Parts, test: Parts, profiles: dict[str, Parts], out: Path) -> EvaluateSummary:
    """
    Score every image of both splits once; the confusion matrix as CSV is the test split's.

    `profiles`, the image profiles of both splits, say which test images occur in the train split as well.
    """
    network = Perceptron.read(model.file(MODEL))
    tables = {"train": open_table(train), "test": open_table(test)}
    for split, table in tables.items():
        check_fit(network, table, split)
    tallies = {
        split: Tally(table.metadata.classes, table.samples, unseen=split == "test") for split, table in tables.items()
    }

    def batches() -> Iterator[tuple[str, Batch, Scores]]:
        for split, table in tables.items():
            for batch in table.batches():
                scores = predict(network, batch)
                tallies[split].add(scores)
                yield split, batch, scores

    content = write_predictions(out / PREDICTIONS, batches())
    measured = {split: tally.measure() for split, tally in tallies.items()}
    train_profile, test_profile = (profile_of(profiles[split]) for split in tables)
    leak = find_leak(train_profile, test_profile, out / PREDICTIONS)
    metrics = join_metrics(measured["train"], measured["test"], leak, tables["train"].metadata.shape)
    (out / METRICS).write_text(metrics.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_confusion(out / CONFUSION, metrics.test)
    return EvaluateSummary(
        content={PREDICTIONS: content},
        train_samples=metrics.train.samples,
        train_accuracy=metrics.train.accuracy,
        train_loss=metrics.train.loss,
        test_samples=metrics.test.samples,
        test_accuracy=metrics.test.accuracy,
        test_loss=metrics.test.loss,
        calibration_error=metrics.test.calibration and metrics.test.calibration.error,
        leaked=metrics.leaked or 0,
    )
