"""The check of a remote: everything there is read and hashed; what cannot be believed is told, or deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict

from artifacts.manifest import Manifest
from artifacts.remote.backend import LARGEST_DOCUMENT, PIECE, Backend, RemoteOdd
from artifacts.remote.crew import Crew
from artifacts.remote.layout import (
    ALIASES,
    ARTIFACTS,
    BLOBS,
    RUNS,
    ArtifactRecord,
    Unbelievable,
    artifact_of,
    digest_of_bytes,
    inlined,
    read_record,
)
from artifacts.remote.travelling import look_at_alias, look_at_run

AHEAD = 4


class RemoteProblem(BaseModel):
    """Something that cannot be believed. `objects`: names of what goes with it, if it is to go."""

    model_config = ConfigDict(frozen=True)
    subject: str
    text: str
    objects: tuple[str, ...]


class RemoteAudit(BaseModel):
    """
    What a check of a remote found.

    Args:
        artifacts, blobs, bytes: that were read; each blob once.
        loose:  blobs that no artifact has: of pushes that were cut off, or that are under way.
        fixed:  whether what cannot be believed was deleted.
    """

    model_config = ConfigDict(frozen=True)
    artifacts: int
    runs: int
    aliases: int
    blobs: int
    bytes: int
    loose: int
    problems: tuple[RemoteProblem, ...]
    fixed: bool


class RemoteAuditor:
    """Checks a remote. Args: crew: carries out the requests.  progress: called with the bytes that were read."""

    def __init__(self, backend: Backend, crew: Crew, progress: Callable[[int], None] = lambda _: None) -> None:
        self._backend, self._crew, self._progress = backend, crew, progress
        self._files: dict[tuple[str, ...], str | None] = {}
        self._packs: dict[str, bytes | None] = {}
        self._bytes = 0

    def run(self, *, fix: bool) -> RemoteAudit:
        """Check all. Args: fix: delete what cannot be believed.  Raises: RemoteError: as the backend."""
        sizes = {entry.name: entry.bytes for entry in self._backend.list(BLOBS)}
        problems, wanted, artifacts = list[RemoteProblem](), set[str](), 0
        for entry in self._backend.list(ARTIFACTS):
            artifacts += 1
            record, problem = self._record(entry.name, sizes)
            if record:
                wanted |= {blob.name for blob in record.blobs}
            if problem:
                problems.append(problem)
        runs, aliases = list(self._documents(RUNS)), list(self._documents(ALIASES))
        problems += [each for each in (*runs, *aliases) if each]
        if fix:
            problems = [each for each in problems if self._still(each)]
            for name in dict.fromkeys(name for each in problems for name in each.objects):
                self._backend.delete(name)
        return RemoteAudit(
            artifacts=artifacts,
            runs=len(runs),
            aliases=len(aliases),
            blobs=len(sizes),
            bytes=self._bytes,
            loose=len(sizes.keys() - wanted),
            problems=tuple(problems),
            fixed=fix,
        )

    def _record(self, name: str, sizes: dict[str, int]) -> tuple[ArtifactRecord | None, RemoteProblem | None]:
        """Check an artifact. Returns: its record, if that reads, and what is wrong."""
        artifact, bad = artifact_of(name), [name]
        if artifact is None:
            return None, RemoteProblem(subject=name, text="it is no record's name", objects=(name,))
        record = None
        try:
            if (got := self._backend.get(name, LARGEST_DOCUMENT)) is None:
                return None, None  # it went meanwhile
            self._count(len(got.content))
            record, manifest = read_record(got.content, *artifact)
            bad += self._check_files(record, manifest, sizes)
        except (Unbelievable, RemoteOdd) as error:
            text = error.found if isinstance(error, RemoteOdd) else str(error)
            return record, RemoteProblem(subject="/".join(artifact), text=text, objects=tuple(bad))
        if len(bad) > 1:
            text = f"{len(bad) - 1} of its blobs missing or damaged, as {bad[1]}"
            return record, RemoteProblem(subject="/".join(artifact), text=text, objects=tuple(bad))
        return record, None

    def _still(self, problem: RemoteProblem) -> bool:
        """Look once more before anything is deleted: a push may have mended it, or only then have come to its end."""
        name = problem.objects[0]
        if artifact_of(name) is None:
            return self._backend.stat(name) is not None
        self._files.clear()
        self._packs.clear()
        return self._record(name, {})[1] is not None

    def _check_files(self, record: ArtifactRecord, manifest: Manifest, sizes: dict[str, int]) -> list[str]:
        """Hash the files of an artifact. Returns: the blobs that are missing or damaged.  Raises: Unbelievable."""
        bad = [blob.name for blob in record.blobs if self._size(blob.name, sizes) != blob.bytes]
        if bad:
            return bad
        for name, packed in record.files.items():
            entry, blobs = manifest.files[name], [record.blobs[place] for place, _, _ in packed.spans]
            if packed.inline is not None:
                found: str | None = digest_of_bytes(inlined(packed))
            elif any(blob.is_piece for blob in blobs):
                names = tuple(blob.name for blob in blobs)
                if names not in self._files:
                    self._files[names] = self._hash(names)
                found = self._files[names]
            else:
                found = self._hash_spans(record, name)
            if found != entry.sha256:
                if not blobs:
                    raise Unbelievable(f"{name}: not the bytes that its manifest says")
                bad += [blob.name for blob in blobs]
        return list(dict.fromkeys(bad))

    def _size(self, name: str, sizes: dict[str, int]) -> int | None:
        """Return a blob's bytes: as listed, or as it was pushed since then."""
        if (size := sizes.get(name)) is not None:
            return size
        entry = self._backend.stat(name)
        return entry.bytes if entry else None

    def _hash(self, names: tuple[str, ...]) -> str | None:
        """Return the SHA-256 of pieces together; None where one is gone by now."""
        digest = hashlib.sha256()
        for content in self._crew.each(self._get, names, AHEAD):
            if content is None:
                return None
            digest.update(content)
        return digest.hexdigest()

    def _hash_spans(self, record: ArtifactRecord, name: str) -> str | None:
        """Return the SHA-256 of a file in packs; None where one is not what it is called by."""
        digest = hashlib.sha256()
        for place, first, count in record.files[name].spans:
            blob = record.blobs[place]
            if (content := self._pack(blob.name)) is None:
                return None
            digest.update(content[first : first + count])
        return digest.hexdigest()

    def _pack(self, name: str) -> bytes | None:
        """Return a pack, if it is what it is called by; the last one is remembered."""
        if name not in self._packs:
            content = self._get(name)
            good = content is not None and f"{BLOBS}{digest_of_bytes(content)}" == name
            self._packs = {name: bytes(content) if good and content is not None else None}
        return self._packs[name]

    def _get(self, name: str) -> bytes | memoryview | None:
        try:
            got = self._backend.get(name, PIECE)
        except RemoteOdd:
            return None
        if got is None:
            return None
        self._count(len(got.content))
        return got.content

    def _documents(self, folder: str) -> Iterator[RemoteProblem | None]:
        """Yield for each record of a run, or alias, what is wrong with it."""
        for entry in self._backend.list(folder):
            word = entry.name.removeprefix(folder).removesuffix(".json")
            try:
                look = look_at_run if folder == RUNS else look_at_alias
                odd = look(self._backend, word) is None and self._backend.stat(entry.name) is not None
                text = "its name is none" if odd else ""
            except (Unbelievable, RemoteOdd) as error:
                text = str(error)
            yield RemoteProblem(subject=entry.name, text=text, objects=(entry.name,)) if text else None

    def _count(self, size: int) -> None:
        self._bytes += size
        self._progress(size)
