"""Put artifacts into a remote: their blobs first, the record last and by create, so that it is the commit there too."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from artifacts.manifest import FileEntry, Manifest
from artifacts.remote.backend import LARGEST_DOCUMENT, PIECE, Backend, RemoteOdd
from artifacts.remote.crew import Crew
from artifacts.remote.layout import (
    ArtifactRecord,
    Blob,
    Packed,
    Unbelievable,
    cut,
    digest_of_bytes,
    is_file_name,
    pieces_of,
    read_record,
    record_name,
)
from artifacts.store.integrity import Damage, Stored
from artifacts.store.store import Store

FRESH = timedelta(hours=12)
"""Age from which a blob that is there is put again: a clean-up spares what is younger than its grace, a day."""
AHEAD = 4
"""Pieces of one artifact under way at once."""
CLOCK = "clock/"
TRIES = 10


@dataclass(frozen=True)
class Pushed:
    """
    What became of an artifact.

    Args:
        state:  pushed; there: it was, with the same content; differs: another content has that version there, and
                stays; unreadable: a record that cannot be believed has its place.
        theirs: digest of what is there, where it differs; or why it cannot be believed.
    """

    state: Literal["pushed", "there", "differs", "unreadable"]
    bytes: int = 0
    theirs: str = ""


class ServerClock:
    """The time by a remote's clock, found out by an object that is written for it, and gone on from there."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._lock = backend, threading.Lock()
        self._known: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the moment, to about a second. Raises: as the backend does."""
        with self._lock:
            if self._known is None:
                self._known = self._ask(), time.monotonic()
            then, at = self._known
        return then + timedelta(seconds=time.monotonic() - at)

    def _ask(self) -> datetime:
        name = f"{CLOCK}{secrets.token_hex(8)}"
        self._backend.put_new(name, b"?")
        entry = self._backend.stat(name)
        self._backend.delete(name)
        if entry is None:
            raise Unbelievable("what was just written is not there")
        return entry.modified


class Pushing:
    """
    Puts artifacts of one store into one remote, from any thread.

    Args: crew: carries out the requests of large artifacts.
    """

    def __init__(self, backend: Backend, store: Store, crew: Crew) -> None:
        self._backend, self._store, self._crew = backend, store, crew
        self._clock = ServerClock(backend)

    def push(self, stage: str, version: str, progress: Callable[[int], None] = lambda _: None) -> Pushed:
        """
        Put an artifact, unless it is there.

        Args:   progress: called with the bytes of each blob that is there by then.
        Raises: Damage: it is not here, or not what its manifest says.  RemoteError: as the backend.
        """
        if (stored := self._store.inspect(stage, version)) is None:
            raise Damage("it is not in the store")
        with self._store.readers.reading([stored.ref]):
            inline, packs, large = cut(stored.manifest)
            # What is one object only is put at once: asking first would double the requests.
            if (packs or large) and (found := self._found(stored.manifest)):
                return found
            try:
                record = self._put_files(stored, inline, packs, large, progress)
            except OSError as error:
                raise Damage(f"it cannot be read: {error.strerror}") from error
        if len(content := record.content) > LARGEST_DOCUMENT:
            raise Damage("its record would be larger than any other host takes")
        if self._backend.put_new(record.name, content):
            return Pushed("pushed", stored.manifest.bytes)
        # Another host was first, or this one was and has not heard so.
        return self._found(stored.manifest) or Pushed("unreadable", theirs="it went away as it was looked at")

    def _found(self, manifest: Manifest) -> Pushed | None:
        """Compare an artifact with what is there under its version; None: nothing is."""
        got = self._backend.get(record_name(manifest.stage, manifest.version), LARGEST_DOCUMENT)
        if got is None:
            return None
        try:
            theirs, _ = read_record(got.content, manifest.stage, manifest.version)
        except Unbelievable as error:
            return Pushed("unreadable", theirs=str(error))
        return Pushed("there") if theirs.digest == manifest.digest else Pushed("differs", theirs=theirs.digest)

    def _put_files(
        self,
        stored: Stored,
        inline: list[str],
        packs: list[list[str]],
        large: list[str],
        progress: Callable[[int], None],
    ) -> ArtifactRecord:
        """Put the blobs, and return the record that then may be put."""
        manifest, files, blobs = stored.manifest, dict[str, Packed](), list[Blob]()
        for name in (*inline, *(name for pack in packs for name in pack), *large):
            if not is_file_name(name):
                raise Damage("a file of it has a name that other hosts refuse")

        def whole(name: str) -> bytes:
            content = (stored.folder / name).read_bytes()
            _compare(name, digest_of_bytes(content), manifest)
            return content

        for name in inline:
            files[name] = Packed(inline=base64.b64encode(whole(name)).decode())
        for pack in packs:
            content = bytearray()
            for name in pack:
                part = whole(name)
                files[name] = Packed(spans=((len(blobs), len(content), len(part)),))
                content += part
            blobs.append(self._put_pack(bytes(content)))
            progress(len(content))
        for name in large:
            pieces = self._put_pieces(stored.folder / name, manifest, progress)
            files[name] = Packed(spans=tuple((len(blobs) + at, 0, piece.bytes) for at, piece in enumerate(pieces)))
            blobs += pieces
        text = (stored.folder / "manifest.json").read_bytes()
        if digest_of_bytes(text) != stored.ref.manifest:
            raise Damage("manifest.json is not the one that was committed")
        return ArtifactRecord(
            stage=manifest.stage,
            version=manifest.version,
            digest=manifest.digest,
            manifest=text.decode(),
            blobs=tuple(blobs),
            files=files,
        )

    def _put_pack(self, content: bytes) -> Blob:
        blob = Blob(called=digest_of_bytes(content), bytes=len(content))
        if not self._backend.put_new(blob.name, content):
            self._renew(blob, content)
        return blob

    def _put_pieces(self, path: Path, manifest: Manifest, progress: Callable[[int], None]) -> list[Blob]:
        """
        Put the pieces of a file, which is hashed meanwhile.

        Those that were there are compared once it is known that the file is what its manifest says: somebody may have
        put pieces of a file that was not, and have been killed before that was known.
        """
        entry, pieces, old, digest = manifest.files[path.name], list[Blob](), list[Blob](), hashlib.sha256()
        for piece, is_new in self._crew.each(self._put_piece, _pieces(path, entry, digest.update), AHEAD):
            pieces.append(piece)
            if not is_new:
                old.append(piece)
            progress(piece.bytes)
        if digest.hexdigest() != entry.sha256:
            for piece in pieces:
                if piece not in old:
                    self._backend.delete(piece.name)
        _compare(path.name, digest.hexdigest(), manifest)
        for _ in self._crew.each(partial(self._renew_piece, path), old, AHEAD):
            pass
        return pieces

    def _put_piece(self, piece: tuple[Blob, bytes]) -> tuple[Blob, bool]:
        blob, content = piece
        return blob, self._backend.put_new(blob.name, content)

    def _renew_piece(self, path: Path, piece: Blob) -> None:
        with path.open("rb", buffering=0) as file:
            file.seek(piece.first)
            self._renew(piece, file.read(piece.bytes))

    def _renew(self, blob: Blob, content: bytes) -> None:
        """See that a blob that was there is what it has to be, and young enough for no clean-up to take it."""
        for _ in range(TRIES):
            got, there = self._backend.get(blob.name, PIECE), self._backend.stat(blob.name)
            if got is None or there is None:
                if self._backend.put_new(blob.name, content):  # it went meanwhile
                    return
                continue
            if bytes(got.content) == content and self._clock.now() - there.modified < FRESH:
                return
            if self._backend.replace(blob.name, content, got.tag):
                return
        raise RemoteOdd(
            f"remote, {blob.name}", expected="to be put", found="it changes all the time", way_out="Push again later."
        )


def _pieces(path: Path, entry: FileEntry, seen: Callable[[bytes], None]) -> Iterator[tuple[Blob, bytes]]:
    """Yield the pieces of a file as they are read. Raises: Damage: it has another size than its manifest says."""
    with path.open("rb", buffering=0) as file:
        for blob in pieces_of(entry.sha256, entry.bytes):
            content = file.read(blob.bytes)
            if len(content) != blob.bytes:
                raise Damage(f"{path.name}: {entry.bytes} bytes were expected, and there are fewer")
            seen(content)
            yield blob, content


def _compare(name: str, found: str, manifest: Manifest) -> None:
    if found != (wanted := manifest.files[name].sha256):
        raise Damage(f"{name}: expected SHA-256 {wanted[:16]}, found {found[:16]}")
