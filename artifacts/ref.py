"""A reference to one artifact: what passes from stage to stage."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from schemas.errors import StoreError

STAGE_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
StageWord = Annotated[str, Field(pattern=rf"^{STAGE_WORD.pattern}$")]
"""The name of a stage, of this version of idxflow or another: never a way out of the store's folder."""
Version = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
RESERVED = frozenset({"manifest.json", "result.json", "record.json", "hashed.json"})
"""Files of an artifact's folder that belong to the store."""


class Ref(BaseModel):
    """
    Which artifact, and the digest of what is in it; never where it lies.

    Args:
        stage, name: which stage made it, of what (`name` is empty where a run has only one).
        version:     first 16 hexadecimal digits of its key.
        digest:      SHA-256 of its content: file names and the digest of each file's content.
        manifest:    SHA-256 of its manifest's bytes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    stage: StageWord
    name: str
    version: Version
    digest: str
    manifest: str
    _folder: Path | None = PrivateAttr(default=None)
    _opened: Callable[[], Path] | None = PrivateAttr(default=None)
    _sha256: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def at(self, folder: Path, sha256: Mapping[str, str] | None = None) -> Self:
        """
        Return this reference, bound to the folder that holds the artifact's files.

        Args: sha256: of each file, as it was just held against its bytes.
        """
        bound = self.model_copy()
        bound._folder, bound._sha256 = folder, dict(sha256 or {})
        return bound

    def opened_by(self, open_it: Callable[[], Path]) -> Self:
        """Return this reference, bound to the folder that `open_it` returns once a file of it is first asked for."""
        bound = self.model_copy()
        bound._opened = open_it
        return bound

    def file(self, name: str | None = None) -> Path:
        """
        Return the path of one of the artifact's files; without `name`, of its only one.

        Raises: StoreError: the reference is not bound to a store, or the artifact has no such file; as what opens it.
        """
        if self._opened:
            self._folder, self._opened = self._opened(), None
        paths = sorted(self._folder.iterdir()) if self._folder else []
        found = [path for path in paths if path.name not in RESERVED and not path.name.startswith(".")]
        match = [path for path in found if name is None or path.name == name]
        if len(match) != 1:
            raise StoreError(
                f"artifact {self.stage} {self.version}",
                expected=f"the file {name}" if name else "one file",
                found=", ".join(path.name for path in found) or "none",
                way_out=f"Run `idxflow run --refresh {self.stage}` to rebuild it.",
            )
        return match[0]

    def sha256(self, name: str | None = None) -> str:
        """
        Return the SHA-256 of one of its files: 64 hexadecimal digits. It is read where nobody has just done so.

        Raises: StoreError: as `file`.
        """
        path = self.file(name)
        if known := self._sha256.get(path.name):
            return known
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
