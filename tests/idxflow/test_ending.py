"""Every way in which a command can end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from idxflow.cli.ending import FAILED, HUNG_UP, INTERRUPTED, TERMINATED, WRONG_USAGE, report_error
from idxflow.cli.interrupts import HungUp, Terminated
from schemas.errors import BadIdx, UsageError
from tests.idxflow.conftest import Screen
from tests.processes import PROJECT, bare_environment, run_python


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadIdx("x", expected="8", found="7", way_out="Mend it."), FAILED, "ERROR x: expected 8, found 7. Mend it.\n"),
        (UsageError("x", expected="8", found="7", way_out="y."), WRONG_USAGE, "ERROR x: expected 8, found 7. y.\n"),
        (Terminated(), TERMINATED, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (HungUp(), HUNG_UP, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (KeyboardInterrupt(), INTERRUPTED, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (
            ValueError("some\nlines"),
            FAILED,
            "ERROR Unexpected ValueError: some lines (--verbose shows the traceback)\n",
        ),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error: BaseException, code: int, line: str, screen: Screen) -> None:
    """Every way in which a run can end has its exit code and one calm line."""
    assert report_error(screen, error, verbose=False) == code
    assert screen.errors.getvalue() == line


def test_verbose_shows_the_traceback(screen: Screen) -> None:
    """With `verbose` the traceback stands above the line."""
    try:
        raise BadIdx("x", expected="8", found="7", way_out="Mend it.")
    except BadIdx as error:
        assert report_error(screen, error, verbose=True) == FAILED
    assert screen.errors.getvalue().startswith("Traceback (most recent call last):")
    assert screen.errors.getvalue().endswith("\nERROR x: expected 8, found 7. Mend it.\n")


LEAVING = """
import atexit, sys, threading, time
from idxflow.cli.ending import leave
if sys.argv[1] == "busy":
    threading.Thread(target=time.sleep, args=(60,)).start()
atexit.register(print, "tidied up")
print("said")
leave(1)
print("stayed")
"""


@pytest.mark.parametrize(
    ("threads", "code", "said"), [("busy", 1, "said\ntidied up\n"), ("none", 0, "said\nstayed\ntidied up\n")]
)
def test_a_failed_command_waits_for_no_thread(desk: Path, threads: str, code: int, said: str) -> None:
    """The process ends at once with its code, though a thread works on; what belongs to its end is done, once."""
    begun = time.monotonic()
    output, _ = run_python(
        "-c", LEAVING, threads, cwd=desk, environment=bare_environment(PYTHONPATH=str(PROJECT)), code=code
    )
    assert output == said
    assert time.monotonic() - begun < 30
