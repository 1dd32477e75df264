"""
Trust on first use: what files without a published checksum were when they were first downloaded.

One small JSON file a remote file, under `<home>/trust/<dataset>/`, written once and held to ever after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts import files
from artifacts.disk import disk
from schemas.datasets import RemoteFile
from schemas.errors import StoreError


class Expected(BaseModel):
    """What a remote file has to be. `sha256` is None only before its first use."""

    model_config = ConfigDict(frozen=True)
    sha256: str | None
    bytes: int | None
    origin: Literal["published", "first use"]


class Trust:
    """The ledger of first uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def expected(self, file: RemoteFile) -> Expected:
        """
        Return what the catalog publishes of `file`, else what its first use found.

        Raises: StoreError: the record of the first use does not read.
        """
        if file.sha256 is not None:
            return Expected(sha256=file.sha256, bytes=file.bytes, origin="published")
        path = self._path(file)
        if path.is_file():
            return self._read(path)
        return Expected(sha256=None, bytes=file.bytes, origin="first use")

    def remember(self, file: RemoteFile, sha256: str, size: int) -> Expected:
        """
        Write down what the first use of `file` found, unless something is known of it already.

        Of two runs that are first at once, one is: a link never replaces a file.

        Args:    sha256: 64 hexadecimal digits.  size: in bytes.
        Returns: what is expected of the file from now on; the caller compares.
        Raises:  StoreError: the record of the first use does not read, or cannot be written.
        """
        known = self.expected(file)
        if known.sha256 is not None:
            return known
        path, first = self._path(file), Expected(sha256=sha256, bytes=size, origin="first use")
        with disk(path.parent):
            if files.write_once(path, first.model_dump_json(indent=2).encode()):
                return first
        return self._read(path)

    def flaws(self) -> list[StoreError]:
        """Return an error for each first use whose record does not read."""
        found = []
        for path in sorted(self._folder.glob("*/*.json")):
            try:
                self._read(path)
            except StoreError as error:
                found.append(error)
        return found

    def _read(self, path: Path) -> Expected:
        try:
            known = Expected.model_validate_json(files.read_plain(path))
        except (OSError, ValidationError):
            known = None
        if known is None or known.sha256 is None:
            raise StoreError(
                f"trust/{path.parent.name}/{path.name}",
                expected="the SHA-256 and size of a first use",
                found="a record that does not read",
                way_out="Restore it from a backup, or delete it to trust the next download.",
            )
        return known

    @staticmethod
    def way_out(file: RemoteFile) -> str:
        """Say how a person makes a file that was changed on purpose be trusted anew."""
        return f"If it was changed on purpose, delete trust/{file.dataset}/{file.name}.json in the home folder."

    def _path(self, file: RemoteFile) -> Path:
        return self._folder / file.dataset / f"{file.name}.json"
