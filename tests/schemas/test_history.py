"""The course of a training run, as it is stored."""

from __future__ import annotations

from schemas.history import EpochRow, History


def test_a_history_survives_its_json() -> None:
    """Every figure of a history comes back from JSON bit by bit, the missing ones as None."""
    rows = (
        EpochRow(epoch=1, loss=0.1 + 0.2, accuracy=1 / 3),
        EpochRow(epoch=2, loss=1e-300, accuracy=1.0, validation_loss=2.5, validation_accuracy=0.0),
    )
    history = History(train_rows=3, validation_rows=1, updates=2, kept=2, epochs=rows)
    assert History.model_validate_json(history.model_dump_json()) == history
