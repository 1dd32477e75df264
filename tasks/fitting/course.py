"""The course of a training, epoch by epoch: its history, its best weights, and where it can be resumed."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.errors import TrainingDiverged
from schemas.events import Progress, emit
from schemas.training import EpochRow, Training
from tasks.fitting.checkpoint import Arrays, Checkpoint, read_checkpoint, write_checkpoint
from tasks.fitting.network import EpochModel

log = logging.getLogger("idxflow.train")


class Course:
    """
    Follows a trainee through `fit`, which calls `end_epoch`.

    Args:
        checkpoints: the folder that keeps the state after each epoch, if any; a training resumes from what it holds.
    """

    def __init__(self, trainee: EpochModel, training: Training, checkpoints: Path | None) -> None:
        self._trainee, self._training, self._checkpoints = trainee, training, checkpoints
        self.epochs: tuple[EpochRow, ...] = ()
        self._best: Arrays = ()
        self._told: dict[str, float] = {}
        if checkpoints and (state := read_checkpoint(checkpoints)):
            self._go_on(state)

    @property
    def kept(self) -> int:
        """The epoch whose weights are the result, from 1: the last, or with patience the best of validation."""
        if not self._training.patience:
            return len(self.epochs)
        return min(self.epochs, key=lambda row: math.inf if row.validation_loss is None else row.validation_loss).epoch

    @property
    def over(self) -> bool:
        """Whether no more epochs are wanted."""
        done, patience = len(self.epochs), self._training.patience
        return done == self._training.epochs or bool(done and patience and done >= self.kept + patience)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """
        Record what Keras reports of an epoch, from 0, and stop the training if it is over.

        Raises: TrainingDiverged: a figure is no longer finite.
        """
        self._refuse_divergence(logs.values())
        row = EpochRow(
            epoch=epoch + 1,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            validation_loss=logs.get("val_loss"),
            validation_accuracy=logs.get("val_accuracy"),
        )
        self.epochs = (*self.epochs, row)
        if self._training.patience and self.kept == row.epoch:
            self._best = self._trainee.get_weights()
        self._trainee.stop_training = self.over
        if self._checkpoints:
            state = Checkpoint(self.epochs, self._trainee.weights, self._trainee.optimizer.variables, self._best)
            write_checkpoint(self._checkpoints, state)
        told = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        log.info("epoch %d of %d: %s", row.epoch, self._training.epochs, told)
        self._told = dict(logs)
        emit(Progress("train", "epochs", row.epoch, self._training.epochs, self._told))

    def finish(self) -> None:
        """
        Give the trainee the weights of the epoch that is kept.

        Raises: TrainingDiverged: a weight is no longer finite.
        """
        if self._best:
            self._trainee.set_weights(self._best)
            note = f"the model is from epoch {self.kept}"
            emit(Progress("train", "epochs", len(self.epochs), self._training.epochs, self._told, note))
        # The last update may have broken what the mean over the last epoch does not show.
        self._refuse_divergence(np.asarray(weight) for weight in self._trainee.weights)

    def _go_on(self, state: Checkpoint) -> None:
        optimizer = self._trainee.optimizer
        optimizer.build(self._trainee.trainable_variables)
        self._trainee.set_weights(state.weights)
        for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
        self.epochs, self._best = state.epochs, state.best
        log.info("resuming an interrupted training after epoch %d", len(state.epochs))

    def _refuse_divergence(self, values: Iterable[npt.ArrayLike]) -> None:
        if not all(np.isfinite(value).all() for value in values):
            training = self._training
            raise TrainingDiverged(
                f"epoch {min(len(self.epochs) + 1, training.epochs)} of {training.epochs}",
                expected="a finite loss and finite weights",
                found="NaN or infinity",
                way_out=f"Take smaller steps: `--set training.learning_rate={training.learning_rate / 10:g}`.",
            )
