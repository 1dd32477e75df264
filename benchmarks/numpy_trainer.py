"""A floor: the tutorial's network trained by hand in NumPy, float32, with nothing that is not arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
RATE, DECAY, MOMENTUM, BATCH, HELD_OUT = 0.001, 1e-7, 0.9, 64, 0.1
HIDDEN = (50, 50)
BLOCK = 10_000


@dataclass
class Perceptron:
    """
    Kernels and biases, layer by layer: Glorot uniform, zeros.

    Args: sizes: features, hidden units, classes.
    """

    sizes: tuple[int, ...]
    random: np.random.Generator
    kernels: list[Array] = field(init=False)
    biases: list[Array] = field(init=False)

    def __post_init__(self) -> None:
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        limits = [math.sqrt(6 / (fan_in + fan_out)) for fan_in, fan_out in pairs]
        self.kernels = [
            self.random.uniform(-limit, limit, pair).astype(np.float32)
            for limit, pair in zip(limits, pairs, strict=True)
        ]
        self.biases = [np.zeros(units, np.float32) for units in self.sizes[1:]]

    def forward(self, features: Array) -> list[Array]:
        """Return the activations of each layer, the features first and the logits last."""
        layers = [features]
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            layers.append(np.tanh(layers[-1] @ kernel + bias))
        layers.append(layers[-1] @ self.kernels[-1] + self.biases[-1])
        return layers

    def gradients(self, features: Array, label: npt.NDArray[Any]) -> tuple[list[Array], list[Array], float, int]:
        """Return the slopes of the mean loss by kernel and by bias, the summed loss, and how many were right."""
        layers = self.forward(features)
        error, losses = _softmax(layers[-1], label)
        right = int((layers[-1].argmax(axis=1) == label).sum())
        error[np.arange(len(label)), label] -= 1
        error /= len(label)
        kernels, biases = [], []
        for at in reversed(range(len(self.kernels))):
            kernels.append(layers[at].T @ error)
            biases.append(error.sum(axis=0))
            if at:
                error = (error @ self.kernels[at].T) * (1 - layers[at] ** 2)
        return kernels[::-1], biases[::-1], float(losses.sum()), right

    def score(self, features: Array, label: npt.NDArray[Any]) -> tuple[float, float]:
        """Return mean loss and accuracy."""
        loss, right = 0.0, 0
        for start in range(0, len(label), BLOCK):
            logits, marks = self.forward(features[start : start + BLOCK])[-1], label[start : start + BLOCK]
            loss += float(_softmax(logits, marks)[1].sum())
            right += int((logits.argmax(axis=1) == marks).sum())
        return loss / len(label), right / len(label)


def _softmax(logits: Array, label: npt.NDArray[Any]) -> tuple[Array, Array]:
    """Return the probabilities, and the cross-entropy of each row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probability = np.exp(shifted)
    total = probability.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[np.arange(len(label)), label]
    probability /= total
    return probability, losses


def train(
    features: Array, label: npt.NDArray[Any], epochs: int = 50, seed: int = 123
) -> tuple[Perceptron, list[tuple[float, float, float, float]]]:
    """
    Train as the tutorial does: shuffled, SGD with momentum, the last tenth held out and scored after each epoch.

    Args:    features: float32 (n, pixels), normalised.  label: integers (n,), from 0.
    Returns: the network, and by epoch loss, accuracy and their twins on what was held out.
    """
    random = np.random.default_rng(seed)
    network = Perceptron((features.shape[1], *HIDDEN, int(label.max()) + 1), random)
    weights = network.kernels + network.biases
    momenta = [np.zeros_like(weight) for weight in weights]
    kept, update, history = math.floor(len(label) * (1 - HELD_OUT)), 0, []
    for _ in range(epochs):
        order, loss, right = random.permutation(kept), 0.0, 0
        for start in range(0, kept, BATCH):
            batch = order[start : start + BATCH]
            kernels, biases, cost, hits = network.gradients(features[batch], label[batch])
            rate = np.float32(RATE / (1 + DECAY * update))
            for weight, momentum, slope in zip(weights, momenta, kernels + biases, strict=True):
                np.multiply(momentum, np.float32(MOMENTUM), out=momentum)
                np.subtract(momentum, rate * slope, out=momentum)
                np.add(weight, momentum, out=weight)
            loss, right, update = loss + cost, right + hits, update + 1
        history.append((loss / kept, right / kept, *network.score(features[kept:], label[kept:])))
    return network, history
