"""The members of a tar archive, plain or gzip-compressed, as a tree: read from its beginning to its end, in place."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from schemas.errors import BadSource
from tasks.formats.refused import Refused
from tasks.formats.tree import (
    LARGE,
    MAX_FILE,
    MAX_TOTAL,
    Entry,
    Tree,
    arranged,
    damaged,
    empty_folders,
    inner_name,
    too_much,
)

GONE = "it is gone since it was listed"
BLOCK = 2**16
KINDS = (
    (tarfile.TarInfo.issym, "it is a symbolic link, which is not followed"),
    (tarfile.TarInfo.islnk, "it is a hard link to another member, which is not followed"),
    (tarfile.TarInfo.isfifo, "it is a named pipe"),
    (tarfile.TarInfo.isdev, "it is a device"),
    (tarfile.TarInfo.issparse, "it is a sparse file"),
)


class TarTree(Tree):
    """A tar archive; see `Tree`."""

    kind = "tar"

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path
        entries, folders = list[Entry](), list[str]()
        try:
            for member, _ in _members(path):
                name, reason = inner_name(member.name)
                if member.isdir():
                    folders.append(name)
                else:
                    entries.append(Entry(name, member.size, unreadable=reason or _reason(member)))
        except BadSource:
            raise
        except Exception as error:  # a reader of damaged bytes may raise anything
            raise damaged(self.name, "tar", error) from error
        self.entries: tuple[Entry, ...] = arranged(entries)
        self.empty = empty_folders(folders, (entry.name for entry in self.entries))
        self._unreadable = {entry.name: entry.unreadable for entry in self.entries}

    def read(self, name: str) -> bytes:
        for _, data in self.stream([name]):
            if isinstance(data, Refused):
                raise data
            return data
        raise KeyError(name)

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Refused]]:
        wanted = dict.fromkeys(names)
        for name in [name for name in wanted if self._unreadable[name]]:
            del wanted[name]
            yield name, Refused(self._unreadable[name])
        reason = GONE
        try:
            for member, file in _members(self._path):
                if not wanted:
                    return
                name = inner_name(member.name)[0]
                if name in wanted and not member.isdir():
                    yield name, _whole(member, file)
                    del wanted[name]
        except Exception as error:  # as above; it was whole when it was listed
            reason = f"it is damaged in the archive ({str(error).strip().rstrip('.') or type(error).__name__})"
        for name in wanted:
            yield name, Refused(reason)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        if self._unreadable[name]:
            raise Refused(self._unreadable[name])
        for member, file in _members(self._path):
            if inner_name(member.name)[0] == name and not member.isdir():
                yield file
                return
        raise Refused(GONE)

    def close(self) -> None:
        """Nothing is open between two readings."""


def open_tar(path: Path) -> TarTree:
    """List a tar archive, reading all of it once. Raises: BadSource: damaged, or it inflates to more than MAX_TOTAL."""
    return TarTree(path)


class _Bounded(io.RawIOBase):
    """What an archive inflates to, within bounds: no more at once than a member may have, and no more in all."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self._source, self._name = source, name

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > MAX_TOTAL:
            raise too_much(self._name)
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_FILE:
            raise tarfile.ReadError(f"a header of {size} bytes")  # which the library reads at once
        if self._source.tell() > MAX_TOTAL:
            raise too_much(self._name)
        return self._source.read(size)


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Yield each member with its content, which is to be read before the next one is asked for."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source = cast("BinaryIO", gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw)
        bounded, at = cast("BinaryIO", _Bounded(source, str(path))), 0
        with tarfile.open(fileobj=bounded, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            while (member := archive.next()) is not None:
                if archive.offset <= at:
                    raise tarfile.ReadError("a member of negative size")  # which the library reads without an end
                at = archive.offset
                archive.members.clear()  # type: ignore[attr-defined]  # else a million members are all kept
                file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
                yield member, cast("BinaryIO", file or io.BytesIO())
            _check_end(bounded, archive.offset)


def _check_end(file: BinaryIO, at: int) -> None:
    """Check that an archive ends with its mark, and its gzip checksum: to the library a damaged header is an end."""
    file.seek(at)
    mark = file.read(tarfile.BLOCKSIZE)
    if len(mark) < tarfile.BLOCKSIZE or mark.strip(b"\0"):
        raise tarfile.ReadError(f"no member and no end mark at byte {at}: it is cut short or damaged")
    while file.read(BLOCK):
        pass


def _whole(member: tarfile.TarInfo, file: BinaryIO) -> bytes | Refused:
    if member.size > MAX_FILE:
        return Refused(LARGE)
    data = file.read(member.size)
    if len(data) != member.size:
        return Refused(f"it has {len(data)} bytes where the archive says {member.size}")
    return data


def _reason(member: tarfile.TarInfo) -> str:
    return next((reason for is_so, reason in KINDS if is_so(member)), "" if member.isreg() else "it is no file")
