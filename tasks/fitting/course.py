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
from schemas.training import EpochRow, History, Training
from tasks.fitting.checkpoint import Arrays, Checkpoint, read_checkpoint, write_checkpoint
from tasks.fitting.holding import Holding
from tasks.fitting.network import EpochModel
from tasks.fitting.stretch import Stretch

log = logging.getLogger("idxflow.train")


class Course:
    """
    Follows a trainee through `fit`, which calls `end_epoch`.

    Args:
        stretch: how far it goes this time; it goes on from the state with the most epochs that there is.
    """

    def __init__(self, trainee: EpochModel, training: Training, stretch: Stretch) -> None:
        self._trainee, self._training, self._stretch = trainee, training, stretch
        self.until = training.epochs if stretch.until is None else stretch.until
        self.epochs: tuple[EpochRow, ...] = ()
        self._best: Arrays = ()
        self._told: dict[str, float] = {}
        if state := self._found():
            self._go_on(state)

    @property
    def kept(self) -> int:
        """The epoch whose weights are the result, from 1: the last, or with patience the best of validation."""
        if not self._training.patience:
            return len(self.epochs)
        return min(self.epochs, key=lambda row: math.inf if row.validation_loss is None else row.validation_loss).epoch

    @property
    def over(self) -> bool:
        """Whether no more epochs are wanted, for now or at all."""
        return len(self.epochs) == self.until or self.ended

    @property
    def ended(self) -> bool:
        """Whether the training is at its end: all epochs are done, or patience is at its own."""
        done, patience = len(self.epochs), self._training.patience
        return done == self._training.epochs or bool(done and patience and done >= self.kept + patience)

    def history(self, held: Holding) -> History:
        """Return the epochs so far, of a training without the rows in `held`."""
        return History(
            train_rows=held.trained,
            validation_rows=int(np.count_nonzero(held.rows)),
            way=held.way,
            findings=held.findings,
            updates=self._training.count_updates(held.trained, len(self.epochs)),
            kept=self.kept,
            epochs=self.epochs,
        )

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
        if self._stretch.checkpoints:
            self._write(self._stretch.checkpoints)
        told = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        log.info("epoch %d of %d: %s", row.epoch, self._training.epochs, told)
        self._told = dict(logs)
        emit(Progress(self._stretch.subject, "epochs", row.epoch, self.until, self._told))

    def finish(self) -> None:
        """
        Give the trainee the weights of the epoch that is kept.

        Raises: TrainingDiverged: a weight is no longer finite.
        """
        if self._best:
            self._trainee.set_weights(self._best)
            note = f"the model is from epoch {self.kept}"
            emit(Progress(self._stretch.subject, "epochs", len(self.epochs), self.until, self._told, note))
        self._refuse_broken_weights()

    def leave(self, folder: Path) -> None:
        """
        Write the state of a training that goes on in a later stretch.

        Raises: TrainingDiverged: a weight is no longer finite.
        """
        self._refuse_broken_weights()
        self._write(folder)

    def _write(self, folder: Path) -> None:
        state = Checkpoint(self.epochs, self._trainee.weights, self._trainee.optimizer.variables, self._best)
        write_checkpoint(folder, state, self._stretch.of)

    def _found(self) -> Checkpoint | None:
        """Read the state with the most epochs, of two with as many the one that was begun."""
        stretch = self._stretch
        state = read_checkpoint(stretch.checkpoints, stretch.of) if stretch.checkpoints else None
        if state:
            log.info("resuming an interrupted training after epoch %d", len(state.epochs))
        if not stretch.begun:
            return state
        # Only one is read into memory where the other has fewer epochs.
        least = len(state.epochs) if state else 1
        begun = read_checkpoint(stretch.begun, stretch.of, least=least, what="what was begun of this training")
        if begun is None:
            return state
        if len(begun.epochs) > self.until:
            wanted = "what was begun of this training has %d epochs, and %d are wanted: training does not go on from it"
            log.warning(wanted, len(begun.epochs), self.until)
            return state
        log.info("going on after epoch %d of what was begun", len(begun.epochs))
        return begun

    def _go_on(self, state: Checkpoint) -> None:
        optimizer = self._trainee.optimizer
        self._trainee.set_weights(state.weights)
        for variable, value in zip(optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
        self.epochs, self._best = state.epochs, state.best

    def _refuse_broken_weights(self) -> None:
        # The last update may have broken what the mean over the last epoch does not show.
        self._refuse_divergence(np.asarray(weight) for weight in self._trainee.weights)

    def _refuse_divergence(self, values: Iterable[npt.ArrayLike]) -> None:
        if not all(np.isfinite(value).all() for value in values):
            training = self._training
            raise TrainingDiverged(
                f"epoch {min(len(self.epochs) + 1, training.epochs)} of {training.epochs}",
                expected="a finite loss and finite weights",
                found="NaN or infinity",
                way_out=f"Take smaller steps: `--set training.learning_rate={training.learning_rate / 10:g}`.",
            )
