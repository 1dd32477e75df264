"""The temperature of a trained network: fitted to the held-out rows, and part of the saved model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.calibration import FEWEST_ROWS
from schemas.image_table import rows_within
from tasks.fitting.backend import keras, tf
from tasks.fitting.network import BLOCK
from tasks.fitting.rows import Rows
from tasks.quality.calibration import fit_temperature

MOST_ROWS = 100_000
"""Held-out rows that a temperature is fitted to at most: it is one number."""
MOST_VALUES = 2**24
"""Logits of them at most."""
log = logging.getLogger("idxflow.train")


@dataclass(frozen=True)
class Calibrated:
    """
    A classifier, calibrated where that was possible.

    Args:
        classifier:  raw pixels, uint8 (n, values of an image), to probabilities, float32 (n, classes).
        temperature: what its logits are divided by; None: it is not calibrated.
        finding:     why it is not, in a sentence; empty where it is.
    """

    classifier: Any
    temperature: float | None = None
    finding: str = ""


def calibrate(classifier: Any, held_out: Rows) -> Calibrated:
    """
    Fit a temperature to the held-out rows and put it before the softmax; the predicted classes stay as they are.

    Args:   classifier: of `tasks.fitting.network.Network`.
    Raises: BadTable: a row group is damaged.
    """
    rows = len(held_out)
    if rows < FEWEST_ROWS:
        finding = (
            f"Not calibrated: that takes {FEWEST_ROWS} held-out rows, and there {'is' if rows == 1 else 'are'} {rows}."
        )
        return Calibrated(classifier, finding=finding)
    temperature = fit_temperature(*_logits(classifier, held_out))
    if temperature is None:
        return Calibrated(
            classifier,
            finding="Not calibrated: the held-out rows prefer no temperature, as where every one is right.",
        )
    log.info("temperature %g, fitted to held-out rows", temperature)
    scaled = keras.layers.Rescaling(1 / temperature, name="temperature")(classifier.get_layer("probabilities").input)
    probabilities = keras.layers.Softmax(name="probabilities")(scaled)
    return Calibrated(keras.Model(classifier.input, probabilities, name="classifier"), temperature)


def _logits(classifier: Any, rows: Rows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return logits, float32 (n, classes), and labels, int32 (n,), of rows, or of every so many of them."""
    model = keras.Model(classifier.input, classifier.get_layer("probabilities").input)
    pixels, classes = model.input_shape[-1], model.output_shape[-1]
    graph = tf.function(model, input_signature=[tf.TensorSpec((None, pixels), tf.uint8)], autograph=False)
    block = rows_within(BLOCK, 4 * max(pixels, classes))
    step = -(-len(rows) // max(FEWEST_ROWS, min(MOST_ROWS, MOST_VALUES // classes)))
    logits, labels, seen = list[npt.NDArray[np.float32]](), list[npt.NDArray[np.int32]](), 0
    for group in range(len(rows.sizes)):
        image, label = rows.group(group)
        chosen = slice(-seen % step, None, step)
        seen += len(label)
        image, label = image[chosen], label[chosen]
        logits += [np.asarray(graph(image[start : start + block])) for start in range(0, len(label), block)]
        labels.append(label)
    return np.concatenate(logits), np.concatenate(labels)
