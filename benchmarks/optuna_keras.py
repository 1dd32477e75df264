"""
The sweep as an ordinary user writes it: Optuna around Keras's `fit`, one trial after the other.

It knows no part of idxflow. `python -m benchmarks.optuna_keras DIR TRIALS.json EPOCHS`, where DIR has the four `.gz`
files of MNIST and TRIALS.json is a list of `{"hidden": [50, 50], "learning_rate": ..., ...}`: the trials of another
sweep, so that both train the same.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import optuna

from benchmarks.tutorial import SEED, load_and_normalize


def build(features: int, classes: int, values: dict[str, Any]) -> Any:
    """Build and compile the network of a trial."""
    keras.utils.set_random_seed(SEED)
    layers: list[Any] = [keras.layers.Input((features,))]
    layers += [keras.layers.Dense(units, activation="tanh") for units in values["hidden"]]
    model = keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
    rate = keras.optimizers.schedules.InverseTimeDecay(values["learning_rate"], 1, values["decay"])
    optimizer = keras.optimizers.SGD(learning_rate=rate, momentum=values["momentum"])
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def main(folder: Path, trials: list[dict[str, Any]], epochs: int) -> None:
    """Run the sweep: the last tenth of the train rows is held out, the best trial is tested."""
    began = time.perf_counter()
    x_train, y_train, x_test, y_test = load_and_normalize(folder)
    onehot, classes = keras.utils.to_categorical(y_train), int(y_train.max()) + 1
    hidden = sorted({json.dumps(each["hidden"]) for each in trials})

    kept: list[tuple[float, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        values = {
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-1, log=True),
            "momentum": trial.suggest_float("momentum", 0.5, 0.99),
            "decay": trial.suggest_float("decay", 1e-8, 1e-3, log=True),
            "hidden": json.loads(trial.suggest_categorical("hidden", hidden)),
        }
        model = build(x_train.shape[1], classes, values)
        told = model.fit(x_train, onehot, batch_size=64, epochs=epochs, verbose=0, validation_split=0.1)
        found = float(told.history["val_accuracy"][-1])
        if not kept or found > kept[0][0]:
            kept[:] = [(found, model)]
        sys.stdout.write(f"{trial.number + 1}: {found:.4f} after {time.perf_counter() - began:.1f} s\n")
        sys.stdout.flush()
        return found

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    for each in trials:
        study.enqueue_trial({**each, "hidden": json.dumps(each["hidden"])})
    study.optimize(objective, n_trials=len(trials))
    _, model = kept[0]
    _, accuracy = model.evaluate(x_test, keras.utils.to_categorical(y_test, classes), verbose=0)
    sys.stdout.write(f"best {study.best_params}: held-out {study.best_value:.4f}, test {accuracy:.4f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), int(sys.argv[3]))
