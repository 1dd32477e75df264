"""
A bundle: an artifact that stands for many others, in their order, so that nobody has to name each of them.

A stage that takes a bundle is given its members: a manifest, a key and a run's record name the bundle alone. What a
bundle is follows from what its members are: its content digest is that of theirs. They are its inputs, so lineage and
clean-up reach them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.ref import Ref, StageWord, Version

BUNDLE = "bundle"
"""The stage whose artifacts are bundles."""
MEMBERS = "members.json"
"""The file of a bundle."""
MOST = 10_000
"""Members of a bundle: more are none of idxflow's."""


class Member(BaseModel):
    """
    An artifact that is in a bundle.

    Args:
        name: what the run called it that made the bundle.
        rows: of a table: how many it has; 0 of other artifacts.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    stage: StageWord
    name: str
    version: Version
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    rows: int = Field(default=0, ge=0)

    @property
    def artifact(self) -> tuple[str, str]:
        """Its stage and version."""
        return self.stage, self.version

    @property
    def ref(self) -> Ref:
        """The reference to it; of its manifest a bundle says nothing: that has a date."""
        return Ref(stage=self.stage, name=self.name, version=self.version, digest=self.digest, manifest="")


class Members(BaseModel):
    """The file `members.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    members: tuple[Member, ...] = Field(max_length=MOST)


def is_bundle(ref: Ref) -> bool:
    """Tell whether an artifact stands for others."""
    return ref.stage == BUNDLE


def bundles_in(refs: Iterable[Ref]) -> list[Ref]:
    """Return those that stand for others, each once."""
    return [ref for ref in dict.fromkeys(refs) if is_bundle(ref)]


def spread(value: Any, members: dict[Ref, list[Ref]]) -> Any:
    """
    Put the members of bundles into an argument where the bundles are: into the list that a bundle is in.

    Args: members: of each bundle that may be in it.
    """
    match value:
        case Ref() if value in members:
            return members[value]
        case list() | tuple():
            found = list[Any]()
            for item in value:
                spread_out = spread(item, members)
                if isinstance(item, Ref) and item in members:
                    found += spread_out
                else:
                    found.append(spread_out)
            return found
        case dict():
            return {name: spread(item, members) for name, item in value.items()}
    return value
