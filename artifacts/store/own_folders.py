"""
The content of people's own folders, which lie on this machine and may change at any time.

Of each file below a folder size, inode and times are noted, as git's index does, and only one that looks otherwise is
hashed again. The notes, `<home>/own/<16 digits>.npz`, only save time: one that does not read is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.store import files
from artifacts.store.integrity import TICK
from schemas.endings import all_folded
from schemas.errors import StageError

Looks = npt.NDArray[np.int64]
"""int64 (n, 6): size, inode, device, mode, and the times of change in nanoseconds, of the content and of the rest."""
NOTHING = bytes(32)
"""In place of a digest, of what is no regular file, cannot be read, or is not."""
LARGEST = 512 * 2**20
"""Bytes of a file that is read."""


@dataclass(frozen=True)
class Listing:
    """
    The files below a folder, links and devices too, in code-point order of their names.

    Args:
        names:   below the folder, / between folders; bytes that are no UTF-8 as Python's surrogates.
        digests: uint8 (n, 32), SHA-256 of each; zeros of what is not read.
        content: SHA-256 of the whole, 64 hexadecimal digits; see `listing_digest`.
        hashed:  how many had to be hashed.
    """

    names: tuple[str, ...]
    digests: npt.NDArray[np.uint8]
    content: str
    hashed: int


def listing_digest(names: Iterable[str], digests: Iterable[bytes]) -> str:
    """
    Return what is known of a folder wherever it lies: of every name, the case of its ending ignored, and its digest.

    Args: names: below the folder.  digests: SHA-256 of each; zeros of what is not read.
    """
    lines = sorted(
        name.encode("utf-8", "surrogateescape") + b"\0" + digest
        for name, digest in zip(all_folded(names), digests, strict=True)
    )
    return hashlib.sha256(b"".join(lines)).hexdigest()


class OwnFolders:
    """
    What was found below folders outside of the home folder.

    Args: folder: of the notes; where its parent is not there, nothing is noted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listing(self, root: Path, skipped: Callable[[str], bool] = lambda _: False) -> Listing:
        """
        Return what lies below a folder; no link in it is followed.

        Args:   skipped: whether a name is of a file that is not read; always the same for a name.
        Raises: StageError: it cannot be listed.
        """
        names, looks = _scan(root)
        path = self._place(root)
        digests = np.zeros((len(names), 32), np.uint8)
        known = np.zeros(len(names), bool)
        if noted := _read(path):
            known = noted.fill(names, looks, digests)
            # What could not be read may be by now.
            unread = np.flatnonzero(known & ~digests.any(axis=1) & _readable(looks)).tolist()
            known[[at for at in unread if not skipped(names[at])]] = False
            if known.all() and len(noted.names) == len(names):
                return Listing(tuple(names), digests, noted.content, 0)
        changed = [at for at in np.flatnonzero(~known).tolist() if not skipped(names[at])]
        for at in changed:
            digests[at] = np.frombuffer(_digest(f"{root}/{names[at]}", looks[at]), np.uint8)
        content = listing_digest(names, map(bytes, digests))
        self._write(path, _Notes(names, looks, digests, content, 0))
        return Listing(tuple(names), digests, content, len(changed))

    def noted(self, root: Path) -> Listing | None:
        """Return what `listing` found the last time, without looking again; None where that was not noted."""
        noted = _read(self._place(root))
        return Listing(tuple(noted.names), noted.digests, noted.content, 0) if noted else None

    def _place(self, root: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]}.npz"

    def _write(self, path: Path, notes: _Notes) -> None:
        if self._folder.parent.is_dir():
            with contextlib.suppress(OSError):  # of a store that cannot be written
                files.write_atomically(path, notes.packed(), durable=False)


@dataclass(frozen=True)
class _Notes:
    """What was noted: names, looks, digests and the digest of all, and when it was written, in nanoseconds."""

    names: list[str]
    looks: Looks
    digests: npt.NDArray[np.uint8]
    content: str
    written: int

    def fill(self, names: list[str], looks: Looks, digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Fill in the digests of files that look as noted. Returns: bool (n,), True where one was filled in."""
        if names == self.names:
            place, there = np.arange(len(names)), np.ones(len(names), bool)
        else:
            places = {name: at for at, name in enumerate(self.names)}
            place = np.fromiter((places.get(name, -1) for name in names), np.int64, len(names))
            there = place >= 0
        same = np.zeros(len(names), bool)
        same[there] = (self.looks[place[there]] == looks[there]).all(axis=1)
        # What changed in the tick in which it was noted may have changed once more, and look the same.
        same &= looks[:, 4:].max(axis=1, initial=0) < self.written - TICK
        digests[same] = self.digests[place[same]]
        return same

    def packed(self) -> bytes:
        """Return the bytes of the file."""
        buffer = io.BytesIO()
        names = np.frombuffer("\0".join(self.names).encode("utf-8", "surrogateescape"), np.uint8)
        content = np.frombuffer(self.content.encode(), np.uint8)
        np.savez(buffer, names=names, looks=self.looks, digests=self.digests, content=content)
        return buffer.getvalue()


def _read(path: Path) -> _Notes | None:
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        data = files.read_plain(path)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            text = stored["names"].tobytes().decode("utf-8", "surrogateescape")
            names = text.split("\0") if text else []
            looks, digests, content = stored["looks"], stored["digests"], stored["content"].tobytes().decode()
        if looks.shape == (len(names), 6) and digests.shape == (len(names), 32):
            return _Notes(names, looks, digests, content, path.stat().st_mtime_ns)
    return None


def _scan(root: Path) -> tuple[list[str], Looks]:
    """List all files below a folder, with their looks, in code-point order of their names."""
    found, waiting = list[tuple[str, os.stat_result]](), [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{folder}{entry.name}/")
                    else:
                        found.append((folder + entry.name, entry.stat(follow_symlinks=False)))
        except OSError as error:
            if isinstance(error, FileNotFoundError) and error.filename not in (f"{root}/", str(root)):
                continue  # it went away meanwhile
            if not folder:
                way_out = "Make the folder readable, and run again."
                raise StageError(str(root), expected="a folder", found=str(error.strerror), way_out=way_out) from error
    found.sort(key=itemgetter(0))
    numbers = [
        number for _, s in found for number in (s.st_size, s.st_ino, s.st_dev, s.st_mode, s.st_mtime_ns, s.st_ctime_ns)
    ]
    looks = np.array(numbers, np.uint64).astype(np.int64).reshape(-1, 6)
    return [name for name, _ in found], looks


def _digest(path: str, look: npt.NDArray[np.int64]) -> bytes:
    if not stat.S_ISREG(int(look[3])) or look[0] > LARGEST:
        return NOTHING
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return hashlib.file_digest(file, "sha256").digest()
    return NOTHING


def _readable(looks: Looks) -> npt.NDArray[np.bool_]:
    """Tell which files are regular ones that are not too large to be read."""
    readable: npt.NDArray[np.bool_] = (stat.S_IFMT(0o170000) & looks[:, 3] == stat.S_IFREG) & (looks[:, 0] <= LARGEST)
    return readable
