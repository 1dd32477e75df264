"""A saved network in NumPy: it gives what Keras gives, whatever the layers, the cut into blocks and the cores."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from schemas.errors import StageError, StoreError, TrainingDiverged
from schemas.image_table import rows_within
from schemas.model import MODEL
from schemas.training import Training
from tasks.fitting.backend import keras
from tasks.fitting.network import Network, build_network
from tasks.fitting.proving import TOLERANCE, prove
from tasks.inference import perceptron as module
from tasks.inference.perceptron import Perceptron

ACTIVATIONS = get_args(Training.model_fields["activation"].annotation)
IMAGES = np.random.default_rng(3).integers(0, 256, (157, 12), np.uint8)


def network(**chosen: Any) -> Network:
    """Build a network of random weights for images of 3 x 4 pixels and five classes."""
    mean = np.random.default_rng(5).uniform(-1, 1, (3, 4))
    return build_network(Training.model_validate({"hidden": (7, 6), **chosen}), mean, 0.6, 5, 100)


def saved(classifier: Any, folder: Path) -> Perceptron:
    """Save a model, and read it."""
    classifier.save(folder / MODEL)
    return Perceptron.read(folder / MODEL)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_gives_what_keras_gives(activation: str, tmp_path: Path) -> None:
    """Whatever the activation, every probability is Keras's within 1e-6."""
    classifier = network(activation=activation).classifier
    np.testing.assert_allclose(saved(classifier, tmp_path)(IMAGES), np.asarray(classifier(IMAGES)), rtol=0, atol=1e-6)


def test_a_temperature_is_part_of_it(tmp_path: Path) -> None:
    """A calibrated model's scale of the logits is taken over."""
    plain = network().classifier
    scaled = keras.layers.Rescaling(1 / 1.37, name="temperature")(plain.get_layer("probabilities").input)
    calibrated = keras.Model(plain.input, keras.layers.Softmax(name="probabilities")(scaled))
    found = saved(calibrated, tmp_path)
    assert found.scale == np.float32(1 / 1.37)
    np.testing.assert_allclose(found(IMAGES), np.asarray(calibrated(IMAGES)), rtol=0, atol=1e-6)


def test_a_mean_of_large_images_is_a_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mean image is a weight of the file, and no text of its configuration, it is read from there."""
    monkeypatch.setattr("tasks.fitting.network.PLAIN", 4)
    classifier = network().classifier
    np.testing.assert_allclose(saved(classifier, tmp_path)(IMAGES), np.asarray(classifier(IMAGES)), rtol=0, atol=1e-6)


def test_bits_do_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, or four with a block each: the same bytes, in the order of the images."""
    found = saved(network().classifier, tmp_path)
    monkeypatch.setattr(module, "BLOCK", 16)
    results = []
    for workers in (1, 2, 4):
        monkeypatch.setattr(module, "WORKERS", workers)
        results.append(found(IMAGES).tobytes())
    assert len(set(results)) == 1


def test_blocks_are_put_together_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is left for the last block, there is a row for each image; of none there are none."""
    found = saved(network().classifier, tmp_path)
    whole = found(IMAGES)
    monkeypatch.setattr(module, "BLOCK", 50)
    np.testing.assert_allclose(found(IMAGES), whole, rtol=0, atol=1e-6)
    assert [rows.stop - rows.start for rows, _ in found.blocks(IMAGES)] == [50, 50, 50, 50]
    assert found(IMAGES[:0]).shape == (0, 5)


def test_of_large_images_fewer_go_through_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block takes 64 MiB at most, whatever an image or its classes are."""
    monkeypatch.setattr("schemas.image_table.BLOCK_BYTES", 4 * 12 * 10)
    found = saved(network().classifier, tmp_path)
    assert rows_within(module.BLOCK, 4 * 12) == 10
    assert len(list(found.blocks(IMAGES))) == 16


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    """Weights may be finite and too large to compute with: that is no prediction."""
    classifier = network().classifier
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel.assign(np.full(layer.kernel.shape, 3e38, np.float32))
    with pytest.raises(TrainingDiverged, match=r"a probability of each class, found NaN"):
        saved(classifier, tmp_path)(IMAGES)


def other(layers: list[Any]) -> Any:
    """Build a model of other layers."""
    return keras.Sequential([keras.Input((12,), dtype="uint8"), *layers])


@pytest.mark.parametrize("kind", ["layers", "activation", "zip", "text"])
def test_another_file_is_refused(kind: str, tmp_path: Path) -> None:
    """A model of other layers or activations, an archive of something else and a text are errors with a way out."""
    path = tmp_path / MODEL
    if kind == "layers":
        other([keras.layers.Dense(3)]).save(path)
    elif kind == "activation":
        normalize = keras.layers.Normalization(mean=np.zeros(12), variance=np.ones(12))
        other([normalize, keras.layers.Dense(3, "selu"), keras.layers.Softmax()]).save(path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "nothing")
    else:
        path.write_text("nothing")
    with pytest.raises(StoreError, match=r"expected a perceptron that idxflow has trained.*Train it with this version"):
        Perceptron.read(path)


def test_a_file_that_gives_other_probabilities_is_refused(tmp_path: Path) -> None:
    """Train compares what it has saved with what it has trained, and ends where they differ."""
    trained, image = network().classifier, IMAGES[:20]
    trained.save(tmp_path / MODEL)
    prove(trained, tmp_path / MODEL, image)
    network(seed=4).classifier.save(tmp_path / MODEL)
    with pytest.raises(StageError, match="the probabilities that Keras computes"):
        prove(trained, tmp_path / MODEL, image)


def with_large_logits(**chosen: Any) -> Any:
    """Build a network all of whose logits are larger by the same large number: sums of it have fewer places."""
    classifier = network(hidden=(64, 64), **chosen).classifier
    kernel = classifier.get_layer("logits").kernel
    kernel.assign_add(np.repeat(np.random.default_rng(2).normal(0, 2_000, (64, 1)), 5, axis=1))
    return classifier


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rounding_grows_with_the_logits(activation: str, tmp_path: Path) -> None:
    """Where logits are large, probabilities are off by more, as sums in float64 by the same network tell."""
    classifiers = network(activation=activation).classifier, with_large_logits(activation=activation)
    small, large = (saved(each, tmp_path).rounding(IMAGES) for each in classifiers)
    assert 0 < small < 1e-6
    assert 1e-4 < large < 0.1


def test_large_logits_are_proved_within_their_rounding(tmp_path: Path) -> None:
    """Keras rounds them as well: what it gives otherwise is no other network, and another one is still told."""
    trained = with_large_logits()
    read = saved(trained, tmp_path)
    assert np.abs(read(IMAGES) - np.asarray(trained(IMAGES))).max() > TOLERANCE
    prove(trained, tmp_path / MODEL, IMAGES)
    with_large_logits(seed=4).save(tmp_path / MODEL)
    with pytest.raises(StageError, match="the probabilities that Keras computes"):
        prove(trained, tmp_path / MODEL, IMAGES)


def test_rows_stay_in_their_order(tmp_path: Path) -> None:
    """What each image gives is what it gives alone, but for the last digits."""
    found = saved(network().classifier, tmp_path)
    alone: npt.NDArray[np.float32] = np.concatenate([found(IMAGES[at : at + 1]) for at in range(len(IMAGES))])
    np.testing.assert_allclose(found(IMAGES), alone, rtol=0, atol=1e-6)
