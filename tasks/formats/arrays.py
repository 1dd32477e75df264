"""
Arrays of NumPy in an npz file: which of them are images and labels of which split, and their rows, block by block.

Keys are found by the names that Keras, MedMNIST, scikit-learn and people use, or are said. Nothing is unpickled, and
nothing is cast: pixels are uint8. Shape and dtype are checked against the size of a member before its body is read.
"""

from __future__ import annotations

import math
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import ValidationError

from schemas.counts import counted
from schemas.errors import BadSource
from schemas.image_spec import ImageSpec
from schemas.visible import in_a_line
from tasks.formats.tree import Opener, opened

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Split = Literal["all", "train", "val", "test"]
"""all: there is one part alone, of which a test split is yet to be cut."""

IMAGES: Mapping[Split, tuple[str, ...]] = {
    "train": ("x_train", "train_images", "train_x", "images_train", "xtrain", "train_data"),
    "val": ("x_val", "x_valid", "val_images", "valid_images", "val_x", "images_val", "xval", "val_data"),
    "test": ("x_test", "test_images", "test_x", "images_test", "xtest", "test_data"),
    "all": ("images", "x", "data", "image", "imgs", "arr_0"),
}
LABELS: Mapping[Split, tuple[str, ...]] = {
    "train": ("y_train", "train_labels", "train_y", "labels_train", "ytrain", "train_targets"),
    "val": ("y_val", "y_valid", "val_labels", "valid_labels", "val_y", "labels_val", "yval", "val_targets"),
    "test": ("y_test", "test_labels", "test_y", "labels_test", "ytest", "test_targets"),
    "all": ("labels", "y", "target", "targets", "label", "arr_1"),
}
"""Keys of images and of labels, without regard to case."""
MAX_BYTES = 64 * 2**30
"""Of an array that is read block by block."""
MAX_AT_ONCE = 4 * 2**30
"""Of an array that has to be read whole: labels, and what lies in Fortran order."""
BLOCK_BYTES = 2**22
SHOWN = 40
WRONG = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError,
    SyntaxError,
)  # fmt: skip
"""What reading a damaged npz may raise."""


