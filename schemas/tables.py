"""
What the profile of a split has to look like, as Pandera schemas.

Importing this module loads pandas and pandera; a stage imports it inside its body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandera.backends.pandas.builtin_checks  # noqa: F401 - else the first check loads it, for a tenth of a second
import pandera.pandas as pa

from schemas.results import PROFILE_TYPES, SHOWN, Failure


def image_profile(classes: int) -> Any:
    """
    Return the schema of `PROFILE_TYPES`, one row per image, with labels from 0 to `classes - 1`.

    Columns are named one by one: a regular expression would accept a frame without any of them.
    """
    last = classes - 1
    unique = "images whose sample_id is not the row's number, as unique and complete ids are"
    checks = {
        "sample_id": _check("sample_id", unique, lambda ids: ids == ids.index),
        "label": _check("label", f"images with a label outside 0 to {last}", lambda label: label <= last),
        "mean": [pa.Check.ge(0), pa.Check.le(255)],
        "ink": [pa.Check.ge(0), pa.Check.le(1)],
    }
    order = _check(
        "order",
        "images whose intensities are not minimum <= mean <= maximum",
        lambda rows: (rows["minimum"] <= rows["mean"]) & (rows["mean"] <= rows["maximum"]),
    )
    blank = _check("blank", "images whose pixels are all equal", lambda rows: rows["spread"] > 0)
    columns = {name: pa.Column(kind, checks.get(name)) for name, kind in PROFILE_TYPES.items()}
    return pa.DataFrameSchema(columns, checks=[order, blank], strict=True, ordered=True)


def class_profile(max_imbalance: float, *, complete: bool) -> Any:
    """
    Return the schema of one row per class; the index is the class's name.

    `images`: how many, int64; with `complete` no class is without one. `ratio`: images of the largest class over images
    of this one, float64, at most `max_imbalance`; 1 for a class without images.
    """
    fault = f"classes with less than 1/{max_imbalance:g} of the largest class's images, by that ratio"
    occurs = _check("missing_class", "classes without an image", lambda images: images > 0)
    columns = {
        "images": pa.Column("int64", occurs if complete else pa.Check.ge(0)),
        "ratio": pa.Column("float64", _check("imbalance", fault, lambda ratio: ratio <= max_imbalance)),
    }
    return pa.DataFrameSchema(columns, strict=True, ordered=True)


def drift_profile(max_drift: float) -> Any:
    """
    Return the schema of one row per feature; the index is its name.

    `excess`: the population stability index above noise, float64, at most `max_drift`.
    """
    fault = f"features unlike the train split's, by a population stability index more than {max_drift:g} above noise"
    excess = pa.Column("float64", _check("drift", fault, lambda excess: excess <= max_drift))
    return pa.DataFrameSchema({"excess": excess}, strict=True)


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
