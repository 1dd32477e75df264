"""What a training goes on from, where it was interrupted or left: its state after a whole epoch, in one file."""

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
from tasks.fitting.stretch import CHECKPOINT

log = logging.getLogger("idxflow.train")

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


def write_checkpoint(folder: Path, checkpoint: Checkpoint, of: str) -> None:
    """
    Write `checkpoint` over the one before, at once; a power failure may lose it, and no more than it.

    Array by array: beside the training, memory holds no second copy of its weights.

    Args: of: version of what the training ends as.
    """
    write_atomically(folder / CHECKPOINT, _signed(of, _pieces(checkpoint)), durable=False)


def read_checkpoint(
    folder: Path, of: str, *, least: int = 1, what: str = "the checkpoint of an interrupted training"
) -> Checkpoint | None:
    """
    Read the checkpoint of `folder`.

    Args:
        of:    version of what the training ends as.
        least: how many epochs it has to have.
        what:  it is called in the warning that it cannot be used.
    Returns: None where there is none, none with so many epochs, or none that is as it was written for `of`.
    """
    if not is_plain_file(folder / CHECKPOINT):
        return None
    with (folder / CHECKPOINT).open("rb") as file:
        end, digest = max(file.seek(0, 2) - SIZE, 0), _digest(of)
        file.seek(0)
        for start in range(0, end, BLOCK):
            digest.update(file.read(min(BLOCK, end - start)))
        if file.read() != digest.digest():
            log.warning("%s is damaged, or of another training or machine: training does not go on from it", what)
            return None
        file.seek(0)
        epochs = ROWS.validate_json(file.readline())
        if len(epochs) < least:
            return None
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


def _signed(of: str, pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the pieces, then their digest."""
    digest = _digest(of)
    for piece in pieces:
        digest.update(piece)
        yield piece
    yield digest.digest()


def _digest(of: str) -> hashlib._Hash:
    """
    Begin the digest of a checkpoint, with what it is one of.

    Under other numerics the rest of the training would have other bits; not so with other threads inside an operation,
    of which a process has as many as its first network wants.
    """
    return hashlib.sha256(f"{of}\n{numerics().model_dump_json(exclude={'intra_op_threads'})}\n".encode())
