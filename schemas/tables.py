"""
What the profile of a split has to look like, as Pandera models.

Importing this module loads pandas and pandera; a stage imports it inside its body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandera.backends.pandas.builtin_checks  # noqa: F401 - else the first check loads it, for a tenth of a second
import pandera.pandas as pa

from schemas.results import SHOWN, Failure


class ImageProfile(pa.DataFrameModel):
    """
    One row per image; the index is the row's number in the table.

    Intensities are raw pixel values, 0 to 255; ink is the share of pixels that are not 0; digest is a 64-bit hash
    of the pixels. Columns are named one by one: a regular expression would accept a frame without any of them.
    """

    sample_id: np.uint32
    label: np.uint16
    minimum: np.uint8
    maximum: np.uint8
    mean: np.float32 = pa.Field(ge=0, le=255)
    ink: np.float32 = pa.Field(ge=0, le=1)
    digest: np.uint64

    class Config:
        strict = True
        ordered = True


class ClassProfile(pa.DataFrameModel):
    """
    One row per class; the index is the class's name.

    `ratio`: images of the largest class over images of this one; 1 for a class without images.
    """

    images: np.int64 = pa.Field(ge=0)
    ratio: np.float64 = pa.Field(ge=1)

    class Config:
        strict = True
        ordered = True


class DriftProfile(pa.DataFrameModel):
    """One row per feature; the index is its name. `excess`: the population stability index above noise."""

    excess: np.float64

    class Config:
        strict = True


def image_profile(classes: int) -> Any:
    """Return the schema of an `ImageProfile` with labels from 0 to `classes - 1`."""
    last = classes - 1
    schema = ImageProfile.to_schema().update_columns(
        {
            "sample_id": {
                "checks": _check(
                    "sample_id",
                    "images whose sample_id is not the row's number, as unique and complete ids are",
                    lambda ids: ids == ids.index,
                )
            },
            "label": {
                "checks": _check("label", f"images with a label outside 0 to {last}", lambda label: label <= last)
            },
        }
    )
    schema.checks = [
        _check(
            "order",
            "images whose intensities are not minimum <= mean <= maximum",
            lambda rows: (rows["minimum"] <= rows["mean"]) & (rows["mean"] <= rows["maximum"]),
        ),
        _check("blank", "images whose pixels are all equal", lambda rows: rows["minimum"] != rows["maximum"]),
    ]
    return schema


def class_profile(max_imbalance: float, *, complete: bool) -> Any:
    """Return the schema of a `ClassProfile`; `complete`: every class has to have an image."""
    fault = f"classes with less than 1/{max_imbalance:g} of the largest class's images, by that ratio"
    schema = ClassProfile.to_schema().update_column(
        "ratio", checks=_check("imbalance", fault, lambda ratio: ratio <= max_imbalance)
    )
    if complete:
        schema = schema.update_column(
            "images", checks=_check("missing_class", "classes without an image", lambda images: images > 0)
        )
    return schema


def drift_profile(max_drift: float) -> Any:
    """Return the schema of a `DriftProfile`."""
    fault = f"features unlike the train split's, by a population stability index more than {max_drift:g} above noise"
    return DriftProfile.to_schema().update_column(
        "excess", checks=_check("drift", fault, lambda excess: excess <= max_drift)
    )


def failures(schema: Any, frame: pd.DataFrame) -> list[Failure]:
    """Check a whole frame, and return every check that failed."""
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        return [_failure(error, frame) for error in errors.schema_errors]
    return []


def _failure(error: Any, frame: pd.DataFrame) -> Failure:
    check, passed, column = error.check, error.check_output, error.schema.name
    if passed is None:  # about a column as a whole: it is missing, too much, of another type, or has nulls
        return Failure(str(check), " ".join(str(error).split()), 1)
    rows = np.flatnonzero(~passed.to_numpy(bool))
    first = rows[:SHOWN]
    found = tuple(frame[column].iloc[first].tolist()) if column in frame else ()
    fault = check.description or f"{column} not {check.error}"
    return Failure(check.name, fault, len(rows), str(frame.index.name), tuple(frame.index[first].tolist()), found)


def _check(name: str, fault: str, passes: Callable[[Any], Any]) -> Any:
    # Pandera copies every failing row once per column: without a cap, a table of blanks takes seconds per million rows.
    return pa.Check(passes, name=name, description=fault, n_failure_cases=SHOWN)
