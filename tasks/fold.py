"""Fold: a training without one fold of the train rows, so that a network that has not seen them can be asked."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.held_out import Way
from schemas.training import Training
from tasks.fitting.dealing import GROUPS, read_deal
from tasks.fitting.folds import Fold, rows_of_fold
from tasks.fitting.holding import hold_out, nothing_held_out
from tasks.fitting.stretch import Stretch
from tasks.formats.table import Parts, open_table
from tasks.train import TrainSummary, fit_and_save

log = logging.getLogger("idxflow.fold")


@stage(packages=("tensorflow", "keras", "numpy"), on_main_thread=True, imports="tasks.fitting.backend", name="{fold}")
def fold(  # noqa: PLR0917 - what the engine hands over counts as well
    table: Parts,
    normalizer: Ref,
    training: Training,
    held_out: Way,
    fold: Fold,
    checkpoints: Path,
    out: Path,
    groups: Ref | None = None,
) -> TrainSummary:
    """
    Train as the run did, but for the rows of a fold: they are neither trained on nor validated with.

    The rows that the run held out stay held out, those of the fold excepted. The normaliser is the run's: the mean
    image has the fold's pixels in it, and no label.
    """
    data = open_table(table)
    deal = read_deal(groups.file(GROUPS)) if groups else None
    held, apart = hold_out(data, held_out, training, deal), rows_of_fold(data, fold, deal)
    rows = held.rows & ~apart
    if training.patience and not rows.any():
        nothing_held_out(data.samples, training)
    log.info("fold %s: %d rows are left out", fold, int(apart.sum()))
    stretch = Stretch(checkpoints.name, checkpoints)  # the folder has this fold's version in its name
    return fit_and_save(data, normalizer, training, replace(held, rows=rows, apart=apart), stretch, out)
