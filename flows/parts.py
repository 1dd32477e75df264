"""The parts of a split, found by a run's record: one artifact a shard, or one where the split is one part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from artifacts.archive.lookup import stored_artifact
from artifacts.bundle import BUNDLE
from artifacts.run_record import StageRecord
from artifacts.store.bundles import spread_rows
from artifacts.store.integrity import Stored
from artifacts.store.store import Store

if TYPE_CHECKING:
    from tasks.formats.table import Parts

PARSE, PROFILE, VALIDATE = "parse", "profile", "validate"


def rows_of(store: Store, stages: Iterable[StageRecord], stage: str, split: str) -> list[StageRecord]:
    """
    Return the rows of what a stage made of a split or of its parts, in their order; none: the run had none.

    Where the run took a bundle of parts it is a row for each of these.
    """
    rows = [row for row in stages if row.stage in (BUNDLE, stage)]
    first = sorted(rows, key=lambda row: row.stage != BUNDLE)  # what is in no bundle stands behind all that is
    every = [row for row in spread_rows(store, first) if row.stage == stage]
    of_split = [row for row in every if row.name == split or row.name.startswith(f"{split} ")]
    # The run that has made a bundle has a row for each of its members as well.
    return list({(row.version, row.name): row for row in reversed(of_split)}.values())[::-1]


def rows_of_profile(store: Store, stages: Iterable[StageRecord], split: str) -> list[StageRecord]:
    """Return the rows of the image profile of a split: those of its parts, or of validate where it is one part."""
    rows = list(stages)
    return rows_of(store, rows, PROFILE, split) or rows_of(store, rows, VALIDATE, split)


def stored_parts(store: Store, rows: Iterable[StageRecord], *, fully: bool = False) -> list[Stored]:
    """
    Find the artifacts of some rows. Args: fully: hash every file.

    Raises: UsageError: one is no longer stored.  ArtifactDamaged.
    """
    return [stored_artifact(store, row.stage, row.version, fully=fully) for row in rows]


def as_parts(found: list[Stored]) -> Parts:
    """Return a split's artifacts as stages take them."""
    return found[0].ref if len(found) == 1 else [each.ref for each in found]
