"""The rule that the weights are updated by, and its step size."""

from __future__ import annotations

from typing import Any

from schemas.training import Training
from tasks.fitting.backend import keras, tf


class FusedSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """
    Keras's SGD with momentum, an update of a weight done by TensorFlow's one kernel for it; see `FusedAdam`.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight, a variable of TensorFlow's, and its momentum."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, tf.float32),
            grad=gradient,
            momentum=self.momentum,
        )


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """
    Keras's Adam, an update of a weight done by TensorFlow's one kernel for it instead of a dozen operations.

    The formula is the same, to float32 rounding. Each operation is a pass over all weights, which for a wide network
    takes as much time as a large part of its gradients.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight, a variable of TensorFlow's, and its two moments."""
        index = self._get_variable_index(variable)
        updates = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, tf.float32), updates),
            beta2_power=tf.pow(tf.constant(self.beta_2, tf.float32), updates),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


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
            optimizer = FusedSGD(schedule, momentum=momentum, weight_decay=weight_decay)
        case "adamw":
            # Adam with a weight decay is AdamW; Keras's AdamW requires one.
            optimizer = FusedAdam(schedule, beta_1=momentum, weight_decay=weight_decay)
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
