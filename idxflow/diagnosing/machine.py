"""What a diagnosis says of the machine: cores, memory, disks, and the library that multiplies matrices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import BaseModel, Field


class Memory(BaseModel, frozen=True):
    """Bytes of memory. Args: free: what this process may still take, by whatever bounds it."""

    total: int | None
    free: int


class Disk(BaseModel, frozen=True):
    """The file system that something lies on."""

    of: str
    kind: str = Field(description="as ext4; empty where it is not known")
    free: int | None = Field(description="bytes; None where it cannot be asked")


class Blas(BaseModel, frozen=True):
    """A library with threads of its own that NumPy and SciPy compute with."""

    name: str
    version: str
    kernel: str = Field(description="for which processors; empty where it does not say")
    threads: int


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> Memory:
    """Return how much memory there is, and is free."""
    from tasks.fitting.memory import free_memory

    try:
        total: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        total = None
    return Memory(total=total, free=free_memory())


def blas_of() -> tuple[Blas, ...]:
    """Return the libraries that NumPy computes with. It imports NumPy."""
    import numpy  # noqa: F401 - it loads them
    from threadpoolctl import threadpool_info

    return tuple(
        Blas(
            name=str(each["internal_api"]),
            version=str(each.get("version") or ""),
            kernel=str(each.get("architecture") or ""),
            threads=int(each["num_threads"]),
        )
        for each in threadpool_info()
    )


def disk_of(name: str, path: Path) -> Disk:
    """Return the file system of a path, or of the nearest folder above it that is there."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    try:
        free: int | None = shutil.disk_usage(there).free
    except OSError:
        free = None
    return Disk(of=name, kind=_kind(there.resolve()), free=free)


def _kind(folder: Path) -> str:
    """Return the kind of a folder's file system, by the longest mount point above it; Linux says them."""
    best, kind = -1, ""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        place = Path(point.encode().decode("unicode_escape"))
        if folder.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), found
    return kind
