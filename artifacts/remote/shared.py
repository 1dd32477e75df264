"""What a person does with a remote: see what is there, put things there and take them, check it, clean it up."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from artifacts.archive.aliases import the_alias
from artifacts.archive.lookup import MODEL, find
from artifacts.archive.name_records import Alias
from artifacts.archive.names import Names
from artifacts.archive.roots import Artifact
from artifacts.archive.runs import list_runs
from artifacts.bundle import BUNDLE
from artifacts.remote.backend import Backend, RemoteOdd
from artifacts.remote.batches import Batches
from artifacts.remote.checking import RemoteAudit, RemoteAuditor
from artifacts.remote.collecting import Collected, collect_remote
from artifacts.remote.crew import Crew
from artifacts.remote.layout import ALIASES, ARTIFACTS, BLOBS, RUNS, Unbelievable, artifact_of
from artifacts.remote.opening import open_backend
from artifacts.remote.probing import ensure_sound, known
from artifacts.remote.pulling import Pulling, inputs_of
from artifacts.remote.pushing import Pushing
from artifacts.remote.roots import Home, put_roots, read_roots
from artifacts.remote.travelling import accept_alias, look_at_alias, look_at_run, pull_run, push_alias, push_run
from artifacts.remote.words import meant_there
from artifacts.run_record import Record
from artifacts.store.holds import Hold
from artifacts.store.integrity import Damage
from artifacts.store.store import Store
from schemas.errors import UsageError
from schemas.events import Progress, emit
from schemas.remote import RemoteError, RemotePlace

AT_ONCE = 8
"""Artifacts that travel at once, and requests of theirs."""
AHEAD = 64
RAW = frozenset({"download", "verify", "decompress"})
"""Stages that only bring data in: whoever pulls a model does without their artifacts."""
KEEP = 5
"""Completed runs of each data set that hold what they used; as of `idxflow gc`."""
State = Literal["pushed", "pulled", "there", "behind", "ahead", "apart", "differs", "unreadable", "damaged", "missing"]
WRONG = frozenset({"apart", "differs", "unreadable", "damaged", "missing"})


class Moved(BaseModel):
    """
    What became of an artifact, a run's record or an alias that was to travel.

    Args:
        state: pushed, pulled: it travelled. there: it was there. behind, ahead: the other side has, or had, the later
               state; nothing was changed. apart: an alias that has gone two ways. differs: another content has that
               version. unreadable, damaged: what is there, or here, cannot be believed. missing: it is nowhere.
        note:  what else is to be said.
    """

    model_config = ConfigDict(frozen=True)
    kind: Literal["artifact", "run", "alias"]
    subject: str
    state: State
    bytes: int = 0
    note: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether somebody has to look at it."""
        return self.state in WRONG


class RemoteStatus(BaseModel):
    """
    A remote beside this home folder.

    Args:
        probed:  when it was found sound, by this machine's clock.
        artifacts, both, only_here: there, on both sides, and here alone.
        runs, runs_here, aliases: of each how many: there, here alone, there.
        bytes:   of the blobs there.
        homes:   who shares it.
    """

    model_config = ConfigDict(frozen=True)
    url: str
    probed: str
    artifacts: int
    both: int
    only_here: int
    runs: int
    runs_here: int
    aliases: int
    blobs: int
    bytes: int
    homes: tuple[Home, ...]


