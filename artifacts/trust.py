"""
Trust on first use: what remote files without a published checksum were when they were first used.

One JSON file per place, `<home>/trust/<16 digits>.json`: the address that files are published under, and SHA-256 and
size of each. A set's files are one generation: they are written together, once both splits have passed every check, and
a file that is not what it was is refused until a person accepts all of them as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts import files
from artifacts.disk import disk
from schemas.datasets import Sha256
from schemas.errors import StoreError
from schemas.moment import Moment


class FirstUse(BaseModel):
    """What a file was on its first use; `bytes` is its size."""

    model_config = ConfigDict(frozen=True)
    sha256: Sha256
    bytes: int = Field(ge=0)


class Trusted(BaseModel):
    """
    The files of one place that are trusted.

    Args:
        address:  what they are published under, without secrets.
        sets:     names of the data sets that use them, for people.
        since:    when all of them were first used, or accepted; UTC, ISO 8601.
        renewing: a person wants the next run to accept the files as they are then.
        files:    by name.
    """

    model_config = ConfigDict(frozen=True)
    address: str
    sets: tuple[str, ...] = ()
    since: Moment
    renewing: bool = False
    files: dict[str, FirstUse]


class Trust:
    """The ledger of first uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, address: str) -> Trusted | None:
        """
        Return what is trusted of a place; None where nothing is.

        Raises: StoreError: the record does not read.
        """
        path = self._path(address)
        return self._read(path) if path.is_file() else None

    def write(self, trusted: Trusted, *, instead_of: Trusted | None) -> bool:
        """
        Write down what is trusted from now on.

        Args:    instead_of: what was trusted when this was decided. Where it is None, of two first uses at once one is.
        Returns: whether it was written: False where something else is trusted by now.
        Raises:  StoreError: the record does not read, or cannot be written.
        """
        path, content = self._path(trusted.address), trusted.model_dump_json(indent=2).encode()
        with disk(path.parent):
            if instead_of is None:
                return files.write_once(path, content)
            if self.read(trusted.address) != instead_of:
                return False
            files.write_atomically(path, content)
            return True

    def renew(self, trusted: Trusted) -> Trusted:
        """
        Have the next run accept the files of a place as they are then; until it has, what was trusted stays written.

        Raises: StoreError: it cannot be written.
        """
        changed = trusted.model_copy(update={"renewing": True})
        with disk(self._folder):
            files.write_atomically(self._path(trusted.address), changed.model_dump_json(indent=2).encode())
        return changed

    def forget(self, address: str) -> bool:
        """Trust nothing of a place any more, also where its record does not read. Returns: whether there was one."""
        path = self._path(address)
        if not path.is_file():
            return False
        with disk(path.parent):
            files.remove_file(path)
        return True

    def all(self) -> list[Trusted]:
        """List what is trusted, by address; what does not read is among `flaws`."""
        found = []
        for path in self._paths():
            try:
                found.append(self._read(path))
            except StoreError:
                continue
        return sorted(found, key=lambda each: each.address)

    def flaws(self) -> list[StoreError]:
        """Return an error for each record that does not read."""
        found = []
        for path in self._paths():
            try:
                self._read(path)
            except StoreError as error:
                found.append(error)
        return found

    def _read(self, path: Path) -> Trusted:
        try:
            trusted = Trusted.model_validate_json(files.read_plain(path))
        except (OSError, ValidationError):
            trusted = None
        if trusted is None or self._path(trusted.address) != path:
            raise StoreError(
                f"trust/{path.name}",
                expected="what the files of a set were on their first use",
                found="a record that does not read",
                way_out="Restore it from a backup, or forget it with `idxflow trust SET --forget`, SET being the path "
                "of the set's .toml: the next run then takes the files as they are.",
            )
        return trusted

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))

    def _path(self, address: str) -> Path:
        return self._folder / f"{address_file(address)}.json"


def address_file(address: str) -> str:
    """Return the name of the record of a place, without its suffix: 16 hexadecimal digits."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def differing(known: Mapping[str, FirstUse], found: Mapping[str, FirstUse]) -> list[str]:
    """Name the files that are in both and not the same."""
    return sorted(name for name in known.keys() & found.keys() if known[name] != found[name])
