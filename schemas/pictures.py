"""How one picture becomes an image of a table: its shape, and one stated answer to each odd thing it may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from schemas.image_spec import ImageSpec
from schemas.parameters import Parameters, Wanted


def _grey_or_colour(shape: ImageSpec) -> ImageSpec:
    if shape.channels not in {1, 3}:
        raise Wanted("a shape of one channel (grey) or three (red, green, blue)", str(shape))
    return shape


Fit = Literal["exact", "pad", "stretch"]
Grey = Annotated[int, Strict(), Field(ge=0, le=255)]


class PictureSpec(Parameters):
    """
    What a picture is turned into; docs/pictures.md says what each answer does.

    Args:
        shape:      of the image: one channel (grey) or three (red, green, blue).
        fit:        what is done with a picture of another size. exact: it is refused; pad: scaled, its aspect kept,
                    and laid in the middle; stretch: scaled to the shape.
        pad:        the level of each channel around a padded picture, 0 to 255.
        color:      what is done with colours where the shape is grey, and with grey where it is not. exact: refused.
        background: the level that transparent parts are laid on, 0 to 255; None: a picture that has some is refused.
        frames:     what is done with a picture of several frames or pages. first: the first one is taken.
        deep:       what is done with 16 bits a channel. shift: the higher 8 of them are taken.
    """

    shape: Annotated[ImageSpec, AfterValidator(_grey_or_colour)]
    fit: Fit = "exact"
    pad: Grey = 0
    color: Literal["exact", "convert"] = "convert"
    background: Grey | None = None
    frames: Literal["refuse", "first"] = "refuse"
    deep: Literal["refuse", "shift"] = "refuse"

    @property
    def words(self) -> str:
        """How pictures were prepared, in sentences: whoever has a model name new ones has to do the same."""
        scaled = {
            "exact": "None was scaled.",
            "pad": f"They were scaled to fit, by Pillow's BILINEAR, and laid in the middle on level {self.pad}.",
            "stretch": "They were scaled to that size, by Pillow's BILINEAR.",
        }
        said = [f"Pictures were decoded by Pillow, turned as their EXIF says, to {self.shape.words}.", scaled[self.fit]]
        if not self.shape.colour:
            said.append("Colours became grey by (19595 R + 38470 G + 7471 B + 32768) >> 16.")
        if self.background is not None:
            said.append(f"Transparent parts were laid on level {self.background}.")
        if self.deep == "shift":
            said.append("Of 16 bits a channel the higher 8 were kept.")
        return " ".join(said)
