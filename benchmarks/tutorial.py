"""
The baseline: a well-known Keras tutorial on MNIST, as an ordinary user writes it, for today's Keras.

A script and nothing else: it knows no part of idxflow. `python benchmarks/tutorial.py DIR`, where DIR has the four
`.gz` files. After S. Raschka, V. Mirjalili: "Python Machine Learning", 2nd edition, 2017, chapter 13; there
the optimizer has a `decay`, for which Keras 3 has a schedule.
"""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SEED = 123


def load_mnist(folder: Path, kind: str) -> tuple[Array, Array]:
    """Load a split, `train` or `t10k`: pixels from -1 to 1, float64 (n, pixels), and labels, uint8 (n,)."""
    with gzip.open(folder / f"{kind}-labels-idx1-ubyte.gz", "rb") as file:
        struct.unpack(">II", file.read(8))
        labels = np.frombuffer(file.read(), dtype=np.uint8)
    with gzip.open(folder / f"{kind}-images-idx3-ubyte.gz", "rb") as file:
        _, count, rows, columns = struct.unpack(">IIII", file.read(16))
        images = np.frombuffer(file.read(), dtype=np.uint8).reshape(count, rows * columns)
        scaled = ((images / 255.0) - 0.5) * 2
    return scaled, labels


def load_and_normalize(folder: Path) -> tuple[Array, Array, Array, Array]:
    """Load both splits; take the train split's mean image off each, and divide by its one standard deviation."""
    x_train, y_train = load_mnist(folder, "train")
    x_test, y_test = load_mnist(folder, "t10k")
    mean, std = np.mean(x_train, axis=0), np.std(x_train)
    return (x_train - mean) / std, y_train, (x_test - mean) / std, y_test


def build(features: int, classes: int, seed: int = SEED) -> Any:
    """Build and compile the network."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((features,)),
            keras.layers.Dense(50, activation="tanh"),
            keras.layers.Dense(50, activation="tanh"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.InverseTimeDecay(0.001, decay_steps=1, decay_rate=1e-7)
    optimizer = keras.optimizers.SGD(learning_rate=rate, momentum=0.9)
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: Any, features: Array, onehot: Array, epochs: int = 50, verbose: int = 0) -> Any:
    """Train, the last tenth held out. Returns: Keras's History."""
    return model.fit(features, onehot, batch_size=64, epochs=epochs, verbose=verbose, validation_split=0.1)


def main(folder: Path, epochs: int) -> None:
    """Run the whole tutorial."""
    x_train, y_train, x_test, y_test = load_and_normalize(folder)
    onehot = keras.utils.to_categorical(y_train)
    model = build(x_train.shape[1], onehot.shape[1])
    fit(model, x_train, onehot, epochs, verbose=2)
    for name, features, labels in (("Train", x_train, y_train), ("Test", x_test, y_test)):
        _, accuracy = model.evaluate(features, keras.utils.to_categorical(labels, onehot.shape[1]), verbose=0)
        sys.stdout.write(f"{name} accuracy: {accuracy:.2%}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50)
