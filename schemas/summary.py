"""What a stage says about the artifact that it leaves."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Summary(BaseModel):
    """
    The base of every stage's return value; its fields go into the manifest for people to read.

    `content` overrides the digest of single files (file name to SHA-256) where equal content may have
    different bytes: a `.keras` file carries a date, its weights do not.
    """

    model_config = ConfigDict(frozen=True)
    content: dict[str, str] = Field(default_factory=dict, exclude=True)
