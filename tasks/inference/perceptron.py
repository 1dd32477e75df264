"""
A saved network in NumPy: read from its `.keras` file, and computed as Keras does, but for the last digits.

Naming images needs no training: TensorFlow takes seconds to import, and the products of a small perceptron a tenth of
one. Its bits do not depend on the number of cores: each block of rows is computed by one thread, BLAS's threads off.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import StoreError, TrainingDiverged
from schemas.image_table import rows_within

BLOCK = 2_000
"""
Images that go through the layers at once: more are no faster, and what the layers leave in between is larger.

Fewer of large images, or of many classes; see `schemas.image_table`. Hidden layers are never wider than 64 MiB allow.
"""
WORKERS = min(4, os.cpu_count() or 1)
"""Blocks that are computed at once, each by a thread."""
EPSILON = np.float32(1e-7)
"""What Keras's Normalization divides by at the least."""
MAX_CONFIG = 2**26
"""Bytes of a configuration: a mean image of 65,536 pixels in text takes 4 MiB."""
Values = npt.NDArray[np.float32]
Activation = Callable[[Values], Values]


def _elu(x: Values) -> Values:
    return np.asarray(np.maximum(x, np.minimum(np.expm1(x), np.float32(0))))


def _sigmoid(x: Values) -> Values:
    from scipy.special import expit

    return np.asarray(expit(x))


def _gelu(x: Values) -> Values:
    from scipy.special import erf

    return np.asarray(np.float32(0.5) * x * (np.float32(1) + erf(x * x.dtype.type(0.5**0.5))))


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "sigmoid": _sigmoid,
    "elu": _elu,
    "gelu": _gelu,
    "linear": lambda x: x,
}
"""As Keras has them; its gelu is the exact one, not the approximation by tanh."""


@dataclass(frozen=True)
class Layer:
    """One dense layer. Args: kernel: float32 (inputs, units); bias: float32 (units,)."""

    kernel: Values
    bias: Values
    activation: str


