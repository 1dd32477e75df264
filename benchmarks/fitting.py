"""
One training in a process of its own, as a run or a script has it; started by `benchmarks.fits`.

The only argument is a `Job` as JSON. Libraries are imported and data is loaded before the clock runs: of idxflow's that
is the parsed table, which the fit then reads and normalises. Prints: a `Fitted` as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from artifacts.store.store import Store
from benchmarks.harness import clock
from benchmarks.walk import Walk
from schemas.catalog import load_dataset
from schemas.image_table import ImageTable
from schemas.model import MEAN, MODEL, NORMALIZER, NormalizerFacts
from schemas.training import Training
from tasks.fitting.holding import hold_out
from tasks.quality.scoring import Tally

Contestant = Literal["plain", "idxflow", "numpy"]


class Job(BaseModel):
    """
    What to train.

    Args:
        mnist:    the folder of the four `.gz` files.
        home:     of idxflow's: a store; what is missing in it is made before the clock runs.
        training: of idxflow's; of the others its epochs and its seed are taken.
        tested:   whether the test accuracy is asked for, of idxflow's.
    """

    model_config = ConfigDict(frozen=True)
    contestant: Contestant
    mnist: Path
    home: Path
    dataset: str
    training: Training
    tested: bool = False


class Fitted(BaseModel):
    """Seconds of the fit; test accuracy in [0, 1], None where it was not asked for."""

    model_config = ConfigDict(frozen=True)
    seconds: float
    accuracy: float | None = None


def fit_plain(job: Job) -> Fitted:
    """Time the tutorial's `fit` alone."""
    from tasks.fitting.backend import keras  # quiet, and on the processor: for all contestants alike

    from benchmarks import tutorial  # isort: skip

    features, label, *_ = tutorial.load_and_normalize(job.mnist)
    onehot = keras.utils.to_categorical(label)
    model = tutorial.build(features.shape[1], onehot.shape[1], job.training.seed)
    return Fitted(seconds=clock(lambda: tutorial.fit(model, features, onehot, job.training.epochs)))


def fit_by_hand(job: Job) -> Fitted:
    """Time the NumPy trainer."""
    from benchmarks import numpy_trainer, tutorial

    features, label, *_ = tutorial.load_and_normalize(job.mnist)
    narrow = features.astype(np.float32)
    return Fitted(seconds=clock(lambda: numpy_trainer.train(narrow, label, job.training.epochs)))


def fit_ours(job: Job) -> Fitted:
    """Time idxflow's fit: the network built, the table read and normalised, and trained on."""
    data, training = load_dataset(job.dataset, (str(job.mnist),)), job.training
    refs = Walk(Store(job.home), "normalize").through(data, Training()).refs
    tables = {split: ImageTable(refs["parse", split].file()) for split in ("train", "test")}
    normalizer = refs["normalize", ""]
    mean = np.load(normalizer.file(MEAN), allow_pickle=False).reshape(data.splits["train"].spec.shape.array)
    std = NormalizerFacts.model_validate_json(normalizer.file(NORMALIZER).read_bytes()).std
    trained: list[Any] = []
    from tasks.fitting.network import build_network
    from tasks.train import fit

    def train() -> None:
        table = tables["train"]
        held = hold_out(table, "last", training)
        network = build_network(training, mean, std, len(table.metadata.classes), held.trained)
        fit(network, table, training, held)
        trained.append(network.classifier)

    seconds = clock(train)
    return Fitted(seconds=seconds, accuracy=_tested(trained[0], tables["test"], job.home) if job.tested else None)


def _tested(classifier: Any, table: ImageTable, folder: Path) -> float:
    from tasks.evaluate import predict
    from tasks.inference.perceptron import Perceptron

    classifier.save(saved := folder / MODEL)
    network, tally = Perceptron.read(saved), Tally(table.metadata.classes, table.samples)
    for batch in table.batches():
        tally.add(predict(network, batch))
    return tally.measure().accuracy


CONTESTANTS = {"plain": fit_plain, "idxflow": fit_ours, "numpy": fit_by_hand}

if __name__ == "__main__":
    asked = Job.model_validate_json(sys.argv[1])
    sys.stdout.write(CONTESTANTS[asked.contestant](asked).model_dump_json())
