"""Make real artifacts in a store, the way a run does, without a Prefect server."""

from __future__ import annotations

import json

from artifacts.environment import current_environment
from artifacts.keys import KeyParts, content_digest
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.store import Store

PREFECT = {"serializer": {"type": "json"}, "prefect_version": "3"}


def key_parts(stage: str = "parse", salt: int = 0) -> KeyParts:
    """Key parts that differ by `salt`."""
    return KeyParts(stage=stage, parameters={"salt": salt}, inputs={}, code={}, packages={})


def publish(store: Store, files: dict[str, bytes], stage: str = "parse", salt: int = 0) -> Ref:
    """Publish an artifact with these files, without its commit."""
    parts = key_parts(stage, salt)
    with store.staging(stage, parts.version) as out:
        for name, content in files.items():
            (out / name).write_bytes(content)
        entries = store.entries(out, {})
        return store.publish(
            out,
            Manifest(
                stage=stage,
                name="train",
                version=parts.version,
                key=parts.key,
                parts=parts,
                inputs=(),
                files=entries,
                digest=content_digest({name: entry.content for name, entry in entries.items()}),
                summary={},
                created="2026-01-01T00:00:00+00:00",
                seconds=0.0,
                environment=current_environment(),
                run="0" * 12,
                flow_run="0",
            ),
        )


def build(store: Store, files: dict[str, bytes], stage: str = "parse", salt: int = 0) -> Ref:
    """Publish and commit an artifact with these files."""
    ref = publish(store, files, stage, salt)
    (store.folder(ref.stage, ref.version) / "result.json").write_text(json.dumps(ref.model_dump()))
    store.commit(ref.stage, ref.version, dict(PREFECT))
    return ref
