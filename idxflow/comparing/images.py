"""The images of a split as arrays: raw, or as the network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifacts.ref import Ref
from schemas.counts import counted
from schemas.model import MEAN, NORMALIZER

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Kind = Literal["raw", "normalized"]
ROWS = 1_000
"""Images normalised at once: few enough for the processor's cache."""


# Arrays have no one truth value: comparing two splits would fail. And they are too long to print.
@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """
    A split as arrays, in the order of its files.

    Args:
        sample_id: uint32 (n,), 0 to n - 1.
        label:     uint16 (n,), class indices from 0.
        image:     (n, rows, columns): raw ones uint8, 0 to 255; normalized ones float32, as the tutorial's network
                   sees them: scaled to [-1, 1], less the mean image, over one standard deviation. Only raw ones are
                   for the saved model, which does all of this by itself.
        classes:   class names, in label order.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    image: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        count, rows, columns = self.image.shape
        return f"<{counted(count, 'image')} of {rows} x {columns}, {self.image.dtype}, {len(self.classes)} classes>"

    @property
    def flat(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """The images as (n, rows * columns): raw ones are what a model takes."""
        return self.image.reshape(len(self.image), -1)


def load_images(table: Ref, normalizer: Ref | None = None) -> Images:
    """
    Load the table of a split.

    Args:   table:      an artifact of parse.  normalizer: one of normalize; None for raw pixels.
    Raises: BadTable: the table is none of idxflow's.
    """
    from schemas.image_table import TABLE, ImageTable

    opened = ImageTable(table.file(TABLE))
    batch, shape = opened.read(), opened.metadata.shape
    pixels: Any = _normalize(batch.image, normalizer) if normalizer else batch.image
    return Images(batch.sample_id, batch.label, pixels.reshape(-1, *shape.array), opened.metadata.classes)


def _normalize(image: npt.NDArray[np.uint8], normalizer: Ref) -> npt.NDArray[np.float32]:
    import numpy as np

    from schemas.model import NormalizerFacts
    from tasks.normalize import normalize_pixels

    facts = NormalizerFacts.model_validate_json(normalizer.file(NORMALIZER).read_bytes())
    mean = np.load(normalizer.file(MEAN), allow_pickle=False)
    normalized = np.empty(image.shape, np.float32)
    # float64 for a whole split would take four times the memory of the result, and eight times as long.
    for start in range(0, len(image), ROWS):
        rows = slice(start, start + ROWS)
        normalized[rows] = normalize_pixels(image[rows], mean, facts.std)
    return normalized
