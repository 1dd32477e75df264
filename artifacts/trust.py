"""
Trust on first use: what files without a published checksum were when they were first downloaded.

One small JSON file a remote file, under `<home>/trust/<dataset>/`, written once and held to ever after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.datasets import RemoteFile


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
        """Return what the catalog publishes of `file`, else what its first use found."""
        if file.sha256 is not None:
            return Expected(sha256=file.sha256, bytes=file.bytes, origin="published")
        path = self._path(file)
        if path.is_file():
            return Expected.model_validate_json(path.read_bytes())
        return Expected(sha256=None, bytes=file.bytes, origin="first use")

    def remember(self, file: RemoteFile, sha256: str, size: int) -> Expected:
        """
        Write down what the first use of `file` found, unless something is known of it already.

        Returns: what is expected of the file from now on; the caller compares.
        """
        known = self.expected(file)
        if known.sha256 is None:
            raise NotImplementedError
        return known

    def _path(self, file: RemoteFile) -> Path:
        return self._folder / file.dataset / f"{file.name}.json"
