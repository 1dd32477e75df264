"""
Names that people give to artifacts, and pins: what has either is never cleaned up.

Whoever changes them, and a clean-up, holds the lock of names: no artifact goes while it gets a name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from artifacts import run_record
from artifacts.archive.aliases import Place, place_for, sets_of, sets_of_artifact, the_alias
from artifacts.archive.lookup import REBUILDS, find, stored_artifact
from artifacts.archive.name_records import (
    SET,
    Alias,
    ArtifactPin,
    Pin,
    Placement,
    Record,
    RunPin,
    alias_files,
    alias_path,
    find_alias,
    flaw_of,
    pin_files,
    pin_path,
    read_alias,
    read_pin,
    split_word,
)
from artifacts.archive.runs import read_run
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.flock import locked
from artifacts.store.integrity import Stored
from artifacts.store.links import real_folders
from artifacts.store.store import Store
from schemas.errors import StoreError, UsageError

UNCHANGED = "Nothing has changed."
GATE = "promote"
"""The stage whose verdicts aliases are moved by."""


@dataclass(frozen=True)
class Kept:
    """
    What aliases and pins keep.

    Args:
        artifacts: stage and version of each artifact with an alias or a pin of its own, and of the verdicts by which
                   aliases were set.
        runs:      ids of the pinned runs, whose records say which artifacts they keep.
    """

    artifacts: frozenset[tuple[str, str]]
    runs: frozenset[str]


@dataclass(frozen=True)
class NameProblem:
    """
    What is wrong with a name, for people.

    Args:
        subject: its file as seen from the home folder, or the name.
        path:    of a file that does not read; None where what it names is gone.
        way_out: what a person can do where it is gone.
    """

    subject: str
    text: str
    path: Path | None = None
    way_out: str | None = None


class Names:
    """The aliases and pins of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep everybody else from changing a name and from cleaning up. Not to be entered by who is in it."""
        with ExitStack() as held:
            with disk(self._store.locks):
                files.make_folder(self._store.locks)
                held.enter_context(locked(self._store.locks / "names.lock"))
            yield

    def aliases(self) -> list[Alias]:
        """List the aliases that stand for something, by name; what does not read is among `problems`."""
        return [alias for alias in _readable(alias_files(self._store), read_alias) if alias.artifact]

    def alias(self, word: str) -> Alias:
        """
        Return the alias that a word means, removed or not: `champion`, or `champion@mnist`.

        Raises: UsageError: a name that never was one, or that several have.  StoreError: its file does not read.
        """
        if alias := the_alias(self._store, word):
            return alias
        close = difflib.get_close_matches(word, [each.name for each in self.aliases()], n=1)
        way_out = f"{f'Did you mean {close[0]}? ' if close else ''}Set it with: idxflow alias {word} WORD"
        raise UsageError(f"alias {word!r}", expected="one that is or was set", found="none", way_out=way_out)

    def set_alias(self, word: str, stage: str, version: str, now: datetime, *, force: bool = False) -> Alias:
        """
        Let a name stand for an artifact from now on.

        Args:   word: the alias, perhaps with its data set.  force: let it stand for something of another data set, too.
        Raises: UsageError: a name that is none, or no such artifact, or one of another data set.  ArtifactDamaged.
                StoreError.
        """
        self.refuse_flaws(word)
        with self.changing():
            sets = sets_of_artifact(self._store, stage, version)
            place, manifest = place_for(self._store, word, sets), stored_artifact(self._store, stage, version).manifest
            if place.alias and place.alias.artifact == (stage, version):
                return place.alias
            if place.across and not force:
                raise self._across(place, word, sets)
            placement = Placement(stage=stage, version=version, run=manifest.run, set=_moment(now))
            return self._place(place.name, place.alias, placement)

    def promote(  # noqa: PLR0917 - the gate alone calls it
        self,
        name: str,
        artifact: tuple[str, str],
        instead_of: tuple[str, str] | None,
        verdict: str,
        force: str | None,
        now: datetime,
    ) -> bool:
        """
        Let an alias stand for an artifact from now on, if it still stands for what that was held against.

        Args:
            name:       of the alias, as in its file.
            artifact:   stage and version.
            instead_of: those that the verdict was about; None: the alias stood for nothing.
            verdict:    version of the artifact of promote.
            force:      the reason of a person who insisted, if one had to.
        Returns: whether it does; False: it stands for something else by now, and the verdict is void.
        Raises:  UsageError: no such artifact.  ArtifactDamaged.  StoreError.
        """
        self.refuse_flaws(name)
        with self.changing():
            alias, manifest = find_alias(self._store, name), stored_artifact(self._store, *artifact).manifest
            if (alias.artifact if alias else None) != instead_of:
                return False
            stage, version = artifact
            placement = Placement(
                stage=stage, version=version, run=manifest.run, set=_moment(now), verdict=verdict, force=force
            )
            self._place(name, alias, placement)
            return True

    def refuse_flaws(self, word: str) -> None:
        """Refuse a word that will not do for an alias. Raises: UsageError."""
        name, dataset = split_word(word)
        flaw = flaw_of(name, [path.name for path in real_folders(self._store.artifacts)])
        if flaw is None and word != name and not SET.fullmatch(dataset):
            flaw = f"{dataset!r} where a data set belongs"
        if flaw:
            raise UsageError(
                f"alias {word!r}",
                expected="up to 64 lower-case letters, digits and hyphens, a letter first, that mean nothing else",
                found=flaw,
                way_out=UNCHANGED,
            )

    def _across(self, place: Place, word: str, sets: Collection[str]) -> UsageError:
        """Return the error for an alias of one data set that is to stand for something of another."""
        other = sorted(sets)[0]
        own = (place.alias and ", ".join(sorted(sets_of(self._store, place.alias)))) or split_word(word)[1]
        name = split_word(word)[0]
        return UsageError(
            f"alias {word!r}",
            expected=f"something of {own}, whose alias it is",
            found=f"something of {other}",
            way_out=f"Name {name}@{other} for an alias of that set, or add --force. {UNCHANGED}",
        )

    def remove_alias(self, name: str, now: datetime) -> Alias:
        """
        Let a name stand for nothing; its history stays.

        Raises: UsageError: it does so already, or never was one.  StoreError.
        """
        with self.changing():
            alias = self.alias(name)
            if not alias.artifact:
                raise UsageError(
                    f"alias {name!r}", expected="one that is set", found="one that was removed", way_out=UNCHANGED
                )
            return self._place(alias.name, alias, Placement(stage=None, version=None, run=None, set=_moment(now)))

    def pins(self) -> list[Pin]:
        """List the pins, by the names of their files; what does not read is among `problems`."""
        return list(_readable(pin_files(self._store), read_pin))

    def pin_artifact(self, stage: str, version: str, note: str, now: datetime) -> Pin:
        """
        Keep an artifact; the note of a pin that is there already is replaced.

        Raises: UsageError: there is none.  ArtifactDamaged.  StoreError.
        """
        with self.changing():
            stored_artifact(self._store, stage, version)
            return self._keep(ArtifactPin(stage=stage, version=version, note=note, set=_moment(now)))

    def pin_run(self, run: str, note: str, now: datetime) -> Pin:
        """
        Keep a run and all its artifacts; the note of a pin that is there already is replaced.

        Raises: UsageError: the run or an artifact of it is gone.  ArtifactDamaged.  StoreError.
        """
        with self.changing():
            if (record := read_run(self._store, run)) is None:
                way_out = f"`idxflow runs` lists those that are there. {UNCHANGED}"
                raise UsageError(f"run {run}", expected="its record", found="none", way_out=way_out)
            for row in record.stages:
                stored_artifact(self._store, row.stage, row.version)
            return self._keep(RunPin(run=run, note=note, set=_moment(now)))

    def unpin(self, word: str) -> Pin:
        """
        Take a pin away; what it kept may be gone.

        Args:    word: as for a lookup; the beginning of an id or a version is looked for among pins first.
        Returns: the pin that was.
        Raises:  UsageError: nothing is pinned that the word stands for, or more than one thing.  StoreError.
        """
        with self.changing():
            pins = {pin.stem: pin for pin in self.pins()}
            matches = [pin for pin in pins.values() if word and pin.is_called(word)]
            if not matches and (pin := pins.get(_stem(find(self._store, word, completed=True)))):
                matches = [pin]
            if len(matches) != 1:
                found = ", ".join(pin.subject for pin in matches) or "none"
                way_out = f"`idxflow pin` lists them. {UNCHANGED}"
                raise UsageError(repr(word), expected="the word for one pin", found=found, way_out=way_out)
            path = pin_path(self._store, matches[0].stem)
            with disk(path.parent):
                files.remove_file(path)
            return matches[0]

    def kept(self) -> Kept:
        """
        Return what aliases and pins keep.

        Raises: StoreError: a file does not read: what it keeps is not known, so that nothing may be cleaned up.
        """
        pins = [read_pin(path) for path in pin_files(self._store)]
        pinned = {(pin.stage, pin.version) for pin in pins if isinstance(pin, ArtifactPin)}
        aliases = [read_alias(path) for path in alias_files(self._store)]
        named = {alias.artifact for alias in aliases if alias.artifact}
        verdicts = {(GATE, last.verdict) for alias in aliases if (last := alias.history[-1]).verdict}
        return Kept(frozenset(pinned | named | verdicts), frozenset(pin.run for pin in pins if isinstance(pin, RunPin)))

    def problems(self) -> list[NameProblem]:
        """List the files that do not read, and the names whose artifact or run is gone."""
        found = []
        for path in (*alias_files(self._store), *pin_files(self._store)):
            try:
                found += self._losses(path)
            except StoreError as error:
                found.append(NameProblem(error.subject, f"found {error.found}", path))
        return found

    def _losses(self, path: Path) -> list[NameProblem]:
        """List what an alias or a pin should have kept, and that is no longer there."""
        if path == alias_path(self._store, path.stem):
            alias = read_alias(path)
            subject, wanted = f"alias {alias.name}", [alias.artifact] if alias.artifact else []
            remove = f"`idxflow alias {alias.name} --remove` takes the name away."
        else:
            pin = read_pin(path)
            subject, remove = f"pin of {pin.subject}", f"`idxflow pin {pin.names[-1]} --remove` takes the pin away."
            if isinstance(pin, ArtifactPin):
                wanted = [(pin.stage, pin.version)]
            elif record := read_run(self._store, pin.run):
                wanted = [(row.stage, row.version) for row in record.stages]
            else:
                return [NameProblem(subject, "the run's record is gone", way_out=remove)]
        return [
            NameProblem(subject, f"{'/'.join(each)} is gone", way_out=f"{REBUILDS}, or {remove}")
            for each in wanted
            if not self._store.is_committed(*each)
        ]

    def _place(self, name: str, alias: Alias | None, placement: Placement) -> Alias:
        """Write the next entry of an alias: what it stands for and its history change as one."""
        changed = Alias(name=name, history=(placement,))
        if alias:
            changed = alias.model_copy(update={"history": (*alias.history, placement)})
        path = alias_path(self._store, name)
        with disk(path.parent):
            files.write_atomically(path, changed.content)
        return changed

    def _keep(self, pin: Pin) -> Pin:
        path = pin_path(self._store, pin.stem)
        with disk(path.parent):
            files.write_atomically(path, pin.model_dump_json(indent=2).encode())
        return pin


def _readable(paths: list[Path], read: Callable[[Path], Record]) -> Iterator[Record]:
    for path in paths:
        with suppress(StoreError):
            yield read(path)


def _stem(found: run_record.Record | Stored) -> str:
    return f"run-{found.id}" if isinstance(found, run_record.Record) else f"{found.ref.stage}-{found.ref.version}"


def _moment(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")
