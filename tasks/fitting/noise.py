"""
The noise of training: images that are moved, and units that are dropped.

Every draw is a function of a seed and of the number of updates before it, never of a generator's state: runs repeat
bit for bit, and one that resumes from a saved epoch draws what it would have drawn without the break. Draws are made in
what XLA compiles (`tasks.fitting.updates`).
"""

from __future__ import annotations

from typing import Any

from tasks.fitting.backend import tf

GENERATOR = "threefry"
"""
Of the draws (J. K. Salmon et al., 2011). Only what XLA compiles has it; Philox takes ten times as long there: see
findings/xla-drops-slower-with-philox.sh.
"""


def draw_key(seed: Any, update: Any) -> Any:
    """Return the key of TensorFlow's stateless draws after `update` updates, int64 (2,)."""
    return tf.stack([tf.cast(seed, tf.int64), tf.cast(update, tf.int64)])


def draw_shifts(count: Any, reach: int, key: Any) -> Any:
    """Return how far each of `count` images goes down and to the right: int32 (count, 2), evenly in [-reach, reach]."""
    shape = tf.stack([count, 2])
    return tf.random.stateless_uniform(shape, key, -reach, reach + 1, tf.int32, alg=GENERATOR)


def move(images: Any, shifts: Any, reach: int) -> Any:
    """
    Move each image by whole pixels. What leaves it is lost, and what comes in is 0, the pixel of a blank image.

    Args:
        images: uint8 (n, rows, columns) or (n, rows, columns, channels), raw pixels; channels stay where they are.
        shifts: int32 (n, 2), pixels down and to the right, in [-reach, reach].
    Returns: the same dtype and shape.
    """
    _, rows, columns, *channels = images.shape
    width = columns + 2 * reach
    framed = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], *([[0, 0]] * len(channels))])
    # Whatever the shift, an image is the same pattern of a framed one's pixels; only where it begins differs.
    pattern = tf.reshape(tf.range(rows)[:, tf.newaxis] * width + tf.range(columns), [-1])
    begins = (reach - shifts[:, 0]) * width + reach - shifts[:, 1]
    pixels = tf.reshape(framed, [-1, (rows + 2 * reach) * width, *channels])
    return tf.reshape(tf.gather(pixels, begins[:, tf.newaxis] + pattern, batch_dims=1), [-1, rows, columns, *channels])


def drop(units: Any, rate: Any, key: Any) -> Any:
    """
    Return units of which some are dropped: those become 0, and those that stay are scaled to make up.

    Dropout (N. Srivastava et al., 2014).

    Args:
        units: float32, any shape.
        rate:  share that is dropped, in (0, 1).
    """
    return tf.nn.experimental.stateless_dropout(units, rate, seed=key, rng_alg=GENERATOR)
