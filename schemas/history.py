"""The course of a training run: what train leaves as `history.json`, a row an epoch in `curve.csv`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.held_out import HeldOut, Way


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
    train_rows: int = Field(ge=1, description="rows that the model was fitted to")
    validation_rows: int = Field(ge=0, description="rows of the train table held out")
    way: Way = Field(default="last", description="which rows were held out; histories without it held out the last")
    findings: tuple[str, ...] = Field(
        default=(), description="what is odd about the held-out rows, a sentence each for people"
    )
    updates: int = Field(ge=1, description="updates of the weights in all epochs")
    kept: int = Field(ge=1, description="the epoch that the model is from: the last one, or the best one of validation")
    epochs: tuple[EpochRow, ...] = Field(min_length=1)

    @property
    def held_out(self) -> HeldOut:
        """How many rows were held out, and which."""
        return HeldOut(way=self.way, rows=self.validation_rows, of=self.train_rows + self.validation_rows)
