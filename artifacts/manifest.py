"""What an artifact is, how it was made, and the digest of each of its files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from artifacts.environment import Environment
from artifacts.keys import KeyParts, content_digest
from artifacts.ref import StageWord, Version
from schemas.text import Moment


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True, extra="allow")
    bytes: int = Field(ge=0, lt=2**63)
    sha256: str = Field(description="of the file's bytes: what a check compares")
    content: str = Field(description="of what the bytes mean: what the next stage's key contains")


class Input(BaseModel):
    """An artifact that a stage took."""

    model_config = ConfigDict(frozen=True, extra="allow")
    argument: str
    stage: StageWord
    name: str
    version: Version
    digest: str


class Manifest(BaseModel):
    """The file `manifest.json` of an artifact."""

    model_config = ConfigDict(frozen=True, extra="allow")
    stage: StageWord
    name: str
    version: Version
    key: str
    parts: KeyParts
    inputs: tuple[Input, ...]
    files: dict[str, FileEntry]
    digest: str
    summary: dict[str, Any] = Field(description="what the stage says about its result, for people")
    created: Moment = Field(description="UTC, ISO 8601")
    seconds: FiniteFloat = Field(ge=0, description="duration of the computation")
    environment: Environment
    run: str = Field(description="id of the run that made it")
    flow_run: str = Field(description="id of that run's Prefect flow run")

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(entry.bytes for entry in self.files.values())

    def flaw(self) -> str | None:
        """Name the first thing in which the manifest contradicts itself, or None."""
        if self.parts.key != self.key:
            return "its key does not follow from its parts"
        if self.key[:16] != self.version or self.parts.stage != self.stage:
            return "its version does not follow from its key"
        if content_digest({name: entry.content for name, entry in self.files.items()}) != self.digest:
            return "its digest does not follow from its files"
        return None
