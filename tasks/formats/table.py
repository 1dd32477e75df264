"""A split as stages take it: the artifact that has its table or its profile, or those of its parts, in their order."""

from __future__ import annotations

from pathlib import Path

from artifacts.keys import digest_of
from artifacts.ref import Ref
from schemas.image_table import TABLE, ImageTable
from schemas.results import PROFILE

Parts = Ref | list[Ref]
"""One artifact where a split is one part, else one a part: a split of one shard has the keys that it always had."""


def parts_of(split: Parts) -> list[Ref]:
    """Return the artifacts of a split, one a part."""
    return [split] if isinstance(split, Ref) else split


def digest_of_parts(split: Parts) -> str:
    """Return the content digest of a split: that of its part, or of several one of theirs, in their order."""
    digests = [ref.digest for ref in parts_of(split)]
    return digests[0] if len(digests) == 1 else digest_of(digests)


def open_table(split: Parts) -> ImageTable:
    """Open the table of a split, whatever its parts. Raises: BadTable: as `ImageTable`."""
    return ImageTable(*(ref.file(TABLE) for ref in parts_of(split)))


def profile_of(split: Parts) -> tuple[Path, ...]:
    """Return the image profile of a split; see `tasks.quality.profile.Profiles`."""
    return tuple(ref.file(PROFILE) for ref in parts_of(split))
