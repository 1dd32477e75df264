"""The work of `idxflow promote`: the flow that asks the gate."""

from __future__ import annotations

from typing import Any

from flows.run_record import RunRecord
from idxflow.api import ArchivedRun
from idxflow.cli.interrupts import interruptible
from idxflow.cli.run import run_pipeline
from idxflow.cli.settings import Settings
from idxflow.views.console import Console


def ask_gate(
    run: ArchivedRun, alias: str, force: str | None, settings: Settings, console: Console, *, json: bool
) -> RunRecord:
    """
    Let an alias stand for the model of a run, if it is better than the one that has it.

    Args:    force: a person's reason to promote whatever is found.  json: standard output is for the record.
    Returns: the record of the run that asked.
    Raises:  what ended it.
    """

    def flow(**_: Any) -> RunRecord:
        from flows.promoting import promoting

        done: RunRecord = promoting(run.id, alias, settings.alert_below, force)
        return done

    with interruptible():
        return run_pipeline(settings, console, json=json, flow=flow)
