"""The work of `idxflow hints --folds`: the trainings, where they are not stored."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from typing import Any

from idxflow.api import ArchivedRun
from idxflow.cli.interrupts import interruptible
from idxflow.cli.settings import load_settings
from idxflow.views.console import Console


def train_folds(run: ArchivedRun, folds: int, console: Console, *, ephemeral: bool | None, json: bool) -> None:
    """
    Train a network for each fold of a run, unless that was done before.

    Args:   json: standard output is for a document.
    Raises: what `flows.hinting.base_of` does; what ended the run.
    """
    from flows.folds import base_of, crosschecked

    if crosschecked(run.store, base_of(run.store, run.record), folds):
        return
    from idxflow.cli.run import run_pipeline

    settings = load_settings({"home": str(run.store.home), "ephemeral": ephemeral, "dataset": "digits"})

    def flow(**_: Any) -> Any:
        from flows.hinting import hinting

        return hinting(run.id, folds)

    with interruptible(), redirect_stdout(sys.stderr) if json else nullcontext():
        run_pipeline(settings, console, flow=flow)
