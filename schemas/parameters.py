"""What a stage takes and what it says: the bases of its parameters and of its summary."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Parameters(BaseModel, frozen=True, extra="forbid"):
    """
    An immutable, strict parameter model.

    Fields named in `outside_key` say where something lies or what it is called, not what it is; they
    stay out of cache keys, so that a store, a mirror or a name can change and nothing is recomputed.
    Fields named in `when_given` are in a key only where they are not None: what does without them has the keys that it
    had before there were such fields.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset()
    when_given: ClassVar[frozenset[str]] = frozenset()

    @property
    def known(self) -> bool:
        """Whether all that decides a result is known; if not, no key can be made of it yet."""
        return True


class Wanted(ValueError):
    """
    A value is not what it has to be.

    Args:
        wanted: what it has to be, in words.
        shown:  what there is instead; empty: the value as it was given.
    """

    def __init__(self, wanted: str, shown: str = "") -> None:
        super().__init__(f"{shown}, where {wanted} belongs" if shown else f"{wanted} belongs here")
        self.wanted, self.shown = wanted, shown


class Summary(BaseModel, frozen=True):
    """
    The base of every stage's return value; its fields go into the manifest for people to read.

    `content` overrides the digest of single files (file name to SHA-256) where equal content may have
    different bytes: a `.keras` file carries a date, its weights do not.
    """

    content: dict[str, str] = Field(default_factory=dict, exclude=True)
