"""The Pandera schemas: what each of them refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.results import PROFILE_TYPES, Failure
from schemas.tables import class_profile, drift_profile, failures, image_profile

COLUMNS = list(PROFILE_TYPES)
CLASSES = 10
ROWS = 30
quick = settings(deadline=None, max_examples=40)  # the first check imports for longer than a deadline allows


def sound(start: int = 0) -> pd.DataFrame:
    """A profile that nothing is wrong with, of images from `start` on."""
    ids = np.arange(start, start + ROWS)
    return pd.DataFrame(
        {
            "sample_id": ids.astype(np.uint32),
            "label": (ids % CLASSES).astype(np.uint16),
            "minimum": np.zeros(ROWS, np.uint8),
            "maximum": np.full(ROWS, 255, np.uint8),
            "mean": np.linspace(1, 254, ROWS, dtype=np.float32),
            "ink": np.linspace(0, 1, ROWS, dtype=np.float32),
            "spread": np.full(ROWS, 255, np.uint8),
            "digest": ids.astype(np.uint64),
        },
        pd.RangeIndex(start, start + ROWS, name="sample_id"),
    )


def check(frame: pd.DataFrame) -> list[Failure]:
    """Return what the schema of ten classes finds in `frame`."""
    return failures(image_profile(CLASSES), frame)


@quick
@given(st.integers(0, 2**32 - 1 - ROWS))
def test_a_sound_profile_passes(start: int) -> None:
    """A profile passes wherever in the table it starts."""
    assert check(sound(start)) == []


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_refused(column: str) -> None:
    """A profile without one of its columns fails, and the failure names it."""
    assert any(f"'{column}' not in dataframe" in str(failure) for failure in check(sound().drop(columns=column)))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("dtype", ["int64", "float64", "string"])
def test_a_wrong_dtype_is_refused(column: str, dtype: str) -> None:
    """A column of another type fails, and the failure names it: nothing is converted silently."""
    assert any(f"'{column}' to have type" in str(failure) for failure in check(sound().astype({column: dtype})))


def test_an_extra_column_is_refused() -> None:
    """A column that nobody declared fails."""
    assert any("'extra' not in" in str(failure) for failure in check(sound().assign(extra=0)))


def test_columns_in_another_order_are_refused() -> None:
    """The order of the columns is a part of the schema."""
    assert check(sound()[COLUMNS[::-1]])


@pytest.mark.parametrize("column", ["mean", "ink"])
def test_a_value_that_is_not_a_number_is_refused(column: str) -> None:
    """NaN fails."""
    frame = sound()
    frame.loc[3, column] = np.nan
    assert any("null" in str(failure) and column in str(failure) for failure in check(frame))


@quick
@given(row=st.integers(0, ROWS - 1), label=st.integers(CLASSES, 2**16 - 1))
def test_a_label_out_of_range_is_refused(row: int, label: int) -> None:
    """A label beyond the last class fails, with its image and the label."""
    frame = sound()
    frame.loc[row, "label"] = np.uint16(label)
    assert [str(failure) for failure in check(frame)] == [
        f"images with a label outside 0 to 9: 1 (sample_id {row}: {label})"
    ]


@quick
@given(row=st.integers(0, ROWS - 1), other=st.integers(0, 2**32 - 1))
def test_any_wrong_sample_id_is_refused(row: int, other: int) -> None:
    """An id that is not its row's number fails: one that occurs twice, one that leaves a gap, one in disorder."""
    frame = sound()
    frame.loc[row, "sample_id"] = np.uint32(other)
    found = [(failure.check, failure.where, failure.found) for failure in check(frame)]
    assert found == ([("sample_id", (row,), (other,))] if other != row else [])


@pytest.mark.parametrize(("column", "value"), [("minimum", 255), ("maximum", 0), ("mean", 255), ("mean", 0)])
def test_intensities_out_of_order_are_refused(column: str, value: int) -> None:
    """The mean lies between the smallest and the largest pixel."""
    frame = sound().assign(minimum=np.uint8(1), maximum=np.uint8(254))
    frame[column] = frame[column].mask(frame.index == 4, value).astype(frame[column].dtype)
    assert ("order", (4,)) in [(failure.check, failure.where) for failure in check(frame)]


@pytest.mark.parametrize(("column", "value"), [("mean", 255.5), ("mean", -0.5), ("ink", 1.5), ("ink", -0.5)])
def test_a_value_out_of_range_is_refused(column: str, value: float) -> None:
    """A mean outside of 0 to 255, or a share outside of 0 to 1, fails under its column's name."""
    frame = sound()
    frame.loc[4, column] = np.float32(value)
    assert any(f"{column} not" in str(failure) and failure.where == (4,) for failure in check(frame))


def test_all_failures_are_found_together() -> None:
    """Several failures in one profile are all told, each with its own images."""
    frame = sound().astype({"digest": "int64"})
    frame.loc[1, "label"] = np.uint16(11)
    frame.loc[[2, 3], "sample_id"] = np.uint32(0)
    frame.loc[4, ["maximum", "spread"]] = np.uint8(0)
    found = {failure.check: failure.where for failure in check(frame)}
    assert found == {"dtype('uint64')": (), "label": (1,), "sample_id": (2, 3), "order": (4,), "blank": (4,)}


def test_a_count_is_complete_where_rows_are_cut() -> None:
    """Only the first twenty rows are listed; the count has them all."""
    (blank,) = check(sound().assign(spread=np.uint8(0)))
    assert (blank.check, blank.count, blank.where) == ("blank", ROWS, tuple(range(20)))


def classes(**images: int) -> pd.DataFrame:
    """The profile of classes with so many images."""
    counts = pd.Series(list(images.values()), pd.Index(list(images), name="class"), "int64")
    return pd.DataFrame({"images": counts, "ratio": counts.max() / counts.where(counts > 0, counts.max())})


def test_a_missing_class_is_refused_where_all_must_occur() -> None:
    """A class without an image fails by its name, where completeness is asked for."""
    frame = classes(circle=5, square=0, star=5)
    assert [str(one) for one in failures(class_profile(10, complete=True), frame)] == [
        "classes without an image: 1 (class square: 0)"
    ]
    assert failures(class_profile(10, complete=False), frame) == []


@quick
@given(st.integers(1, 100), st.integers(1, 100))
def test_imbalance_is_refused_above_its_bound(small: int, large: int) -> None:
    """A class fails if the largest one has more than ten times its images, and not at ten times."""
    found = failures(class_profile(10, complete=True), classes(a=small, b=large))
    wrong = [name for name, count in (("a", small), ("b", large)) if max(small, large) > 10 * count]
    assert [failure.where for failure in found] == ([tuple(wrong)] if wrong else [])


def test_drift_is_refused_above_its_bound() -> None:
    """A feature fails if its index is above the bound, and not at it."""
    frame = pd.DataFrame({"excess": [0.2, 0.21, -0.1]}, pd.Index(["label", "mean", "ink"], name="feature"))
    assert [(failure.check, failure.where) for failure in failures(drift_profile(0.2), frame)] == [("drift", ("mean",))]
