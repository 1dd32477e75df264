"""The network: its arithmetic, its seeds, what is saved, and the digest of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.training import Training
from tasks.backend import keras
from tasks.network import Network, build_network, content_digest

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 256, (2_100, 6), np.uint8)
MEAN: npt.NDArray[np.float64] = 2 * IMAGE.mean(axis=0) / 255 - 1
STD = 0.6


def network(**fields: Any) -> Network:
    """A small network over six pixels and three classes."""
    return build_network(Training.model_validate({"hidden": (5, 4), **fields}), MEAN, STD, classes=3)


def test_the_classifier_computes_the_tutorials_formula() -> None:
    """Raw pixels become (2 (x / 255 - 0.5) - mean) / std, then tanh, tanh and softmax, to float32 rounding."""
    classifier = network().classifier
    first, first_bias, second, second_bias, last, last_bias = [w.astype(np.float64) for w in classifier.get_weights()]
    features = ((IMAGE / 255 - 0.5) * 2 - MEAN) / STD
    logits = np.tanh(np.tanh(features @ first + first_bias) @ second + second_bias) @ last + last_bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = np.asarray(classifier(IMAGE))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_features_are_bit_by_bit_those_of_the_saved_layer() -> None:
    """What is trained on is exactly what the saved model computes from raw pixels, across block borders too."""
    small = network()
    np.testing.assert_array_equal(small.features(IMAGE), np.asarray(small.normalize(IMAGE)))


def test_kernels_are_glorot_uniform_from_the_seed() -> None:
    """Kernels fill [-limit, limit] evenly, differ between layers and seeds, repeat with the seed; biases are zero."""
    wide = Training(hidden=(200, 200), seed=4)
    found, again = (build_network(wide, np.zeros(200), STD, classes=200).classifier.get_weights() for _ in range(2))
    kernels = found[0::2]
    limit = np.sqrt(6 / (200 + 200))
    for kernel in kernels:
        assert 0.999 * limit < np.abs(kernel).max() <= limit
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.01)
    assert not any(bias.any() for bias in found[1::2])
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))
    other_seed = build_network(wide.model_copy(update={"seed": 5}), np.zeros(200), STD, classes=200)
    starts = [kernel.flat[0] for kernel in [*kernels, *other_seed.classifier.get_weights()[0::2]]]
    assert len(set(starts)) == 6


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "elu", "gelu"])
def test_the_saved_model_is_plain_and_loads_in_safe_mode(tmp_path: Path, activation: str) -> None:
    """Keras alone loads the file in safe mode, and it takes raw pixels, answers alike and has the same digest."""
    classifier = network(activation=activation).classifier
    classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is type(classifier)
    assert {type(layer).__module__.partition(".")[0] for layer in loaded.layers} == {"keras"}
    assert (loaded.input_shape, loaded.inputs[0].dtype, loaded.output_shape) == ((None, 6), "uint8", (None, 3))
    np.testing.assert_array_equal(np.asarray(loaded(IMAGE)), np.asarray(classifier(IMAGE)))
    assert content_digest(loaded) == content_digest(classifier)


def test_the_digest_tells_content_apart() -> None:
    """Equal networks have one digest, whatever was built before; a bit of a weight or the configuration changes it."""
    one, other = network().classifier, network().classifier
    digests = {content_digest(one), content_digest(other)}
    assert len(digests) == 1
    bias = other.get_layer("logits").bias
    bias.assign(np.nextafter(np.asarray(bias), np.float32(1)))
    digests |= {content_digest(other), content_digest(network(activation="relu").classifier)}
    assert len(digests) == 3


def test_a_permutation_visits_every_row_once() -> None:
    """Each epoch has an order of its own, of all rows, and repeats with seed and update."""
    trainee, other = network().trainee, network(seed=124).trainee
    orders = [np.asarray(model.permutation(97, update)) for model in (trainee, other) for update in (0, 2)]
    assert all(sorted(order.tolist()) == list(range(97)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4
    np.testing.assert_array_equal(np.asarray(trainee.permutation(97, 2)), orders[1])


def test_the_step_size_decays_at_every_update() -> None:
    """At update t, from 0, the learning rate is learning_rate / (1 + decay * t)."""
    optimizer = network(learning_rate=0.5, decay=0.25).trainee.optimizer
    rates = []
    for update in range(4):
        optimizer.iterations.assign(update)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.5, 0.4, 1 / 3, 0.5 / 1.75], rtol=1e-6)
