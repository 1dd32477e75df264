"""The shape of an image: a list outside, its parts inside."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from schemas.image_spec import ImageSpec
from schemas.image_table import TableMetadata


@pytest.mark.parametrize(("listed", "text", "pixels"), [([28, 20], "28 x 20", 560), ([32, 30, 3], "32 x 30 x 3", 2880)])
def test_a_shape_is_a_list_outside(listed: list[int], text: str, pixels: int) -> None:
    """It is read from the list that NumPy takes, and written as that list; channels only where there are several."""
    spec = ImageSpec.model_validate(listed)
    assert (str(spec), spec.pixels, spec.array, spec.turned.array[:2]) == (
        text, pixels, tuple(listed), (listed[1], listed[0]),
    )  # fmt: skip
    assert json.loads(spec.model_dump_json()) == listed
    assert ImageSpec.model_validate(dict(spec)) == ImageSpec.model_validate(tuple(listed)) == spec


def test_one_channel_is_grey() -> None:
    """A third number of 1 says what is said without it; three are colour, in words as well."""
    grey, colour = ImageSpec.model_validate([28, 20, 1]), ImageSpec.model_validate([28, 20, 3])
    assert grey == ImageSpec(rows=28, columns=20)
    assert (grey.array, grey.listed, grey.colour, grey.words) == ((28, 20), (28, 20, 1), False, "28 x 20 pixels")
    assert (colour.listed, colour.colour, colour.words) == ((28, 20, 3), True, "28 x 20 pixels in colour")
    assert colour.turned.array == (20, 28, 3)


@pytest.mark.parametrize(
    "given",
    [[28], [28, 28, 3, 1], [0, 28], [28, 4097], [28.0, 28], *([28, 28, n] for n in (0, 2, 4)), [3, 28, 28], "28", 28],
)
def test_what_is_no_shape_is_refused(given: object) -> None:
    """Two or three whole numbers, sides from 1 to 4096, channels 1 or 3."""
    with pytest.raises(ValidationError):
        ImageSpec.model_validate(given)


def test_tables_of_before_are_read_and_written_as_ever() -> None:
    """The metadata of a table has rows and columns alone, and says the same of one channel, named or not."""
    before = '{"split": "train", "shape": [28, 28], "classes": ["a", "b"], "label_offset": 0, "label_values": null}'
    metadata = TableMetadata.model_validate_json(before)
    assert metadata.shape == ImageSpec(rows=28, columns=28, channels=1)
    assert json.loads(metadata.model_dump_json()) == json.loads(before)
