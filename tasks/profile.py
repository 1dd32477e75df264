"""Profile: each image of a part is measured and checked by itself, and what adds up over parts is summed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import TableWriter, array_content
from schemas.datasets import TableSpec
from schemas.errors import InvalidData
from schemas.image_table import Batch, ImageTable
from schemas.parameters import Summary
from schemas.part_facts import PART, SUMS, PartFacts
from schemas.results import PROFILE, PROFILE_TYPES, Failure
from tasks.formats.table import open_table
from tasks.formats.turns import TURNS
from tasks.quality.pixel_sums import PixelSums, merge
from tasks.quality.profile import Moments, Profile, gather, profile_images

CHECKED_ROWS = 2**17
"""Images whose profiles are checked at once, or few more: Pandera takes 2 ms per call, but 4 ns per image."""


def measure_part(table: ImageTable, classes: int, target: Path) -> tuple[PartFacts, str]:
    """
    Profile, check and sum a part row group by row group.

    Args:
        classes: labels are 0 to classes - 1.
        target:  the Parquet file that takes the profile, one row per image; `PART` and `SUMS` are written beside it.
    Returns: the part in figures, and the digest of the profile's content.
    """
    import pandas as pd
    import pyarrow as pa

    from schemas.tables import failures, image_profile

    schema, moments, sums, start = image_profile(classes), Moments(), merge((), table.pixels), 0
    counts, blank, low, high = np.zeros(classes, np.int64), 0, 255, 0

    def measured(batch: Batch) -> tuple[Profile, Moments]:
        nonlocal sums
        sums += PixelSums.of(batch.image)
        return profile_images(batch, table.metadata.shape.channels)

    failed: dict[str, Failure] = {}
    columns = pa.schema([pa.field(name, kind, nullable=False) for name, kind in PROFILE_TYPES.items()])
    with TableWriter(target, columns, compression="lz4") as writer:
        for profile, some in gather(map(measured, table.batches()), CHECKED_ROWS):
            rows = pd.RangeIndex(start, start + len(profile.label), name="sample_id")
            for failure in failures(schema, pd.DataFrame(profile._asdict(), index=rows)):
                before = failed.get(failure.fault)
                failed[failure.fault] = before + failure if before else failure
            writer.write(pa.table(profile._asdict(), columns))
            moments, start = moments + some, rows.stop
            counts += np.bincount(profile.label, minlength=classes)[:classes]
            blank += int((profile.spread == 0).sum())
            low, high = min(low, int(profile.minimum.min())), max(high, int(profile.maximum.max()))
    if (summed := (sums.samples, sums.sum, sums.squares)) != (start, moments.sum, moments.sum_of_squares):
        raise InvalidData(
            f"the {table.metadata.split} split",
            expected=f"{moments.sum} and {moments.sum_of_squares} as the sums of {start} images, as profiled",
            found=f"{summed[1]} and {summed[2]} of {summed[0]}, pixel by pixel",
            way_out="Run again; if it is the same, report it with the versions of NumPy: `idxflow --version`.",
        )
    facts = PartFacts(
        metadata=table.metadata,
        samples=start,
        class_counts=tuple(counts.tolist()),
        minimum=low,
        maximum=high,
        sum=moments.sum,
        sum_of_squares=moments.sum_of_squares,
        inked=moments.inked,
        blank=blank,
        failures=tuple(failed.values()),
    )
    target.with_name(PART).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    np.save(target.with_name(SUMS), sums.columns, allow_pickle=False)
    return facts, writer.content


def read_facts(parts: Sequence[Ref]) -> PartFacts:
    """Read the facts of some parts, at least one, and return them as those of one."""
    return reduce(add, (PartFacts.model_validate_json(part.file(PART).read_bytes()) for part in parts))


def add_sums(parts: Sequence[Ref]) -> npt.NDArray[np.int64]:
    """Return the sum of each pixel over the images of some parts, at least one: int64 (values,)."""
    total: npt.NDArray[np.int64] = reduce(add, (np.load(part.file(SUMS), allow_pickle=False) for part in parts))
    return total


class ProfileSummary(Summary):
    """A part, briefly. Args: failures: what the whole split will be judged by, a sentence each."""

    samples: int
    per_class: dict[str, int]
    failures: tuple[str, ...]


@stage(name="{spec.of}", imports="schemas.tables")
def profile(table: Ref, spec: TableSpec, out: Path) -> ProfileSummary:
    """Measure one part of a split, of which validate judges the whole. What fails in it is noted, and ends nothing."""
    with TURNS:
        facts, content = measure_part(open_table(table), len(spec.classes), out / PROFILE)
    return ProfileSummary(
        content={PROFILE: content, SUMS: array_content(np.load(out / SUMS, allow_pickle=False))},
        samples=facts.samples,
        per_class=dict(zip(spec.classes, facts.class_counts, strict=True)),
        failures=tuple(map(str, facts.failures)),
    )
