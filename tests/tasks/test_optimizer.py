"""The update rule: its step sizes by their formulas, and a weight decay that knows of no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.training import Training
from tasks.fitting.backend import keras, tf
from tasks.fitting.optimizer import build_optimizer


def rates(updates: int, **fields: Any) -> list[float]:
    """The step size of each update."""
    optimizer = build_optimizer(Training.model_validate(fields), updates)
    found = []
    for update in range(updates):
        optimizer.iterations.assign(update)
        found.append(float(optimizer.learning_rate))
    return found


def test_the_step_size_decays_at_every_update() -> None:
    """At update t, from 0, the learning rate is learning_rate / (1 + decay * t)."""
    np.testing.assert_allclose(rates(4, learning_rate=0.5, decay=0.25), [0.5, 0.4, 1 / 3, 0.5 / 1.75], rtol=1e-6)


@pytest.mark.parametrize(("warmup", "rising"), [(0, 0), (0.05, 0), (0.1, 1), (0.35, 3), (0.9, 9)])
def test_the_step_size_rises_evenly_and_falls_along_a_cosine(warmup: float, rising: int) -> None:
    """From 0 to the learning rate in the whole updates of the warm-up's share, then half a cosine down towards 0."""
    up = [0.5 * update / rising for update in range(rising)]
    down = [0.25 * (1 + np.cos(np.pi * update / (10 - rising))) for update in range(10 - rising)]
    found = rates(10, learning_rate=0.5, schedule="cosine", warmup=warmup)
    np.testing.assert_allclose(found, [*up, *down], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_scales_kernels_and_leaves_biases(optimizer: str) -> None:
    """Without a gradient a kernel is scaled by 1 - step size * weight decay, whatever the optimizer; a bias stays."""
    layer = keras.layers.Dense(3, bias_initializer="ones")
    layer.build((None, 2))
    before = [weight.numpy() for weight in layer.trainable_variables]
    fields = {"optimizer": optimizer, "learning_rate": 0.5, "decay": 0, "weight_decay": 0.2}
    still = [tf.zeros(weight.shape) for weight in layer.trainable_variables]
    build_optimizer(Training.model_validate(fields), 1).apply(still, layer.trainable_variables)
    kernel, bias = (weight.numpy() for weight in layer.trainable_variables)
    np.testing.assert_allclose(kernel, 0.9 * before[0], rtol=1e-6)
    np.testing.assert_array_equal(bias, before[1])
