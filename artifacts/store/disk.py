"""
The system calls by which something comes to count in the store, or goes: the seam at which a test makes a disk fail.

Not among them is what counts only once it was hashed: what stages write into their staging folders, and
half downloads; nor the opening of locks and of what is appended to.

Each works relative to the folder that it changes, which was opened from the root on, a folder at a time: a link above
what is changed or deleted would lead out of the home folder, and is refused. Paths are therefore given resolved.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from schemas.errors import StoreError

# O_PATH asks for no right to read, as a path does not; where it is unknown, reading has to do.
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)


class LinkRefused(OSError):
    """A link in the place of a folder of the store's own, or of a file that would be written. `filename`: the link."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ELOOP, "a link, which is not followed", str(path))


@contextmanager
def parent_of(path: Path) -> Iterator[int]:
    """
    Open the folder that something lies in.

    Yields: its descriptor.
    Raises: LinkRefused: it is a link, or a folder above it is.  OSError.
    """
    names = os.path.abspath(path).split(os.sep)[1:-1]  # noqa: PTH100, PTH206 - no link followed, and quick
    descriptor = os.open(os.sep, FOLDER)
    try:
        for place, name in enumerate(names, 1):
            try:
                deeper = os.open(name, FOLDER, dir_fd=descriptor)
            except NotADirectoryError as error:
                folder = Path(os.sep, *names[:place])
                raise (LinkRefused(folder) if folder.is_symlink() else error) from error
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def open_plainly(path: Path, flags: int, mode: int = 0o644) -> int:
    """
    Open a file, neither through a link nor below one. Returns: its descriptor.

    Raises: LinkRefused; OSError.
    """
    with parent_of(path) as parent:
        try:
            return os.open(path.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)
        except OSError as error:
            raise (LinkRefused(path) if error.errno == errno.ELOOP else error) from error


@cache
def can_sync_all() -> bool:
    """Tell whether the system can flush a file system alone, as Linux can."""
    return _syncfs() is not None


@cache
def _syncfs() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


class Disk:
    """
    The real disk. Each method is one step: all that a crash can fall between.

    Those that end in `_in` work in a folder that is open: of many small files most of the time would be spent on the
    way there.
    """

    def make_folder(self, path: Path) -> None:
        """Create one folder."""
        with parent_of(path) as parent:
            os.mkdir(path.name, dir_fd=parent)

    def create(self, path: Path) -> int:
        """Create a file, or empty it. Returns: its descriptor."""
        return open_plainly(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def write(self, descriptor: int, content: bytes | memoryview) -> None:
        """Write all of `content`."""
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, descriptor: int) -> None:
        """Flush a file, or the entries of a folder."""
        os.fsync(descriptor)

    def make_folder_in(self, parent: int, name: str) -> None:
        """Create one folder in an open one."""
        os.mkdir(name, dir_fd=parent)

    def create_in(self, parent: int, name: str, mode: int) -> int:
        """Create a file in an open folder, none of whose has that name. Returns: its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, mode, dir_fd=parent)

    def rename_in(self, parent: int, name: str, target: str) -> None:
        """Move a file over another of an open folder, or a folder to where there is none."""
        os.rename(name, target, src_dir_fd=parent, dst_dir_fd=parent)

    def sync_all(self, descriptor: int) -> None:
        """Flush the file system that an open file is on. Raises: OSError: also of what others have written there."""
        if _syncfs()(descriptor):
            raise OSError(number := ctypes.get_errno(), os.strerror(number))

    def protect(self, path: Path, mode: int) -> None:
        """Set the permissions of a file that can be read."""
        descriptor = open_plainly(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file over another, or a folder to where there is none."""
        with parent_of(source) as here, parent_of(target) as there:
            os.rename(source.name, target.name, src_dir_fd=here, dst_dir_fd=there)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, never one that is taken."""
        with parent_of(source) as here, parent_of(target) as there:
            os.link(source.name, target.name, src_dir_fd=here, dst_dir_fd=there)

    def unlink(self, path: Path) -> None:
        """Delete a file, a link or a device node."""
        with parent_of(path) as parent:
            os.unlink(path.name, dir_fd=parent)

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        with parent_of(path) as parent:
            os.rmdir(path.name, dir_fd=parent)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a StoreError that names the folder, or the link in the place of one."""
    try:
        yield
    except LinkRefused as error:
        raise link_error(Path(error.filename)) from error
    except OSError as error:
        raise StoreError(
            str(path),
            expected="a folder that can be read and written",
            found=f"{error.strerror or error}",
            way_out="Free space or mend the folder's rights, or choose another with --home.",
        ) from error


def link_error(link: Path) -> StoreError:
    """Make the error for a link where the store has a folder or a file of its own."""
    return StoreError(
        str(link),
        expected="a folder or file of the store's own",
        found="a link, which is not followed",
        way_out="Delete the link, or put there what it leads to. To keep a store on another disk, name a folder of it "
        "with --home; the home folder itself may be a link.",
    )
