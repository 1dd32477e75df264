"""
Many small artifacts published and committed at once: what each would flush by itself is flushed for all together.

They come from a remote, whole and in memory, and are held against their manifests first. Then, for those of one stage:

    1. each is written into a staging folder, its commit record as well, under a name that does not count
    2. one flush of the file system
    3. each folder is renamed into its place; one flush of the stage's folder
    4. each commit record gets its name: from here on that artifact counts; one flush of the file system

So nothing counts before all of it is durable, as if each had been published alone (`artifacts.store.publishing`).
Killed in between, each artifact of a batch is there whole or not at all, whatever became of the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.disk import can_sync_all, disk, parent_of
from artifacts.store.integrity import PLAIN_JSON, Stored
from artifacts.store.store import STAGING_PREFIX, Store

RECORD = "record.json"
MOST = 256 * 2**10
"""Bytes of an artifact with its manifest, above which it is none that comes with others."""


@dataclass(frozen=True)
class Arrival:
    """
    An artifact that is whole in memory.

    Args: text: of its manifest, to the byte.  contents: of each of its files, by name.
    """

    manifest: Manifest
    text: bytes
    contents: Mapping[str, bytes]

    @property
    def bytes(self) -> int:
        """Of all of it."""
        return len(self.text) + sum(map(len, self.contents.values()))

    def flaw(self) -> str | None:
        """Name the first file that is not what the manifest says, or None."""
        wanted = self.manifest.files
        for name, content in self.contents.items():
            if name not in wanted or (len(content), _sha256(content)) != (wanted[name].bytes, wanted[name].sha256):
                return name
        return next((name for name in wanted if name not in self.contents), None)

    @property
    def ref(self) -> Ref:
        """The reference to it."""
        manifest = self.manifest
        return Ref(
            stage=manifest.stage,
            name=manifest.name,
            version=manifest.version,
            digest=manifest.digest,
            manifest=_sha256(self.text),
        )


def may_arrive(store: Store, stage: str, version: str, size: int) -> bool:
    """Tell whether an artifact can come with others: it is small, replaces none that counts, and the system can."""
    return size <= MOST and can_sync_all() and not (store.folder(stage, version) / RECORD).exists()


def publish_all(store: Store, stage: str, arrivals: Sequence[Arrival]) -> list[Stored]:
    """
    Publish and commit artifacts of one stage; the caller holds the lock of each version, and has seen them flawless.

    Raises: StoreError: the disk. Some of them may count by then; each that does is whole.
    """
    parent = store.artifacts / stage
    with disk(parent):
        files.make_folder(parent)
        with _opened(parent) as there, _Batch(parent, there) as batch:
            for each in arrivals:
                batch.write(each)
            files.DISK.sync_all(there)
            batch.publish()
            files.DISK.sync(there)
            batch.commit()
            files.DISK.sync_all(there)
    for each in arrivals:
        with disk(parent):
            files.remove_folder(store.checkpoints(stage, each.manifest.version))
    return [
        Stored(ref=each.ref.at(folder), manifest=each.manifest, folder=folder)
        for each in arrivals
        for folder in [store.folder(stage, each.manifest.version)]
    ]


class _Batch:
    """The folders of artifacts that are written, published and committed together; what is not published goes."""

    def __init__(self, parent: Path, there: int) -> None:
        self._parent, self._there = parent, there
        self._open = dict[str, int]()
        self._staged = dict[str, str]()
        self._temporary = f".{RECORD}.{os.getpid()}-{threading.get_ident()}"

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        for name in self._staged.values():
            with suppress(OSError):
                files.remove_folder(self._parent / name)

    def write(self, arrival: Arrival) -> None:
        """Write an artifact into a staging folder."""
        version = arrival.manifest.version
        name = f"{STAGING_PREFIX}{version}-{os.getpid()}"
        files.remove_folder(self._parent / name)  # of a process that had this one's number
        files.DISK.make_folder_in(self._there, name)
        self._staged[version] = name
        self._open[version] = folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._there)
        for file, content in arrival.contents.items():
            _write(folder, file, content, files.READ_ONLY)
        _write(folder, "manifest.json", arrival.text, files.READ_ONLY)
        result = arrival.ref.model_dump_json().encode()
        _write(folder, "result.json", result, files.READ_ONLY)
        record = {"prefect": {"serializer": PLAIN_JSON}, "result": _sha256(result)}
        _write(folder, self._temporary, json.dumps(record, indent=2).encode(), 0o644)

    def publish(self) -> None:
        """Rename all folders into their places; what was never committed gives way."""
        for version, name in list(self._staged.items()):
            files.remove_folder(self._parent / version)
            files.DISK.rename_in(self._there, name, version)
            del self._staged[version]

    def commit(self) -> None:
        """Give each commit record its name."""
        for folder in self._open.values():
            files.DISK.rename_in(folder, self._temporary, RECORD)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder to flush it and to work in it, through no link."""
    with parent_of(folder) as above:
        descriptor = os.open(folder.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(folder: int, name: str, content: bytes, mode: int) -> None:
    descriptor = files.DISK.create_in(folder, name, mode)
    try:
        files.DISK.write(descriptor, content)
    finally:
        os.close(descriptor)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
