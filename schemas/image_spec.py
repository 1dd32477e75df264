"""What one image is: its rows, columns and channels. No other module takes a shape apart."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict, model_serializer, model_validator

from schemas.parameters import Parameters, Wanted

Side = Annotated[int, Strict(), Field(gt=0, le=4096)]
GREY, COLOUR = 1, 3
"""Channels of an image: one of grey values, or red, green and blue, in this order."""


def _check_channels(channels: int) -> int:
    if channels not in {GREY, COLOUR}:
        raise Wanted(f"{COLOUR} for colour, or {GREY} for grey,")
    return channels


def _check_listed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Accept the third number of a shape, where there is one, as channels, and know them where they stand first."""
    _, columns, *channels = shape
    if not channels or channels[0] in {GREY, COLOUR}:
        return shape
    if shape[0] in {GREY, COLOUR}:
        raise Wanted(f"channels last, [{columns}, {channels[0]}, {shape[0]}],", f"channels first, {list(shape)}")
    raise Wanted(f"{COLOUR} for colour, or nothing for grey,", f"the third number {channels[0]}")


Channels = Annotated[int, Strict(), AfterValidator(_check_channels)]
ListedShape = Annotated[tuple[Side, ...], Field(min_length=2, max_length=3), AfterValidator(_check_listed)]
"""A shape as a description has it: rows, columns, and channels where they are 3; 1 says what nothing says."""


class ImageSpec(Parameters):
    """
    The shape of an image of uint8 values, row-major: rows, then columns, then channels, which are 1 or 3.

    In TOML, JSON and a table's metadata it is the list that NumPy takes for a shape, `[28, 28]`; channels stand in it
    only where there is more than one, so that what was written before there were any reads as it did.
    """

    rows: Side
    columns: Side
    channels: Channels = GREY

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        listed = isinstance(given, list | tuple) and len(given) in {2, 3}
        return dict(zip(cls.model_fields, given, strict=False)) if listed else given

    @model_serializer
    def _as_list(self) -> tuple[int, ...]:
        return self.array

    @property
    def array(self) -> tuple[int, ...]:
        """The shape of its NumPy array: (rows, columns), or (rows, columns, channels)."""
        return (self.rows, self.columns, self.channels) if self.colour else (self.rows, self.columns)

    @property
    def listed(self) -> tuple[int, int, int]:
        """Rows, columns and channels, also of a grey image: some files have an axis for its one channel."""
        return self.rows, self.columns, self.channels

    @property
    def colour(self) -> bool:
        """Whether a pixel has red, green and blue; else it is grey."""
        return self.channels == COLOUR

    @property
    def pixels(self) -> int:
        """Values of an image, which is its bytes: rows * columns * channels. They are what a network takes."""
        return self.rows * self.columns * self.channels

    @property
    def turned(self) -> ImageSpec:
        """The shape of an image that lies on its side: rows and columns exchanged."""
        return self.model_copy(update={"rows": self.columns, "columns": self.rows})

    @property
    def words(self) -> str:
        """What it is for people: `28 x 28 pixels`, or `32 x 32 pixels in colour`."""
        return f"{self.rows} x {self.columns} pixels{' in colour' if self.colour else ''}"

    def __str__(self) -> str:
        """Return `28 x 28`, or `32 x 32 x 3`."""
        return " x ".join(map(str, self.array))