@dataclass(frozen=True)
class Perceptron:
    """
    A network, from raw pixels to probabilities.

    Args:
        mean:   float32 (values,), on the scale of raw pixels.
        std:    float32 (values,), above 0.
        layers: the last one leaves logits.
        scale:  what these are multiplied by: 1 over the temperature; None where there is none.
    """

    mean: Values
    std: Values
    layers: tuple[Layer, ...]
    scale: np.float32 | None = None

    @classmethod
    def read(cls, path: Path) -> Perceptron:
        """
        Read a file that train has written. Nothing in it is executed.

        Raises: StoreError: it is none, or another kind of network.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                config = json.loads(_member(archive, "config.json", MAX_CONFIG))["config"]
                weights = _member(archive, "model.weights.h5", None)
            return _built(config["layers"], weights)
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                path.name,
                expected="a perceptron that idxflow has trained",
                found=f"{type(error).__name__}: {error}",
                way_out="Train it with this version of idxflow; `run.model()` loads others with Keras.",
            ) from error

    @property
    def pixels(self) -> int:
        """Values of an image: rows * columns * channels."""
        return len(self.mean)

    @property
    def classes(self) -> int:
        """Classes of which it gives probabilities."""
        return len(self.layers[-1].bias)

    def blocks(self, image: npt.NDArray[np.uint8]) -> Iterator[tuple[slice, Values]]:
        """
        Put images through the network, block by block, several blocks at once.

        Args:   image: uint8 (n, values of an image).
        Yields: the rows of each block, in order, and their probabilities, float32 (rows, classes).
        Raises: TrainingDiverged: a probability is no number, as of weights that are finite, and too large for sums.
        """
        from threadpoolctl import threadpool_limits

        step = rows_within(BLOCK, 4 * max(self.pixels, self.classes))
        cuts = [slice(start, start + step) for start in range(0, len(image), step)]
        workers = min(len(cuts), WORKERS)
        with threadpool_limits(1, "blas"):
            if workers <= 1:
                yield from ((rows, self._probabilities(image[rows])) for rows in cuts)
                return
            with ThreadPoolExecutor(workers, "inference") as pool:
                yield from _ahead(pool, [partial(self._cut, image, rows) for rows in cuts], workers + 1)

    def __call__(self, image: npt.NDArray[np.uint8]) -> Values:
        """Put images through the network: uint8 (n, values) to float32 (n, classes). Raises: as `blocks`."""
        found = [probabilities for _, probabilities in self.blocks(image)]
        return np.concatenate([np.empty((0, self.classes), np.float32), *found])

    def rounding(self, image: npt.NDArray[np.uint8]) -> float:
        """
        Return the most by which a probability of some images, uint8 (n, values), is off, its sums being of float32.

        Another order of the sums is off by about as much. Of a network that is sure of itself that is more than of one
        that has just begun: its logits are large, and are rounded to fewer places.
        """
        exact = self._widened()
        return max(
            (float(np.abs(exact._probabilities(image[rows]) - got).max()) for rows, got in self.blocks(image)),
            default=0.0,
        )

    def _widened(self) -> Perceptron:
        """Return the network with the same numbers, as float64."""
        layers = tuple(Layer(_wide(each.kernel), _wide(each.bias), each.activation) for each in self.layers)
        return Perceptron(_wide(self.mean), _wide(self.std), layers, None if self.scale is None else _wide(self.scale))

    def _cut(self, image: npt.NDArray[np.uint8], rows: slice) -> tuple[slice, Values]:
        return rows, self._probabilities(image[rows])

    def _probabilities(self, image: npt.NDArray[np.uint8]) -> Values:
        x = image.astype(self.mean.dtype)
        x -= self.mean
        x /= self.std
        with np.errstate(all="ignore"):  # what does not fit is told below, in words
            for layer in self.layers:
                x = x @ layer.kernel
                x += layer.bias
                x = ACTIVATIONS[layer.activation](x)
            if self.scale is not None:
                x *= self.scale
            x -= x.max(axis=1, keepdims=True)
            np.exp(x, out=x)
            x /= x.sum(axis=1, keepdims=True)
        if np.isnan(x).any():
            raise TrainingDiverged(
                "the model",
                expected="a probability of each class",
                found="NaN",
                way_out="Take smaller steps: `--set training.learning_rate=...`, a tenth of what it is.",
            )
        return x


def _wide(values: Any) -> Any:
    return np.float64(values)


def _ahead(
    pool: ThreadPoolExecutor, calls: Sequence[Callable[[], tuple[slice, Values]]], most: int
) -> Iterator[tuple[slice, Values]]:
    """Yield what calls return, in order, with at most so many of them begun and not yet taken."""
    rest = iter(calls)
    waiting = [pool.submit(call) for call in islice(rest, most)]
    while waiting:
        yield waiting.pop(0).result()
        waiting.extend(pool.submit(call) for call in islice(rest, 1))


def _member(archive: zipfile.ZipFile, name: str, most: int | None) -> bytes:
    """Read a member. Args: most: bytes; None: Keras stores it as it is, so that the file has no fewer than it."""
    info = archive.getinfo(name)
    if most is None and info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} that is compressed")
    if most is not None and info.file_size > most:
        raise ValueError(f"{name} of more than {most:,} bytes")
    with archive.open(info) as file:
        return file.read(info.file_size)


def _built(layers: Sequence[Mapping[str, Any]], weights: bytes) -> Perceptron:
    """Build a network from what its file says. Raises: KeyError, TypeError, ValueError: another kind of network."""
    import h5py

    kinds = [layer["class_name"] for layer in layers]
    dense = [layer["config"] for layer in layers if layer["class_name"] == "Dense"]
    scaled = ["Rescaling"] if "Rescaling" in kinds else []
    if not dense or kinds != ["InputLayer", "Normalization", *["Dense"] * len(dense), *scaled, "Softmax"]:
        raise ValueError(f"layers {', '.join(kinds)}")
    with h5py.File(io.BytesIO(weights), "r") as file:
        normalize, inputs = layers[1]["config"], layers[0]["config"]["batch_shape"][-1]
        if normalize["mean"] is not None:
            mean, variance = (np.asarray(normalize[each], np.float32) for each in ("mean", "variance"))
        else:
            mean, variance = (_weight(file, f"normalization/vars/{at}", (inputs,)) for at in range(2))
        widths, built = [inputs, *(each["units"] for each in dense)], list[Layer]()
        for at, each in enumerate(dense):
            name, shape = f"dense_{at}" if at else "dense", (widths[at], widths[at + 1])
            kernel, bias = _weight(file, f"{name}/vars/0", shape), _weight(file, f"{name}/vars/1", shape[1:])
            built.append(Layer(kernel, bias, _known(each["activation"])))
    scale = np.float32(layers[-2]["config"]["scale"]) if scaled else None
    std = np.maximum(np.sqrt(variance.reshape(-1)), EPSILON)
    if mean.size != inputs or std.size != inputs:
        raise ValueError(f"a normalisation of {mean.size} values for {inputs}")
    return Perceptron(mean.reshape(-1), std, tuple(built), scale)


def _weight(file: Any, name: str, shape: tuple[int, ...]) -> Values:
    """Read a weight that lies in the file itself, as large as the layers say. Raises: KeyError, ValueError."""
    import h5py

    parts = f"layers/{name}".split("/")
    for end in range(1, len(parts) + 1):
        if not isinstance(file.get("/".join(parts[:end]), getlink=True), h5py.HardLink):
            raise KeyError(f"{name}, which is a link or not there")
    found = file["/".join(parts)]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.chunks:
        raise ValueError(f"{name} that does not lie in the file as it is")
    if found.shape != shape or found.dtype != np.float32:
        raise ValueError(f"{name} of shape {found.shape}, {found.dtype}, where {shape}, float32 belongs")
    if found.id.get_storage_size() != found.size * found.dtype.itemsize:
        raise ValueError(f"{name} without its values")
    values: Values = found[()]
    return values


def _known(activation: str) -> str:
    if activation not in ACTIVATIONS:
        raise ValueError(f"the activation {activation!r}")
    return activation
