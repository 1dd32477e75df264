"""A training: its one configuration, the named profiles, and its course."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ByteSize, Field, model_validator

from schemas.held_out import HeldOut, Way
from schemas.parameters import Parameters

HISTORY, CURVE = "history.json", "curve.csv"
"""What train leaves beside the model: its `History`, which begin leaves too, and that as CSV, a row per epoch."""
ProfileName = Literal["tutorial", "tuned"]


class Training(Parameters):
    """
    Architecture, optimizer and schedule of the multilayer perceptron.

    Fields that are not given take their value from `profile`. The tutorial's are the defaults: pixels
    scaled to [-1, 1], centred and divided by one global standard deviation; two hidden tanh layers of
    50 units; SGD with momentum; categorical cross-entropy; a tenth of the train rows held out.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"profile", "memory"})

    profile: ProfileName = Field(default="tutorial", description="the set of defaults")
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        default=(50, 50), max_length=16, description="units of each hidden layer"
    )
    activation: Literal["tanh", "relu", "sigmoid", "elu", "gelu"] = Field(
        default="tanh", description="activation of the hidden layers"
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of each hidden layer's units that an update leaves out"
    )
    optimizer: Literal["sgd", "adamw"] = Field(
        default="sgd", description="sgd: gradient descent with momentum; adamw: Adam with decoupled weight decay"
    )
    learning_rate: float = Field(default=0.001, gt=0, le=10, description="step size before the schedule lowers it")
    schedule: Literal["inverse_time", "cosine"] = Field(
        default="inverse_time", description="how the step size falls: by decay, or along half a cosine to 0"
    )
    decay: float = Field(
        default=1e-7,
        ge=0,
        le=1,
        description="inverse_time only: at update t, from 0, the step size is learning_rate / (1 + decay * t)",
    )
    warmup: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="cosine only: share of the updates, the first ones, in which the step size grows evenly from 0",
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of sgd, beta_1 of adamw")
    weight_decay: float = Field(
        default=0.0, ge=0, le=1, description="each update first scales the kernels by 1 - step size * weight_decay"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each label that is spread evenly over all classes"
    )
    shift: int = Field(
        default=0, ge=0, le=16, description="pixels that a training image is moved by at most, each way, at random"
    )
    calibrate: bool = Field(
        default=False,
        description="divide the logits by a temperature that is fitted to the held-out rows, so that probabilities are"
        " right as often as they say; no predicted class changes",
    )
    batch_size: int = Field(default=64, ge=1, le=65536, description="rows per update")
    epochs: int = Field(default=50, ge=1, le=10000, description="passes over the train rows, at most")
    patience: int = Field(
        default=0,
        ge=0,
        le=10000,
        description="stop after this many epochs without a lower validation loss and keep the best epoch; 0: never stop"
        " early",
    )
    shuffle_window: int = Field(
        default=100_000,
        ge=1,
        description="rows that are shuffled together; more are shuffled by row groups, then within such windows",
    )
    validation_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="share of the train rows held out for validation"
    )
    memory: ByteSize | None = Field(
        default=None,
        examples=["2GB", "500MB"],
        description="bytes, as in 2GB, that the train table may take of memory; a larger one is streamed from the disk."
        " Half of what is free, if not given. Changes the time that training takes, and no bit of its result",
    )
    seed: int = Field(
        default=123, ge=0, le=2**31 - 1, description="seed of the kernels and of all that is drawn in training"
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_profile(cls, given: Any) -> Any:
        """Lay the given values over those of the profile; an unknown profile is left for the field to refuse."""
        if not isinstance(given, dict):
            return given
        name = given.get("profile", "tutorial")
        return {**(PROFILES.get(name, {}) if isinstance(name, str) else {}), **given}

    @model_validator(mode="after")
    def _patience_needs_rows(self) -> Self:
        if self.patience and not self.validation_fraction:
            raise ValueError("patience needs a validation loss: set a validation_fraction above 0, or patience 0")
        return self

    def count_updates(self, rows: int, epochs: int | None = None) -> int:
        """Return how many updates of the weights so many epochs over `rows` rows make; all, if not given."""
        return math.ceil(rows / self.batch_size) * (self.epochs if epochs is None else epochs)


PROFILES: dict[str, dict[str, Any]] = {
    "tutorial": {},
    "tuned": {
        "hidden": (800, 400),
        "activation": "relu",
        "dropout": 0.1,
        "optimizer": "adamw",
        "learning_rate": 0.002,
        "schedule": "cosine",
        "warmup": 0.1,
        "weight_decay": 0.01,
        "label_smoothing": 0.1,
        "shift": 2,
        "calibrate": True,
        "batch_size": 256,
        "epochs": 20,
    },
}
"""What each profile says differently from the field defaults. How `tuned` was chosen: docs/tuned.md."""


class EpochRow(BaseModel, frozen=True, extra="forbid"):
    """
    One epoch, as Keras's `fit` reports it.

    Loss and accuracy are means over the epoch's rows, each scored just before the update it takes part in, and as that
    update sees it: moved, and with units dropped, if the configuration says so. The validation twins are measured after
    the epoch's last update, without any of that, and None where no rows are held out. Labels are never smoothed here.
    """

    epoch: int = Field(ge=1, description="1 for the first")
    loss: float = Field(description="mean categorical cross-entropy, in nats")
    accuracy: float = Field(ge=0, le=1, description="share of right predictions")
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class History(BaseModel, frozen=True, extra="forbid"):
    """Every epoch, in order, and the rows that the figures are of."""

    train_rows: int = Field(ge=1, description="rows that the model was fitted to")
    validation_rows: int = Field(ge=0, description="rows of the train table held out")
    way: Way = Field(default="last", description="which rows were held out; histories without it held out the last")
    findings: tuple[str, ...] = Field(
        default=(), description="what is unusual about the held-out rows, one sentence each"
    )
    updates: int = Field(ge=1, description="updates of the weights in all epochs")
    kept: int = Field(ge=1, description="the epoch that the model is from: the last one, or the best one of validation")
    epochs: tuple[EpochRow, ...] = Field(min_length=1)
    temperature: float | None = Field(
        default=None, description="what the model divides its logits by, fitted to the held-out rows; None: by nothing"
    )

    @property
    def held_out(self) -> HeldOut:
        """How many rows were held out, and which."""
        return HeldOut(way=self.way, rows=self.validation_rows, of=self.train_rows + self.validation_rows)
