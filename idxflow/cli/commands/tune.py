"""
Try settings of the training, and hold the best against the profile's own.

Trials are compared on held-out rows; the test split is looked at once, at the
end. What was trained is kept: a sweep that was stopped goes on, and one with
more trials begins after those that are there. Any number of workers finds the
same. Settings that are not tried are those of --profile and --set.

Without --space: step size, momentum, decay and hidden units. A domain is
LOW..HIGH, log:LOW..HIGH, or VALUE|VALUE|...; a file is a TOML with a table
[space]. The winner's settings are written as a profile.

Examples:
  idxflow tune --dataset mnist --set training.epochs=20
  idxflow tune --trials 30 --prune --space 'hidden=[50]|[99,50]' dropout=0..0.5
  idxflow tune --space space.toml --workers 4
  idxflow tune --cluster tcp://HOST:8786 --trials 200 --best mnist.toml
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.cli.ending import DONE, report_error
from idxflow.cli.interrupts import end_at_once, held_back, interruptible
from idxflow.cli.options import Home, Json, RemoteUrl, RunOptions, Verbose, WorkerOptions, count, flag, several
from schemas.errors import UsageError


def tune(
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - immutable
    workers: WorkerOptions = WorkerOptions(),  # noqa: B008 - immutable
    space: Annotated[
        list[str] | None,
        several("NAME=DOMAIN", "What to try, and within which bounds; or a TOML. [step size, momentum, decay, hidden]"),
    ] = None,
    trials: Annotated[int | None, count(1, "Trainings in all; those that are stored count. [24]")] = None,
    round: Annotated[  # noqa: A002 - as the option is called
        int | None, count(1, "Trials that are asked for at once. [8]")
    ] = None,
    prune: Annotated[
        bool | None, flag("End trials early that are behind: successive halving, a third goes on. [false]")
    ] = None,
    objective: Annotated[
        str | None, Parameter(metavar="WHAT", help="accuracy or loss, of the held-out rows. [accuracy]")
    ] = None,
    seeds: Annotated[
        int | None, count(1, "Trainings of the winner, and of the profile's own settings, for the test. [3]")
    ] = None,
    retry: Annotated[bool, flag("Try once more what has failed in this sweep before.")] = False,
    best: Annotated[
        Path, Parameter(metavar="FILE", help="Where to write the winner's settings. [best.toml]", show_default=False)
    ] = Path("best.toml"),
    remote: RemoteUrl = None,
    home: Home = None,
    ephemeral: Annotated[bool | None, flag("Use a temporary Prefect server, which ends with the run.")] = None,
    json: Json = False,
    verbose: Verbose = None,
) -> int:
    """Try settings."""
    from idxflow.cli.tune import run_sweep, sweep_job, sweep_options, target_of

    if options.promote is not None:
        way_out = "Then: idxflow run --profile best.toml --promote ALIAS. Nothing has run."
        raise UsageError("--promote", expected="no promotion by a sweep", found=options.promote, way_out=way_out)
    target = target_of(best, options.profile)
    asked = sweep_options(space=space, trials=trials, round=round, prune=prune, objective=objective, seeds=seeds)
    settings = options.settings(
        tune=asked or None,
        workers=workers.given,
        home=home,
        ephemeral=ephemeral,
        verbose=verbose,
        remote=None if remote is None else {"url": remote},
    )

    job = sweep_job(settings, asked.get("space"), retry=retry)

    from idxflow.views.console import open_console

    console = open_console(json=json, plain=settings.verbose)
    try:
        with interruptible():
            run_sweep(job, settings, console, target, json=json)
    except (Exception, KeyboardInterrupt) as error:
        end_at_once()  # for good: this process has nothing else to do
        with held_back():
            return report_error(console, error, verbose=settings.verbose)
    return DONE