class Shared:
    """
    A remote and a store, for a person's commands: errors are raised.

    Args:   backend: of the remote; None: what its address says.
    Raises: UsageError: there is no remote, or what it needs is not installed.  RemoteError: it is away, or refuses, or
            is refused by the probe.
    """

    def __init__(self, place: RemotePlace, store: Store, backend: Backend | None = None) -> None:
        if not place:
            raise UsageError(
                "remote.url",
                expected="the address of a remote",
                found="none",
                way_out='Put it into idxflow.toml, [remote] url = "s3://BUCKET/PREFIX", into IDXFLOW_REMOTE__URL, or '
                "give it as --url. Nothing has run.",
            )
        self.place, self._store = place, store
        self._backend = backend or open_backend(place)
        self._requests, self._crew = Crew(AT_ONCE), Crew(AT_ONCE)
        ensure_sound(self._backend, place, store.home)

    def close(self) -> None:
        """Begin nothing more."""
        self._requests.close()
        self._crew.close()

    def status(self) -> RemoteStatus:
        """Count what is there and here; nothing is read but lists."""
        with self._believing():
            there = {artifact for entry in self._backend.list(ARTIFACTS) if (artifact := artifact_of(entry.name))}
            runs = {entry.name.removeprefix(RUNS).removesuffix(".json") for entry in self._backend.list(RUNS)}
            sizes = [entry.bytes for entry in self._backend.list(BLOBS)]
            here = {artifact for artifact in self._store.versions() if self._store.is_committed(*artifact)}
            probed = known(self._store.home, self.place)
            return RemoteStatus(
                url=str(self.place),
                probed=probed.when if probed else "",
                artifacts=len(there),
                both=len(there & here),
                only_here=len(here - there),
                runs=len(runs),
                runs_here=len({record.id for record in self._ended()} - runs),
                aliases=sum(1 for _ in self._backend.list(ALIASES)),
                blobs=len(sizes),
                bytes=sum(sizes),
                homes=tuple(home for _, home in read_roots(self._backend)),
            )

    def push(self, word: str | None = None) -> list[Moved]:
        """
        Put a run with all that it used, an artifact with all that it was made from, or an alias and its artifact there.

        Args: word: as of every command; None: everything that is here.
        """
        with self._believing():
            artifacts, runs, aliases = self._everything() if word is None else self._named(word)
            moved = self._push_artifacts(artifacts, compare=word is not None)
            # A name or a record speaks of artifacts: it follows them, and only if they are there.
            lost = {each.subject for each in moved if each.is_wrong}
            for record in runs:
                if lost & {f"{row.stage}/{row.version}" for row in record.stages}:
                    note = "an artifact of it is not there"
                    moved.append(Moved(kind="run", subject=record.id, state="damaged", note=note))
                else:
                    moved.append(Moved(kind="run", subject=record.id, state=push_run(self._backend, record)))
            for alias in aliases:
                if alias.artifact and "/".join(alias.artifact) in lost:
                    note = "what it stands for is not there"
                    moved.append(Moved(kind="alias", subject=alias.name, state="damaged", note=note))
                else:
                    moved.append(Moved(kind="alias", subject=alias.name, state=push_alias(self._backend, alias)))
            put_roots(self._backend, self._store, KEEP)
        return moved

    def pull(self, word: str | None = None) -> list[Moved]:
        """
        Take a run with all that it used, or an artifact with all that it was made from; of a model the run that made
        it, without the raw files; an alias with what it stands for.

        Args: word: as of every command, looked for in the remote; None: everything that is there.
        """
        with self._believing():
            if word is None:
                artifacts = [each for entry in self._backend.list(ARTIFACTS) if (each := artifact_of(entry.name))]
                runs = [entry.name.removeprefix(RUNS).removesuffix(".json") for entry in self._backend.list(RUNS)]
                names = [
                    entry.name.removeprefix(ALIASES).removesuffix(".json") for entry in self._backend.list(ALIASES)
                ]
                return self._pull_all(artifacts, runs, names)
            meant = meant_there(self._backend, self._crew, word)
            names = [meant.alias.name] if meant.alias else []
            if meant.run:
                return self._pull_all(self._used(meant.run), [meant.run.id], names)
            if meant.artifact and meant.artifact[0] == MODEL and (run := self._maker(meant.artifact)):
                return self._pull_all([meant.artifact, *self._used(run, RAW)], [run.id], names)
            return self._pull_all(self._closed(meant.artifact), [], names)

    def verify(self, *, fix: bool) -> RemoteAudit:
        """Read and hash everything there; see `artifacts.remote.checking`."""
        with self._believing(), _counting("check", None) as progress:
            return RemoteAuditor(self._backend, self._requests, progress).run(fix=fix)

    def collect(self, *, keep: int, grace: timedelta, really: bool) -> Collected:
        """Find what nobody holds, and with `really` take it away; see `artifacts.remote.collecting`."""
        with self._believing():
            return collect_remote(self._backend, self._store, self._crew, keep, grace, really=really)

    def _everything(self) -> tuple[list[Artifact], list[Record], list[Alias]]:
        committed = [each for each in self._store.versions() if self._store.is_committed(*each)]
        runs = list(self._ended())[::-1]  # the newest at last: the server's dates are the order of runs there
        return committed, runs, Names(self._store).aliases()

    def _named(self, word: str) -> tuple[list[Artifact], list[Record], list[Alias]]:
        """Return what a word of this store stands for, and all that it needs."""
        alias = the_alias(self._store, word)
        found = find(self._store, word, completed=True)
        aliases = [alias] if alias else []
        if isinstance(found, Record):
            return self._used_here([found]), [found], aliases
        waiting = [(found.manifest.stage, found.manifest.version)]
        for artifact in waiting:
            if manifest := self._store.manifest(*artifact):
                waiting += [each for each in inputs_of(manifest) if each not in waiting]
        made = (
            [record for record in self._ended() if record.id == found.manifest.run] if found.ref.stage == MODEL else []
        )
        used = self._used_here(made)
        there = [each for each in dict.fromkeys([*waiting, *used]) if self._store.is_committed(*each)]
        return there, made, aliases

    def _used_here(self, records: Iterable[Record]) -> list[Artifact]:
        """Return what runs used; of a bundle also its members and what they were made from."""
        found = dict.fromkeys((row.stage, row.version) for record in records for row in record.stages)
        waiting = [each for each in found if each[0] == BUNDLE]
        for artifact in waiting:
            if manifest := self._store.manifest(*artifact):
                waiting += (new := [each for each in dict.fromkeys(inputs_of(manifest)) if each not in found])
                found |= dict.fromkeys(new)
        return list(found)

    def _ended(self) -> Iterator[Record]:
        yield from (record for record in list_runs(self._store) if record.state != "running")

    def _maker(self, artifact: Artifact) -> Record | None:
        """Return the record, in the remote, of the run that made an artifact."""
        found = Pulling(self._backend, self._store, self._requests).look(*artifact)
        record = look_at_run(self._backend, found[1].run) if found else None
        return record if record and any((row.stage, row.version) == artifact for row in record.stages) else None

    def _used(self, run: Record, without: frozenset[str] = frozenset()) -> list[Artifact]:
        """
        Return what a run used, by its record in the remote; of a bundle also its members and what they were made from.

        Args: without: stages whose artifacts are left out.
        """
        rows = [(row.stage, row.version) for row in run.stages if row.stage not in without]
        pulling, found = Pulling(self._backend, self._store, self._requests), dict.fromkeys(rows)
        waiting = [each for each in rows if each[0] == BUNDLE]
        while waiting:
            looks = self._crew.each(lambda each: pulling.look(*each), waiting, AHEAD)
            made = [taken for look in looks if look for taken in inputs_of(look[1]) if taken[0] not in without]
            waiting = [each for each in dict.fromkeys(made) if each not in found]
            found |= dict.fromkeys(waiting)
        return list(found)

    def _closed(self, artifact: Artifact | None) -> list[Artifact]:
        """Return an artifact and all that it was made from, as far as the remote has it."""
        pulling, waiting = Pulling(self._backend, self._store, self._requests), [artifact] if artifact else []
        there = list[Artifact]()
        for each in waiting:
            if found := pulling.look(*each):
                there.append(each)
                waiting += [made for made in inputs_of(found[1]) if made not in waiting]
        return there or waiting[:1]

    def _push_artifacts(self, artifacts: Iterable[Artifact], *, compare: bool) -> list[Moved]:
        """Put artifacts. Args: compare: look whether what is there is the same; all of a store would take long."""
        wanted = list(dict.fromkeys(artifacts))
        pushing = Pushing(self._backend, self._store, self._requests)
        listed = {artifact for entry in self._backend.list(ARTIFACTS) if (artifact := artifact_of(entry.name))}
        sizes = {each: manifest.bytes for each in wanted if (manifest := self._store.manifest(*each))}
        total = sum(sizes.get(each, 0) for each in wanted if each not in listed)

        def push(artifact: Artifact) -> Moved:
            subject = "/".join(artifact)
            if artifact in listed and not (compare and self._has_other(artifact)):
                return Moved(kind="artifact", subject=subject, state="there")
            try:
                pushed = pushing.push(*artifact, progress)
            except Damage as damage:
                missing = not self._store.is_committed(*artifact)
                return Moved(
                    kind="artifact", subject=subject, state="missing" if missing else "damaged", note=str(damage)
                )
            return Moved(
                kind="artifact", subject=subject, state=pushed.state, bytes=pushed.bytes, note=pushed.theirs[:16]
            )

        with _counting("push", total) as progress:
            return list(self._crew.each(push, wanted, AHEAD))

    def _has_other(self, artifact: Artifact) -> bool:
        """Tell whether the remote has something else under a version, or nothing that can be believed."""
        try:
            found = Pulling(self._backend, self._store, self._requests).look(*artifact)
        except (Unbelievable, RemoteOdd):
            return True
        manifest = self._store.manifest(*artifact)
        return found is None or manifest is None or found[1].digest != manifest.digest

    def _pull_all(self, artifacts: Iterable[Artifact], runs: Iterable[str], names: Iterable[str]) -> list[Moved]:
        name = f"pull-{os.getpid()}-{secrets.token_hex(4)}"
        with Hold(self._store.holds, name):
            moved = self._pull_artifacts(artifacts, name)
            for run in runs:
                moved.append(self._pull_run(run))
            for name in names:
                moved.append(self._pull_alias(name))
        return moved

    def _pull_artifacts(self, artifacts: Iterable[Artifact], hold: str) -> list[Moved]:
        pulling, moved = Pulling(self._backend, self._store, self._requests), list[Moved]()
        with _counting("pull", None) as progress:
            batches = Batches(pulling, self._store, self._requests, self._crew, hold, progress)
            for artifact, pulled in batches.pull(list(dict.fromkeys(artifacts))).items():
                state: State = "pulled" if pulled.fetched else "there" if pulled.stored else "missing"
                note = pulled.flaw or ("" if pulled.stored else "neither here nor there")
                size = pulled.stored.manifest.bytes if pulled.fetched and pulled.stored else 0
                state = "unreadable" if pulled.flaw else state
                moved.append(Moved(kind="artifact", subject="/".join(artifact), state=state, bytes=size, note=note))
        return moved

    def _pull_alias(self, name: str) -> Moved:
        """Take an alias, if what it stands for is here by now: one that works is not given up for one that does not."""
        try:
            alias = look_at_alias(self._backend, name)
        except (Unbelievable, RemoteOdd) as error:
            return Moved(kind="alias", subject=name, state="unreadable", note=str(error))
        if alias and alias.artifact and not self._store.is_committed(*alias.artifact):
            note = f"{'/'.join(alias.artifact)} is not here"
            return Moved(kind="alias", subject=name, state="missing", note=note)
        return Moved(kind="alias", subject=name, state=accept_alias(self._store, alias) if alias else "missing")

    def _pull_run(self, run: str) -> Moved:
        was = (self._store.runs / f"{run}.json").exists()
        try:
            record = pull_run(self._backend, self._store, run)
        except (Unbelievable, RemoteOdd) as error:
            return Moved(kind="run", subject=run, state="unreadable", note=str(error))
        state: State = "missing" if record is None else "there" if was else "pulled"
        return Moved(kind="run", subject=run, state=state)

    @contextmanager
    def _believing(self) -> Iterator[None]:
        """Turn what cannot be believed into an error of ours."""
        try:
            yield
        except Unbelievable as error:
            raise RemoteError(
                f"remote {self.place}",
                expected="what idxflow has put there",
                found=str(error),
                way_out="`idxflow remote verify` looks at all of it; with --fix it takes away what cannot be believed.",
            ) from error


@contextmanager
def _counting(subject: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give what tells how many bytes have gone, from any thread."""
    done = [0]

    def progress(count: int) -> None:
        done[0] += count
        emit(Progress(subject, "bytes", min(done[0], total) if total is not None else done[0], total))

    yield progress
