"""Training written out in NumPy, in float64: the gradients of a tanh perceptron, and the update rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.held_out import Way
from schemas.image_table import ImageTable
from schemas.training import History, Training
from tasks import train
from tasks.fitting.holding import hold_out
from tasks.fitting.network import Network, build_network
from tasks.fitting.rows import Rows, positions, windows
from tasks.fitting.stretch import Stretch
from tests.tasks.small_split import CLASSES, MEAN, SHAPE, STD

Weights = list[npt.NDArray[np.float64]]


def gradients(
    weights: Weights, features: npt.NDArray[np.float64], label: npt.NDArray[np.uint16], smoothing: float
) -> tuple[float, int, Weights]:
    """Return loss, right rows, and gradients with smoothed labels, of a tanh perceptron, by hand in float64."""
    activations = [features]
    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        activations.append(np.tanh(activations[-1] @ kernel + bias))
    logits = activations[-1] @ weights[-2] + weights[-1]
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    rows = np.arange(len(label))
    loss = -np.log(probabilities[rows, label]).sum()
    error = probabilities - smoothing / probabilities.shape[1]
    error[rows, label] -= 1 - smoothing
    error /= len(label)
    found: Weights = []
    for activation, kernel in zip(reversed(activations), reversed(weights[0::2]), strict=True):
        found = [activation.T @ error, error.sum(axis=0), *found]
        error = error @ kernel.T * (1 - activation**2)
    return float(loss), int((logits.argmax(axis=1) == label).sum()), found


class Momentum:
    """The tutorial's update rule."""

    def __init__(self, training: Training, updates: int) -> None:
        self.training = training
        self.momenta: Weights = []

    def step(self, weights: Weights, slopes: Weights, update: int) -> Weights:
        """Return the weights after an update, from 0."""
        self.momenta = self.momenta or [np.zeros_like(weight) for weight in weights]
        rate = self.training.learning_rate / (1 + self.training.decay * update)
        self.momenta = [
            self.training.momentum * momentum - rate * slope
            for momentum, slope in zip(self.momenta, slopes, strict=True)
        ]
        return [weight + momentum for weight, momentum in zip(weights, self.momenta, strict=True)]


class AdamW:
    """Algorithm 2 of Loshchilov and Hutter (2019), kernels only decayed, along half a cosine after a warm-up."""

    def __init__(self, training: Training, updates: int) -> None:
        self.training, self.updates = training, updates
        self.first: Weights = []
        self.second: Weights = []

    def rate(self, update: int) -> float:
        """Return the step size of an update, from 0."""
        rising = int(self.training.warmup * self.updates)
        if update < rising:
            return self.training.learning_rate * update / rising
        done = (update - rising) / (self.updates - rising)
        return float(self.training.learning_rate * (1 + np.cos(np.pi * done)) / 2)

    def step(self, weights: Weights, slopes: Weights, update: int) -> Weights:
        """Return the weights after an update, from 0."""
        beta, gamma, rate = self.training.momentum, 0.999, self.rate(update)
        zeros = [np.zeros_like(weight) for weight in weights]
        self.first = [beta * m + (1 - beta) * g for m, g in zip(self.first or zeros, slopes, strict=True)]
        self.second = [gamma * v + (1 - gamma) * g * g for v, g in zip(self.second or zeros, slopes, strict=True)]
        # Both bias corrections are in the step size, as in Keras: 1e-7 is the "epsilon hat" of Kingma and Ba (2015).
        size = rate * np.sqrt(1 - gamma ** (update + 1)) / (1 - beta ** (update + 1))
        kept = 1 - rate * self.training.weight_decay
        return [
            weight * (kept if weight.ndim == 2 else 1) - size * m / (np.sqrt(v) + 1e-7)
            for weight, m, v in zip(weights, self.first, self.second, strict=True)
        ]


def features(network: Network, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return what the trainee is fed of all rows of `image`, in their order."""
    found = np.empty(image.shape, np.float32)
    network.feed(image, np.arange(len(image)), found)
    return found


def fresh(training: Training, rows: int = 120) -> Network:
    """An untrained network for the small split, of which so many rows are trained on."""
    return build_network(training, MEAN.reshape(SHAPE), STD, len(CLASSES), rows)


def trained(
    table: ImageTable, fields: dict[str, Any], checkpoints: Path | None = None, *, way: Way = "last"
) -> tuple[list[Any], History]:
    """Train a network of this configuration; return its weights and its history."""
    network = fresh(training := Training.model_validate(fields))
    history = fit(network, table, training, checkpoints, way=way)
    return network.trainee.get_weights(), history


def fit(
    network: Network, table: ImageTable, training: Training, checkpoints: Path | None = None, *, way: Way = "last"
) -> History:
    """Fit a network to the rows of a table that are not held out."""
    return train.fit(network, table, training, hold_out(table, way, training), Stretch(checkpoints=checkpoints))


def parted(table: ImageTable, training: Training, way: Way = "last") -> tuple[Rows, Rows]:
    """Return the rows that are trained on, and those that are held out."""
    held = hold_out(table, way, training).rows
    return Rows(table, ~held), Rows(table, held)


def learned_order(
    network: Network, table: ImageTable, training: Training, epoch: int, way: Way = "last"
) -> npt.NDArray[np.int64]:
    """Return the rows in the order in which an epoch, from 0, meets them."""
    rows, _ = parted(table, training, way)
    order = positions(rows.sizes, windows(rows.sizes, training.shuffle_window, network.shuffle_seed, epoch))
    return np.flatnonzero(rows.chosen)[order]


def train_by_hand(network: Network, table: ImageTable, training: Training) -> tuple[Weights, list[tuple[float, float]]]:
    """Run the update rule step by step over the rows in the order of the feed, in float64."""
    data = table.read()
    weights = [weight.astype(np.float64) for weight in network.trainee.get_weights()]
    rows = len(parted(table, training)[0])
    rule = (AdamW if training.optimizer == "adamw" else Momentum)(training, training.count_updates(rows))
    features = ((data.image / 255 - 0.5) * 2 - MEAN) / STD
    update, epochs = 0, []
    for epoch in range(training.epochs):
        order, loss, right = learned_order(network, table, training, epoch), 0.0, 0
        for start in range(0, rows, training.batch_size):
            batch = order[start : start + training.batch_size]
            cost, hits, slopes = gradients(weights, features[batch], data.label[batch], training.label_smoothing)
            weights = rule.step(weights, slopes, update)
            loss, right, update = loss + cost, right + hits, update + 1
        epochs.append((loss / rows, right / rows))
    return weights, epochs
