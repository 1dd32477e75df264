"""The work of `idxflow run`: the run, its summary, and its record as JSON."""

from __future__ import annotations

import contextlib
import sys

from artifacts.remote.opening import require_engine
from artifacts.store.holds import lasting
from flows.run_record import RunRecord
from idxflow.cli.entering import entered
from idxflow.cli.output import put_json
from idxflow.cli.settings import Settings
from idxflow.running import Flow, Runner
from idxflow.server.faithful import is_gone
from idxflow.views.console import Console
from idxflow.views.run import print_summary
from schemas.text import share


def run_pipeline(settings: Settings, console: Console, *, json: bool = False, flow: Flow | None = None) -> RunRecord:
    """
    Run the flow, show it, and print the summary; with `json` also the record, on standard output.

    Args:    flow: the main job, unless another one is given.
    Returns: the record of the run, which has completed.
    Raises:  what ended the run, after the summary.
    """
    require_engine(settings.remote)
    runner = Runner(
        settings.home,
        console,
        verbose=settings.verbose,
        beside=True,
        ephemeral=settings.ephemeral,
        remote=settings.remote,
    )
    with lasting():  # the summary reads what the run holds
        try:
            with _stdout_kept(json):
                return runner.run(lambda: settings.job, flow)
        finally:
            if record := runner.record:
                # Where the server ends with the run, or before it, its page cannot be opened.
                gone = is_gone()
                shown = record.model_copy(update={"dashboard": None}) if settings.ephemeral or gone else record
                try:
                    print_summary(
                        console,
                        shown,
                        settings.home,
                        None if gone else runner.stop,
                        password=None if gone else runner.password,
                        whole=settings.verbose,
                        entered=entered(),
                    )
                finally:
                    if json:
                        put_json(record)


def is_below(record: RunRecord, bound: float | None, console: Console) -> bool:
    """Tell whether the test accuracy of a completed run is below a bound, and say so. Args: bound: in [0, 1]."""
    test = record.metrics.get("test")
    if bound is None or test is None or test.accuracy >= bound:
        return False
    console.fail(
        f"test accuracy: expected at least {share(bound)} (--fail-below), found {share(test.accuracy)}. "
        "The run has completed, and all of it is stored."
    )
    return True


def _stdout_kept(json: bool) -> contextlib.AbstractContextManager[object]:
    """Redirect what a library prints to standard error, where standard output is for the record."""
    return contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()
