"""Make artifacts that were made from one another, as runs leave them, without a Prefect server."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from artifacts.environment import Environment
from artifacts.keys import KeyParts, content_digest, plain, references
from artifacts.manifest import Input, Manifest
from artifacts.ref import Ref
from artifacts.store.integrity import Stored
from artifacts.store.publishing import commit, publish, seal_entries, staging
from artifacts.store.store import Store

MACHINE = Environment(
    python="3.12.1", platform="Linux x86_64", cores=2, packages={"idxflow": "0.1.0", "keras": "3.15.1"}, numerics={},
    git_commit="8287eba9072dc71bd2f10956453801163627fd05", git_dirty=False,
)  # fmt: skip


def make(
    store: Store,
    stage: str,
    name: str = "",
    *,
    inputs: Mapping[str, Ref | list[Ref] | dict[str, Ref]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    summary: Mapping[str, Any] | None = None,
    code: str | Mapping[str, str] = "1",
    created: str = "2026-01-01T12:00:00+00:00",
    run: str = "0" * 12,
    environment: Environment = MACHINE,
) -> Ref:
    """Publish and commit an artifact; without `files` it has one whose content is the stage and name."""
    taken = dict(inputs or {})
    parts = KeyParts(
        stage=stage,
        parameters={argument: plain(value) for argument, value in (parameters or {}).items()},
        inputs={argument: plain(value) for argument, value in taken.items()},
        code={f"tasks/{stage}.py": code} if isinstance(code, str) else dict(code),
        packages={"keras": "3.15.1"} if stage in ("train", "evaluate") else {},
    )
    with staging(store, stage, parts.version) as out:
        for file, content in (files or {"content": f"{stage} {name}".encode()}).items():
            (out / file).write_bytes(content)
        entries = seal_entries(out, {})
        manifest = Manifest(
            stage=stage,
            name=name,
            version=parts.version,
            key=parts.key,
            parts=parts,
            inputs=tuple(
                Input(argument=argument, stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest)
                for argument, value in taken.items()
                for ref in references(value)
            ),
            files=entries,
            digest=content_digest({file: entry.content for file, entry in entries.items()}),
            summary=dict(summary or {}),
            created=created,
            seconds=1.5,
            environment=environment,
            run=run,
            flow_run="",
        )
        ref = publish(store, out, manifest)
    settle(store, ref)
    return ref


def settle(store: Store, ref: Ref) -> None:
    """Commit what was published."""
    commit(store, ref)


def stored(store: Store, ref: Ref) -> Stored:
    """Read an artifact back."""
    found = store.inspect(ref.stage, ref.version)
    assert found is not None
    return found


def clean_up(store: Store, *refs: Ref) -> None:
    """Delete artifacts."""
    for ref in refs:
        shutil.rmtree(store.folder(ref.stage, ref.version))
