"""The work of `idxflow.run`: a run that another program calls, which finds its process as it was."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from flows.job import Job
from flows.run_record import RunRecord
from idxflow.cli.interrupts import KINDS, Interrupted, interruptible
from idxflow.running import Flow, Runner
from idxflow.views.brief import Brief

OURS = ("IDXFLOW_", "PREFECT_")
"""How the variables begin that a run sets for itself alone; those of TensorFlow stay as it found them at its import."""
_ALONE = threading.Lock()
"""The environment belongs to the whole process: one run at a time."""


def carried_out(job: Job, home: Path, *, ephemeral: bool = False, flow: Flow | None = None) -> RunRecord:
    """
    Run a job in this process, and leave signals and environment as they were.

    Args:    home: absolute path.  flow: the main job, unless another one is given.
    Returns: the record of the run, which has completed.
    Raises:  what ended the run: an error of `schemas.errors`, or KeyboardInterrupt.
    """
    try:
        with _ALONE, _environment_kept(), _interruptible():
            return Runner(home, Brief(sys.stdout), ephemeral=ephemeral).run(lambda: job, flow)
    except Interrupted as error:
        # The run is recorded, and the program's own handlers are back: what ends a process ends this one as it would.
        for number, kind in KINDS.items():
            if isinstance(error, kind) and kind is not Interrupted:
                signal.raise_signal(number)
        interrupted = KeyboardInterrupt("Finished stages are stored; run again to continue.")
    raise interrupted  # out here it has no context: a notebook would print all that was interrupted


def _interruptible() -> AbstractContextManager[None]:
    """Let Ctrl-C end the block, whatever its code does with it; only the main thread hears of signals."""
    return interruptible() if threading.current_thread() is threading.main_thread() else nullcontext()


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Take back what the block sets for itself: the next run may have another home folder."""
    before = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(OURS) and name not in before]:
            del os.environ[name]
        os.environ.update(before)
