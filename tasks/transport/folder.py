"""Files in a folder that is a mirror: regular ones only, opened without waiting for anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from tasks.transport.part import MirrorFault

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What lies there instead of a regular file, by its type."""


def open_regular(path: Path) -> BinaryIO:
    """
    Open a regular file, links followed.

    Raises: OSError: it cannot be opened.  MirrorFault: it is no regular file; a pipe would be waited at for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise MirrorFault(f"{KINDS.get(stat.S_IFMT(mode), 'something')}, not a regular file")
