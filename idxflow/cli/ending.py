"""How a command ends: its exit code, the one line that says why, and a process that waits for nothing in vain."""

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
"""Seconds that the last lines of a failed run have to reach Prefect's API in."""
DONE, FAILED, WRONG_USAGE, HUNG_UP, INTERRUPTED, TERMINATED = 0, 1, 2, 129, 130, 143
"""Exit codes; whom a signal has ended has 128 and the signal's number."""
SIGNALLED = {Terminated: TERMINATED, HungUp: HUNG_UP}


def tell(console: Console, error: BaseException, *, verbose: bool | None = None) -> int:
    """
    Say in one line what went wrong, and return the exit code that it stands for.

    Args: verbose: show the traceback too; None for a command that has no such option.
    """
    if verbose and not isinstance(error, UsageError | KeyboardInterrupt):
        console.err.print(conceal_all("".join(traceback.format_exception(error))), markup=False)
    match error:
        case KeyboardInterrupt():
            console.fail("Interrupted. What was finished is stored; run again to go on.")
            return next((code for kind, code in SIGNALLED.items() if isinstance(error, kind)), INTERRUPTED)
        case UsageError():
            console.fail(str(error))
            return WRONG_USAGE
        case IdxflowError():
            console.fail(str(error))
        case _:
            said = conceal_all(" ".join(str(error).split()))
            hint = " (--verbose shows the traceback)" if verbose is False else ""
            console.fail(f"Unexpected {type(error).__name__}: {said}{hint}")
    return FAILED


def leave(code: int) -> None:
    """
    End the process of a failed command, if a thread of it would hold it up: an import, a stage that nobody waits for.

    What has to be done at the end is done: Prefect's last lines and events are sent, a temporary server is stopped, the
    output is written. The store takes no harm, as by a kill. Python's own end would wait for TensorFlow's import, which
    takes seconds and cannot be stopped.
    """
    here = threading.current_thread()
    if all(thread is here or thread.daemon for thread in threading.enumerate()):
        return
    if handlers := sys.modules.get("prefect.logging.handlers"):
        handlers.APILogWorker.drain_all(timeout=SENDING)  # and whatever else waits to be sent to the API
    try:
        atexit._run_exitfuncs()  # what a library registers here may close the streams, which writes them
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    finally:
        os._exit(code)
