"""The rule that the weights are updated by, and its step size."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from schemas.training import Training
from tasks.fitting.backend import keras, tf

Schedule = Literal["inverse_time", "cosine"]


class Steps(NamedTuple):
    """
    What step sizes follow from, float32 or numbers.

    Args:
        peak:    the learning rate.
        decay:   of "inverse_time".
        rising:  updates of "cosine" in which they grow from 0.
        falling: updates of "cosine" after those.
    """

    peak: Any
    decay: Any
    rising: Any
    falling: Any

    @classmethod
    def of(cls, training: Training, updates: int) -> Steps:
        """Return those of a training of so many updates."""
        rising = float(int(training.warmup * updates))
        return cls(training.learning_rate, training.decay, rising, updates - rising)


def step_sizes(schedule: Schedule, steps: Steps, update: Any) -> Any:
    """Return the step sizes of updates, from 0: float32 of the shape of `update`."""
    at = tf.cast(update, tf.float32)
    if schedule == "inverse_time":
        return steps.peak / (1 + steps.decay * at)
    done = tf.clip_by_value((at - steps.rising) / steps.falling, 0, 1)
    down = steps.peak * (1 + tf.cos(math.pi * done)) / 2
    return tf.where(at < steps.rising, steps.peak * at / tf.maximum(steps.rising, 1.0), down)


class StepSizes(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The schedule of a training of `updates` updates, as Keras has one."""

    def __init__(self, training: Training, updates: int) -> None:
        self._schedule, self._steps = training.schedule, Steps.of(training, updates)

    def __call__(self, update: Any) -> Any:
        """Return the step size of an update, from 0."""
        return step_sizes(self._schedule, self._steps, update)


def build_optimizer(training: Training, updates: int) -> Any:
    """
    Build Keras's optimizer for a training of `updates` updates.

    It keeps the state; `tasks.fitting.updates` updates by the same rule, many times at once. Weight decay is decoupled
    (I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019): just before its update a kernel
    is scaled by 1 - step size * weight decay, and no gradient or moment knows of it. Biases are left alone: they are
    few, and to keep them small would only tie the units to the origin.
    """
    schedule, momentum = StepSizes(training, updates), float(training.momentum)
    weight_decay = training.weight_decay or None
    match training.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(schedule, momentum=momentum, weight_decay=weight_decay)
        case "adamw":
            # Adam with a weight decay is AdamW; Keras's AdamW requires one.
            optimizer = keras.optimizers.Adam(schedule, beta_1=momentum, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def slots_of(optimizer: Any, weights: int) -> tuple[tuple[Any, ...], ...]:
    """
    Return what an optimizer that was built keeps of each of its weights: nothing, its momentum, or its two moments.

    Args: weights: how many there are.
    """
    kept = [variable for variable in optimizer.variables if variable is not optimizer.iterations]
    each = len(kept) // weights  # Keras lists them weight by weight
    return tuple(tuple(kept[each * index : each * (index + 1)]) for index in range(weights))
