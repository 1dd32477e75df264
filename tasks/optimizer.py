"""The rule that the weights are updated by, and its step size."""

from __future__ import annotations

from typing import Any

from schemas.training import Training
from tasks.backend import keras


def build_optimizer(training: Training, updates: int) -> Any:
    """
    Build Keras's optimizer for a training of `updates` updates.

    Weight decay is decoupled (I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019): just
    before its update a kernel is scaled by 1 - step size * weight decay, and no gradient or moment knows of it. Biases
    are left alone: they are few, and to keep them small would only tie the units to the origin.
    """
    schedule, momentum = _schedule(training, updates), float(training.momentum)
    weight_decay = training.weight_decay or None
    match training.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(schedule, momentum=momentum, weight_decay=weight_decay)
        case "adamw":
            # Adam with a weight decay is AdamW, which for its part does not go without one.
            optimizer = keras.optimizers.Adam(schedule, beta_1=momentum, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _schedule(training: Training, updates: int) -> Any:
    schedules, peak = keras.optimizers.schedules, training.learning_rate
    match training.schedule:
        case "inverse_time":
            return schedules.InverseTimeDecay(peak, decay_steps=1, decay_rate=training.decay)
        case "cosine":
            rising = int(training.warmup * updates)
            if not rising:
                return schedules.CosineDecay(peak, updates)
            return schedules.CosineDecay(0.0, updates - rising, warmup_target=peak, warmup_steps=rising)
