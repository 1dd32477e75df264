"""The course of a training run: what train leaves as `history.json`, a row an epoch in `curve.csv`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EpochRow(BaseModel):
    """
    One epoch, as Keras's `fit` reports it.

    Loss and accuracy are means over the epoch's rows, each scored just before the update it takes part in, and as that
    update sees it: moved, and with units dropped, if the configuration says so. The validation twins are measured after
    the epoch's last update, without any of that, and None where no rows are held out. Labels are never smoothed here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    epoch: int = Field(ge=1, description="1 for the first")
    loss: float = Field(description="mean categorical cross-entropy, in nats")
    accuracy: float = Field(ge=0, le=1, description="share of right predictions")
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class History(BaseModel):
    """Every epoch, in order, and the rows that the figures are of."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    train_rows: int = Field(ge=1, description="rows that the model was fitted to: the first of the train table")
    validation_rows: int = Field(ge=0, description="rows held out: the last of the train table")
    updates: int = Field(ge=1, description="updates of the weights in all epochs")
    kept: int = Field(ge=1, description="the epoch that the model is from: the last one, or the best one of validation")
    epochs: tuple[EpochRow, ...] = Field(min_length=1)
