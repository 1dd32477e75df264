"""The images of a split as arrays, and the classes that a stored model predicts for new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifacts.ref import Ref
from schemas.counts import counted
from schemas.errors import UsageError
from schemas.image_spec import ImageSpec
from schemas.model import MEAN, NORMALIZER

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.formats.table import Parts
    from tasks.inference.perceptron import Perceptron

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
        image:     (n, rows, columns), in colour (n, rows, columns, 3): raw ones uint8, 0 to 255; normalized ones
                   float32, as the tutorial's network sees them: scaled to [-1, 1], less the mean image, over one
                   standard deviation. Only raw ones are for the saved model, which does all of this by itself.
        classes:   class names, in label order.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    image: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        count, *shape = self.image.shape
        size = " x ".join(map(str, shape))
        return f"<{counted(count, 'image')} of {size}, {self.image.dtype}, {len(self.classes)} classes>"

    def _repr_html_(self) -> str:
        """Return the first images for a notebook."""
        from idxflow.views.notebook import images_html

        return images_html(self)

    @property
    def flat(self) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """The images as (n, values of one): raw ones are what a model takes."""
        return self.image.reshape(len(self.image), -1)


def load_images(table: Parts, normalizer: Ref | None = None) -> Images:
    """
    Load the table of a split.

    Args:   table:      of parse.  normalizer: one of normalize; None for raw pixels.
    Raises: BadTable: the table is none of idxflow's.
    """
    from tasks.formats.table import open_table

    opened = open_table(table)
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


SUBJECT = "the images"
WHOLE = "raw pixels, 0 to 255, uint8"
SIZE = "Bring them to the size of the data set's images, as they were cut out and scaled there."


# Arrays have no one truth value, and are too long to print.
@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """
    What a model predicts for n images, in their order.

    Args:
        label:         int64 (n,), the index of the most probable class; the first of equals.
        name:          names of these classes.
        probabilities: float32 (n, classes), in [0, 1]; each row adds up to 1.
        classes:       names of all classes, in label order.
    """

    label: npt.NDArray[np.int64]
    name: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<predictions for {counted(len(self.name), 'image')}, {self.probabilities.shape[1]} classes>"

    def _repr_html_(self) -> str:
        """Return the classes of the first images for a notebook."""
        from idxflow.views.notebook import predictions_html

        return predictions_html(self)


@dataclass(frozen=True)
class Classifier:
    """
    A model that is loaded, with what its images and classes are.

    Args:
        network: as it was saved.
        shape:   of an image.
        classes: names, in label order.
    """

    network: Perceptron
    shape: ImageSpec
    classes: tuple[str, ...]

    def predict(self, images: npt.ArrayLike) -> Predictions:
        """
        Predict the class of each image; see `idxflow.api.ArchivedRun.predict`.

        Raises: UsageError: they are not raw pixels of the model's shape.  TrainingDiverged: the model gives no number.
        """
        import numpy as np

        from schemas.image_table import rows_per_group

        pixels = raw_pixels(images, self.shape)
        # Cut as a table is, so that a whole split comes to evaluate's bits: blocks of other sizes add up otherwise.
        step = rows_per_group(pixels.shape[1])
        parts = [self.network(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        probabilities = np.concatenate(parts)
        label = probabilities.argmax(axis=1)
        return Predictions(label, tuple(self.classes[index] for index in label.tolist()), probabilities, self.classes)


def raw_pixels(images: npt.ArrayLike, shape: ImageSpec) -> npt.NDArray[np.uint8]:
    """
    Check that images are raw pixels of a shape.

    Args:
        images: (n, rows, columns), (n, rows * columns) or one image, (rows, columns), in colour each with an axis of 3
                at its end, (n, rows * columns * 3) if flat; uint8, or integers of another type that are all from 0 to
                255, which are the same numbers.
        shape:  of an image.
    Returns: uint8 (n, values of an image), at least one row.
    Raises:  UsageError: of another shape or type, none at all, or out of range.
    """
    import numpy as np

    try:
        given = np.asarray(images)
    except ValueError as error:  # lists of different lengths
        raise _refused(WHOLE, f"no array: {error}", "Images have to be of one size.") from error
    _check_shape(given, shape)
    if given.dtype != np.uint8:
        _check_values(given)
    return given.astype(np.uint8, copy=False).reshape(-1, shape.pixels)


def _check_shape(given: npt.NDArray[Any], shape: ImageSpec) -> None:
    if given.dtype.kind not in "buif":
        found = given.item() if given.ndim == 0 else given.dtype
        name = type(found).__name__ if given.ndim == 0 else f"an array of {found}"
        raise _refused(WHOLE, name, 'Hand over numbers in an array, as `run.table("test").image` is one.')
    if not given.size:
        raise _refused("at least one image", "none", "Nothing was predicted.")
    sizes, one = given.shape, shape.array
    if sizes != one and not (sizes[1:] in {one, (shape.pixels,)} and len(sizes) > 1):
        listed = ", ".join(map(str, one))
        expected = f"shape (n, {listed}), (n, {shape.pixels}) or, of one image, ({listed})"
        raise _refused(expected, str(sizes), _shape_way_out(sizes, shape))


def _shape_way_out(sizes: tuple[int, ...], shape: ImageSpec) -> str:
    if sizes == (shape.pixels,):
        return "One image in a row is `images.reshape(1, -1)`."
    sides = shape.rows, shape.columns
    if shape.colour:
        return _colour_way_out(sizes, sides)
    if sizes[-3:] == (*sides, 1):
        return "Take the axis of the one channel off: `images[..., 0]`."
    if sizes[-3:] in {(*sides, 3), (*sides, 4)}:
        return "These look like colours, and the model was trained on grey pixels: convert them as its data set was."
    return SIZE


def _colour_way_out(sizes: tuple[int, ...], sides: tuple[int, int]) -> str:
    if sizes[-3:] == (3, *sides):
        return "Bring the channels, which stand first, to the end: `np.moveaxis(images, -3, -1)`."
    if sizes[-3:] == (*sides, 4):
        return "Leave out the opacity, the last of the four channels: `images[..., :3]`."
    if sizes[-3:] == (*sides, 1) or sizes[-2:] == sides:
        return "These look grey, and the model was trained on red, green and blue: hand over the images in colour."
    return SIZE


def _check_values(given: npt.NDArray[Any]) -> None:
    low, high = given.min(), given.max()
    if given.dtype.kind == "b":
        raise _refused(WHOLE, "bool", "Where True is white that is `images.astype(np.uint8) * 255`.")
    if given.dtype.kind in "iu" and low >= 0 and high <= 255:
        return
    found = f"{given.dtype} from {low:g} to {high:g}"
    if given.dtype.kind in "iu":
        more = "Pixels of more than 8 bits have to be scaled to 0 to 255 first."
        raise _refused(WHOLE, found, more if low >= 0 else "Hand over the pixels as the data set's files have them.")
    if low >= 0 and high <= 1:
        way_out = "The model scales by itself: hand over the pixels as they were before."
        raise _refused(WHOLE, f"{found}: these look scaled", way_out)
    if low < 0:
        way_out = "The model normalises by itself: hand over the pixels as they were before."
        raise _refused(WHOLE, f"{found}: these look normalized", way_out)
    raise _refused(WHOLE, found, "If they are whole numbers from 0 to 255: `images.astype(np.uint8)`.")


def _refused(expected: str, found: str, way_out: str) -> UsageError:
    return UsageError(SUBJECT, expected=expected, found=found, way_out=way_out)
