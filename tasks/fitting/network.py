"""
The multilayer perceptron: what is trained, and what is saved.

Both share their layers. The saved model takes raw pixels and holds the normalisation, so it cannot be fed differently
from how it was trained; the trained one starts behind the normalisation, which is then not in the way of an update.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.image_table import rows_within
from schemas.training import Training
from tasks.fitting.backend import keras, tf
from tasks.fitting.noise import Dropout, draw_key, draw_shifts, move
from tasks.fitting.optimizer import build_optimizer

BLOCK = 4_000
"""Rows that are validated at once; fewer of large images, or of many classes (see `schemas.image_table`)."""

PLAIN = 65_536
"""Pixels up to which the mean image is text in the model's configuration; of more, that text takes gigabytes."""

CACHED = 500
"""Rows that are normalised at once: few enough to stay in the processor's cache."""


class EpochModel(keras.Model):  # type: ignore[misc]
    """
    A functional model from features to logits whose train step makes many updates and whose test step scores many rows.

    Either gets one element: features, float32 (n, inputs), and labels, int32 (n,); the train step also their order,
    int32 (m,), indexes of rows, where they do not lie in it. An element is a whole epoch, or a part of one that ends
    with a mini-batch. The loop over it is inside one graph, which saves Keras's work around each update; callbacks of
    an epoch, history and validation are Keras's own. Loss and accuracy are means over the rows, as `fit` reports them,
    and the same to the bit however an epoch is cut into elements; the loss is the cross-entropy with the labels as they
    are, also where smoothed ones are learned from.

    Args:
        batch_size: rows per update; the last one of an element takes what is left.
        block:      rows that are scored at once.
        smoothing:  share of a label that is spread evenly over all classes, in [0, 1) (C. Szegedy et al., 2016).
        prepare:    makes features of a mini-batch, after so many updates, where the train step gets something else.
    """

    def __init__(
        self,
        *args: Any,
        batch_size: int,
        block: int,
        smoothing: float,
        prepare: Callable[[Any, Any], Any] | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batch_size = batch_size
        self.block = block
        self.smoothing = smoothing
        self.prepare = prepare
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
        order = lying[0] if lying else None
        weights = self.trainable_variables

        def update(start: Any) -> tuple[Any, Any]:
            batch = slice(start, start + self.batch_size)
            if order is None:
                features, target = images[batch], labels[batch]
            else:
                features, target = tf.gather(images, order[batch]), tf.gather(labels, order[batch])
            if self.prepare:
                features = self.prepare(features, self.optimizer.iterations)
            with tf.GradientTape() as tape:
                logits = self(features, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
                mean = tf.reduce_mean(self._smoothed(target, logits) if self.smoothing else losses)
            self.optimizer.apply_gradients(zip(tape.gradient(mean, weights), weights, strict=True))
            return losses, _hits(logits, target)

        return self._mean_over(tf.shape(labels if order is None else order)[0], self.batch_size, update)

    def test_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Score all rows, in blocks; return the metrics so far."""
        features, labels = data

        def score(start: Any) -> tuple[Any, Any]:
            target = labels[start : start + self.block]
            logits = self(features[start : start + self.block], training=False)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), _hits(logits, target)

        return self._mean_over(tf.shape(labels)[0], self.block, score)

    def _smoothed(self, labels: Any, logits: Any) -> Any:
        """Return the cross-entropy of each row with its smoothed label, float32 (n,)."""
        classes = logits.shape[-1]
        spread = self.smoothing / classes
        target = tf.one_hot(labels, classes, on_value=1 - self.smoothing + spread, off_value=spread)
        return tf.nn.softmax_cross_entropy_with_logits(target, logits)

    def _mean_over(self, rows: Any, size: int, score: Callable[[Any], tuple[Any, Any]]) -> dict[str, Any]:
        """Call `score` with the start of each `size` rows; it returns their losses and whether they were right."""

        def add(start: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
            losses, hits = score(start)
            loss += tf.cast(tf.reduce_sum(losses), tf.float64)
            return start + size, loss, right + tf.reduce_sum(tf.cast(hits, tf.int32))

        # From the sums of the elements before: one added up alone would be rounded differently.
        zero = tf.constant(0), tf.convert_to_tensor(self.loss_mean.total), tf.constant(0)
        _, loss, right = tf.while_loop(lambda start, *_: start < rows, add, zero)
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
    count = len(training.hidden)
    # The first words stay the same however many are taken: what is drawn later changes nothing that is drawn before.
    seeds = np.random.SeedSequence(training.seed).generate_state(2 * count + 3).tolist()
    (shuffle_seed, shift_seed), dropout_seeds = seeds[count + 1 : count + 3], seeds[count + 3 :]
    optimizer = build_optimizer(training, training.count_updates(train_rows))
    hidden = [
        _dense(units, training.activation, seed, f"hidden_{i}")
        for i, (units, seed) in enumerate(zip(training.hidden, seeds[:count], strict=True), start=1)
    ]
    logits = _dense(classes, None, seeds[count], "logits")
    dropouts = [Dropout(training.dropout, seed, lambda: optimizer.iterations) for seed in dropout_seeds]
    noisy = [layer for pair in zip(hidden, dropouts, strict=True) for layer in pair] if training.dropout else hidden
    # (2 x / 255 - 1 - mean) / std with the scale taken into its two constants: one subtraction, one division per pixel.
    normalize = _normalization((mean.ravel() + 1) * 127.5, (std * 127.5) ** 2)

    def shift(pixels: Any, update: Any) -> Any:
        shifts = draw_shifts(tf.shape(pixels)[0], training.shift, draw_key(shift_seed, update))
        moved = move(tf.reshape(pixels, [-1, *mean.shape]), shifts, training.shift)
        return normalize(tf.reshape(moved, [-1, mean.size]))

    pixels = keras.Input((mean.size,), dtype="uint8", name="pixels")
    features = keras.Input((mean.size,), dtype="float32", name="features")
    probabilities = keras.layers.Softmax(name="probabilities")
    trainee = EpochModel(
        features,
        logits(_through(noisy, features)),
        batch_size=training.batch_size,
        # Validation takes ten values for each row and class.
        block=rows_within(BLOCK, 4 * max(mean.size, *training.hidden, 8 * classes)),
        smoothing=training.label_smoothing,
        prepare=shift if training.shift else None,
        name="trainee",
    )
    trainee.compile(optimizer=optimizer, jit_compile=False)
    classifier = keras.Model(pixels, probabilities(logits(_through(hidden, normalize(pixels)))), name="classifier")
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


def _dense(units: int, activation: str | None, seed: int, name: str) -> Any:
    kernel = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=kernel, name=name)


def _through(layers: Iterable[Any], tensor: Any) -> Any:
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def _hits(logits: Any, labels: Any) -> Any:
    return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)
