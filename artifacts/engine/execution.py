"""
One stage of one run: its artifact is looked for in the store, and computed where it is not there.

An execution is plain data. It can be pickled, and does the same in any thread, process or host that sees the store.
What it returns is plain data as well: whoever sent it out makes the run's record of that.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import Any

from artifacts.bundle import BUNDLE, spread
from artifacts.environment import current_environment
from artifacts.keys import KeyParts, content_digest, references
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.refresh import ASKED
from artifacts.remote.link import link_to
from artifacts.run_record import StageRecord
from artifacts.stage import Stage
from artifacts.store.bundles import expanded, take_members
from artifacts.store.disk import disk
from artifacts.store.files import remove_folder
from artifacts.store.holds import hold
from artifacts.store.integrity import Damage, Stored
from artifacts.store.publishing import commit, publish, restore, seal_entries, staging
from artifacts.store.store import Store
from schemas.errors import StoreError, TrainingDiverged, UnforeseenError, WorkerLost
from schemas.events import StageChanged, about, emit
from schemas.remote import RemotePlace

OUTCOMES = (TrainingDiverged, WorkerLost, UnforeseenError)
"""Errors that tell of what was tried. Others, as of code that was edited meanwhile, would strike any other as well."""


@dataclass(frozen=True)
class Done:
    """
    What an execution did.

    Args:
        ref:        the artifact.
        row:        of the run's record; without the reason, which is found out afterwards.
        rebuilt:    why, though it may have been stored; None where that was not asked for.
        unfinished: there was an artifact that an earlier run had not committed.
        warnings:   what idxflow's loggers said in it from WARNING on, in their order.
        called:     as of the execution.
        again:      how often it was begun anew, as its worker had died.
        apart:      it was done in a home folder of the worker's own, and lies in the remote.
    """

    ref: Ref
    row: StageRecord
    rebuilt: str | None = None
    unfinished: bool = False
    warnings: tuple[str, ...] = ()
    called: str = ""
    again: int = 0
    apart: bool = False


@dataclass(frozen=True)
class Execution:
    """
    One stage with its arguments; calling it takes the artifact from the store, or makes it.

    Args:
        store:     where artifacts are looked for and left.
        run:       id of the run that it belongs to, 12 hexadecimal digits.
        flow_run:  id of that run's Prefect flow run.
        arguments: of the stage, by name; artifacts as references.
        rebuild:   why it is computed though it may be stored; None where it need not be.
        called:    what the run calls it where that is not the artifact's name: "trial 12". The artifact, which runs
                   share, does not know it.
        optional:  a `StageError` of it is an outcome, and not the end of the run.
        remote:    where it is asked for, whatever process this is, if the store has not got it; None: nowhere.
        turn:      of those that wait for a worker the lowest begins first.
    """

    store: Store
    run: str
    flow_run: str
    stage: Stage
    arguments: Mapping[str, Any]
    rebuild: str | None = None
    called: str = ""
    optional: bool = False
    remote: RemotePlace | None = None
    turn: int = 0

    @property
    def name(self) -> str:
        """Of what: a file, a split, or empty where the run has one only; or what the run calls it."""
        return self.called or self.stage.name_of(self.arguments)

    @property
    def subject(self) -> str:
        """What a message about it begins with."""
        return f"{self.stage.stage} {self.name}".strip()

    def takes(self, error: Exception) -> bool:
        """Tell whether an error is an outcome of it, with which the run goes on."""
        return self.optional and isinstance(error, OUTCOMES)

    def stored(self) -> Done | None:
        """
        Take the artifact if it is here or in the remote, checked as a call does, without computing anything.

        Returns: None where there is none, none that can be believed, or where it is to be rebuilt.
        Raises:  StoreError: the disk.
        """
        if self.rebuild:
            return None
        started = time.perf_counter()
        stage, version = self.stage.stage, self.stage.parts(self.arguments, self.store.scans).version
        if not (self.remote or self.store.is_committed(stage, version)):
            return None
        with self.store.waited_for(stage, version), _listening() as warnings:
            return self._found(stage, version, started, warnings)

    def __call__(self, check: Callable[[], None] = lambda: None) -> Done:
        """
        Take the artifact from the store, or compute, publish and commit it, while nobody else does.

        Args:   check: called before anything is computed: the lock was waited for, and nobody may want it any more.
        Raises: ArtifactDamaged: an input is not what it was; StoreError: the disk; what `check` or the stage raises.
        """
        parts, stage = self.stage.parts(self.arguments, self.store.scans), self.stage.stage
        with self.store.waited_for(stage, parts.version), _listening() as warnings:
            if done := self._found(stage, parts.version, time.perf_counter(), warnings):
                return done
            check()
            unfinished = not self.rebuild and self.store.folder(stage, parts.version).exists()
            stored = self._commit(self._compute(parts))
            seconds = stored.manifest.seconds
            return self._done(stored, seconds, cached=False, warnings=warnings, unfinished=unfinished)

    def _found(self, stage: str, version: str, started: float, warnings: list[str]) -> Done | None:
        """Take the artifact from the store, else from the remote, while its lock is held; not what is to be rebuilt."""
        restore(self.store, stage, version)
        if self.rebuild:
            return None
        found, fetched = self.store.read(stage, version, locked=True), ""
        if found is None and self.remote:
            found, fetched = self._fetched(stage, version), str(self.remote)
        if found is None or (stage == BUNDLE and not take_members(self.store, found, self.run, self._fetched)):
            return None
        return self._done(found, time.perf_counter() - started, cached=True, warnings=warnings, fetched=fetched)

    def _fetched(self, stage: str, version: str) -> Stored | None:
        """Take an artifact from the remote, if there is one and it has it; its lock is held."""
        if self.remote is None:
            return None
        return link_to(self.remote, self.store.home).fetch(self.store, stage, version, self.run)

    def _done(
        self,
        stored: Stored,
        seconds: float,
        *,
        cached: bool,
        warnings: list[str],
        unfinished: bool = False,
        fetched: str = "",
    ) -> Done:
        """Hold the artifact for the run, while its lock is held, and say what was done."""
        manifest = stored.manifest
        hold(self.store.holds, self.run, manifest.stage, manifest.version)
        row = StageRecord(
            stage=manifest.stage,
            name=self.name,  # the manifest has what it was called in the run that made it
            version=manifest.version,
            cached=cached,
            seconds=round(seconds, 4),
            bytes=manifest.bytes,
            path=str(stored.folder),
            fetched=fetched,
        )
        return Done(stored.ref, row, self.rebuild, unfinished, tuple(dict.fromkeys(warnings)), self.called)

    def _commit(self, ref: Ref) -> Stored:
        try:
            return commit(self.store, ref)
        except Damage as damage:
            raise StoreError(
                f"artifact {ref.stage} {ref.version}",
                expected="what was published",
                found=str(damage),
                way_out="See that the home folder can be written and nothing else changes it, then run again.",
            ) from damage

    def _compute(self, parts: KeyParts) -> Ref:
        """Check the inputs, do the work in a staging folder, and publish it. Bundles are taken as their members."""
        store, stage, name = self.store, self.stage, self.stage.name_of(self.arguments)
        stage.refuse_edits((), store.scans)
        loaded = frozenset(sys.modules)
        emit(StageChanged(stage.stage, self.name, "started", parts.version))
        started = time.perf_counter()
        with staging(store, stage.stage, parts.version) as out:
            checkpoints = store.checkpoints(stage.stage, parts.version)
            if self.rebuild:
                remove_folder(checkpoints)
            offered = {
                "out": out,
                "scratch": store.incoming,
                "checkpoints": checkpoints,
                "known": self._finder(wanted=not self.rebuild),
                "spare": self._finder(wanted=self.rebuild != ASKED),
                "own": store.own_folders,
                "earlier": lambda: None if self.rebuild else self._earlier(parts),
            }
            arguments = self._taken()
            arguments = spread(arguments, expanded(store, references(list(arguments.values()))))
            with store.readers.reading(references(list(arguments.values()))), disk(store.home):
                bound = {
                    argument: _each(value, self._open_later if argument in stage.on_demand else self._open)
                    for argument, value in arguments.items()
                }
                with about(self.called):
                    summary = stage.function(**bound, **{each: offered[each] for each in stage.wants})
            stage.refuse_edits(loaded, store.scans)
            entries = seal_entries(out, summary.content)
            manifest = Manifest(
                stage=stage.stage,
                name=name,
                version=parts.version,
                key=parts.key,
                parts=parts,
                inputs=stage.inputs(self.arguments),
                files=entries,
                digest=content_digest({file: entry.content for file, entry in entries.items()}),
                summary=summary.model_dump(mode="json"),
                created=datetime.now(UTC).isoformat(timespec="milliseconds"),
                seconds=round(time.perf_counter() - started, 6),
                environment=current_environment(),
                run=self.run,
                flow_run=self.flow_run,
            )
            return publish(store, out, manifest)

    def _taken(self) -> dict[str, Any]:
        """Return what the work is done with: where a person asked for it, none of it has been done before."""
        apart = self.stage.outside_key if self.rebuild == ASKED else frozenset()
        return {name: None if name in apart else value for name, value in self.arguments.items()}

    def _earlier(self, parts: KeyParts) -> Path | None:
        """Find the newest artifact of this stage and name that the same code made, whole and hashed."""
        like = self.stage.name_of(self.arguments), parts.code, parts.packages
        alike = [
            each
            for each in self.store.manifests(parts.stage)
            if (each.name, each.parts.code, each.parts.packages) == like
        ]
        for manifest in sorted(alike, key=lambda each: each.created, reverse=True):
            if found := self.store.read(parts.stage, manifest.version, fully=True):
                return found.folder
        return None

    def _open(self, ref: Ref) -> Ref:
        return self.store.open(ref)

    def _open_later(self, ref: Ref) -> Ref:
        return ref.opened_by(partial(self.store.opened, ref))

    def _finder(self, *, wanted: bool) -> Callable[[str], Path | None]:
        store, stage = self.store, self.stage.stage
        return (lambda sha256: store.find_file(stage, sha256)) if wanted else lambda _: None


def as_references(value: Any) -> Any:
    """Turn what executions returned, alone or in lists and dicts, into the references that stages take."""
    match value:
        case Done():
            return value.ref
        case list() | tuple():
            return [as_references(item) for item in value]
        case dict():
            return {name: as_references(item) for name, item in value.items()}
    return value


def _each(value: Any, bind: Callable[[Ref], Ref]) -> Any:
    """Apply `bind` to every reference in an argument."""
    match value:
        case Ref():
            return bind(value)
        case list() | tuple():
            return [_each(item, bind) for item in value]
        case dict():
            return {name: _each(item, bind) for name, item in value.items()}
    return value


class _Warnings(logging.Handler):
    """Keeps the warnings of one thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what idxflow's loggers say in this thread, from WARNING on."""
    handler, root = _Warnings(), logging.getLogger("idxflow")
    root.addHandler(handler)
    try:
        yield handler.said
    finally:
        root.removeHandler(handler)
