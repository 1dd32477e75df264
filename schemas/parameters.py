"""The base of every typed parameter of a stage."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """
    An immutable, strict parameter model.

    Fields named in `outside_key` say where something lies or what it is called, not what it is; they
    stay out of cache keys, so that a store, a mirror or a name can change and nothing is recomputed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    outside_key: ClassVar[frozenset[str]] = frozenset()

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
