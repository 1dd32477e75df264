"""The numbers of a trained model, out of Keras: constants of the normalisation, layers, temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import StoreError

Floats = npt.NDArray[np.float32]
EPSILON = np.float32(1e-7)
"""What Keras's Normalization divides by at the least."""
ACTIVATIONS = ("tanh", "relu", "sigmoid", "elu", "gelu")


@dataclass(frozen=True)
class Layer:
    """One dense layer. Args: kernel: (inputs, units).  bias: (units,).  activation: `linear` before the softmax."""

    kernel: Floats
    bias: Floats
    activation: str


@dataclass(frozen=True)
class Perceptron:
    """
    What a model computes: softmax(scale * layers((pixels - mean) / std)), all in float32.

    Args:
        mean, std: (values of an image,), on the scale of raw pixels.
        layers:    from the first hidden one to the one that gives logits.
        scale:     what the logits are multiplied by, one over the temperature; None: they are left as they are.
    """

    mean: Floats
    std: Floats
    layers: tuple[Layer, ...]
    scale: np.float32 | None


def read_perceptron(model: Any) -> Perceptron:
    """
    Read the numbers of a Keras model that train has left.

    Raises: StoreError: it has other layers, or in another order, than those that train makes.
    """
    first, normalize, *dense = model.layers
    softmax = dense.pop()
    scaling = dense.pop() if dense and type(dense[-1]).__name__ == "Rescaling" else None
    kinds = [type(each).__name__ for each in (first, normalize, softmax)]
    activations = [_activation(layer) for layer in dense]
    if (
        kinds != ["InputLayer", "Normalization", "Softmax"]
        or {type(each).__name__ for each in dense} != {"Dense"}
        or activations[-1] != "linear"
        or not set(activations[:-1]) <= set(ACTIVATIONS)
        or (scaling is not None and np.any(np.asarray(scaling.offset) != 0))
    ):
        raise StoreError(
            "the model",
            expected="input, normalisation, dense layers, perhaps a temperature, softmax",
            found=", ".join(f"{type(each).__name__} {each.name}" for each in model.layers),
            way_out="Export it as keras or saved_model, which hold any layer. Nothing was exported.",
        )
    return Perceptron(
        mean=_floats(normalize.mean).reshape(-1),
        std=np.maximum(np.sqrt(_floats(normalize.variance).reshape(-1)), EPSILON),
        layers=tuple(
            Layer(_floats(layer.kernel), _floats(layer.bias), activation)
            for layer, activation in zip(dense, activations, strict=True)
        ),
        scale=None if scaling is None else np.float32(scaling.scale),
    )


def _activation(layer: Any) -> str:
    return str(layer.get_config().get("activation"))


def _floats(tensor: Any) -> Floats:
    return np.ascontiguousarray(np.asarray(tensor), np.float32)
