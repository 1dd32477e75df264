"""A place on this machine with labelled images in whatever form, and what a person says about it."""

from __future__ import annotations

import unicodedata
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Strict, field_validator

from schemas.class_names import Classes, ClassName
from schemas.image_spec import ImageSpec, Side
from schemas.parameters import Parameters, Sha256
from schemas.pictures import Fit, Grey, PictureSpec

Kind = Literal["pictures", "table", "arrays", "idx"]
"""What lies there: files of pictures; a CSV or TSV; an .npz; IDX files."""
SplitName = Literal["train", "test"]
Color = Literal["gray", "rgb"]
CHANNELS: dict[Color, int] = {"gray": 1, "rgb": 3}
TEST_FRACTION = 0.2
"""Share of the images that is the test split, where the place has none of its own and nobody says otherwise."""
ROWS = "rows.npy"
"""What parse leaves beside a table that was cut off packed files: which row of them each sample is."""
FILES, IMAGES, LABELS = "files.parquet", "{}-images", "{}-labels"
"""What pack leaves: a row per file, and the IDX files of each split."""


class Choices(Parameters):
    """
    What a person says about a place: by flags, below [pack] of a description, or in the form.

    What is not said is found, and has to be the same for all; where it is not, the run is refused and says so.
    """

    size: tuple[Side, Side] | None = Field(default=None, description="rows and columns that every picture is scaled to")
    color: Color | None = Field(default=None, description="gray: one channel; rgb: three")
    fit: Fit = Field(
        default="exact", description="of a picture of another size: refused, scaled and padded, or stretched"
    )
    pad: Grey = Field(default=0, description="level around a padded picture, 0 to 255")
    background: Grey | None = Field(default=None, description="level that transparent parts are laid on, 0 to 255")
    frames: Literal["refuse", "first"] = Field(default="refuse", description="of a picture of several frames")
    deep: Literal["refuse", "shift"] = Field(default="refuse", description="of a picture with 16 bits a channel")
    test_fraction: Annotated[float, Strict(), Field(gt=0, lt=1)] | None = Field(
        default=None, description=f"share of the images that is the test split [{TEST_FRACTION:g}]"
    )
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=65536)] | None = Field(
        default=None, description="the classes that are used, in the order of their labels"
    )
    label: str | None = Field(default=None, max_length=200, description="column of the labels in a CSV or TSV")
    allow_refused: bool = Field(default=False, description="go on where more than 1 % of the pictures cannot be used")

    @field_validator("classes", mode="before")
    @classmethod
    def _compose(cls, given: object) -> object:
        """Bring names to the form in which those of folders are compared: a Mac takes accents apart."""
        if isinstance(given, list | tuple):
            return [unicodedata.normalize("NFC", each) if isinstance(each, str) else each for each in given]
        return given

    @property
    def said(self) -> tuple[str, ...]:
        """The names of what is said; not of what is as it would be anyway: a form sends all of that."""
        fields = type(self).model_fields
        return tuple(name for name in fields if getattr(self, name) != fields[name].default)


class Source(Parameters):
    """
    What pack turns into IDX files.

    Args:
        path:    where it lies: no part of any key, so that it may be moved.
        content: SHA-256 of the listing: of each file its name, the letter case of its ending ignored, and its content.
        picture: what each image becomes.
        classes: names, in label order.
        splits:  the parts that it has of its own; with ("train",) the test split is cut off.
        chosen:  the classes that a person has chosen; no part of any key, as `classes` are the same ones then.
        counts:  images of each part, as far as that is known before they are read.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"path", "name", "chosen", "counts"})
    path: str
    name: str = Field(description="what it is called, for messages")
    kind: Kind
    content: Sha256
    picture: PictureSpec
    classes: Classes
    splits: tuple[SplitName, ...] = ("train",)
    label: str | None = Field(default=None, description="column of the labels")
    tables: dict[SplitName, str] = Field(
        default_factory=dict, description="of each part, the table that lists pictures"
    )
    chosen: tuple[str, ...] | None = Field(default=None, description="the classes that a person has chosen")
    counts: dict[SplitName, int] = Field(default_factory=dict)
    allow_refused: bool = False

    @property
    def shape(self) -> ImageSpec:
        """The shape of an image."""
        return self.picture.shape
