"""Make real artifacts in a store, the way a run does, without a Prefect server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.environment import current_environment
from artifacts.keys import KeyParts, content_digest
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.store.integrity import identity, remember_hashed
from artifacts.store.publishing import commit, seal_entries, staging
from artifacts.store.publishing import publish as publish_folder
from artifacts.store.store import Store


def key_parts(stage: str = "parse", salt: int = 0) -> KeyParts:
    """Key parts that differ by `salt`."""
    return KeyParts(stage=stage, parameters={"salt": salt}, inputs={}, code={}, packages={})


def publish(
    store: Store,
    files: Mapping[str, bytes],
    stage: str = "parse",
    salt: int = 0,
    *,
    parts: KeyParts | None = None,
    **facts: Any,
) -> Ref:
    """
    Publish an artifact with these files, without its commit.

    Args: parts: of its key; they win over `stage` and `salt`.  facts: whatever else its manifest shall say.
    """
    parts = parts or key_parts(stage, salt)
    with staging(store, parts.stage, parts.version) as out:
        for file, content in files.items():
            (out / file).write_bytes(content)
        entries = seal_entries(out, {})
        told = {
            "stage": parts.stage,
            "name": "train",
            "version": parts.version,
            "key": parts.key,
            "parts": parts,
            "inputs": (),
            "files": entries,
            "digest": content_digest({file: entry.content for file, entry in entries.items()}),
            "summary": {},
            "created": "2026-01-01T00:00:00+00:00",
            "seconds": 0.0,
            "environment": facts.get("environment") or current_environment(),
            "run": "0" * 12,
            "flow_run": "0",
        }
        return publish_folder(store, out, Manifest.model_validate(told | facts))


def build(store: Store, files: Mapping[str, bytes], stage: str = "parse", salt: int = 0, **facts: Any) -> Ref:
    """Publish and commit an artifact with these files; see `publish`."""
    ref = publish(store, files, stage, salt, **facts)
    commit(store, ref)
    return ref


def flip_unseen(path: Path) -> None:
    """Flip a bit of an artifact's file, and note the file as hashed, so that only a full hash sees it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    remember_hashed(path.parent, {each.name: identity(each) for each in path.parent.iterdir()})
    os.utime(path.parent / "hashed.json", (2**32, 2**32))  # a note that is taken too soon is not believed
