"""What a training that was interrupted goes on from: its state after the last whole epoch, in one file."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from artifacts.files import is_plain_file, write_atomically
from schemas.history import EpochRow
from tasks.backend import numerics

log = logging.getLogger("idxflow.train")

NAME = "checkpoint"
ROWS = TypeAdapter(tuple[EpochRow, ...])
SIZE = hashlib.sha256().digest_size

Arrays = Sequence[npt.NDArray[Any]]


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
    """Write `checkpoint` over the one before, at once; a power failure may lose it, and no more than it."""
    parts = {"weights": checkpoint.weights, "optimizer": checkpoint.optimizer, "best": checkpoint.best}
    arrays: dict[str, Any] = {
        f"{part}-{index}": array for part, of_part in parts.items() for index, array in enumerate(of_part)
    }
    buffer = io.BytesIO()
    np.savez(buffer, epochs=np.frombuffer(ROWS.dump_json(checkpoint.epochs), np.uint8), **arrays)
    content = buffer.getvalue()
    write_atomically(folder / NAME, _digest(folder, content) + content, durable=False)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of `folder`, or None where there is none, or none that is as it was written."""
    if not is_plain_file(folder / NAME):
        return None
    content = (folder / NAME).read_bytes()
    digest, content = content[:SIZE], content[SIZE:]
    if _digest(folder, content) != digest:
        log.warning(
            "the checkpoint of an interrupted training is damaged, or of another one or machine: training starts anew"
        )
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        parts: dict[str, list[npt.NDArray[Any]]] = {"weights": [], "optimizer": [], "best": []}
        for name in arrays.files:
            if name != "epochs":
                parts[name.partition("-")[0]].append(arrays[name])
        return Checkpoint(ROWS.validate_json(arrays["epochs"].tobytes()), **parts)


def _digest(folder: Path, content: bytes) -> bytes:
    """
    Digest a checkpoint together with what it is one of.

    The folder is named by the artifact's version; under other numerics the rest of the training would have other bits.
    """
    return hashlib.sha256(f"{folder.name}\n{numerics().model_dump_json()}\n".encode() + content).digest()
