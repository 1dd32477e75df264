"""What an interrupted training resumes from: its state after the last whole epoch, in one file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from pydantic import TypeAdapter

from artifacts.store.files import is_plain_file, write_atomically
from schemas.training import EpochRow
from tasks.fitting.backend import numerics

log = logging.getLogger("idxflow.train")

NAME = "checkpoint"
ROWS = TypeAdapter(tuple[EpochRow, ...])
SIZE = hashlib.sha256().digest_size
BLOCK = 2**20

Arrays = Sequence[Any]
"""NumPy arrays where they were read; to be written, whatever becomes one, as TensorFlow's variables do."""


@dataclass(frozen=True)
class Checkpoint:
    """
    The state of a training between two epochs; with the seed and the rows it decides all that follows.

    Args:
        epochs:    what has been done, never empty.
        weights:   of the trainee, as `get_weights` gives them.
        optimizer: the optimizer's variables, in its order.
        best:      weights after the best epoch so far; empty where the last ones are kept.
    """

    epochs: tuple[EpochRow, ...]
    weights: Arrays
    optimizer: Arrays
    best: Arrays = ()


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """
    Write `checkpoint` over the one before, at once; a power failure may lose it, and no more than it.

    Array by array: beside the training, memory holds no second copy of its weights.
    """
    write_atomically(folder / NAME, _signed(folder, _pieces(checkpoint)), durable=False)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of `folder`, or None where there is none, or none that is as it was written."""
    if not is_plain_file(folder / NAME):
        return None
    with (folder / NAME).open("rb") as file:
        end, digest = max(file.seek(0, 2) - SIZE, 0), _digest(folder)
        file.seek(0)
        for start in range(0, end, BLOCK):
            digest.update(file.read(min(BLOCK, end - start)))
        if file.read() != digest.digest():
            log.warning(
                "the checkpoint of an interrupted training is damaged, or of another one or machine: "
                "training starts from the beginning"
            )
            return None
        file.seek(0)
        epochs = ROWS.validate_json(file.readline())
        parts: dict[str, list[Any]] = {"weights": [], "optimizer": [], "best": []}
        while file.tell() < end:
            parts[file.readline().decode().strip()].append(npy.read_array(file, allow_pickle=False))
    return Checkpoint(epochs, **parts)


def _pieces(checkpoint: Checkpoint) -> Iterator[bytes | memoryview]:
    """Yield the epochs as a line, then of each array its part as a line, and it in NumPy's own format."""
    yield ROWS.dump_json(checkpoint.epochs) + b"\n"
    parts = {"weights": checkpoint.weights, "optimizer": checkpoint.optimizer, "best": checkpoint.best}
    for part, arrays in parts.items():
        for each in arrays:
            array, head = np.asarray(each, order="C"), BytesIO()
            npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(array))
            yield f"{part}\n".encode() + head.getvalue()
            yield array.reshape(-1).view(np.uint8).data


def _signed(folder: Path, pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the pieces, then their digest."""
    digest = _digest(folder)
    for piece in pieces:
        digest.update(piece)
        yield piece
    yield digest.digest()


def _digest(folder: Path) -> hashlib._Hash:
    """
    Begin the digest of a checkpoint, with what it is one of.

    The folder is named by the artifact's version; under other numerics the rest of the training would have other bits.
    """
    return hashlib.sha256(f"{folder.name}\n{numerics().model_dump_json()}\n".encode())
