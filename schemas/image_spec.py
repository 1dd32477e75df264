"""What one image is: its rows, columns and channels. No other module takes a shape apart."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Strict, model_serializer, model_validator

from schemas.parameters import Parameters

Side = Annotated[int, Strict(), Field(gt=0, le=4096)]


class ImageSpec(Parameters):
    """
    The shape of an image of uint8 values, row-major: rows, then columns, then channels.

    In TOML, JSON and a table's metadata it is the list that NumPy takes for a shape, `[28, 28]`; channels stand in it
    only where there is more than one, so that what was written before there were any reads as it did.
    """

    rows: Side
    columns: Side
    channels: Annotated[int, Strict(), Field(gt=0, le=4)] = 1

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
        return (self.rows, self.columns) if self.channels == 1 else (self.rows, self.columns, self.channels)

    @property
    def pixels(self) -> int:
        """Values of an image, which is its bytes: rows * columns * channels."""
        return self.rows * self.columns * self.channels

    @property
    def turned(self) -> ImageSpec:
        """The shape of an image that lies on its side: rows and columns exchanged."""
        return self.model_copy(update={"rows": self.columns, "columns": self.rows})

    def __str__(self) -> str:
        """Return `28 x 28`, or `32 x 32 x 3`."""
        return " x ".join(map(str, self.array))
