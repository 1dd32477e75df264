"""
The boundary for exceptions that are none of ours: what libraries raise, with whatever they were given.

Prefect keeps what ends a task or a flow: its text, its arguments (by `repr`) and its traceback, in the run's state and
in its log. So a library's exception ends here, and its place takes an error of our own, without its arguments.
"""

from __future__ import annotations

import logging
import traceback

from artifacts.engine.stopping import Stopped
from schemas.errors import IdxflowError, UnforeseenError
from schemas.secrets import conceal_all

LONGEST = 400
"""Characters of a library's text that are passed on."""
API = ("prefect", "httpx", "httpcore")
"""Packages whose errors are about Prefect's API, which knows no more of a run than its log."""
logger = logging.getLogger("idxflow.run")


def own_error(subject: str, error: Exception) -> Exception:
    """
    Return an error that may be kept and shown: `error` if it is ours, else one of ours in its place.

    What led to it goes to the log for debugging, without secrets.

    Args: subject: what was being done.
    """
    if isinstance(error, Stopped) or type(error).__module__.partition(".")[0] in API:
        return error
    ours = isinstance(error, IdxflowError)
    if not ours or _led_to(error) is not None:
        logger.debug("%s", conceal_all("".join(traceback.format_exception(error))))
    if ours:
        error.__cause__, error.__context__, error.__suppress_context__ = None, None, True
        return error
    said = conceal_all(" ".join(str(error).split()))
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    return UnforeseenError(
        subject,
        expected="no error but those that are foreseen",
        found=f"{type(error).__name__}{f' ({said})' if said else ''}",
        way_out="`idxflow run --verbose` shows the traceback: please report it, or mend what it names.",
    )


def _led_to(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
