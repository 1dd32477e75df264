"""
A remote in a folder, on a shared file system or a disk that travels: `file:///srv/shared`.

It needs no library. obstore's own folder store has neither compare-and-swap nor a flush, and a record may not be there
before the disk has what it speaks of.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from artifacts.remote.backend import NAME, Backend, Entry, Got, RemoteAway, RemoteOdd, checked_name
from artifacts.store.flock import locked
from schemas.remote import RemotePlace

HIDDEN = ".idxflow"
"""Folder of locks and of files that are being written; no object's name begins so."""
AWAY = frozenset({errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOSPC, errno.EROFS})


class Folder(Backend):
    """
    A folder as a remote; see `Backend`.

    Args:   root: an absolute path; it is created, but not the folder that it lies in: one that is not mounted is away.
    """

    def __init__(self, root: Path, place: RemotePlace) -> None:
        self._root, self._place = root, place

    def get(self, name: str, most: int) -> Got | None:
        """Return an object's content; see `Backend`."""
        with self._errors(name):
            try:
                descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                self._refuse_absence()
                return None
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise self._odd(name, "a file", "something else")
                if status.st_size > most:
                    raise self._odd(name, f"at most {most} bytes", f"{status.st_size}")
                content = file.read(most + 1)
        return Got(content, hashlib.sha256(content).hexdigest())

    def put_new(self, name: str, content: bytes | memoryview) -> bool:
        """Create an object; see `Backend`."""
        path = self._path(name)
        with self._errors(name):
            if os.path.lexists(path):
                return False
            with self._written(path, content) as temporary:
                try:
                    os.link(temporary, path, follow_symlinks=False)
                except FileExistsError:
                    return False
                _sync(path.parent)
        return True

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Compare and swap, under a lock of the object's; see `Backend`."""
        path = self._path(name)
        with self._errors(name):
            locks = self._made(self._root / HIDDEN / "locks")
            with locked(locks / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"):
                try:
                    with path.open("rb") as file:
                        now = hashlib.file_digest(file, "sha256").hexdigest()
                except FileNotFoundError:
                    return False
                if now != tag:
                    return False
                with self._written(path, content) as temporary:
                    temporary.rename(path)
                    _sync(path.parent)
        return True

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder; see `Backend`."""
        with self._errors(prefix):
            folders = [self._path(prefix.rstrip("/"))]
            if not folders[0].is_dir():
                self._refuse_absence()
            while folders:
                folder = folders.pop()
                try:
                    entries = list(os.scandir(folder))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                for entry in entries:
                    name = Path(entry.path).relative_to(self._root).as_posix()
                    if not NAME.fullmatch(name):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(status.st_mode):
                            folders.append(Path(entry.path))
                        elif stat.S_ISREG(status.st_mode):
                            yield _entry(name, status)

    def stat(self, name: str) -> Entry | None:
        """Return an object's size and date; see `Backend`."""
        with self._errors(name):
            try:
                status = self._path(name).lstat()
            except FileNotFoundError:
                self._refuse_absence()
                return None
            return _entry(name, status) if stat.S_ISREG(status.st_mode) else None

    def delete(self, name: str) -> None:
        """Delete an object; see `Backend`."""
        path = self._path(name)
        with self._errors(name), contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync(path.parent)

    def _path(self, name: str) -> Path:
        """Return the file of an object. Raises: RemoteOdd: a link on the way leads out of the remote."""
        path = self._root / checked_name(name)
        if os.path.realpath(path.parent) != str(
            Path(os.path.realpath(self._root), path.parent.relative_to(self._root))
        ):
            raise self._odd(name, "folders of the remote's own", "a link")
        return path

    @contextlib.contextmanager
    def _written(self, path: Path, content: bytes | memoryview) -> Iterator[Path]:
        """Give a file with the content, flushed, under a name that nobody reads; it goes at the end."""
        self._made(path.parent)
        temporary = self._made(self._root / HIDDEN / "writing") / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _made(self, folder: Path) -> Path:
        """Create a folder below the root, and the root; never what the root lies in."""
        if not folder.is_dir():
            if folder != self._root:
                self._made(folder.parent)
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            _sync(folder.parent)
        return folder

    def _refuse_absence(self) -> None:
        """Tell an object that is not there from a disk that is not: RemoteAway."""
        if not self._root.parent.is_dir():
            raise self._away("no such folder")

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = error.strerror or type(error).__name__
            if error.errno in AWAY or isinstance(error, FileNotFoundError):
                raise self._away(text) from error
            raise self._odd(name, "a folder that can be read and written", text) from error

    def _away(self, found: str) -> RemoteAway:
        way_out = "Mount it, or make room there."
        return RemoteAway(f"remote {self._place}", expected="a folder", found=found, way_out=way_out)

    def _odd(self, name: str, expected: str, found: str) -> RemoteOdd:
        way_out = "`idxflow remote verify` looks at all that is there."
        return RemoteOdd(f"remote {self._place}, {name}", expected=expected, found=found, way_out=way_out)


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
