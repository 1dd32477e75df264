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
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.code import TICK
from artifacts.store import files
from artifacts.store.own_scan import Scan, scan
from schemas.endings import all_folded

NOTHING = bytes(32)
"""In place of a digest, of what is no regular file, cannot be read, or is not."""
LARGEST = 512 * 2**20
"""Bytes of a file that is read."""
SMALL = 2**18
"""Bytes of a file that is read at once."""


@dataclass(frozen=True)
class Listing:
    """
    The files below a folder, links and devices too, in code-point order of their names.

    Args:
        scan:    what lies there.
        digests: uint8 (n, 32), SHA-256 of each; zeros of what is not read.
        content: SHA-256 of the whole, 64 hexadecimal digits; see `listing_digest`.
        hashed:  how many had to be hashed.
    """

    scan: Scan
    digests: npt.NDArray[np.uint8]
    content: str
    hashed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Their names; see `Scan`."""
        return self.scan.names


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
        found, path = scan(root), self._place(root)
        names = found.names
        digests = np.zeros((len(names), 32), np.uint8)
        known, readable = np.zeros(len(names), bool), found.regular & (found.looks[:, 0] <= LARGEST)
        if noted := _read(path):
            known = noted.fill(found, digests)
            # What could not be read may be by now.
            unread = np.flatnonzero(known & ~digests.any(axis=1) & readable).tolist()
            known[[at for at in unread if not skipped(names[at])]] = False
            if known.all() and found == noted.scan:
                return Listing(found, digests, noted.content, 0)
        changed = [at for at in np.flatnonzero(~known).tolist() if not skipped(names[at])]
        read = [at for at in changed if readable[at]]
        new = b"".join(_digest(f"{root}/{names[at]}") for at in read)
        digests[read] = np.frombuffer(new, np.uint8).reshape(-1, 32)
        data = digests.tobytes()
        content = listing_digest(names, (data[start : start + 32] for start in range(0, len(data), 32)))
        self._write(path, _Notes(found, digests, content, 0))
        return Listing(found, digests, content, len(changed))

    def noted(self, root: Path) -> Listing | None:
        """Return what `listing` found the last time, without looking again; None where that was not noted."""
        noted = _read(self._place(root))
        return Listing(noted.scan, noted.digests, noted.content, 0) if noted else None

    def _place(self, root: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]}.npz"

    def _write(self, path: Path, notes: _Notes) -> None:
        if self._folder.parent.is_dir():
            with contextlib.suppress(OSError):  # of a store that cannot be written
                files.write_atomically(path, notes.packed(), durable=False)


@dataclass(frozen=True)
class _Notes:
    """What was noted: what lay there, digests and the digest of all, and when it was written, in nanoseconds."""

    scan: Scan
    digests: npt.NDArray[np.uint8]
    content: str
    written: int

    def fill(self, found: Scan, digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Fill in the digests of files that look as noted. Returns: bool (n,), True where one was filled in."""
        names, noted = found.names, self.scan
        if names == noted.names:
            place, there = np.arange(len(names)), np.ones(len(names), bool)
        else:
            places = {name: at for at, name in enumerate(noted.names)}
            place = np.fromiter((places.get(name, -1) for name in names), np.int64, len(names))
            there = place >= 0
        same = np.zeros(len(names), bool)
        same[there] = (noted.looks[place[there]] == found.looks[there]).all(axis=1)
        # What changed in the tick in which it was noted may have changed once more, and look the same.
        same &= found.looks[:, 4:].max(axis=1, initial=0) < self.written - TICK
        digests[same] = self.digests[place[same]]
        return same

    def packed(self) -> bytes:
        """Return the bytes of the file."""
        buffer = io.BytesIO()
        names, folders, closed, content = (
            np.frombuffer(_joined(each), np.uint8)
            for each in (
                self.scan.names,
                self.scan.folders,
                chain.from_iterable(self.scan.closed),
                (self.content,),
            )
        )
        np.savez(
            buffer,
            names=names,
            looks=self.scan.looks,
            folders=folders,
            closed=closed,
            digests=self.digests,
            content=content,
        )
        return buffer.getvalue()


def _joined(texts: Iterable[str]) -> bytes:
    return "\0".join(texts).encode("utf-8", "surrogateescape")


def _parted(joined: bytes) -> tuple[str, ...]:
    return tuple(joined.decode("utf-8", "surrogateescape").split("\0")) if joined else ()


def _read(path: Path) -> _Notes | None:
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        data = files.read_plain(path)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            names, folders, closed, content = (
                _parted(stored[each].tobytes()) for each in ("names", "folders", "closed", "content")
            )
            looks, digests = stored["looks"], stored["digests"]
        if looks.shape == (len(names), 6) and digests.shape == (len(names), 32):
            pairs = tuple(zip(closed[::2], closed[1::2], strict=True))
            return _Notes(Scan(names, looks, folders, pairs), digests, content[0], path.stat().st_mtime_ns)
    return None


def _digest(path: str) -> bytes:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return _digest_of(descriptor, status.st_size)
        finally:
            os.close(descriptor)
    return NOTHING


def _digest_of(descriptor: int, size: int) -> bytes:
    if size < SMALL and len(data := os.read(descriptor, size + 1)) == size:
        return hashlib.sha256(data).digest()
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").digest()
