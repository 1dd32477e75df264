"""
The updates of an epoch, as one program that XLA compiles.

In it everything lies transposed, a kernel as (outputs, inputs) and activations as (units, rows): the matrix products
then take two thirds of their time. Numbers of a configuration are arguments: trainings that differ in a step size share
what was compiled. A mini-batch that is cut short at the end of an epoch is filled up with rows that count for nothing,
so that there is one update to compile; to the sums they add zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from tasks.fitting.backend import keras, tf
from tasks.fitting.noise import draw_key, draw_shifts, drop, move
from tasks.fitting.optimizer import Schedule, Steps, step_sizes

BETA = 0.999
"""Decay of Adam's second moment an update, as Keras has it."""
EPSILON = 1e-7
"""What Adam adds to the root of the second moment, as Keras has it."""

Weights = tuple[Any, ...]
"""Kernel, bias, kernel, bias and so on, float32, from the inputs to the logits."""
Slots = tuple[tuple[Any, ...], ...]
"""What the rule keeps of each weight, of its shape: nothing, its momentum, or its two moments."""


@dataclass(frozen=True)
class Recipe:
    """
    What decides which operations an update is made of.

    Args:
        activation: of the hidden layers.
        optimizer:  the rule.
        batch_size: rows of an update.
        schedule:   of the step size.
        momentum, weight_decay, smoothing, dropout: whether there is any.
        reach:      pixels that an image is moved by at most; 0: rows are features already.
        shape:      of an image that is moved.
    """

    activation: str
    optimizer: Literal["sgd", "adamw"]
    batch_size: int
    schedule: Schedule
    momentum: bool
    weight_decay: bool
    smoothing: bool
    dropout: bool
    reach: int = 0
    shape: tuple[int, ...] = ()


class Numbers(NamedTuple):
    """
    Numbers of a configuration.

    Args:
        steps: what the step sizes follow from.
        momentum, weight_decay, smoothing, dropout: as of `schemas.training`, float32.
        shift_seed: of how images are moved, int64.
        drop_seeds: of each hidden layer's units that are dropped, int64 (layers,).
        mean, std:  what a pixel becomes a feature by, float32 (values of an image,); empty where they are features.
    """

    steps: Steps
    momentum: Any
    weight_decay: Any
    smoothing: Any
    dropout: Any
    shift_seed: Any
    drop_seeds: Any
    mean: Any
    std: Any


class State(NamedTuple):
    """
    How far an epoch is.

    Args:
        weights, slots: after the updates so far.
        update: how many those are, of all epochs, int64.
        loss:   sum of the losses of the epoch's rows, in nats, float64.
        right:  how many of the element's were right, int32.
    """

    weights: Weights
    slots: Slots
    update: Any
    loss: Any
    right: Any


def update_all(images: Any, labels: Any, order: Any, state: State, recipe: Recipe, numbers: Numbers) -> State:  # noqa: PLR0917
    """
    Make the updates of an element: its rows in their order, a mini-batch each.

    Args:
        images, labels: (n, values of an image), features or raw pixels; int32 (n,).
        order: int32 (m,), which of these rows, and in which order.
    """
    rows = tf.shape(order)[0]
    # Filled up, so that few lengths are compiled; never one mini-batch alone, of which XLA makes other operations.
    room = 2 ** tf.math.ceil(tf.math.log(tf.cast(tf.maximum(rows, 2 * recipe.batch_size), tf.float64)) / math.log(2))
    filled = tf.pad(order, [[0, tf.maximum(tf.cast(room, tf.int32) - rows, 0)]])
    after: State = compiled(recipe)(images, labels, filled, rows, state, numbers)
    return after


@cache
def compiled(recipe: Recipe) -> Any:
    """
    Return the program, a function of TensorFlow's: `update_all`, where the order may be longer than there are rows.

    XLA compiles it for each shape of its arguments. How often the loop is run must not follow from a shape: of a loop
    that it knows to run once XLA makes other operations, and they would have other bits.
    """

    def make(  # noqa: PLR0917 - arguments of a program have no names
        images: Any, labels: Any, order: Any, rows: Any, state: State, numbers: Numbers
    ) -> State:
        def update(start: Any, state: State) -> tuple[Any, State]:
            chosen = tf.gather(order, tf.minimum(start + tf.range(recipe.batch_size), rows - 1))
            features = features_of(recipe, numbers, tf.gather(images, chosen), state.update)
            counts = tf.range(recipe.batch_size) < rows - start
            batch = MiniBatch(features, tf.gather(labels, chosen), counts)
            return start + recipe.batch_size, _update(recipe, numbers, state, batch)

        _, after = tf.while_loop(lambda start, _: start < rows, update, (tf.constant(0), _turned(state)))
        return _turned(after)

    return tf.function(make, jit_compile=True, autograph=False)


