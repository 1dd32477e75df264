"""How a command ends: its exit code, and the one line that says why."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from idxflow.interrupts import Terminated
from schemas.errors import IdxflowError, UsageError

if TYPE_CHECKING:
    from idxflow.console import Console

DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


def tell(console: Console, error: BaseException, *, verbose: bool | None = None) -> int:
    """
    Say in one line what went wrong, and return the exit code that it stands for.

    Args: verbose: show the traceback too; None for a command that has no such option.
    """
    if verbose and not isinstance(error, UsageError | KeyboardInterrupt):
        console.err.print("".join(traceback.format_exception(error)), markup=False)
    match error:
        case Terminated():
            console.fail("Terminated. What was finished is stored; run again to go on.")
            return TERMINATED
        case KeyboardInterrupt():
            console.fail("Interrupted. What was finished is stored; run again to go on.")
            return INTERRUPTED
        case UsageError():
            console.fail(str(error))
            return WRONG_USAGE
        case IdxflowError():
            console.fail(str(error))
        case _:
            said = " ".join(str(error).split())
            hint = " (--verbose shows the traceback)" if verbose is False else ""
            console.fail(f"Unexpected {type(error).__name__}: {said}{hint}")
    return FAILED
