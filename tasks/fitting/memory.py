"""How much memory this process may still take."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

PROC = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Limit, use and what is in it of a control group, in the second and in the first version."""
UNLIMITED = 2**63


def free_memory(proc: Path = PROC, group: Path = GROUP) -> int:
    """
    Return the bytes that are free: what the kernel calls available, or less where a control group limits a container.

    Where no kernel tells, as on macOS, half of the machine's memory is taken to be free.

    Args:
        proc:  the kernel's account, of Linux's form.
        group: the folder of the control group.
    """
    try:
        available = re.search(r"^MemAvailable: +(\d+) kB$", proc.read_text(), re.MULTILINE)
    except OSError:
        available = None
    if not available:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min(int(available[1]) * 1024, *(_left_in(group, *names) for names in FILES))


def used_memory(proc: Path = Path("/proc/self/statm")) -> int:
    """Return the bytes that this process has of the machine's memory; where no kernel tells, the most that it had."""
    try:
        return int(proc.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _left_in(group: Path, limit: str, used: str, content: str) -> int:
    try:
        most, taken, parts = ((group / name).read_text().strip() for name in (limit, used, content))
    except OSError:
        return UNLIMITED
    # What the group has only cached of files is given back when it is needed.
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", parts, re.MULTILINE)
    return UNLIMITED if most == "max" else max(0, int(most) - int(taken) + int(cached[1] if cached else 0))
