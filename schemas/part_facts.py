"""What is known of a part of a split by itself: exact sums, which those of other parts are added to."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from schemas.errors import BadTable
from schemas.image_table import TableMetadata
from schemas.results import Failure

PART, SUMS = "part.json", "sums.npy"
"""What profile leaves beside the profile: `PartFacts`, and the sum of each pixel over the images, int64 (values,)."""


class PartFacts(BaseModel, frozen=True):
    """
    A part in figures that add up, in whatever order; pixel values are raw ones, 0 to 255.

    Args:
        metadata:     of its table.
        samples:      images; there may be none.
        class_counts: images of each class, in label order; labels that are none are not among them.
        minimum, maximum: over all values; 255 and 0 where there are none.
        sum, sum_of_squares: over all values, in colour of all channels.
        inked:        pixels that are not 0, in colour not black.
        blank:        images whose pixels are all equal.
        failures:     what fails by itself, image by image; sample ids are those of the part, from 0.
    """

    metadata: TableMetadata
    samples: int
    class_counts: tuple[int, ...]
    minimum: int
    maximum: int
    sum: int
    sum_of_squares: int
    inked: int
    blank: int
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: PartFacts) -> PartFacts:
        """
        Return the facts of both parts as one, the other one's images behind the own.

        Raises: BadTable: they are not of one split, shape and list of classes.
        """
        if other.metadata != self.metadata:
            raise BadTable(
                f"a part of the {self.metadata.split} split",
                expected=f"images of {self.metadata.shape}, {len(self.metadata.classes)} classes, as in the first part",
                found=f"images of {other.metadata.shape}, {len(other.metadata.classes)} classes, or others of the name",
                way_out="All shards of a split need one shape and one list of classes.",
            )
        failed = {failure.fault: failure for failure in self.failures}
        for failure in other.failures:
            later = replace(failure, where=tuple(self.samples + at for at in failure.where))
            failed[later.fault] = failed[later.fault] + later if later.fault in failed else later
        return PartFacts(
            metadata=self.metadata,
            samples=self.samples + other.samples,
            class_counts=tuple(a + b for a, b in zip(self.class_counts, other.class_counts, strict=True)),
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            sum=self.sum + other.sum,
            sum_of_squares=self.sum_of_squares + other.sum_of_squares,
            inked=self.inked + other.inked,
            blank=self.blank + other.blank,
            failures=tuple(failed.values()),
        )
