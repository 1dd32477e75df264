"""
Trust on first use: what remote files without a published checksum were when they were first used.

One JSON file per place, `<home>/trust/<16 digits>.json`: the address that files are published under, and SHA-256 and
size of each. A set's files are one generation: they are written together, once both splits have passed every check, and
a file that is not what it was is refused until a person accepts all of them as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.flock import locked
from schemas.errors import StoreError
from schemas.parameters import Sha256
from schemas.text import Moment


class FirstUse(BaseModel):
    """What a file was on its first use; `bytes` is its size."""

    model_config = ConfigDict(frozen=True)
    sha256: Sha256
    bytes: int = Field(ge=0)


class Trusted(BaseModel):
    """
    The files of one place that are trusted.

    Args:
        place:    16 digits for the address; see `schemas.datasets.Dataset`.
        address:  what they are published under, without secrets.
        sets:     names of the data sets that use them, by what identifies each.
        since:    when the latest of them were first used, or accepted; UTC, ISO 8601.
        files:    by name.
        renewing: names of files that the next run is to accept as they are then.
    """

    model_config = ConfigDict(frozen=True)
    place: str
    address: str
    sets: dict[str, str] = Field(default_factory=dict)
    since: Moment
    files: dict[str, FirstUse]
    renewing: tuple[str, ...] = ()

    @property
    def held(self) -> dict[str, FirstUse]:
        """The files that are to be what they were: all but those that a person wants to have accepted."""
        return {name: file for name, file in self.files.items() if name not in self.renewing}

    @property
    def names(self) -> str:
        """What the sets are called, for people."""
        return ", ".join(sorted(set(self.sets.values())))


class Trust:
    """
    The ledger of first uses.

    Args: lock: the file of its lock.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._folder, self._lock = folder, lock

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep everybody else from changing the ledger: for whoever writes what follows from what was read."""
        with disk(self._lock.parent):
            files.make_folder(self._lock.parent)
        with locked(self._lock):
            yield

    def read(self, place: str) -> Trusted | None:
        """
        Return what is trusted of a place; None where nothing is.

        Raises: StoreError: the record does not read.
        """
        path = self._path(place)
        return self._read(path) if place and path.is_file() else None

    def has(self, place: str) -> bool:
        """Tell whether there is a record of a place, whatever is in it."""
        return bool(place) and self._path(place).is_file()

    def find(self, place: str, dataset: str) -> Trusted | None:
        """
        Return what is trusted of a place; where nothing is, what was trusted of the same data set at another one.

        Args:   dataset: what identifies it. Its mirror may have moved: its files are what they were all the same.
        Raises: StoreError: the record of the place does not read.
        """
        known = self.read(place)
        return known or max((each for each in self.all() if dataset in each.sets), key=lambda e: e.since, default=None)

    def write(self, trusted: Trusted) -> None:
        """Write down what is trusted of a place from now on. Raises: StoreError: it cannot be written."""
        path = self._path(trusted.place)
        with disk(path.parent):
            files.write_atomically(path, trusted.model_dump_json(indent=2).encode())

    def renew(self, place: str, names: Collection[str] | None = None) -> Trusted | None:
        """
        Have the next run accept files of a place as they are then; until it has, what was trusted stays written.

        Args:    names: of the files; None: all of them.
        Returns: what is trusted of the place; None where nothing is.
        Raises:  StoreError: the record does not read, or cannot be written.
        """
        with self.changing():
            if (trusted := self.read(place)) is None:
                return None
            chosen = sorted({*trusted.renewing, *(trusted.files if names is None else names)} & trusted.files.keys())
            changed = trusted.model_copy(update={"renewing": tuple(chosen)})
            self.write(changed)
            return changed

    def forget(self, place: str) -> bool:
        """Trust nothing of a place any more, also where its record does not read. Returns: whether there was one."""
        path = self._path(place)
        with self.changing():
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
        return sorted(found, key=lambda each: (each.address, each.place))

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
        if trusted is None or self._path(trusted.place) != path:
            raise StoreError(
                f"trust/{path.name}",
                expected="what the files of a set were on their first use",
                found="a record that does not read",
                way_out=f"Restore it from a backup, or forget it with `idxflow trust {path.stem} --forget`: the next "
                "run then takes the files as they are.",
            )
        return trusted

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))

    def _path(self, place: str) -> Path:
        return self._folder / f"{place}.json"


def differing(known: Mapping[str, FirstUse], found: Mapping[str, FirstUse]) -> list[str]:
    """Name the files that are in both and not the same."""
    return sorted(name for name in known.keys() & found.keys() if known[name] != found[name])
