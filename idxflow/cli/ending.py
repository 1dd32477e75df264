"""How a command ends: its exit code, one line with the reason, and a process that waits for nothing."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from idxflow.cli.interrupts import HungUp, Terminated
from schemas.errors import IdxflowError, UsageError
from schemas.secrets import conceal_all

if TYPE_CHECKING:
    from idxflow.views.console import Console

SENDING = 2.0
"""Seconds for the last lines of a failed run to reach Prefect's API."""
DONE, FAILED, WRONG_USAGE, BELOW, HUNG_UP, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 129, 130, 143
"""Exit codes; a signal's is 128 plus its number."""
SIGNALLED = {Terminated: TERMINATED, HungUp: HUNG_UP}


def report_error(console: Console, error: BaseException, *, verbose: bool | None = None) -> int:
    """
    Print in one line what went wrong, and return the exit code for it.

    Args: verbose: show the traceback too; None for a command that has no such option.
    """
    if verbose and not isinstance(error, UsageError | KeyboardInterrupt):
        console.err.print(conceal_all("".join(traceback.format_exception(error))), markup=False)
    match error:
        case KeyboardInterrupt():
            console.fail(f"Interrupted. Finished stages are stored{_so_far(console)}; run again to continue.")
            return next((code for kind, code in SIGNALLED.items() if isinstance(error, kind)), INTERRUPTED)
        case UsageError():
            console.fail(str(error))
            return WRONG_USAGE
        case IdxflowError():
            console.fail(str(error))
        case _:
            reason = conceal_all(" ".join(str(error).split()))
            hint = " (--verbose shows the traceback)" if verbose is False else ""
            console.fail(f"Unexpected {type(error).__name__}: {reason}{hint}")
    return FAILED


def _so_far(console: Console) -> str:
    """Say how much is kept of a training that was under way: an epoch is saved before it is told."""
    if console.trained is None:
        return ""
    done, total = console.trained
    return f", and the training after epoch {done}" + (f" of {total}" if total else "")


def leave(code: int) -> None:
    """
    End the process of a failed command, if one of its threads would delay that: an import, an abandoned stage.

    Prefect's last lines and events are sent, a temporary server is stopped, the output is written. The store is as safe
    as after a kill. Python's own exit would wait for TensorFlow's import, which takes seconds and cannot be stopped.
    """
    here = threading.current_thread()
    if all(thread is here or thread.daemon for thread in threading.enumerate()):
        return
    if handlers := sys.modules.get("prefect.logging.handlers"):
        handlers.APILogWorker.drain_all(timeout=SENDING)  # and whatever else waits to be sent to the API
    try:
        atexit._run_exitfuncs()  # a library's function may close the streams, which flushes them
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    finally:
        os._exit(code)
