"""The network: its arithmetic, its seeds, what is saved, and the digest of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.training import Training
from tasks.fitting.backend import keras
from tasks.fitting.network import Network, build_network, content_digest
from tests.tasks.by_hand import features

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 256, (2_100, 6), np.uint8)
MEAN: npt.NDArray[np.float64] = 2 * IMAGE.mean(axis=0) / 255 - 1
STD = 0.6


def network(**fields: Any) -> Network:
    """A small network over six pixels and three classes."""
    training = Training.model_validate({"hidden": (5, 4), **fields})
    return build_network(training, MEAN.reshape(2, 3), STD, classes=3, train_rows=100)


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
    np.testing.assert_array_equal(features(small, IMAGE), np.asarray(small.normalize(IMAGE)))


def test_kernels_are_glorot_uniform_from_the_seed() -> None:
    """Kernels fill [-limit, limit] evenly, differ between layers and seeds, repeat with the seed; biases are zero."""
    wide = Training(hidden=(200, 200), seed=4)
    blank = np.zeros((10, 20))
    found, again = (build_network(wide, blank, STD, 200, 100).classifier.get_weights() for _ in range(2))
    kernels = found[0::2]
    limit = np.sqrt(6 / (200 + 200))
    for kernel in kernels:
        assert 0.999 * limit < np.abs(kernel).max() <= limit
        assert np.std(kernel) == pytest.approx(limit / np.sqrt(3), rel=0.01)
    assert not any(bias.any() for bias in found[1::2])
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))
    other_seed = build_network(wide.model_copy(update={"seed": 5}), blank, STD, 200, 100)
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


def test_a_large_mean_image_is_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many pixels the normalisation is no text of the configuration; it computes the same, loaded as well."""
    text = network().classifier
    monkeypatch.setattr("tasks.fitting.network.PLAIN", 5)
    large = network()
    assert len(large.classifier.to_json()) < len(text.to_json()) - 100
    large.classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for model in (large.classifier, loaded):
        np.testing.assert_array_equal(np.asarray(model(IMAGE)), np.asarray(text(IMAGE)))
    assert content_digest(loaded) == content_digest(large.classifier)
    np.testing.assert_array_equal(features(large, IMAGE), features(network(), IMAGE))


def test_the_digest_tells_content_apart() -> None:
    """Equal networks have one digest, whatever was built before; a bit of a weight or the configuration changes it."""
    one, other = network().classifier, network().classifier
    digests = {content_digest(one), content_digest(other)}
    assert len(digests) == 1
    bias = other.get_layer("logits").bias
    bias.assign(np.nextafter(np.asarray(bias), np.float32(1)))
    digests |= {content_digest(other), content_digest(network(activation="relu").classifier)}
    assert len(digests) == 3


def test_without_noise_the_trainee_takes_features() -> None:
    """Where nothing is moved, images are normalised once, before training, and no layer drops anything."""
    plain = network()
    assert not plain.shifting
    assert plain.trainee.recipe.reach == 0
    assert [layer.name for layer in plain.trainee.layers] == ["features", "hidden_1", "hidden_2", "logits"]


def test_noise_changes_neither_first_weights_nor_order_nor_what_is_saved() -> None:
    """Whatever is drawn in training besides, seed for seed the kernels, the permutations and the digest stay."""
    plain, noisy = network(), network(shift=2, dropout=0.5, label_smoothing=0.1, optimizer="adamw", weight_decay=0.1)
    assert content_digest(plain.classifier) == content_digest(noisy.classifier)
    assert noisy.shuffle_seed == plain.shuffle_seed
    np.testing.assert_array_equal(np.asarray(noisy.classifier(IMAGE)), np.asarray(plain.classifier(IMAGE)))
