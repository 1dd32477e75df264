"""The compiled updates: those of Keras's own optimizers and layers, one by one, and what is drawn for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.training import Training
from tasks.fitting.backend import keras, tf
from tasks.fitting.network import Network, build_network
from tasks.fitting.noise import draw_key, drop
from tasks.fitting.updates import State, compiled, features_of
from tests.tasks.by_hand import features

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 256, (2_100, 6), np.uint8)
LABEL = RANDOM.integers(0, 3, 2_100).astype(np.int32)
MEAN: npt.NDArray[np.float64] = 2 * IMAGE.mean(axis=0) / 255 - 1
STD = 0.6
ADAMW = {"optimizer": "adamw", "schedule": "cosine", "warmup": 0.3, "weight_decay": 0.1}


def network(**fields: Any) -> Network:
    """A small network over six pixels and three classes."""
    training = Training.model_validate({"hidden": (5, 4), **fields})
    return build_network(training, MEAN.reshape(2, 3), STD, classes=3, train_rows=len(IMAGE))


def updated(network: Network, images: npt.NDArray[Any], rows: int) -> State:
    """The state of a fresh network after an epoch over the first rows of `images`, in their order."""
    trainee = network.trainee
    trainee.train_step((tf.constant(images), tf.constant(LABEL), tf.range(rows)))
    return State(trainee.get_weights(), (), int(trainee.optimizer.iterations), 0, 0)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def kept(units: Any, rate: float, seed: int, update: Any) -> Any:
    """What is left of units, as the updates draw it: they lie transposed there."""
    return tf.transpose(drop(tf.transpose(units), tf.constant(rate), draw_key(seed, update)))


NOISY = {**ADAMW, "dropout": 0.3, "label_smoothing": 0.1}


@pytest.mark.parametrize(
    ("activation", "fields"),
    [
        pytest.param("tanh", {"momentum": 0.0}, id="sgd without momentum"),
        pytest.param("tanh", {"decay": 0.1, "weight_decay": 0.1}, id="sgd"),
        pytest.param("tanh", ADAMW, id="adamw"),
        *(pytest.param(each, NOISY, id=f"{each} with noise") for each in ("relu", "sigmoid", "elu", "gelu")),
    ],
)
def test_updates_are_those_of_keras(activation: str, fields: dict[str, Any]) -> None:
    """Weights follow a loop of Keras's own layers, loss and optimizer, with a partial last batch and without one."""
    training = Training.model_validate(
        {"hidden": (5, 4), "batch_size": 32, "learning_rate": 0.05, "activation": activation, **fields}
    )
    for rows in (100, 128):
        ours, theirs = (build_network(training, MEAN.reshape(2, 3), STD, 3, train_rows=rows) for _ in range(2))
        inputs, trainee = features(ours, IMAGE), theirs.trainee
        found = updated(ours, inputs, rows)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=training.label_smoothing)
        *hidden, last = [layer for layer in trainee.layers if layer.weights]
        for update, start in enumerate(range(0, rows, 32)):
            batch = slice(start, min(start + 32, rows))
            with tf.GradientTape() as tape:
                units = tf.constant(np.resize(inputs[batch], (32, 6)))  # dropout draws for a whole batch
                for layer, seed in zip(hidden, ours.trainee.numbers.drop_seeds.numpy(), strict=True):
                    units = layer(units)
                    if training.dropout:
                        units *= kept(tf.ones_like(units), training.dropout, seed, update)
                mean = loss(keras.utils.to_categorical(LABEL[batch], 3), last(units)[: batch.stop - batch.start])
            trainee.optimizer.apply(tape.gradient(mean, trainee.trainable_variables), trainee.trainable_variables)
        assert found.update == int(trainee.optimizer.iterations) == -(-rows // 32)
        for one, other in zip(found.weights, trainee.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=3e-6)


def test_the_state_is_that_of_keras_optimizer() -> None:
    """Momenta and moments are written back where Keras keeps them: its own updates go on from there."""
    for fields in ({}, ADAMW):
        ours, theirs = network(**fields, batch_size=50), network(**fields, batch_size=50)
        inputs = features(ours, IMAGE)
        updated(ours, inputs, 100)
        for batch in (slice(50), slice(50, 100)):
            with tf.GradientTape() as tape:
                loss = keras.losses.CategoricalCrossentropy(from_logits=True)(
                    keras.utils.to_categorical(LABEL[batch], 3), theirs.trainee(inputs[batch])
                )
            weights = theirs.trainee.trainable_variables
            theirs.trainee.optimizer.apply(tape.gradient(loss, weights), weights)
        for one, other in zip(ours.trainee.optimizer.variables, theirs.trainee.optimizer.variables, strict=True):
            assert one.path.partition("/")[2] == other.path.partition("/")[2]
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
            assert np.asarray(one.numpy()).any()


def test_trainings_that_differ_in_numbers_share_what_is_compiled() -> None:
    """Step size, momentum, weight decay and seed are arguments: a second configuration is not traced again."""
    first, second = (
        network(weight_decay=0.1, learning_rate=rate, momentum=rate, seed=seed, batch_size=51)
        for rate, seed in ((0.1, 4), (0.2, 5))
    )
    for each in (first, second):
        updated(each, features(each, IMAGE), 100)
    assert first.trainee.recipe == second.trainee.recipe
    assert compiled(first.trainee.recipe).experimental_get_tracing_count() == 1


def test_it_learns_from_raw_images_that_are_moved() -> None:
    """What becomes of raw pixels is what the saved model makes of the moved image: no edge, no difference of scale."""
    moving = network(shift=1, batch_size=2_100)
    assert moving.shifting

    def prepared(network: Network, update: int) -> npt.NDArray[np.float32]:
        trainee = network.trainee

        @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
        def make(update: Any) -> Any:
            return tf.transpose(features_of(trainee.recipe, trainee.numbers, tf.constant(IMAGE), update))

        return np.asarray(make(tf.constant(update, tf.int64)))

    found = prepared(moving, 5)
    moved = np.zeros((9, *IMAGE.shape), np.uint8)
    for choice, (down, right) in enumerate(np.ndindex(3, 3)):
        framed = np.pad(IMAGE.reshape(-1, 2, 3), ((0, 0), (1, 1), (1, 1)))
        moved[choice] = framed[:, 2 - down : 4 - down, 2 - right : 5 - right].reshape(IMAGE.shape)
    matches = np.array([(found == features(moving, images)).all(axis=1) for images in moved])
    assert matches.any(axis=0).all()
    assert (matches.sum(axis=1) > len(IMAGE) / 18).all()
    np.testing.assert_array_equal(prepared(moving, 5), found)
    for other, update in ((moving, 6), (network(shift=1, seed=124, batch_size=2_100), 5)):
        assert not np.array_equal(prepared(other, update), found)


def test_dropped_units_are_others_in_each_layer_and_update() -> None:
    """Each hidden layer drops its own units, others after each update."""
    seeds = network(hidden=(50, 50), dropout=0.5).trainee.numbers.drop_seeds.numpy()
    ones = np.ones((20, 50), np.float32)
    draws = {np.asarray(kept(ones, 0.5, seed, update)).tobytes() for seed in seeds for update in (0, 1)}
    assert len(draws) == 4


def test_validation_drops_nothing() -> None:
    """Outside of an update the network of a noisy training is the plain one."""
    inputs = features(network(), IMAGE)
    noisy, plain = network(dropout=0.5), network()
    np.testing.assert_array_equal(np.asarray(noisy.trainee(inputs)), np.asarray(plain.trainee(inputs)))