class MiniBatch(NamedTuple):
    """
    The rows of one update.

    Args:
        features: float32 (values of an image, rows).
        labels:   int32 (rows,).
        counts:   bool (rows,), whether a row is there at all.
    """

    features: Any
    labels: Any
    counts: Any


def features_of(recipe: Recipe, numbers: Numbers, images: Any, update: Any) -> Any:
    """Return a mini-batch as features, float32 (values of an image, rows)."""
    if recipe.reach:
        shifts = draw_shifts(recipe.batch_size, recipe.reach, draw_key(numbers.shift_seed, update))
        moved = move(tf.reshape(images, [recipe.batch_size, *recipe.shape]), shifts, recipe.reach)
        images = (tf.cast(tf.reshape(moved, [recipe.batch_size, -1]), tf.float32) - numbers.mean) / numbers.std
    return tf.transpose(images)


def _update(recipe: Recipe, numbers: Numbers, state: State, batch: MiniBatch) -> State:
    """Return the state after one more update."""
    share, rate = tf.cast(batch.counts, tf.float32), step_sizes(recipe.schedule, numbers.steps, state.update)
    with tf.GradientTape() as tape:
        tape.watch(state.weights)
        logits = _logits(recipe, numbers, state.weights, batch.features, state.update)
        logs = tf.nn.log_softmax(logits, axis=0)
        target = tf.one_hot(batch.labels, logits.shape[0], axis=0)
        losses = -tf.reduce_sum(target * logs, axis=0) * share
        learned = losses
        if recipe.smoothing:
            spread = target * (1 - numbers.smoothing) + numbers.smoothing / logits.shape[0]
            learned = -tf.reduce_sum(spread * logs, axis=0) * share
        mean = tf.reduce_sum(learned) / tf.reduce_sum(share)
    slopes = tape.gradient(mean, state.weights)
    right = tf.equal(tf.argmax(logits, axis=0, output_type=tf.int32), batch.labels) & batch.counts
    rule = {"sgd": _descend, "adamw": _adam}[recipe.optimizer]
    weights, slots = [], []
    for weight, slope, kept in zip(state.weights, slopes, state.slots, strict=True):
        # A bias is not decayed.
        decayed = (
            weight * (1 - rate * numbers.weight_decay) if recipe.weight_decay and weight.shape.rank > 1 else weight
        )
        step, after = rule(recipe, numbers, slope, kept, rate, state.update)
        weights.append(decayed + step)
        slots.append(after)
    return State(
        tuple(weights),
        tuple(slots),
        state.update + 1,
        state.loss + tf.cast(tf.reduce_sum(losses), tf.float64),
        state.right + tf.reduce_sum(tf.cast(right, tf.int32)),
    )


def _logits(recipe: Recipe, numbers: Numbers, weights: Weights, units: Any, update: Any) -> Any:
    """Return the logits of a mini-batch, float32 (classes, rows). Args: units: features, (inputs, rows)."""
    activation = keras.activations.get(recipe.activation)
    *hidden, last = zip(weights[::2], weights[1::2], strict=True)
    for layer, (kernel, bias) in enumerate(hidden):
        units = activation(kernel @ units + bias[:, tf.newaxis])
        if recipe.dropout:
            units = drop(units, numbers.dropout, draw_key(numbers.drop_seeds[layer], update))
    kernel, bias = last
    return kernel @ units + bias[:, tf.newaxis]


def _descend(recipe: Recipe, numbers: Numbers, slope: Any, kept: Sequence[Any], rate: Any, _: Any) -> Any:
    """Return the step of a weight by gradient descent, and its momentum."""
    step = -rate * slope
    if not recipe.momentum:
        return step, ()
    step += numbers.momentum * kept[0]
    return step, (step,)


def _adam(_: Recipe, numbers: Numbers, slope: Any, kept: Sequence[Any], rate: Any, update: Any) -> Any:
    """Return the step of a weight by Adam, both bias corrections in the step size, and its two moments."""
    first, second = kept
    first += (slope - first) * (1 - numbers.momentum)
    second += (slope * slope - second) * (1 - BETA)
    count = tf.cast(update + 1, tf.float32)
    size = rate * tf.sqrt(1 - tf.pow(BETA, count)) / (1 - tf.pow(numbers.momentum, count))
    return -size * first / (tf.sqrt(second) + EPSILON), (first, second)


def _turned(state: State) -> State:
    """Transpose the kernels, and what is kept of them."""

    def turn(tensor: Any) -> Any:
        return tf.transpose(tensor) if tensor.shape.rank > 1 else tensor

    return state._replace(
        weights=tuple(turn(each) for each in state.weights),
        slots=tuple(tuple(turn(each) for each in kept) for kept in state.slots),
    )
