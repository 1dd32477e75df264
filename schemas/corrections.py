"""Labels that a person has corrected: what `corrections.csv` says of one split."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.counts import counted
from schemas.parameters import Parameters

CORRECTIONS = "corrections.csv"
"""The file of corrections that lies beside a description, unless that names another one."""
DIGITS = 16
"""Digits of the file's SHA-256 that a person is shown."""


class Correction(Parameters):
    """
    One label corrected.

    Args:
        line:     of the file, from 1, for messages.
        sample:   the image's sample id, in its split; None where its file is named.
        file:     the file that it was packed from; empty where its sample id is named.
        label:    the class index that it is to have.
        who, why: in the words of the file; perhaps empty.
    """

    line: int = Field(ge=1)
    sample: int | None = Field(default=None, ge=0, lt=2**32)
    file: str = ""
    label: int = Field(ge=0, lt=2**16)
    who: str = ""
    why: str = ""

    @property
    def image(self) -> str:
        """What the image is called, for messages: `sample 41`, or the name of its file."""
        return self.file or f"sample {self.sample}"

    @property
    def order(self) -> tuple[int, str]:
        """What corrections are sorted by: sample ids first."""
        return (2**32 if self.sample is None else self.sample), self.file


class Corrections(Parameters):
    """
    The corrections of one split, at least one.

    In a key stand the file's digest, name and count: its rows follow from the digest.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"rows"})
    name: str = Field(description="of the file")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the whole file")
    labels: int = Field(ge=1, description="how many of this split it corrects")
    rows: tuple[Correction, ...] = Field(min_length=1, description="by sample id or file, each once")

    def told(self, split: str) -> str:
        """Say in words how many labels of a split were corrected, and by what."""
        return f"{counted(self.labels, f'{split} label', ',')} corrected by {self.name}, SHA-256 {self.sha256[:DIGITS]}"
