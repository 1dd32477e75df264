"""References to folders, as the engine binds them before it calls a stage's function."""

from __future__ import annotations

from pathlib import Path

from artifacts.ref import Ref


def bind(stage: str, folder: Path, name: str = "", digest: str = "0" * 64) -> Ref:
    """Return a reference to the files in `folder`, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return Ref(stage=stage, name=name, version="0" * 16, digest=digest, manifest="0" * 64).at(folder)
