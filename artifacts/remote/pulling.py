"""Take artifacts from a remote: everything is held against its manifest in a staging folder before it is published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from artifacts.manifest import Manifest
from artifacts.remote.backend import LARGEST_DOCUMENT, Backend
from artifacts.remote.crew import Crew
from artifacts.remote.layout import ArtifactRecord, Blob, Unbelievable, inlined, read_record, record_name
from artifacts.store.arriving import Arrival, may_arrive
from artifacts.store.integrity import Damage, Stored
from artifacts.store.publishing import commit, publish, seal_entries, staging
from artifacts.store.store import Store

AHEAD = 4
"""Blobs of one artifact that are fetched at once."""
SPARE = 64 * 2**20
"""Bytes that stay free on the disk."""


class Pulling:
    """
    Takes artifacts from one remote into one store, from any thread.

    Args: crew: carries out the requests.
    """

    def __init__(self, backend: Backend, store: Store, crew: Crew) -> None:
        self._backend, self._store, self._crew = backend, store, crew

    def look(self, stage: str, version: str) -> tuple[ArtifactRecord, Manifest] | None:
        """
        Return what the remote says of an artifact, by one request; None where it has none.

        Raises: Unbelievable: that makes no sense.  RemoteError: as the backend.
        """
        got = self._backend.get(record_name(stage, version), LARGEST_DOCUMENT)
        return read_record(got.content, stage, version) if got else None

    def pull(self, stage: str, version: str, progress: Callable[[int], None] = lambda _: None) -> Stored | None:
        """
        Take an artifact, publish and commit it; the caller holds the lock of the version, and has none in the store.

        Args:    progress: called with the bytes that have come.
        Returns: None where the remote has none.
        Raises:  Unbelievable: what is there is not what its record says; nothing was published.  RemoteError: as the
                 backend.  StoreError: the disk.
        """
        found = self.look(stage, version)
        return self.take(*found, progress) if found else None

    def take(
        self, record: ArtifactRecord, manifest: Manifest, progress: Callable[[int], None] = lambda _: None
    ) -> Stored:
        """Take an artifact of which `look` has told; otherwise as `pull`."""
        stage, version = manifest.stage, manifest.version
        free = shutil.disk_usage(self._store.artifacts).free
        if manifest.bytes + SPARE > free:
            raise Unbelievable(f"it says that it has {manifest.bytes} bytes, and {free} are free here")
        with staging(self._store, stage, version) as out:
            self._write(record, out, progress)
            content = {name: entry.content for name, entry in manifest.files.items() if entry.content != entry.sha256}
            for name, entry in seal_entries(out, content).items():
                wanted = manifest.files[name]
                if (entry.bytes, entry.sha256) != (wanted.bytes, wanted.sha256):
                    raise Unbelievable(f"{name}: not the bytes that its manifest says")
            ref = publish(self._store, out, manifest)
        try:
            return commit(self._store, ref)
        except Damage as damage:
            raise Unbelievable(str(damage)) from damage

    def arrival(self, record: ArtifactRecord, manifest: Manifest) -> Arrival | None:
        """
        Return an artifact that is whole in its record, to be published with others; None where it is not.

        Raises: Unbelievable: it is not what its record says.
        """
        if record.blobs or not record.files:
            return None
        arrival = Arrival(
            manifest, record.manifest.encode(), {name: inlined(each) for name, each in record.files.items()}
        )
        if flaw := arrival.flaw():
            raise Unbelievable(f"{flaw}: not the bytes that its manifest says")
        if not may_arrive(self._store, manifest.stage, manifest.version, arrival.bytes):
            return None
        return arrival

    def _write(self, record: ArtifactRecord, out: Path, progress: Callable[[int], None]) -> None:
        """Write all files; each blob is fetched once, in order. What has come is hashed as it is sealed."""
        contents = self._crew.each(self._fetch, record.blobs, AHEAD)
        place, content = -1, memoryview(b"")
        for name, packed in record.files.items():
            with (out / name).open("xb", buffering=0) as file:
                if packed.inline is not None:
                    _write_all(file, memoryview(inlined(packed)))
                for blob, first, count in packed.spans:
                    while place < blob:
                        place, content = place + 1, next(contents)
                        progress(len(content))
                    _write_all(file, content[first : first + count])

    def _fetch(self, blob: Blob) -> memoryview:
        got = self._backend.get(blob.name, blob.bytes)
        if got is None:
            raise Unbelievable(f"a part of it is gone: {blob.name}")
        if len(got.content) != blob.bytes:
            raise Unbelievable(f"a part of it has another size: {blob.name}")
        return memoryview(got.content)


def _write_all(file: IO[bytes], content: memoryview) -> None:
    while content:
        content = content[file.write(content) :]


def inputs_of(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield stage and version of each artifact that one was made from."""
    yield from ((taken.stage, taken.version) for taken in manifest.inputs)
