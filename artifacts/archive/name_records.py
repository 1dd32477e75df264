"""
The records of names: what the files of aliases and pins say.

    <home>/aliases/<name>.json              {"name", "history": [{"stage", "version", "run", "set"}, ...]}
    <home>/aliases/<name>@<set>.json        the same of an alias that has its data set in its name
    <home>/pins/<stage>-<version>.json      {"kind": "artifact", "stage", "version", "note", "set"}
    <home>/pins/run-<id>.json               {"kind": "run", "run", "note", "set"}

An entry of an alias's history that the gate has made has "verdict" as well, and "force" where a person insisted. What
an alias's record has beside that, of a newer idxflow, is kept.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from artifacts.ref import StageWord, Version
from artifacts.store.disk import disk
from artifacts.store.files import read_plain
from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.text import Moment

ALIAS = re.compile(r"[a-z][a-z0-9-]{0,63}")
"""What an alias may look like."""
AT = "@"
"""What stands between an alias and its data set."""
SET = re.compile(r"[a-z0-9][a-z0-9-]*")
"""What the name or the identity of a data set looks like."""
LATEST = "latest"
"""The word for the newest run; see `artifacts.archive.lookup`."""


class Placement(BaseModel):
    """
    What an alias stood for from a moment on.

    Args:
        stage, version, run: the artifact, and the run that made it; all None where the alias was removed.
        set:                 the moment: UTC, ISO 8601.
        verdict:             version of the artifact of promote that let it; None where a person set it.
        force:               the reason of a person who insisted; None where nobody had to.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    stage: StageWord | None
    version: Version | None
    run: str | None
    set: Moment
    verdict: Version | None = None
    force: str | None = None


class Alias(BaseModel):
    """A name for an artifact, with everything that it ever stood for: the last entry holds."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str
    history: tuple[Placement, ...] = Field(min_length=1)

    @property
    def stem(self) -> str:
        """The name of its file, without the suffix."""
        return self.name

    @property
    def subject(self) -> str:
        """What it is, as messages name it."""
        return self.name

    @property
    def artifact(self) -> tuple[str, str] | None:
        """Stage and version of what it stands for; None where it was removed."""
        last = self.history[-1]
        return (last.stage, last.version) if last.stage and last.version else None

    @property
    def content(self) -> bytes:
        """Its file; earlier versions of idxflow read it as long as no entry has a verdict."""
        return self.model_dump_json(indent=2, exclude_defaults=True).encode()


class _Pinned(BaseModel, ABC):
    """What is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What a person may call it by."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What is kept, as messages name it."""

    @property
    def stem(self) -> str:
        """The name of its file, without the suffix."""
        return re.sub("[/ ]", "-", self.subject)

    def is_called(self, word: str) -> bool:
        """Tell whether a word is the beginning of what is kept."""
        return any(name.startswith(word) for name in self.names)


class ArtifactPin(_Pinned):
    """An artifact that is kept. `set`: UTC, ISO 8601."""

    kind: Literal["artifact"] = "artifact"
    stage: StageWord
    version: Version
    note: str = Field(description="why, in a person's words; may be empty")
    set: Moment

    @property
    def names(self) -> tuple[str, ...]:
        """Its version, alone and with its stage."""
        return self.version, self.subject

    @property
    def subject(self) -> str:
        """Stage and version."""
        return f"{self.stage}/{self.version}"


class RunPin(_Pinned):
    """A run that is kept with all its artifacts. `set`: UTC, ISO 8601."""

    kind: Literal["run"] = "run"
    run: str
    note: str = Field(description="why, in a person's words; may be empty")
    set: Moment

    @property
    def names(self) -> tuple[str, ...]:
        """Its id."""
        return (self.run,)

    @property
    def subject(self) -> str:
        """Its id, and that it is a run's."""
        return f"run {self.run}"


Pin = ArtifactPin | RunPin
Record = TypeVar("Record", Alias, Pin)
_PIN: TypeAdapter[Pin] = TypeAdapter(Annotated[Pin, Field(discriminator="kind")])


def alias_path(store: Store, name: str) -> Path:
    """Return the file of an alias."""
    return store.home / "aliases" / f"{name}.json"


def pin_path(store: Store, stem: str) -> Path:
    """Return the file of a pin."""
    return store.home / "pins" / f"{stem}.json"


def alias_files(store: Store) -> list[Path]:
    """List the files of aliases, by name."""
    return _files(store.home / "aliases")


def pin_files(store: Store) -> list[Path]:
    """List the files of pins, by name."""
    return _files(store.home / "pins")


def read_alias(path: Path) -> Alias:
    """
    Read the file of an alias.

    Raises: StoreError: it does not read, or is another's.
    """
    return _read(path, Alias.model_validate_json)


def read_pin(path: Path) -> Pin:
    """
    Read the file of a pin.

    Raises: StoreError: it does not read, or is another's.
    """
    return _read(path, _PIN.validate_json)


def find_alias(store: Store, name: str) -> Alias | None:
    """
    Return an alias by the name in its file, removed or not; None for what never was one.

    Raises: StoreError: its file does not read.
    """
    path, (plain, at, dataset) = alias_path(store, name), name.partition(AT)
    good = ALIAS.fullmatch(plain) and (not at or SET.fullmatch(dataset))
    return read_alias(path) if good and path.exists() else None


def split_word(word: str) -> tuple[str, str]:
    """Return the name and the data set of `champion@mnist`; of `champion` no data set."""
    name, _, dataset = word.partition(AT)
    return name, dataset


def flaw_of(name: str, stages: Collection[str] = ()) -> str | None:
    """Say why a name will not do for an alias beside stages of these names; None where it will."""
    if name == LATEST:
        return "the word for the newest run"
    if name in stages:
        return "the name of a stage"
    if not ALIAS.fullmatch(name):
        return f"{len(name)} characters" if len(name) > 64 else "other characters"
    return "only digits and a to f, as a version has them" if set(name) <= set("0123456789abcdef") else None


def _files(folder: Path) -> list[Path]:
    """List what lies in a folder of records; a name that begins with a dot is being written."""
    with disk(folder):
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in found if not path.name.startswith("."))


def _read(path: Path, parse: Callable[[bytes], Record]) -> Record:
    try:
        record = parse(read_plain(path))
    except (OSError, ValidationError) as error:
        raise _unreadable(path, "one that does not read") from error
    if path.name != f"{record.stem}.json":
        raise _unreadable(path, f"that of {record.subject}")
    return record


def _unreadable(path: Path, found: str) -> StoreError:
    return StoreError(
        f"{path.parent.name}/{path.name}",
        expected="the record of the name that it bears",
        found=found,
        way_out="Restore it from a backup, or delete it.",
    )
