"""The work of `idxflow run`: environment, server, flow, summary."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from artifacts.store.holds import lasting
from flows.run_record import RunRecord
from idxflow.cli.interrupts import held_back
from idxflow.cli.output import put_json
from idxflow.cli.settings import Settings
from idxflow.server.connection import connect, temporary_server
from idxflow.server.environment import prepare_environment
from idxflow.server.faithful import is_gone
from idxflow.views.console import Console
from idxflow.views.run import print_summary
from schemas.errors import IdxflowError, ServerError, StoreError, UnforeseenError
from schemas.text import amount, share

LEAST_FREE = 8 * 2**20
"""Free bytes on the home folder's disk below which an error counts as caused by a full disk."""

HEARTBEATS = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
"""How often a flow sends a heartbeat: only for a deployed one is it of use."""


class Flow(Protocol):
    """The main job; see `flows.pipeline.pipeline`."""

    def __call__(self, **parameters: Any) -> RunRecord:
        """Run it and return its record."""


def run_pipeline(settings: Settings, console: Console, *, json: bool = False, flow: Flow | None = None) -> RunRecord:
    """
    Run the flow, show it, and print the summary; with `json` also the record, on standard output.

    Args:    flow: the main job, unless another one is given.
    Returns: the record of the run, which has completed.
    Raises:  what ended the run, after the summary.
    """
    prepare_environment(settings.home, verbose=settings.verbose, ephemeral=settings.ephemeral)
    record, stop = None, None
    with contextlib.ExitStack() as ending:
        ending.enter_context(lasting())  # the summary reads what the run holds
        if not settings.verbose:
            ending.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        try:
            with console.watching(verbose=settings.verbose), _stdout_kept(json):
                with held_back():  # a server that is started has to be recorded, or it could not be stopped
                    connection = temporary_server() if settings.ephemeral else connect(settings.home, console)
                stop = connection.stop if connection.started else None
                with console.doing("Prefect"):
                    with held_back():  # an import drops Ctrl-C, or is left half done by it
                        flow = flow or _main_job(settings)  # a server that was just started boots meanwhile
                    connection.wait()
                with _without_heartbeats():
                    done = record = flow(**settings.job.parameters)
        except Exception as error:
            if not is_gone():
                raise _full(settings.home, error) or error from error
            done = record = _told_by_record(settings.home, console, error)
        finally:
            record = record or _saved(settings.home, console.run_id)
            if record:
                # Where the server ends with the run, or before it, its page cannot be opened.
                gone = is_gone()
                shown = record.model_copy(update={"dashboard": None}) if settings.ephemeral or gone else record
                try:
                    print_summary(console, shown, settings.home, None if gone else stop)
                finally:
                    if json:
                        put_json(record)
    return done


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


def _told_by_record(home: Path, console: Console, error: Exception) -> RunRecord:
    """
    Return the record of a run that completed after its server had ended.

    Raises: the error by which it failed; `error` itself where the record has no end.
    """
    record = _saved(home, console.run_id)
    if record is None or record.state not in {"completed", "failed"}:
        raise error
    if record.state == "failed":
        raise _own(error) from error
    console.warn("Prefect's server ended before the run did: its dashboard does not show the run's end.")
    return record


def _own(error: BaseException) -> BaseException:
    """Return what ended the stages, where Prefect raised an error of its own while it reported that."""
    while isinstance(error, ServerError) and error.__context__ is not None:
        error = error.__context__
    return error


def _full(home: Path, error: Exception) -> StoreError | None:
    """Return the error for a full disk, where a library raised its own; None where there is space."""
    foreseen = isinstance(error, IdxflowError) and not isinstance(error, UnforeseenError)
    free = shutil.disk_usage(home).free if home.is_dir() else LEAST_FREE
    if foreseen or free >= LEAST_FREE:
        return None
    return StoreError(
        str(home),
        expected="space for artifacts and for Prefect's database",
        found=f"{amount(free, 'bytes')} left on its disk, and {type(error).__name__}",
        way_out="Free space, or choose another folder with --home.",
    )


def _main_job(settings: Settings) -> Flow:
    """Import the main job, and with it Prefect; then, while the run works, what its stages will need."""
    from flows.garbage import lasting

    with lasting():
        from flows.ahead import import_ahead
        from flows.pipeline import pipeline
    atexit.register(gc.freeze)  # or the interpreter's exit would collect once more
    import_ahead(settings.home, settings.job)
    return pipeline


@contextlib.contextmanager
def _without_heartbeats() -> Iterator[None]:
    """Send none unless configured: at a flow's end Prefect waits up to a second for the thread that sends them."""
    if HEARTBEATS in os.environ or "prefect" not in sys.modules:
        yield
        return
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _stdout_kept(json: bool) -> contextlib.AbstractContextManager[object]:
    """Redirect what a library prints to standard error, where standard output is for the record."""
    return contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()


def _saved(home: Path, run_id: str | None) -> RunRecord | None:
    """Return the record that a run left."""
    try:
        return RunRecord.model_validate_json((home / "runs" / f"{run_id}.json").read_bytes()) if run_id else None
    except (OSError, ValidationError):
        return None
