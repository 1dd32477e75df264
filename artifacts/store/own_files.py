"""
The content of people's own files, which lie on this machine and may change at any time.

A file is hashed whenever its size, inode or times differ from what was noted when it was last hashed, as git's index
does. The notes, `<home>/own/<16 digits>.json`, only save time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.code import TICK
from artifacts.store import files
from schemas.errors import StageError

TRIES = 3
"""How often a file is hashed that changes meanwhile."""


class Content(BaseModel):
    """What is in a file: `bytes` is its size."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    bytes: int


class _Note(BaseModel):
    """A file's content, and how the file looked just before it was hashed."""

    model_config = ConfigDict(frozen=True)
    content: Content
    look: tuple[int, ...]


class OwnFiles:
    """
    What was found in files outside of the home folder.

    Args: folder: of the notes; where its parent is not there, nothing is noted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def content(self, path: Path) -> Content:
        """
        Return what is in a file, links followed.

        Raises: StageError: it cannot be read, is no regular file, or changes again and again while it is read.
        """
        look = _look(path)
        note = self._folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]}.json"
        if (known := _read(note)) and known[0].look == look and known[1] - max(look[-2:]) > TICK:
            return known[0].content
        for _ in range(TRIES):
            with _reading(path):
                content = Content(sha256=files.sha256_of(path), bytes=look[0])
            if look == (look := _look(path)):
                self._write(note, _Note(content=content, look=look))
                return content
        raise _unreadable(path, "one that changes while it is read", "Run again when nobody writes to it any more.")

    def _write(self, path: Path, note: _Note) -> None:
        if self._folder.parent.is_dir():
            with contextlib.suppress(OSError):  # of a store that cannot be written
                files.write_atomically(path, note.model_dump_json().encode(), durable=False)


def _read(path: Path) -> tuple[_Note, int] | None:
    """Return a note, and when it was written, in nanoseconds."""
    try:
        return _Note.model_validate_json(files.read_plain(path)), path.stat().st_mtime_ns
    except (OSError, ValueError, ValidationError):
        return None


def _look(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is touched or replaced; the times last."""
    with _reading(path):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(path, "something else", "Put the file there.")
    return status.st_size, status.st_ino, status.st_dev, status.st_mtime_ns, status.st_ctime_ns


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error), "Make the file readable, and run again.") from error


def _unreadable(path: Path, found: str, way_out: str) -> StageError:
    return StageError(path.name, expected="a regular file that can be read", found=found, way_out=way_out)
