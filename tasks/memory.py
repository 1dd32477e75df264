"""How much memory this process may still take."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROC = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def free_memory(proc: Path = PROC, group: Path = GROUP) -> int:
    """
    Return the bytes that are free: what the kernel calls available, or less where a control group limits a container.

    Where no kernel tells, as on macOS, half of the machine's memory is taken to be free.

    Args:
        proc:  the kernel's account, of Linux's form.
        group: the folder of the control group, of its second version.
    """
    try:
        available = re.search(r"^MemAvailable: +(\d+) kB$", proc.read_text(), re.MULTILINE)
    except OSError:
        available = None
    if not available:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return min(int(available[1]) * 1024, _left_in(group))


def _left_in(group: Path) -> int:
    try:
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        # What the group has only cached of files is given back when it is needed.
        cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    except OSError:
        return 2**63
    return 2**63 if limit == "max" else max(0, int(limit) - int(used) + int(cached[1] if cached else 0))
