"""A file on its way: the bytes that have arrived, where they came from, and whether they are the expected ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ValidationError

from artifacts.store.disk import open_plainly
from artifacts.store.files import write_atomically
from schemas.counts import counted
from tasks.formats.kinds import HEAD_BYTES, kind_of
from tasks.transport.mirror import AnotherFile, MirrorFault

BLOCK = 2**20


class Validators(BaseModel, frozen=True):
    """
    By what a mirror can be asked whether its file is still the one that was taken (RFC 9110, 13.1).

    Args:
        address:       of the file, without secrets.
        etag:          as the mirror wrote it, weak or strong.
        last_modified: as the mirror wrote it.
    """

    address: str
    etag: str | None
    last_modified: str | None

    @property
    def strong(self) -> str:
        """What If-Range may carry (RFC 9110, 13.1.5): a strong ETag, or without any the Last-Modified; else empty."""
        if self.etag is None:
            return self.last_modified or ""
        return "" if self.etag.startswith("W/") else self.etag


class Expected(BaseModel, frozen=True):
    """What a file has to be; None for what is not known of it."""

    sha256: str | None
    bytes: int | None


class Part:
    """
    The part file of one download, hashed as it grows. It stays after a cut, a crash or the end of the process.

    Args:
        path:     the part; its source is noted beside it. Nobody else may write it meanwhile.
        expected: what the whole file has to be.
        limit:    size in bytes above which nothing is written, for a file of unknown size.
    """

    def __init__(self, path: Path, expected: Expected, limit: int) -> None:
        self.path, self.expected = path, expected
        self.limit = expected.bytes or limit
        self.size = 0
        self.validators: Validators | None = None
        self._note = path.with_name(f"{path.name}.json")
        self._file = os.fdopen(open_plainly(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+b")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes so far, as 64 hexadecimal digits."""
        return self._digest.hexdigest()

    def resume(self, address: str) -> Validators | None:
        """
        Hash what an earlier try left.

        Returns: its validators, when it came from `address` and the mirror can be asked for the rest; else None.
        """
        try:
            source = Validators.model_validate_json(self._note.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        if source.address != address:
            return None
        self._file.seek(0)
        self._digest, self.size = hashlib.sha256(), 0
        while block := self._file.read(BLOCK):
            self._digest.update(block)
            self.size += len(block)
        return source if self.size else None

    def restart(self, source: Validators | None = None) -> None:
        """Empty the part. With strong validators what is written from now on can be resumed by another try."""
        self._file.truncate(0)
        self._digest, self.size, self.validators = hashlib.sha256(), 0, None
        self._note.unlink(missing_ok=True)
        if source and source.strong:
            write_atomically(self._note, source.model_dump_json().encode(), durable=False)

    def append(self, block: bytes) -> None:
        """
        Add the next bytes.

        Raises: MirrorFault: the file would grow above its expected size, or above the limit; see `flaw`.
        """
        if self.size + len(block) > self.limit:
            self._file.write(block[: self.limit - self.size])
            fault = self._fault(f"more than {counted(self.limit, 'byte')}")
            self.restart()
            raise fault
        self._file.write(block)
        self._digest.update(block)
        self.size += len(block)

    def flaw(self) -> MirrorFault | None:
        """
        Say what is wrong with the whole file: it is nothing that is read, or AnotherFile. None: it is the expected one.

        Of a file of which nothing is published only the first bytes are judged: decompress checks the rest.
        """
        fault = self._fault(counted(self.size, "byte"))
        if not isinstance(fault, AnotherFile) or self.size != (self.expected.bytes or self.size):
            return fault
        return None if self._may_be_expected() else AnotherFile(f"SHA-256 {self.sha256[:16]}...")

    def publish(self, target: Path) -> None:
        """Move the whole file, which has no flaw, to `target`."""
        self._file.close()
        self.path.replace(target)
        self._note.unlink(missing_ok=True)

    def _may_be_expected(self) -> bool:
        return self.expected.sha256 in (None, self.sha256)

    def _fault(self, length: str) -> MirrorFault:
        """Distinguish a mirror's own words, which say nothing about the file, from another file."""
        self._file.seek(0)
        kind = kind_of(self._file.read(HEAD_BYTES), self._file.seek(0, os.SEEK_END))
        if kind.taken:
            return AnotherFile(length)
        return MirrorFault(kind.found(length), next_step=kind.next_step if self._may_be_expected() else "")
