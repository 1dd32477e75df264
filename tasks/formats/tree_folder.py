"""The files of a folder, and a file alone, as a tree: links are listed and not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import repeat, starmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from schemas.visible import in_a_line
from tasks.formats.refused import Refused
from tasks.formats.tree import LARGE, MAX_FILE, NOT_PLAIN, Entry, Tree, arranged, empty_folders, is_plain

if TYPE_CHECKING:
    from artifacts.store.own_scan import Scan

LINK = "it is a symbolic link, which is not followed"
KINDS = (
    (stat.S_ISFIFO, "it is a named pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


class FolderTree(Tree):
    """A folder on the disk, or one file of it; see `Tree`."""

    def __init__(self, root: Path, name: str, kind: str, entries: Iterable[Entry], folders: Iterable[str]) -> None:
        self.name, self.kind, self._root = name, kind, root
        self.entries: tuple[Entry, ...] = arranged(entries)
        self.empty = empty_folders(folders, (entry.name for entry in self.entries))
        self._unreadable = {entry.name: entry.unreadable for entry in self.entries}

    @property
    def root(self) -> str:
        """The folder from which files may be read by other processes, see `read_in`; empty of a file alone."""
        return str(self._root) if self.kind == "folder" else ""

    def read(self, name: str) -> bytes:
        if self._unreadable[name]:
            raise Refused(self._unreadable[name])
        return read_in(str(self._root), name, follow=self.kind == "file")

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        return os.fdopen(self._descriptor(name)[0], "rb")

    def _descriptor(self, name: str) -> tuple[int, int]:
        """Open a file. Returns: its descriptor and its size in bytes."""
        if self._unreadable[name]:
            raise Refused(self._unreadable[name])
        return _opened(str(self._root), name, follow=self.kind == "file")

    def close(self) -> None:
        """Nothing is open."""


def read_in(root: str, name: str, *, follow: bool = False) -> bytes:
    """
    Read a file of a folder.

    Args:   follow: also behind a link.
    Raises: Refused: as `Tree.read`.
    """
    descriptor, size = _opened(root, name, follow=follow)
    try:
        return _whole(descriptor, size)
    except OSError as error:
        raise _refused(error) from error
    finally:
        os.close(descriptor)


def _opened(root: str, name: str, *, follow: bool) -> tuple[int, int]:
    """Open a file. Returns: its descriptor and its size in bytes."""
    try:
        # What was a file when it was listed may by now be a link out of the folder, or a pipe that nobody feeds.
        link = 0 if follow else os.O_NOFOLLOW
        descriptor = os.open(f"{root}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | link)
    except OSError as error:
        raise _refused(error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Refused("it is no longer a file")
    return descriptor, status.st_size


def open_folder(root: Path, found: Scan | None = None) -> FolderTree:
    """
    List a folder and all folders in it. A folder that cannot be listed is an entry that cannot be read.

    Args: found: in it, a moment ago; without, it is looked at now.
    """
    if found is None:
        from artifacts.store.own_scan import scan  # NumPy, which a process that decodes does not need

        found = scan(root)
    plain = all(map(is_plain, found.names))
    names = found.names if plain else tuple(map(in_a_line, found.names))
    reasons = [""] * len(names)
    for at in (~found.regular).nonzero()[0].tolist():
        reasons[at] = _no_file(int(found.looks[at, 3]))
    if not plain:
        reasons = [why if is_plain(name) else NOT_PLAIN for name, why in zip(found.names, reasons, strict=True)]
    entries = list(starmap(Entry, zip(names, found.looks[:, 0].tolist(), repeat(""), reasons, strict=False)))
    for folder, why in found.closed:
        entries.append(Entry(in_a_line(folder) + "/", 0, unreadable=f"it is a folder that cannot be listed ({why})"))
    return FolderTree(root, str(root), "folder", entries, map(in_a_line, found.folders))


def open_file(path: Path) -> FolderTree:
    """Take one file as a tree of its own."""
    name, reason = path.name, "" if is_plain(path.name) else NOT_PLAIN
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        reason = _no_file(status.st_mode)
    return FolderTree(path.parent, str(path), "file", [Entry(in_a_line(name), status.st_size, unreadable=reason)], ())


def _whole(descriptor: int, size: int) -> bytes:
    """Read a file of at most MAX_FILE that is as long as it says."""
    if size > MAX_FILE:
        raise Refused(LARGE)
    data = os.read(descriptor, size + 1)
    while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):  # a signal came, or a slow disk
        data += more
    if len(data) != size:
        raise Refused("it changed while it was read")
    return data


def _no_file(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return LINK
    if not mode:
        return "it is gone since it was listed, or its folder lets nobody look at it"
    return next((reason for is_so, reason in KINDS if is_so(mode)), "it is no file")


def _refused(error: OSError) -> Refused:
    if isinstance(error, FileNotFoundError):
        return Refused("it is gone since it was listed")
    return Refused(f"it cannot be read ({error.strerror or error})")
