"""A reference to one artifact: what passes from stage to stage."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from schemas.errors import StoreError


class Ref(BaseModel):
    """
    Which artifact, and the digest of what is in it; never where it lies.

    Args:
        stage, name: which stage made it, of what (`name` is empty where a run has only one).
        version:     first 16 hexadecimal digits of its key.
        digest:      SHA-256 of its content: file names and the digest of each file's content.
        manifest:    SHA-256 of its manifest's bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    name: str
    version: str
    digest: str
    manifest: str
    _folder: Path | None = PrivateAttr(default=None)

    def at(self, folder: Path) -> Self:
        """Return this reference, bound to the folder that holds the artifact's files."""
        bound = self.model_copy()
        bound._folder = folder
        return bound

    def file(self, name: str) -> Path:
        """
        Return the path of one of the artifact's files.

        Raises: StoreError: the reference is not bound to a store, or the artifact has no such file.
        """
        if self._folder is None or not (path := self._folder / name).is_file():
            raise StoreError(
                f"artifact {self.stage} {self.version}",
                expected=f"a file {name}",
                found="none" if self._folder else "a reference outside a store",
                way_out=f"Run `idxflow run --refresh {self.stage}` to make it anew.",
            )
        return path
