"""When a person pressed Enter: the command's own process began then, and not with its first line of Python."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/self/stat")
_STARTED = 22
"""Which field of that file it is: clock ticks from the machine's start to the process's (man 5 proc_pid_stat)."""
_LONGEST = 10.0
"""Seconds that Python takes at the most: an older process was something else first, as a shell that ends in `exec`."""
_entered: float | None = None


def began(stat: Path = STAT) -> float:
    """Return when this process began, on the monotonic clock; where the system does not say: now."""
    now = time.monotonic()
    try:
        fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()  # behind the name, which may be anything
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED - 3]) / os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError, IndexError):
        age = 0.0
    return now - age if 0.0 < age < _LONGEST else now


def enter() -> None:
    """Take down that this process is a command of somebody's, and when it began."""
    global _entered  # noqa: PLW0603 - there is one process
    _entered = began()


def entered() -> float | None:
    """Return when this command began, on the monotonic clock; None where the process is a program of somebody's."""
    return _entered
