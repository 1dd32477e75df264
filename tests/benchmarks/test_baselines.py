"""The baselines: the tutorial's pixels, network and numbers, and the NumPy trainer's right gradients."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.numpy_trainer import Perceptron, train
from benchmarks.processes import HERE, run_process
from tasks.fitting import backend  # quiet, before Keras is imported
from tasks.normalize import normalize_pixels
from tasks.quality.pixel_sums import PixelSums
from tests.benchmarks.digits import DIGITS, read_split
from tests.tasks.by_hand import gradients

from benchmarks import tutorial  # isort: skip


def test_it_makes_the_pixels_that_idxflow_makes() -> None:
    """Both splits are normalised, in float64, by the train split: to a few units in the last place what idxflow has."""
    x_train, y_train, x_test, y_test = tutorial.load_and_normalize(DIGITS)
    train, test = read_split("train"), read_split("t10k")
    sums = PixelSums.of(train.image)
    assert x_train.dtype == x_test.dtype == np.float64
    for features, split in ((x_train, train), (x_test, test)):
        np.testing.assert_allclose(features, normalize_pixels(split.image, sums.mean, sums.std), rtol=0, atol=1e-6)
    assert (y_train == train.label).all()
    assert (y_test == test.label).all()


def test_its_network_is_the_tutorials() -> None:
    """784-50-50-10, tanh and softmax, SGD whose step size falls from 0.001 by 1e-7 an update, momentum 0.9."""
    model = tutorial.build(784, 10)
    assert [weight.shape for weight in model.weights] == [(784, 50), (50,), (50, 50), (50,), (50, 10), (10,)]
    assert [layer.activation.__name__ for layer in model.layers] == ["tanh", "tanh", "softmax"]
    assert [type(layer.kernel_initializer).__name__ for layer in model.layers] == ["GlorotUniform"] * 3
    assert model.optimizer.momentum == 0.9
    model.optimizer.iterations.assign(1000)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001 / (1 + 1e-7 * 1000))


def test_it_holds_the_last_tenth_out() -> None:
    """Each epoch is followed by a validation, and the same seed gives the same history."""
    x_train, y_train, *_ = tutorial.load_and_normalize(DIGITS)
    onehot = backend.keras.utils.to_categorical(y_train)
    first, second = (tutorial.fit(tutorial.build(64, 10), x_train, onehot, epochs=2).history for _ in range(2))
    assert first == second
    assert len(first["val_accuracy"]) == 2


@pytest.mark.slow
def test_it_runs_as_a_script() -> None:
    """The whole tutorial is one command, which says at its end what it reached."""
    said = run_process([sys.executable, str(HERE / "tutorial.py"), str(DIGITS), "3"])
    assert "Train accuracy: " in said
    assert said.splitlines()[-1].startswith("Test accuracy: ")


def test_its_gradients_are_those_by_hand() -> None:
    """To float32 rounding, the slopes and the loss are those of the float64 ones that the product is tested with."""
    random = np.random.default_rng(1)
    network = Perceptron((6, 5, 4, 3), random)
    features, label = random.normal(size=(20, 6)).astype(np.float32), random.integers(0, 3, 20, np.uint16)
    kernels, biases, loss, right = network.gradients(features, label)
    pairs = zip(network.kernels, network.biases, strict=True)
    weights = [weight.astype(np.float64) for pair in pairs for weight in pair]
    by_hand, hits, slopes = gradients(weights, features.astype(np.float64), label, 0.0)
    assert (round(loss, 4), right) == (round(by_hand, 4), hits)
    for one, other in zip((slope for pair in zip(kernels, biases, strict=True) for slope in pair), slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_it_learns_the_digits() -> None:
    """Sixty epochs bring the loss down and name most held-out digits right; each epoch has its validation."""
    split = read_split("train")
    sums = PixelSums.of(split.image)
    network, history = train(normalize_pixels(split.image, sums.mean, sums.std), split.label, epochs=60)
    assert len(history) == 60
    assert history[-1][0] < 0.5 * history[0][0]
    assert history[-1][3] > 0.8
    assert all(weight.dtype == np.float32 for weight in network.kernels + network.biases)
