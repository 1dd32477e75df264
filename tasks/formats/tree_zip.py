"""The members of a zip archive as a tree: read in place, bounded by what its directory says and checked by CRC-32."""

from __future__ import annotations

import stat
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, cast

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

ENCRYPTED, UTF8 = 0x1, 0x800
"""Bits of a member's flags."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of compression; the others are rare, and their decoders take as much memory as a file asks for."""
OTHERS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}
UNIX = 3
"""The system that a member's rights are those of."""


class ZipTree(Tree):
    """A zip archive; see `Tree`."""

    kind = "zip"

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.name, self._archive = str(path), archive
        self._members = dict[str, zipfile.ZipInfo]()
        entries, folders = list[Entry](), list[str]()
        for member in archive.infolist():
            name, reason = _name(member)
            if name.endswith("/") or (member.is_dir() and not reason):
                folders.append(name.rstrip("/"))
                continue
            entries.append(Entry(name, member.file_size, unreadable=reason or _reason(member)))
            self._members[name] = member
        if sum(entry.bytes for entry in entries) > MAX_TOTAL:
            raise too_much(self.name)
        self.entries: tuple[Entry, ...] = arranged(entries)
        self.empty = empty_folders(folders, (entry.name for entry in self.entries))
        self._unreadable = {entry.name: entry.unreadable for entry in self.entries}

    def read(self, name: str) -> bytes:
        member = self._checked(name)
        if member.file_size > MAX_FILE:
            raise Refused(LARGE)
        try:
            data = self._archive.read(member)  # no more than the directory says
        except Exception as error:  # a reader of damaged bytes may raise anything
            raise _refused(error) from error
        if len(data) != member.file_size:
            raise Refused(f"it has {len(data)} bytes where the archive says {member.file_size}")
        return data

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        member = self._checked(name)
        try:
            return cast("BinaryIO", self._archive.open(member))
        except Exception as error:  # a reader of damaged bytes may raise anything
            raise _refused(error) from error

    def close(self) -> None:
        self._archive.close()

    def _checked(self, name: str) -> zipfile.ZipInfo:
        if self._unreadable[name]:
            raise Refused(self._unreadable[name])
        return self._members[name]


def open_zip(path: Path) -> ZipTree:
    """List a zip archive. Raises: BadSource: it is damaged, or says that it holds more than MAX_TOTAL."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a reader of damaged bytes may raise anything
        raise damaged(str(path), "zip", error) from error
    try:
        return ZipTree(path, archive)
    except BaseException:
        archive.close()
        raise


def _name(member: zipfile.ZipInfo) -> tuple[str, str]:
    r"""
    Return a member's name, and why it is not read.

    A name is UTF-8 where its flag says so, and where its bytes are: macOS writes it without the flag. Otherwise it is
    cp437, as the format has it. A \ stands for /, as some programs of Windows write it.
    """
    name = member.orig_filename
    if not member.flag_bits & UTF8:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = member.orig_filename
    shown, reason = inner_name(name.replace("\\", "/"))
    if name.endswith(("/", "\\")) and not reason:
        shown += "/"
    return shown, reason


def _reason(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if member.create_system == UNIX and stat.S_ISLNK(member.external_attr >> 16):
        return "it is a symbolic link, which is not followed"
    if member.compress_type not in METHODS:
        method = OTHERS.get(member.compress_type, f"number {member.compress_type}")
        return f"it is compressed by a method that is not read ({method}): use deflate"
    return ""


def _refused(error: Exception) -> Refused:
    return Refused(f"it is damaged in the archive ({str(error).strip().rstrip('.') or type(error).__name__})")
