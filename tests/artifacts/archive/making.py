"""Make artifacts that were made from one another, as runs leave them, without a Prefect server."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from artifacts.environment import Environment
from artifacts.keys import KeyParts, plain, references
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from tests.artifacts.building import build

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
    code: str | Mapping[str, str] = "1",
    **facts: Any,
) -> Ref:
    """
    Publish and commit an artifact; without `files` it has one whose content is the stage and name.

    Args: facts: whatever else its manifest shall say.
    """
    taken = dict(inputs or {})
    parts = KeyParts(
        stage=stage,
        parameters={argument: plain(value) for argument, value in (parameters or {}).items()},
        inputs={argument: plain(value) for argument, value in taken.items()},
        code={f"tasks/{stage}.py": code} if isinstance(code, str) else dict(code),
        packages={"keras": "3.15.1"} if stage in ("train", "evaluate") else {},
    )
    told: dict[str, Any] = {
        "name": name,
        "inputs": tuple(
            Input(argument=argument, stage=ref.stage, name=ref.name, version=ref.version, digest=ref.digest)
            for argument, value in taken.items()
            for ref in references(value)
        ),
        "created": "2026-01-01T12:00:00+00:00",
        "seconds": 1.5,
        "environment": MACHINE,
        "flow_run": "",
    }
    return build(store, files or {"content": f"{stage} {name}".encode()}, parts=parts, **told | facts)


def stored(store: Store, ref: Ref) -> Stored:
    """Read an artifact back."""
    found = store.inspect(ref.stage, ref.version)
    assert found is not None
    return found


def clean_up(store: Store, *refs: Ref) -> None:
    """Delete artifacts."""
    for ref in refs:
        shutil.rmtree(store.folder(ref.stage, ref.version))
