"""
The multilayer perceptron: what is trained, and what is saved.

Both share their layers. The saved model takes raw pixels and holds the normalisation, so it cannot be fed differently
from how it was trained; the trained one starts behind the normalisation, which is then done once and not every epoch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.training import Training
from tasks.backend import keras, tf

BLOCK = 10_000
"""Rows that are validated at once."""

CACHED = 1_000
"""Rows that are normalised at once: few enough to stay in the processor's cache."""


class EpochModel(keras.Model):  # type: ignore[misc]
    """
    A functional model from features to logits whose train step is a whole epoch, and whose test step is a whole split.

    Either gets one element: all features, float32 (n, inputs), and labels, int32 (n,). The train step loops over
    mini-batches of a fresh permutation inside one graph, which saves Keras's work around each update; callbacks of an
    epoch, history and validation are Keras's own. Loss and accuracy are means over the rows, as `fit` reports them.

    Args:
        batch_size: rows an update; the last one of an epoch takes what is left.
        seed:       of the permutations, together with the number of updates before the epoch.
    """

    def __init__(self, *args: Any, batch_size: int, seed: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batch_size = batch_size
        self.seed = seed
        self.loss_mean = keras.metrics.Mean(name="loss")
        self.accuracy_mean = keras.metrics.Mean(name="accuracy")

    @property
    def metrics(self) -> list[Any]:
        """The two means, which Keras resets before each epoch and each validation."""
        return [self.loss_mean, self.accuracy_mean]

    def permutation(self, rows: Any, update: Any) -> Any:
        """Return the order of the rows, int32 (rows,), in the epoch that starts after `update` updates."""
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(update, tf.int64)])
        return tf.random.experimental.stateless_shuffle(tf.range(rows), seed=seed, alg="philox")

    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Update the weights once a mini-batch, over all rows; return the epoch's metrics."""
        features, labels = data
        order = self.permutation(tf.shape(labels)[0], self.optimizer.iterations)
        weights = self.trainable_variables

        def update(start: Any) -> tuple[Any, Any]:
            batch = order[start : start + self.batch_size]
            target = tf.gather(labels, batch)
            with tf.GradientTape() as tape:
                logits = self(tf.gather(features, batch), training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
                mean = tf.reduce_mean(losses)
            self.optimizer.apply_gradients(zip(tape.gradient(mean, weights), weights, strict=True))
            return losses, _hits(logits, target)

        return self._mean_over(labels, self.batch_size, update)

    def test_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """Score all rows, in blocks; return the metrics."""
        features, labels = data

        def score(start: Any) -> tuple[Any, Any]:
            target = labels[start : start + BLOCK]
            logits = self(features[start : start + BLOCK], training=False)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits), _hits(logits, target)

        return self._mean_over(labels, BLOCK, score)

    def _mean_over(self, labels: Any, size: int, score: Callable[[Any], tuple[Any, Any]]) -> dict[str, Any]:
        """Call `score` with the start of each `size` rows; it returns their losses and whether they were right."""

        def add(start: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
            losses, hits = score(start)
            # Summed in float64: an epoch may have a hundred thousand updates.
            loss += tf.cast(tf.reduce_sum(losses), tf.float64)
            return start + size, loss, right + tf.reduce_sum(tf.cast(hits, tf.int32))

        rows = tf.shape(labels)[0]
        zero = tf.constant(0), tf.constant(0.0, tf.float64), tf.constant(0)
        _, loss, right = tf.while_loop(lambda start, *_: start < rows, add, zero)
        self.loss_mean.update_state(loss / tf.cast(rows, tf.float64), sample_weight=rows)
        self.accuracy_mean.update_state(right / rows, sample_weight=rows)
        return {metric.name: metric.result() for metric in self.metrics}


@dataclass(frozen=True)
class Network:
    """
    One perceptron, seen from two sides that share their weights.

    Args:
        classifier: raw pixels, uint8 (n, rows * columns), to probabilities, float32 (n, classes). Plain Keras layers
                    only, so that it loads in safe mode.
        normalize:  raw pixels, as above, to features, float32 of the same shape.
        trainee:    features to logits, float32 (n, classes); compiled.
    """

    classifier: Any
    normalize: Any
    trainee: EpochModel

    def features(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return what `normalize` makes of `image`, bit by bit, four times as fast and without a second copy."""
        mean, std = np.asarray(self.normalize.mean), np.sqrt(np.asarray(self.normalize.variance))
        features = np.empty(image.shape, np.float32)
        for start in range(0, len(image), CACHED):
            block = features[start : start + CACHED]
            np.subtract(image[start : start + CACHED], mean, out=block)
            block /= std
        return features


def build_network(training: Training, mean: npt.NDArray[np.float64], std: float, classes: int) -> Network:
    """
    Build the perceptron with fresh weights: Glorot uniform kernels, zero biases.

    Args:
        mean: float64 (rows * columns,), the mean image of the train rows, pixels scaled to [-1, 1].
        std:  their global standard deviation, on the same scale.
    """
    *kernel_seeds, shuffle_seed = (
        np.random.SeedSequence(training.seed).generate_state(len(training.hidden) + 2).tolist()
    )
    names = [f"hidden_{i}" for i in range(1, len(training.hidden) + 1)]
    layers = [
        _dense(units, training.activation, seed, name)
        for units, seed, name in zip(training.hidden, kernel_seeds[:-1], names, strict=True)
    ]
    layers.append(_dense(classes, None, kernel_seeds[-1], "logits"))
    # (2 x / 255 - 1 - mean) / std with the scale taken into its two constants: one subtraction, one division a pixel.
    normalize = keras.layers.Normalization(
        mean=(mean + 1) * 127.5, variance=np.full(mean.shape, (std * 127.5) ** 2), name="normalize"
    )

    def through(tensor: Any) -> Any:
        for layer in layers:
            tensor = layer(tensor)
        return tensor

    pixels = keras.Input(mean.shape, dtype="uint8", name="pixels")
    features = keras.Input(mean.shape, dtype="float32", name="features")
    probabilities = keras.layers.Softmax(name="probabilities")
    trainee = EpochModel(features, through(features), batch_size=training.batch_size, seed=shuffle_seed, name="trainee")
    trainee.compile(optimizer=_optimizer(training), jit_compile=False)
    classifier = keras.Model(pixels, probabilities(through(normalize(pixels))), name="classifier")
    return Network(classifier, normalize, trainee)


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
        digest.update(value.tobytes())
    return digest.hexdigest()


def _dense(units: int, activation: str | None, seed: int, name: str) -> Any:
    kernel = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=kernel, name=name)


def _optimizer(training: Training) -> Any:
    schedule = keras.optimizers.schedules.InverseTimeDecay(
        training.learning_rate, decay_steps=1, decay_rate=training.decay
    )
    return keras.optimizers.SGD(schedule, momentum=float(training.momentum))


def _hits(logits: Any, labels: Any) -> Any:
    return tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), labels)
