"""bundle: many shards of a split that are settled, as one: their tables, their profiles, the proofs of their files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from artifacts.bundle import MEMBERS, Member, Members
from artifacts.keys import digest_of, plain
from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.datasets import Shard, TableSpec
from schemas.image_table import TABLE, ImageTable
from schemas.parameters import Parameters, Summary
from tasks.decompress import decompress
from tasks.download import download
from tasks.parse import parse
from tasks.profile import profile
from tasks.verify import verify

Kind = Literal["tables", "profiles", "proofs"]
BELOW = (download, verify, decompress, parse, profile)
"""The stages by which a bundle's members come to be: with what the shards are, their code decides what these are."""


class Span(Parameters):
    """
    Shards of a split that stand one behind the other.

    Args:
        specs:  what the part of each has to look like.
        first:  place of the first one in the split, from 1.
        digest: of all that decides what becomes of them: in the key it stands for shards and specs.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"first", "shards", "specs"})
    shards: tuple[Shard, ...]
    specs: tuple[TableSpec, ...]
    digest: str
    first: int = 1

    @classmethod
    def of_shards(cls, shards: tuple[Shard, ...], specs: tuple[TableSpec, ...], first: int) -> Self:
        """Make it of what the shards are. Args: specs: of one split: they differ by the names of shards alone."""
        return cls(shards=shards, specs=specs, first=first, digest=digest_of([plain(shards), plain(specs[0])]))

    @property
    def of(self) -> str:
        """What they are of, in words: `train 17-32`."""
        return f"{self.split} {self.first}-{self.first + len(self.shards) - 1}"

    @property
    def split(self) -> str:
        """Train or test."""
        return self.specs[0].split

    @property
    def known(self) -> bool:
        """Whether the content of each file is known."""
        return all(file.known for shard in self.shards for file in (shard.images, shard.labels))

    def names(self, kind: Kind) -> list[str]:
        """Return what the members are of, in order."""
        if kind == "proofs":
            return [file.name for shard in self.shards for file in (shard.images, shard.labels)]
        return [spec.of for spec in self.specs]


class BundleSummary(Summary):
    """What is in a bundle, briefly."""

    members: int
    rows: int


@stage(
    name="{span.of} {kind}",
    packages=tuple(sorted({package for each in BELOW for package in each.packages})),
    on_demand=("parts",),
    derived=("parts",),
)
def bundle(kind: Kind, span: Span, out: Path, parts: list[Ref] | None = None) -> BundleSummary:
    """
    List the tables, profiles or proofs of some shards, in their order, for stages to take them as one.

    Args: parts: the artifacts; they follow from the shards and from the code that this module imports.
    """
    rows = [ImageTable(ref.file(TABLE)).samples if kind == "tables" else 0 for ref in parts or ()]
    listed = tuple(
        Member(stage=ref.stage, name=name, version=ref.version, digest=ref.digest, rows=count)
        for ref, name, count in zip(parts or (), span.names(kind), rows, strict=True)
    )
    (out / MEMBERS).write_text(Members(members=listed).model_dump_json(indent=1) + "\n", encoding="utf-8")
    content = digest_of([member.digest for member in listed])
    return BundleSummary(content={MEMBERS: content}, members=len(listed), rows=sum(rows))
