"""The NumPy trainer: right gradients, and a network that learns."""

from __future__ import annotations

import numpy as np

from benchmarks.numpy_trainer import Perceptron, train
from tasks.normalize import PixelSums, normalize_pixels
from tests.benchmarks.digits import read_split
from tests.tasks.by_hand import gradients


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
