"""
Locks on files, which the kernel frees however their holder ends.

A clean-up deletes the lock files that nobody holds. Whoever opened one just before sees that it has lost its name, and
takes the file that has it by then: nobody holds a lock that others do not see.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from artifacts.store import files
from artifacts.store.disk import open_plainly

OPENING = os.O_RDWR | os.O_CREAT
"""How a lock file is opened: where there is none, it is made."""
ASKING = os.O_RDONLY | os.O_NONBLOCK
"""The same by who only asks, and may have no right to write; a pipe is not waited at."""


def try_lock(path: Path, opening: int = OPENING) -> int | None:
    """
    Open a file and lock it, without waiting.

    Returns: its descriptor, which holds the lock until it is closed; None where somebody else has it, or there is none.
    """
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        return _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB, opening)
    return None


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file, after waiting for it; a shared one is held beside others that are."""
    while (descriptor := _lock(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)) is None:
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether somebody has the lock of a file alone; those who ask do not see each other, and only read."""
    try:
        descriptor = _lock(path, fcntl.LOCK_SH | fcntl.LOCK_NB, ASKING)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    if descriptor is not None:
        os.close(descriptor)
    return False


def delete_unlocked(path: Path) -> None:
    """Delete a lock file, unless somebody holds it."""
    if (descriptor := try_lock(path, os.O_RDWR)) is not None:
        try:
            files.DISK.unlink(path)
        finally:
            os.close(descriptor)


def _lock(path: Path, operation: int, opening: int = OPENING) -> int | None:
    """Open and lock a file. Returns: its descriptor; None where the file has lost its name meanwhile."""
    descriptor = open_plainly(path, opening)  # a link would have a file made, or held, anywhere
    try:
        fcntl.flock(descriptor, operation)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
