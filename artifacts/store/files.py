"""The file layer: the few ways in which the store changes the disk, each durable when it returns."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from artifacts.store.disk import Disk

Content = bytes | Iterable[bytes | memoryview]
"""What a file is to hold, as a whole or piece by piece: of what is large only a piece need be in memory."""
READ_ONLY = 0o444
LARGEST_RECORD = 64 * 2**20
"""Bytes above which a file is none of the store's own."""
TEMPORARY = re.compile(r"\..+\.\d+-\d+")
"""Names that `temporary_name` gives."""
DISK = Disk()
"""What every change of this layer goes through."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_plain(path: Path) -> bytes:
    """
    Read a small file, and only a plain one: a link leads elsewhere, and a pipe is waited at for ever.

    Raises: OSError: it cannot be read, is no plain file, or is larger than any record.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        if status.st_size > LARGEST_RECORD:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return file.read()


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Create a folder and those above it, where they are not there yet."""
    if not path.is_dir():
        make_folder(path.parent)
        with contextlib.suppress(FileExistsError):  # another process was faster
            DISK.make_folder(path)


def write_new(path: Path, content: Content, *, durable: bool = True) -> None:
    """Write a file that nobody reads yet; what was there is lost."""
    descriptor = DISK.create(path)
    try:
        for piece in [content] if isinstance(content, bytes) else content:
            DISK.write(descriptor, piece)
        if durable:
            DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: Content, *, durable: bool = True) -> None:
    """
    Replace `path` by `content`: a reader, or a crash, sees all of the old file or all of the new one.

    Args: durable: False for what may be lost with the machine's power.
    """
    make_folder(path.parent)
    with temporary_name(path) as temporary:
        write_new(temporary, content, durable=durable)
        DISK.rename(temporary, path)
    if durable:
        sync(path.parent)


def write_once(path: Path, content: bytes) -> bool:
    """Write `path` unless it is there; of two who do so at once, one does. Returns: whether this call did."""
    make_folder(path.parent)
    with temporary_name(path) as temporary:
        write_new(temporary, content)
        try:
            DISK.link(temporary, path)
        except FileExistsError:
            return False
        sync(path.parent)
        return True


@contextlib.contextmanager
def temporary_name(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path` that no other living writer uses; what bears it at the end is deleted."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
    finally:
        if os.path.lexists(temporary):
            with contextlib.suppress(OSError):
                DISK.unlink(temporary)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder within one file system, durably."""
    make_folder(target.parent)
    DISK.rename(source, target)
    sync(target.parent)
    if source.parent != target.parent:
        sync(source.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder and what is in it, or whatever lies in its place; no link is followed, nothing there no error."""
    gone = contextlib.suppress(FileNotFoundError)
    with gone:
        if folder.is_symlink() or not folder.is_dir():
            DISK.unlink(folder)
            return
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                remove_folder(Path(entry.path))
            else:
                with gone:
                    DISK.unlink(Path(entry.path))
        DISK.remove_folder(folder)


def remove_file(path: Path) -> None:
    """Delete a file, a link or a device node, durably."""
    DISK.unlink(path)
    sync(path.parent)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; what goes away meanwhile counts nothing."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(size_of(Path(entry.path)) for entry in os.scandir(path))
    except FileNotFoundError:
        return 0


def is_plain_file(path: Path) -> bool:
    """Tell whether `path` is a regular file itself: not a link, not a folder, not a device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