@dataclass(frozen=True)
class Array:
    """
    An array of the file, by its header.

    Args:
        key:     its name.
        dtype:   as NumPy writes it: `|u1`, `<i8`, `>i4`, `<U5`.
        shape:   outermost first.
        fortran: it lies in Fortran order.
        start:   bytes of the header.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    start: int

    def __str__(self) -> str:
        return f"{self.dtype.lstrip('|<>=')} of shape {' x '.join(map(str, self.shape)) or 'none'}"

    @property
    def bytes(self) -> int:
        """Of its body."""
        import numpy as np

        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Pair:
    """
    Images and labels of one split.

    Args: labels: None where there are none; shape: of an image; one_hot: labels are a column for each class.
    """

    split: Split
    images: Array
    labels: Array | None
    shape: ImageSpec
    one_hot: bool

    @property
    def samples(self) -> int:
        """Images, which are as many as labels."""
        return self.images.shape[0]


@dataclass(frozen=True)
class FoundArrays:
    """What the arrays of a file are: a pair for each split, and the keys that are not used."""

    name: str
    pairs: tuple[Pair, ...]
    ignored: tuple[str, ...]

    def told(self) -> str:
        """Say in a sentence what is taken for what."""
        pairs = "; ".join(
            f"{pair.split}: {counted(pair.samples, 'image')} of {pair.shape} from {_show(pair.images.key)}, labels "
            f"from {_show(pair.labels.key)}{', one-hot' if pair.one_hot else ''}"
            for pair in self.pairs
            if pair.labels
        )
        return pairs + (f"; not used: {', '.join(map(_show, self.ignored))}" if self.ignored else "")


def find_arrays(
    open_file: Opener,
    name: str,
    keys: Mapping[Split, tuple[str, str]] | None = None,
    shape: ImageSpec | None = None,
) -> FoundArrays:
    """
    Find out which arrays of an npz file are what, from their names and headers.

    Args:
        keys:  those of images and labels for each split; None: they are found.
        shape: of an image, where images lie as rows of pixels; else a square follows from n x n pixels.
    Raises:  BadSource: no npz, damaged, two keys that may be the one, none, or arrays that are no images and labels.
    """
    with _archive(open_file, name) as archive:
        arrays = _arrays(archive, name)
        chosen = _said(keys, arrays, name) if keys else _found(arrays, name)
    pairs = tuple(_pair(split, *both, shape, name) for split, both in chosen.items())
    used = {array.key for both in chosen.values() for array in both}
    return FoundArrays(name, pairs, tuple(sorted(set(arrays) - used)))


def find_images(open_file: Opener, name: str, shape: ImageSpec) -> tuple[Pair, ...]:
    """
    Find the images of an npz file, each array with its labels where it has some.

    An array that has a name of images is taken; where none has, the only one of uint8 that fits.

    Args:   shape: of an image.
    Raises: BadSource: no npz, damaged, no array of images, or one of another shape or type.
    """
    with _archive(open_file, name) as archive:
        arrays = _arrays(archive, name)
    chosen = dict[Split, tuple[Array, Array | None]]()
    splits: tuple[Split, ...] = ("train", "val", "test", "all")
    for split in splits:
        images, labels = (_one(arrays, names[split], split, name) for names in (IMAGES, LABELS))
        if images is not None:
            chosen[split] = (images, labels)
    if not chosen:
        fitting = [
            each for each in arrays.values() if each.dtype == "|u1" and math.prod(each.shape[1:]) == shape.pixels
        ]
        if len(fitting) != 1:
            way_out = "Call the array images."
            raise _bad(name, f"an array of uint8 images of {shape}", _listed(arrays), way_out)
        chosen["all"] = (fitting[0], None)
    return tuple(_pair(split, *both, shape, name) for split, both in chosen.items())


def image_blocks(open_file: Opener, name: str, pair: Pair) -> Iterator[npt.NDArray[np.uint8]]:
    """
    Read images block by block; what lies in Fortran order is read whole.

    Yields: uint8 (n, rows, columns), or (n, rows, columns, 3), in C order.
    Raises: BadSource: the file is damaged, or has changed since it was looked at.
    """
    for block in _blocks(open_file, name, pair.images):
        yield cast("npt.NDArray[np.uint8]", block.reshape(len(block), *pair.shape.array))


def labels_of(open_file: Opener, name: str, pair: Pair) -> list[str]:
    """
    Read labels as text: whole numbers as they are written, the column of the 1 where they are one-hot.

    Raises: BadSource: as `image_blocks`; a row that is not one-hot.
    """
    import numpy as np

    if pair.labels is None:
        raise ValueError(f"{name} has no labels beside {pair.images.key}")
    labels = np.concatenate(list(_blocks(open_file, name, pair.labels)))
    if not pair.one_hot:
        return [str(label) for label in labels.reshape(-1).tolist()]
    hot = labels == 1
    wrong = np.flatnonzero((hot.sum(axis=1) != 1) | ((labels != 0).sum(axis=1) != 1))
    if len(wrong):
        way_out = "Write one label for each image."
        found = f"{counted(len(wrong), 'row')} not so, the first is row {wrong[0]}"
        raise _bad(f"{name}, {_show(pair.labels.key)}", "one 1 in each row and 0 elsewhere", found, way_out)
    return [str(label) for label in hot.argmax(axis=1).tolist()]


def _show(key: str) -> str:
    return repr(in_a_line(key)[:SHOWN])


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    try:
        yield
    except WRONG as error:
        found = f"one that is damaged ({str(error).strip().rstrip('.') or type(error).__name__})"
        raise _bad(name, "a whole npz file", found, "Get a sound copy of it.") from error


@contextmanager
def _archive(open_file: Opener, name: str) -> Iterator[zipfile.ZipFile]:
    with opened(open_file, name) as file, _guarded(name), zipfile.ZipFile(file) as archive:
        yield archive


def _arrays(archive: zipfile.ZipFile, name: str) -> dict[str, Array]:
    """Read the header of each array; what is no array has none, and is not taken."""
    arrays, members = dict[str, Array](), archive.infolist()
    for member in members:
        if not member.filename.endswith(".npy"):
            continue
        if (key := member.filename.removesuffix(".npy")) in arrays:
            raise _bad(name, "each key once", f"{_show(key)} twice", "Write the file anew.")
        arrays[key] = _header(archive, member, key, name)
    if not arrays:
        found = ", ".join(_show(member.filename) for member in members[:5]) or "nothing"
        raise _bad(name, "arrays of NumPy (.npy) in it", found, "Name an npz file.")
    return arrays


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str, name: str) -> Array:
    from numpy.lib import format as npy

    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise _bad(f"{name}, {_show(key)}", "an array of plain values", "named fields", "Write a plain array.")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
        array = Array(key, dtype.str, shape, bool(fortran), file.tell())
    if dtype.hasobject:
        way_out = "Write it as uint8, whole numbers or text: a pickle may run any program, and is never opened."
        raise _bad(f"{name}, {_show(key)}", "an array of plain values", "Python objects", way_out)
    if dtype.names is not None or dtype.subdtype is not None:
        raise _bad(f"{name}, {_show(key)}", "an array of plain values", "named fields", "Write a plain array.")
    if array.start + array.bytes != member.file_size:
        found = f"a body of {counted(member.file_size - array.start, 'byte')}"
        raise _bad(
            f"{name}, {_show(key)}", f"{array}: {counted(array.bytes, 'byte')}", found, "Get a sound copy of it."
        )
    return array


def _said(
    keys: Mapping[Split, tuple[str, str]], arrays: Mapping[str, Array], name: str
) -> dict[Split, tuple[Array, Array]]:
    for key in (key for both in keys.values() for key in both):
        if key not in arrays:
            raise _bad(name, f"a key {_show(key)}", _listed(arrays), "Name one that is there.")
    return {split: (arrays[images], arrays[labels]) for split, (images, labels) in keys.items()}


def _found(arrays: Mapping[str, Array], name: str) -> dict[Split, tuple[Array, Array]]:
    chosen = dict[Split, tuple[Array, Array]]()
    splits: tuple[Split, ...] = ("train", "val", "test", "all")
    for split in splits:
        images, labels = (_one(arrays, names[split], split, name) for names in (IMAGES, LABELS))
        if images is None and labels is None:
            continue
        if split == "all" and chosen:
            raise _bad(name, "one pair of keys for each split", _listed(arrays), _SAY)
        if images is None or labels is None:
            half, key = ("labels", images) if labels is None else ("images", labels)
            found = f"{_listed(arrays)}, and so no {half} beside {_show(key.key if key else '')}"
            raise _bad(name, "images and labels of each split", found, _SAY)
        chosen[split] = (images, labels)
    if "train" not in chosen and "all" not in chosen:
        expected = "keys of images and labels, as x_train and y_train, train_images and train_labels, images and labels"
        raise _bad(name, expected, _listed(arrays), _SAY)
    return chosen


_SAY = "Say which keys are images and labels."


def _one(arrays: Mapping[str, Array], names: Sequence[str], split: Split, name: str) -> Array | None:
    there = [array for key, array in arrays.items() if key.lower() in names]
    if len(there) > 1:
        both = " and ".join(_show(array.key) for array in there)
        raise _bad(name, f"one key for a part of {split}", f"{both}, which may both be it", _SAY)
    return there[0] if there else None


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{_show(key)} ({array})" for key, array in list(arrays.items())[:12])


def _pair(split: Split, images: Array, labels: Array | None, shape: ImageSpec | None, name: str) -> Pair:
    spec = _image_shape(images, shape, name)
    if labels is None:
        return Pair(split, images, None, spec, one_hot=False)
    one_hot = _check_labels(labels, name)
    if images.shape[0] != labels.shape[0]:
        subject = f"{name}, {_show(images.key)} and {_show(labels.key)}"
        found = f"{counted(images.shape[0], 'image')} and {counted(labels.shape[0], 'label')}"
        raise _bad(subject, "as many images as labels", found, "Write both of the same samples.")
    return Pair(split, images, labels, spec, one_hot)


def _image_shape(images: Array, shape: ImageSpec | None, name: str) -> ImageSpec:
    """Return the shape of an image; refuse what is none, with the way out that fits."""
    where, inner = f"{name}, {_show(images.key)}", images.shape[1:]
    wanted = "images of uint8, of shape n x rows x columns, or n x rows x columns x 3"
    if images.dtype != "|u1":
        raise _bad(where, wanted, f"{images}", _of_another_type(images))
    if 0 in images.shape or not inner:
        raise _bad(where, wanted, f"{images}", "Write one image at least.")
    if len(inner) == 1:
        side = math.isqrt(inner[0])
        if shape is None and side * side != inner[0]:
            raise _bad(where, wanted, f"{images}: rows of pixels that make no square", "Say the size of an image.")
        inner = (side, side) if shape is None else shape.array
    if len(inner) == 3 and inner[2] not in {1, 3}:
        first = inner[0] in {1, 3}
        way_out = f"Put channels last: np.moveaxis({in_a_line(images.key)[:SHOWN]}, 1, -1)." if first else _ONE_OR_THREE
        raise _bad(where, wanted, f"{images}", way_out)
    inner = inner[:2] if len(inner) == 3 and inner[2] == 1 else inner
    try:
        found = ImageSpec.model_validate(inner)
    except ValidationError as error:
        raise _bad(where, wanted, f"{images}", "A side has at most 4096 pixels.") from error
    if found.pixels != math.prod(images.shape[1:]) or shape not in {None, found}:
        raise _bad(where, f"images of {shape or found}", f"{images}", "Correct the size.")
    return found


_ONE_OR_THREE = "Images have one channel or three: grey, or red, green and blue."


def _of_another_type(images: Array) -> str:
    kind, key = images.dtype.lstrip("|<>=")[0], in_a_line(images.key)[:SHOWN]
    if kind == "f":
        return (
            "Floats are not cast, as nobody knows their range: if it is 0 to 1, write "
            f"np.round({key} * 255).astype('uint8'); if it is 0 to 255, np.round({key}).astype('uint8')."
        )
    if kind == "b":
        return f"Write {key}.astype('uint8') * 255."
    return f"If all values are 0 to 255, write {key}.astype('uint8')."


def _check_labels(labels: Array, name: str) -> bool:
    """Check type and shape of labels. Returns: whether they are one-hot."""
    where, kind = f"{name}, {_show(labels.key)}", labels.dtype.lstrip("|<>=")[0]
    columns = labels.shape[1] if len(labels.shape) == 2 else 1
    if not 1 <= len(labels.shape) <= 2 or not columns or kind not in "iubfU":
        raise _bad(where, "labels of shape n, n x 1, or one-hot", f"{labels}", "Write one label for each image.")
    if columns == 1 and kind == "f":
        way_out = f"Write {in_a_line(labels.key)[:SHOWN]}.astype('int64'), if they are whole numbers."
        raise _bad(where, "labels that are whole numbers or text", f"{labels}", way_out)
    if columns > 1 and kind == "U":
        raise _bad(where, "labels of shape n or n x 1", f"{labels}", "Write one label for each image.")
    if labels.bytes > MAX_AT_ONCE:
        raise _bad(where, f"labels of at most {MAX_AT_ONCE:,} bytes", f"{labels.bytes:,}", "Write them as numbers.")
    return columns > 1


def _blocks(open_file: Opener, name: str, array: Array) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of an array, in this machine's byte order and C order."""
    import numpy as np

    dtype, inner = np.dtype(array.dtype), array.shape[1:]
    row = max(1, math.prod(inner) * dtype.itemsize)
    cap = MAX_AT_ONCE if array.fortran else MAX_BYTES
    if array.bytes > cap:
        way_out = "Write it in C order." if array.fortran else "Write several files."
        raise _bad(f"{name}, {_show(array.key)}", f"at most {cap:,} bytes", f"{array.bytes:,}", way_out)
    rows = array.shape[0] if array.fortran else max(1, BLOCK_BYTES // row)
    with _archive(open_file, name) as archive, archive.open(f"{array.key}.npy") as file:
        file.read(array.start)
        for start in range(0, array.shape[0], rows):
            count = min(rows, array.shape[0] - start)
            data = file.read(count * row)
            if len(data) != count * row:
                raise _bad(name, "the file that was looked at", "another one", "Leave it alone during a run.")
            flat = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
            if array.fortran:
                yield np.ascontiguousarray(flat.reshape(array.shape, order="F"))
            else:
                yield flat.reshape(count, *inner)
        file.read(1)  # the end, where the checksum is compared


def _bad(subject: str, expected: str, found: str, way_out: str) -> BadSource:
    return BadSource(subject, expected=expected, found=found, way_out=way_out)
