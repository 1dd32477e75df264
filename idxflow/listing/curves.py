"""The learning curves of stored models, briefly: as many as a page has room for, in whole ten-thousandths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from artifacts.store.files import read_plain
from artifacts.store.store import Store
from schemas.training import HISTORY, EpochRow, History

POINTS = 100
"""Epochs of a curve that are kept at most, the first and the last among them."""
UNIT = 10_000
"""What figures are told in: 9605 is 96.05 %, or a loss of 0.9605 nats."""
LARGEST = 9_999_999
"""A larger loss, or none that is a number, is told as this."""


@dataclass(frozen=True)
class Curve:
    """
    A training, epoch by epoch.

    Args:
        epochs: which.  kept: the epoch that the model is from.
        others: of these epochs, in ten-thousandths; None of held-out rows where there are none.
    """

    epochs: tuple[int, ...]
    kept: int
    accuracy: tuple[int, ...]
    loss: tuple[int, ...]
    held_out_accuracy: tuple[int, ...] | None
    held_out_loss: tuple[int, ...] | None


def read_curve(store: Store, version: str) -> Curve | None:
    """Return the curve of a stored model; None where it is gone, or does not read. No file is hashed."""
    path = store.folder("train", version) / HISTORY
    try:
        history = History.model_validate_json(read_plain(path))
    except (OSError, ValidationError):
        return None
    return thinned(history)


def thinned(history: History, most: int = POINTS) -> Curve:
    """Return a history as a curve of at most so many points, evenly spaced; the epoch that is kept is one of them."""
    rows = history.epochs
    if len(rows) > most:
        step = (len(rows) - 1) / (most - 2)
        places = {round(step * at) for at in range(most - 1)} | {history.kept - 1}
        rows = tuple(rows[at] for at in sorted(places))
    held_out = all(row.validation_accuracy is not None and row.validation_loss is not None for row in rows)
    return Curve(
        epochs=tuple(row.epoch for row in rows),
        kept=history.kept,
        accuracy=_figures(rows, "accuracy"),
        loss=_figures(rows, "loss"),
        held_out_accuracy=_figures(rows, "validation_accuracy") if held_out else None,
        held_out_loss=_figures(rows, "validation_loss") if held_out else None,
    )


def _figures(rows: Sequence[EpochRow], name: str) -> tuple[int, ...]:
    found = (float(getattr(row, name)) for row in rows)
    return tuple(round(UNIT * figure) if abs(figure) * UNIT < LARGEST else LARGEST for figure in found)
