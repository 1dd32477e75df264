"""
How an artifact comes to be: built in a staging folder, sealed, published, committed.

Each step leaves what a crash may interrupt anywhere: until the record is written an artifact does not count, and one
that is rebuilt stays aside until then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from artifacts.manifest import FileEntry, Manifest
from artifacts.ref import RESERVED, Ref
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.integrity import PLAIN_JSON, Stored, identity, read_artifact, remember_hashed
from artifacts.store.store import STAGING_PREFIX, Store
from schemas.errors import StoreError

WORTH_A_THREAD = 2**20
"""Bytes from which on files are hashed while the disk is waited for."""


@contextmanager
def staging(store: Store, stage: str, version: str) -> Iterator[Path]:
    """
    Give an empty folder beside the artifact's place; what is still in it at the end is deleted.

    The caller holds the lock of the version: staging folders of it that lie about belong to the dead.
    """
    parent = store.artifacts / stage
    folder = parent / f"{STAGING_PREFIX}{version}-{os.getpid()}"
    with disk(parent):
        files.make_folder(parent)
        for name in os.listdir(parent):  # noqa: PTH208 - of thousands of versions a pattern takes twice as long
            if name.startswith(f"{STAGING_PREFIX}{version}-"):
                files.remove_folder(parent / name)
        files.DISK.make_folder(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):
            files.remove_folder(folder)


def seal_entries(folder: Path, content: dict[str, str]) -> dict[str, FileEntry]:
    """
    Make the files of a staging folder read-only and durable, and hash them.

    Args: content: digests that stand for a file's content instead of its bytes' SHA-256.
    """
    paths = sorted(folder.iterdir())
    for path in paths:
        if not files.is_plain_file(path) or path.name in RESERVED or path.name.startswith("."):
            raise StoreError(
                f"staging folder of {folder.parent.name}",
                expected="plain files with names of their own",
                found=path.name,
                way_out="This is a fault of the stage; please report it.",
            )
    with disk(folder), ThreadPoolExecutor(1) as hashing:  # while the disk is waited for
        for path in paths:
            files.DISK.protect(path, files.READ_ONLY)
        identities = {path.name: identity(path) for path in paths}
        # A thread takes longer to start than little takes to hash.
        much = sum(size for size, *_ in identities.values()) > WORTH_A_THREAD
        digests = hashing.map(files.sha256_of, paths) if much else map(files.sha256_of, paths)
        try:
            for path in [*paths, folder]:
                files.sync(path)
        except BaseException:
            hashing.shutdown(wait=False, cancel_futures=True)  # nobody waits for digests of what is not durable
            raise
        entries = {
            path.name: FileEntry(bytes=path.stat().st_size, sha256=digest, content=content.get(path.name, digest))
            for path, digest in zip(paths, digests, strict=True)
        }
    remember_hashed(folder, identities)
    return entries


def publish(store: Store, folder: Path, manifest: Manifest) -> Ref:
    """
    Make a staging folder the artifact of its version. It counts only once `commit` has been called.

    An artifact that was never committed gives way to the new one; one that was (it is rebuilt on request) is put aside
    until the new one is committed. Whoever reads that one does so to the end before it gives way.
    """
    target = store.folder(manifest.stage, manifest.version)
    with disk(target):
        files.write_new(folder / "manifest.json", manifest.model_dump_json(indent=2).encode())
        files.DISK.protect(folder / "manifest.json", files.READ_ONLY)
        files.sync(folder)
        replaces = (target / "record.json").exists()
        with store.readers.waited_for(manifest.stage, manifest.version) if replaces else nullcontext():
            if replaces:
                files.remove_folder(replaced := store.replaced(manifest.stage, manifest.version))
                files.move_folder(target, replaced)
            files.remove_folder(target)
            files.move_folder(folder, target)
    return Ref(
        stage=manifest.stage,
        name=manifest.name,
        version=manifest.version,
        digest=manifest.digest,
        manifest=files.sha256_of(target / "manifest.json"),
    ).at(target)


def commit(store: Store, ref: Ref) -> Stored:
    """
    Write the record that makes a published artifact count.

    Raises: Damage: what was published is not what its reference says.
    """
    folder = store.folder(ref.stage, ref.version)
    with disk(folder):
        result = folder / "result.json"
        files.write_new(result, ref.model_dump_json().encode())
        files.DISK.protect(result, files.READ_ONLY)
        stored = read_artifact(folder)
        record = {"prefect": {"serializer": PLAIN_JSON}, "result": files.sha256_of(result)}
        files.remove_folder(store.checkpoints(ref.stage, ref.version))
        files.write_atomically(folder / "record.json", json.dumps(record, indent=2).encode())
        files.remove_folder(store.replaced(ref.stage, ref.version))
    return stored


def settle(store: Store, stage: str, version: str) -> None:
    """Bring back what a killed run had put aside, as the next run would; not while somebody works on it."""
    if store.replaced(stage, version).exists():
        with suppress(StoreError), store.locked(stage, version) as had:
            if had:
                restore(store, stage, version)


def restore(store: Store, stage: str, version: str) -> None:
    """
    Bring back an artifact that was put aside for one that was never committed.

    The caller holds the lock of the version.
    """
    replaced, folder = store.replaced(stage, version), store.folder(stage, version)
    if not replaced.exists():
        return
    with disk(folder):
        if (folder / "record.json").exists():
            files.remove_folder(replaced)
        else:
            files.remove_folder(folder)
            files.move_folder(replaced, folder)
