"""Training: the tutorial's network by idxflow, by Keras's plain `fit` and by hand in NumPy; and the tuned profile."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from artifacts.store.store import Store
from benchmarks.harness import Figure, Goal, Result, Setting, clock, interleave, ratio
from benchmarks.walk import Walk
from schemas.catalog import load_dataset
from schemas.image_table import ImageTable
from schemas.model import MEAN, MODEL, NORMALIZER, NormalizerFacts
from schemas.training import Training
from tasks.fitting.holding import hold_out
from tasks.quality.scoring import Tally

SEEDS = (1, 2, 3)
PLAIN = "tutorial's fit"


class Ours:
    """Parsed tables and the fitted normaliser, as the stages before train leave them; and what trains on them."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        data = load_dataset(setting.dataset, (str(setting.mnist),))
        refs = Walk(Store(folder), "normalize").through(data, Training()).refs
        self.train, self.test = (ImageTable(refs["parse", split].file()) for split in ("train", "test"))
        normalizer = refs["normalize", ""]
        shape = data.splits["train"].spec.shape.array
        self._mean = np.load(normalizer.file(MEAN), allow_pickle=False).reshape(shape)
        self._std = NormalizerFacts.model_validate_json(normalizer.file(NORMALIZER).read_bytes()).std

    def fit(self, training: Training) -> Any:
        """Build the network, read the table, normalise it, and fit. Returns: the classifier."""
        from tasks.fitting.network import build_network
        from tasks.train import fit

        held = hold_out(self.train, "last", training)
        network = build_network(training, self._mean, self._std, len(self.train.metadata.classes), held.trained)
        fit(network, self.train, training, held)
        return network.classifier


class Plain:
    """The tutorial's own data, and its `fit`."""

    def __init__(self, setting: Setting) -> None:
        from tasks.fitting.backend import keras  # quiet, and on the processor: for all contestants alike

        from benchmarks import tutorial  # isort: skip

        self._tutorial, self._epochs = tutorial, setting.epochs
        self.features, self.label, *_ = tutorial.load_and_normalize(setting.mnist)
        self._onehot = keras.utils.to_categorical(self.label)

    def fit(self, seed: int = 123) -> float:
        """Build the network, and return the seconds that `fit` alone takes."""
        model = self._tutorial.build(self.features.shape[1], self._onehot.shape[1], seed)
        return clock(lambda: self._tutorial.fit(model, self.features, self._onehot, self._epochs))


def measure_fit(setting: Setting) -> Result:
    """Measure the tutorial's training, validation after every epoch included."""
    from benchmarks import numpy_trainer

    plain, training = Plain(setting), Training(epochs=setting.epochs)
    features, label = plain.features.astype(np.float32), plain.label
    ours, by_hand, what = "idxflow's fit", "NumPy trainer", f"{setting.epochs} tutorial epochs with validation"
    with TemporaryDirectory(dir=setting.work) as folder:
        tables = Ours(setting, Path(folder))
        contestants = {
            PLAIN: plain.fit,
            ours: lambda: clock(lambda: tables.fit(training)),
            by_hand: lambda: clock(lambda: numpy_trainer.train(features, label, setting.epochs)),
        }
        times = interleave(contestants, setting.repeats, told=setting.told)
    return Result(
        times,
        [
            ratio(f"{what}, beside the {PLAIN}", times[ours], times[PLAIN], Goal(0.33, 0.2)),
            ratio(f"{what}, beside a {by_hand}", times[ours], times[by_hand], Goal(1.5, 1.0)),
        ],
    )


def measure_tuned(setting: Setting) -> Result:
    """Measure the tuned profile: its accuracy on test as the mean of three seeds, and its time. A seed is a turn."""
    from tasks.evaluate import predict
    from tasks.inference.perceptron import Perceptron

    plain, seeds, right, ours = Plain(setting), iter(SEEDS), list[float](), "tuned profile"
    short = {} if setting.epochs >= 50 else {"epochs": setting.epochs}
    with TemporaryDirectory(dir=setting.work) as folder:
        tables = Ours(setting, Path(folder))

        def tuned() -> float:
            training, classifiers = Training(profile="tuned", seed=next(seeds), **short), list[Any]()
            seconds = clock(lambda: classifiers.append(tables.fit(training)))
            tally = Tally(tables.test.metadata.classes, tables.test.samples)
            classifiers[0].save(saved := Path(folder) / MODEL)
            network = Perceptron.read(saved)
            for batch in tables.test.batches():
                tally.add(predict(network, batch))
            right.append(tally.measure().accuracy)
            return seconds

        times = interleave({PLAIN: plain.fit, ours: tuned}, len(SEEDS), warm_ups=0, told=setting.told)
    percent = [100 * share for share in right]
    accuracy = Figure(
        what=f"{ours}, test accuracy, mean of seeds {', '.join(map(str, SEEDS))}",
        unit="%",
        value=mean(percent),
        low=min(percent),
        high=max(percent),
        goal=Goal(99.0, 99.3, at_least=True),
    )
    return Result(times, [accuracy, ratio(f"{ours}, beside the {PLAIN}", times[ours], times[PLAIN], Goal(1.0))])
