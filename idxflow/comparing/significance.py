"""Where two models disagree on the same test images, and whether one is significantly better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from tasks.formats.packed import Origins
from tasks.quality.paired import mcnemar

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL = 0.05
"""Significance level: a difference with a smaller p-value counts as more than chance."""
COLUMNS = ("split", "sample_id", "label", "predicted", "probability")


class Image(BaseModel):
    """A test image that one model gets right and the other wrong; classes by name."""

    model_config = ConfigDict(frozen=True)
    sample_id: int
    file: str = Field(default="", description="that it came from; empty where that is not known")
    label: str
    predicted_a: str
    predicted_b: str
    probability_a: float = Field(description="of the class that A predicts, in [0, 1]")
    probability_b: float = Field(description="of the class that B predicts, in [0, 1]")


class Disagreement(BaseModel):
    """The images on which exactly one of two models is right, and the exact McNemar test of them."""

    model_config = ConfigDict(frozen=True)
    b: int = Field(description="McNemar's b: images that only A gets right")
    c: int = Field(description="McNemar's c: images that only B gets right")
    n: int = Field(description="b + c")
    p_value: float = Field(description="two-sided")
    level: float
    more_than_chance: bool = Field(description="p_value < level")
    only_a_right: tuple[Image, ...] = Field(description="by sample_id")
    only_b_right: tuple[Image, ...] = Field(description="by sample_id")


def disagreement(
    a: Path,
    b: Path,
    classes: Sequence[str],
    origins: Origins = Origins(),  # noqa: B008 - it knows nothing
) -> Disagreement | None:
    """
    Compare the stored predictions of two models, image by image, over the test split.

    Args:    a, b: files `predictions.parquet` as evaluate writes them.  classes: names, in label order.
             origins: of the test images.
    Returns: None where they are not of the same images: other sample ids, or other labels.
    """
    import pyarrow.compute as pc

    one, other = _test_rows(a), _test_rows(b)
    if not all(one[name].equals(other[name]) for name in ("sample_id", "label")):
        return None
    right, also = (pc.equal(rows["predicted"], rows["label"]) for rows in (one, other))
    only_a = _images(one, other, pc.and_not(right, also), classes, origins)
    only_b = _images(one, other, pc.and_not(also, right), classes, origins)
    p_value = mcnemar(len(only_a), len(only_b))
    return Disagreement(
        b=len(only_a),
        c=len(only_b),
        n=len(only_a) + len(only_b),
        p_value=p_value,
        level=LEVEL,
        more_than_chance=p_value < LEVEL,
        only_a_right=only_a,
        only_b_right=only_b,
    )


def _test_rows(path: Path) -> pa.Table:
    """Read the test split's rows, by sample_id; one row group at a time, as the train split may be long."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = (file.read_row_group(group, columns=COLUMNS) for group in range(file.num_row_groups))
        rows = pa.concat_tables([group.filter(pc.equal(group["split"], "test")) for group in groups])
    return rows.sort_by("sample_id")


def _images(
    a: pa.Table, b: pa.Table, chosen: pa.ChunkedArray, classes: Sequence[str], origins: Origins
) -> tuple[Image, ...]:
    rows = zip(a.filter(chosen).to_pylist(), b.filter(chosen).to_pylist(), strict=True)
    return tuple(
        Image(
            sample_id=one["sample_id"],
            file=origins.name("test", one["sample_id"]),
            label=classes[one["label"]],
            predicted_a=classes[one["predicted"]],
            predicted_b=classes[other["predicted"]],
            probability_a=one["probability"],
            probability_b=other["probability"],
        )
        for one, other in rows
    )
