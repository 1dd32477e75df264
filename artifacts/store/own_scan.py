"""
What lies below one of people's own folders: every file, and how it looks from outside; nothing is opened.

The stage pack says of each file what became of it, and this module is no part of its key: the digest of the listing is.
Whatever else it finds (folders without a file, those that cannot be listed) keeps its meaning.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.errors import StageError

Looks = npt.NDArray[np.int64]
"""int64 (n, 6): size, inode, device, mode, and the times of change in nanoseconds, of the content and of the rest."""
_LOOK = attrgetter("st_size", "st_ino", "st_dev", "st_mode", "st_mtime_ns", "st_ctime_ns")
UNKNOWN = (0, 0, 0, 0, 0, 0)
"""The look of a file that was gone, or could not be looked at: that of no kind of file."""


@dataclass(frozen=True, eq=False)
class Scan:
    """
    The files below a folder, links and devices too, in code-point order of their names; no link is followed.

    Args:
        names:   below the folder, / between folders; bytes that are no UTF-8 as Python's surrogates.
        looks:   of each.
        folders: below it, those without a file as well, in no order.
        closed:  why a folder could not be listed, by name.
    """

    names: tuple[str, ...]
    looks: Looks
    folders: tuple[str, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()

    def __hash__(self) -> int:
        return hash(self.looks.tobytes())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Scan)
            and self.names == other.names
            and bool(np.array_equal(self.looks, other.looks))
            and (set(self.folders), self.closed) == (set(other.folders), other.closed)
        )

    @property
    def regular(self) -> npt.NDArray[np.bool_]:
        """Bool (n,): which are regular files."""
        kinds: npt.NDArray[np.bool_] = (stat.S_IFMT(0o170000) & self.looks[:, 3]) == stat.S_IFREG
        return kinds


def scan(root: Path) -> Scan:
    """
    List all files below a folder.

    Raises: StageError: it cannot be listed itself.
    """
    names, looks, folders, closed = list[str](), list[tuple[int, ...]](), list[str](), list[tuple[str, str]]()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{folder}{entry.name}/")
                    else:
                        looks.append(_look(entry))
                        names.append(folder + entry.name)
        except FileNotFoundError as error:  # it went away meanwhile
            if not folder:
                raise _unlisted(root, error) from error
            continue
        except OSError as error:
            if not folder:
                raise _unlisted(root, error) from error
            closed.append((folder[:-1], error.strerror or str(error)))
        if folder:
            folders.append(folder[:-1])
    order = sorted(range(len(names)), key=names.__getitem__)
    return Scan(tuple(map(names.__getitem__, order)), looks_array(looks)[order], tuple(folders), tuple(sorted(closed)))


def _look(entry: os.DirEntry[str]) -> tuple[int, ...]:
    try:
        return _LOOK(entry.stat(follow_symlinks=False))
    except OSError:
        return UNKNOWN


def looks_array(looks: list[tuple[int, ...]]) -> Looks:
    """Return looks as an array: inodes beyond 2**63, and times before 1970, are told apart from all others."""
    numbers: Iterator[int] = chain.from_iterable(looks)
    try:
        found = np.fromiter(numbers, np.int64, 6 * len(looks))
    except OverflowError:
        found = np.array([number % 2**64 for look in looks for number in look], np.uint64).astype(np.int64)
    return found.reshape(-1, 6)


def _unlisted(root: Path, error: OSError) -> StageError:
    way_out = "Make the folder readable, and run again."
    return StageError(str(root), expected="a folder", found=str(error.strerror), way_out=way_out)
