"""Memory: how much this process may still take, and arrays whose memory is used again."""

from __future__ import annotations

import math
import os
import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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

    Where no kernel reports it, as on macOS, half of the machine's memory is taken to be free.

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
    """Return the bytes of memory that this process has; where no kernel reports it, the most that it had."""
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


ALIGNMENT = 64
"""Bytes at a multiple of which TensorFlow wants an array to begin: another one it copies, or it ends the process."""


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array with any content that TensorFlow can take as it is, without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


class Pool:
    """
    Aligned arrays of one greatest size, each in memory that comes back once no array is left in it.

    Args: shape: of the largest; the others have fewer rows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._free: list[npt.NDArray[Any]] = []

    def array(self, rows: int) -> npt.NDArray[Any]:
        """Return an array of so many rows, or of as many as the largest has, with any content."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = aligned(self.shape, self.dtype)
        return np.asarray(_Loan(memory, self._free))[:rows]


@dataclass(frozen=True, eq=False)
class _Loan:
    """What arrays in a pool's memory go back to, and keep: a view of one keeps that one."""

    memory: npt.NDArray[Any]
    free: list[npt.NDArray[Any]]

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.memory.__array_interface__

    def __del__(self) -> None:
        self.free.append(self.memory)
