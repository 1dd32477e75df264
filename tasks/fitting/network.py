"""
The multilayer perceptron: what is trained, and what is saved.

Both share their layers. The saved model takes raw pixels and holds the normalisation, so it cannot be fed differently
from how it was trained; the trained one starts behind the normalisation, which is then not in the way of an update.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.image_table import rows_within
from schemas.training import Training
from tasks.fitting.backend import keras, tf, use_threads
from tasks.fitting.optimizer import Steps, build_optimizer, slots_of
from tasks.fitting.updates import Numbers, Recipe, State, update_all

BLOCK = 4_000
"""Rows that are validated at once; fewer of large images, or of many classes (see `schemas.image_table`)."""

PLAIN = 65_536
"""Pixels up to which the mean image is text in the model's configuration; of more, that text takes gigabytes."""

LIGHT = 10**7
"""Weights times rows of an update below which a second thread costs more than it does (measured: 3 and 17 million)."""

CACHED = 500
"""Rows that are normalised at once: few enough to stay in the processor's cache."""


class EpochModel(keras.Model):  # type: ignore[misc]
    """
    A functional model from features to logits whose train step makes many updates and whose test step scores many rows.

    Either gets one element: features, float32 (n, inputs), and labels, int32 (n,); the train step also their order,
    int32 (m,), indexes of rows, where they do not lie in it. An element is a whole epoch, or a part of one that ends
    with a mini-batch. The updates of it are one compiled program, which saves Keras's work around each; callbacks of
    an epoch, history and validation are Keras's own. Loss and accuracy are means over the rows, as `fit` reports them,
    and the same to the bit however an epoch is cut into elements; the loss is the cross-entropy with the labels as they
    are, also where smoothed ones are learned from.

    Args:
        recipe:  which operations an update is made of. Where it moves images, the train step gets raw pixels, uint8.
        numbers: those of the configuration.
        block:   rows that are scored at once.
    """

    def __init__(self, *args: Any, recipe: Recipe, numbers: Numbers, block: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recipe = recipe
        self.numbers = numbers
        self.block = block
        # Sums in float64: an epoch may have a hundred thousand updates.
        self.loss_mean = keras.metrics.Mean(name="loss", dtype="float64")
        self.accuracy_mean = keras.metrics.Mean(name="accuracy", dtype="float64")

    @property
    def metrics(self) -> list[Any]:
        """The two means, which Keras resets before each epoch and each validation."""
        return [self.loss_mean, self.accuracy_mean]

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """Update the weights once per mini-batch, over all rows; return the epoch's metrics so far."""
        images, labels, *lying = data
        order = lying[0] if lying else tf.range(tf.shape(labels)[0])
        weights, optimizer, rows = self.trainable_variables, self.optimizer, tf.shape(order)[0]
        slots = slots_of(optimizer, len(weights))
        before = State(
            tuple(tf.convert_to_tensor(weight) for weight in weights),
            tuple(tuple(tf.convert_to_tensor(each) for each in kept) for kept in slots),
            tf.convert_to_tensor(optimizer.iterations),
            tf.convert_to_tensor(self.loss_mean.total),
            tf.constant(0),
        )
        after = update_all(images, labels, order, before, self.recipe, self.numbers)
        for variables, values in ((weights, after.weights), *zip(slots, after.slots, strict=True)):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        optimizer.iterations.assign(after.update)
        return self._told(after.loss, after.right, rows)

    def test_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Score all rows, in blocks; return the metrics so far."""
        features, labels = data

        def score(start: Any) -> tuple[Any, Any]:
            target = labels[start : start + self.block]
            logits = self(features[start : start + self.block], training=False)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), _hits(logits, target)

        return self._mean_over(tf.shape(labels)[0], self.block, score)

    def _mean_over(self, rows: Any, size: int, score: Callable[[Any], tuple[Any, Any]]) -> dict[str, Any]:
        """Call `score` with the start of each `size` rows; it returns their losses and whether they were right."""

        def add(start: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
            losses, hits = score(start)
            loss += tf.cast(tf.reduce_sum(losses), tf.float64)
            return start + size, loss, right + tf.reduce_sum(tf.cast(hits, tf.int32))

        zero = tf.constant(0), tf.convert_to_tensor(self.loss_mean.total), tf.constant(0)
        _, loss, right = tf.while_loop(lambda start, *_: start < rows, add, zero)
        return self._told(loss, right, rows)

    def _told(self, loss: Any, right: Any, rows: Any) -> dict[str, Any]:
        """
        Take note of the sum of the losses so far, and of how many of the last `rows` rows were right.

        That sum goes on from the one before: one of the element alone, added to it, would be rounded differently.
        """
        count = tf.cast(rows, tf.float64)
        self.loss_mean.total.assign(loss)
        self.loss_mean.count.assign_add(count)
        self.accuracy_mean.total.assign_add(tf.cast(right, tf.float64))
        self.accuracy_mean.count.assign_add(count)
        return {metric.name: metric.result() for metric in self.metrics}


@dataclass(frozen=True)
class Network:
    """
    One perceptron, seen from two sides that share their weights.

    Args:
        classifier:   raw pixels, uint8 (n, values of an image), to probabilities, float32 (n, classes). Plain Keras
                      layers only, so that it loads in safe mode.
        normalize:    raw pixels, as above, to features, float32 of the same shape.
        trainee:      features to logits, float32 (n, classes); compiled.
        shifting:     whether the trainee moves images, and so is fitted to raw pixels, which it normalises itself.
        shuffle_seed: of the order in which it meets the rows.
    """

    classifier: Any
    normalize: Any
    trainee: EpochModel
    shifting: bool
    shuffle_seed: int

    def feed(self, image: npt.NDArray[np.uint8], rows: npt.NDArray[np.integer[Any]], out: npt.NDArray[Any]) -> None:
        """
        Write the chosen rows of `image` to `out`: raw pixels if it is uint8, and features if it is float32.

        Features are what `normalize` makes of them, bit by bit, four times as fast and without a second copy.
        """
        # clip: otherwise NumPy fills a copy of `out`, to leave it alone if a row is not there; all of them are.
        if out.dtype == np.uint8:
            np.take(image, rows, axis=0, out=out, mode="clip")
            return
        mean, std = self._constants
        room = np.empty((min(CACHED, len(rows)), image.shape[1]), np.uint8)
        for start in range(0, len(rows), CACHED):
            chosen = rows[start : start + CACHED]
            block = out[start : start + len(chosen)]
            # One pass each, all in the cache: of two types at once NumPy makes one first, in small pieces.
            block[:] = np.take(image, chosen, axis=0, out=room[: len(chosen)], mode="clip")
            block -= mean
            block /= std

    @cached_property
    def _constants(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        return np.asarray(self.normalize.mean), np.sqrt(np.asarray(self.normalize.variance))


def build_network(
    training: Training, mean: npt.NDArray[np.float64], std: float, classes: int, train_rows: int
) -> Network:
    """
    Build the perceptron with fresh weights: Glorot uniform kernels, zero biases.

    Args:
        mean:       float64 (rows, columns), or in colour (rows, columns, 3): the mean image of the train rows, scaled
                    to [-1, 1]. Its shape is that of an image, by which images are shifted.
        std:        their global standard deviation, on the same scale.
        train_rows: how many rows it will be fitted to, which says how many updates there will be.
    """
    count, batch_size = len(training.hidden), min(training.batch_size, train_rows)
    widths = (mean.size, *training.hidden, classes)
    use_threads(1 if batch_size * sum(map(math.prod, pairwise(widths))) < LIGHT else 0)
    # The first words stay the same however many are taken: what is drawn later changes nothing that is drawn before.
    seeds = np.random.SeedSequence(training.seed).generate_state(2 * count + 3).tolist()
    (shuffle_seed, shift_seed), dropout_seeds = seeds[count + 1 : count + 3], seeds[count + 3 :]
    updates = training.count_updates(train_rows)
    hidden = [
        _dense(units, training.activation, seed, f"hidden_{i}")
        for i, (units, seed) in enumerate(zip(training.hidden, seeds[:count], strict=True), start=1)
    ]
    logits = _dense(classes, None, seeds[count], "logits")
    # (2 x / 255 - 1 - mean) / std with the scale taken into its two constants: one subtraction, one division per pixel.
    normalize = _normalization((mean.ravel() + 1) * 127.5, (std * 127.5) ** 2)

    pixels = keras.Input((mean.size,), dtype="uint8", name="pixels")
    features = keras.Input((mean.size,), dtype="float32", name="features")
    probabilities = keras.layers.Softmax(name="probabilities")
    classifier = keras.Model(pixels, probabilities(logits(_through(hidden, normalize(pixels)))), name="classifier")
    trainee = EpochModel(
        features,
        logits(_through(hidden, features)),
        recipe=Recipe(
            activation=training.activation,
            optimizer=training.optimizer,
            batch_size=batch_size,
            schedule=training.schedule,
            momentum=training.momentum > 0,
            weight_decay=training.weight_decay > 0,
            smoothing=training.label_smoothing > 0,
            dropout=training.dropout > 0,
            reach=training.shift,
            shape=mean.shape if training.shift else (),
        ),
        numbers=_numbers(training, updates, shift_seed, dropout_seeds, normalize if training.shift else None),
        # Validation takes ten values for each row and class.
        block=rows_within(BLOCK, 4 * max(mean.size, *training.hidden, 8 * classes)),
        name="trainee",
    )
    optimizer = build_optimizer(training, updates)
    optimizer.build(trainee.trainable_variables)  # the train step takes its state from it
    trainee.compile(optimizer=optimizer, jit_compile=False)
    return Network(classifier, normalize, trainee, shifting=training.shift > 0, shuffle_seed=shuffle_seed)


def content_digest(model: Any) -> str:
    """
    Digest what a model computes, and not its file, which carries a date.

    Returns: SHA-256 of its configuration as canonical JSON, then of each weight's path, dtype, shape and bytes.
    """
    config = json.dumps(json.loads(model.to_json()), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(config.encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"\n{weight.path} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _normalization(mean: npt.NDArray[np.float64], variance: float) -> Any:
    """
    Return the layer that takes `mean` off and divides by the root of one variance.

    The two are in its configuration, as a person would write it; of large images they are weights of it.
    """
    if mean.size <= PLAIN:
        return keras.layers.Normalization(mean=mean, variance=np.full(mean.shape, variance), name="normalize")
    layer = keras.layers.Normalization(name="normalize")
    layer.build((None, mean.size))
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(np.full(mean.shape, variance, np.float32))
    layer.finalize_state()
    return layer


def _numbers(training: Training, updates: int, shift_seed: int, drop_seeds: Sequence[int], normalize: Any) -> Numbers:
    """Return the numbers of a configuration. Args: normalize: the layer; None where rows are features already."""
    momentum, weight_decay, smoothing, dropout = (
        tf.constant(number, tf.float32)
        for number in (training.momentum, training.weight_decay, training.label_smoothing, training.dropout)
    )
    nothing = tf.zeros(0)
    return Numbers(
        Steps(*(tf.constant(number, tf.float32) for number in Steps.of(training, updates))),
        momentum,
        weight_decay,
        smoothing,
        dropout,
        shift_seed=tf.constant(shift_seed, tf.int64),
        drop_seeds=tf.constant(drop_seeds, tf.int64),
        mean=nothing if normalize is None else tf.reshape(normalize.mean, [-1]),
        std=nothing if normalize is None else tf.reshape(tf.sqrt(normalize.variance), [-1]),
    )


def _dense(units: int, activation: str | None, seed: int, name: str) -> Any:
    kernel = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=kernel, name=name)


def _through(layers: Iterable[Any], tensor: Any) -> Any:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _hits(logits: Any, labels: Any) -> Any:
    return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)
