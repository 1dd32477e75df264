"""
Run the pipeline: bring in the data, check it, train, evaluate and report.

What is stored and unchanged is not computed again.

Options come from here, then from the environment (IDXFLOW_DATASET,
IDXFLOW_TRAINING__EPOCHS, ...), then from idxflow.toml or [tool.idxflow] of
pyproject.toml in the working folder.

Examples:
  idxflow run                    MNIST if it can be had, else the bundled digits
  idxflow run --dataset mnist --mirror http://HOST/mnist/
  idxflow run --set training.epochs=10 training.hidden=[100,50]
  idxflow run --refresh train --json > record.json
  idxflow run --runner dask --workers 4
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from idxflow.cli.ending import BELOW, DONE, report_error
from idxflow.cli.interrupts import end_at_once, held_back, interruptible
from idxflow.cli.options import Home, Json, RemoteUrl, RunOptions, Verbose, WorkerOptions, flag


def run(
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - immutable
    workers: WorkerOptions = WorkerOptions(),  # noqa: B008 - immutable
    alert_below: Annotated[
        float | None,
        Parameter(metavar="ACCURACY", help="Warn, and emit an event, where the test accuracy is lower: 0 to 1."),
    ] = None,
    fail_below: Annotated[
        float | None,
        Parameter(metavar="ACCURACY", help="Exit with 3 where the test accuracy is lower: 0 to 1."),
    ] = None,
    remote: RemoteUrl = None,
    home: Home = None,
    ephemeral: Annotated[bool | None, flag("Use a temporary Prefect server, which ends with the run.")] = None,
    json: Json = False,
    verbose: Verbose = None,
) -> int:
    """Run the pipeline."""
    settings = options.settings(
        alert_below=alert_below,
        fail_below=fail_below,
        home=home,
        ephemeral=ephemeral,
        verbose=verbose,
        workers=workers.given,
        remote=None if remote is None else {"url": remote},
    )
    if settings.workers.runner == "dask":
        from flows.workers import require_workers

        require_workers(settings.workers)

    from idxflow.cli.run import is_below, run_pipeline
    from idxflow.views.console import open_console

    console = open_console(json=json, plain=settings.verbose)
    try:
        with interruptible():
            record = run_pipeline(settings, console, json=json)
    except (Exception, KeyboardInterrupt) as error:
        end_at_once()  # for good: this process has nothing else to do
        with held_back():
            return report_error(console, error, verbose=settings.verbose)
    return BELOW if is_below(record, settings.fail_below, console) else DONE
