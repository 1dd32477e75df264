"""Arrays of an npz: which of them are images and labels is found and told; nothing is cast, guessed or unpickled."""

from __future__ import annotations

import io
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BadSource
from schemas.image_spec import ImageSpec
from tasks.formats import arrays
from tasks.formats.arrays import FoundArrays, Split, find_arrays, image_blocks, labels_of
from tasks.formats.tree import Opener, open_tree

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([3, 1, 0, 3])


def opener(**given: Any) -> Opener:
    """Return what opens an npz of these arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **given)
    return lambda: nullcontext(io.BytesIO(file.getvalue()))


def find(**given: Any) -> FoundArrays:
    """Find the pairs in an npz of these arrays."""
    return find_arrays(opener(**given), "a.npz")


def read(images: Any = IMAGES, labels: Any = LABELS, shape: ImageSpec | None = None) -> tuple[Any, list[str]]:
    """Return images and labels as they are read from an npz."""
    file = opener(images=images, labels=labels)
    (pair,) = find_arrays(file, "a.npz", None, shape).pairs
    blocks = list(image_blocks(file, "a.npz", pair))
    assert all(block.dtype == np.uint8 and block.flags.c_contiguous for block in blocks)
    return np.concatenate(blocks).tolist(), labels_of(file, "a.npz", pair)


@pytest.mark.parametrize(
    ("keys", "splits"),
    [
        ("x_train y_train x_test y_test", ["train", "test"]),
        ("X_train Y_train", ["train"]),
        ("train_images train_labels val_images val_labels test_images test_labels", ["train", "val", "test"]),
        ("images labels", ["all"]),
        ("X y", ["all"]),
        ("data target", ["all"]),
        ("arr_0 arr_1", ["all"]),
    ],
)
def test_pairs_are_found_by_their_keys(keys: str, splits: list[str]) -> None:
    """The names that Keras, MedMNIST, scikit-learn and NumPy give are known, with another array beside them."""
    names = keys.split()
    found = find(**{key: LABELS if at % 2 else IMAGES for at, key in enumerate(names)}, note=np.arange(3))
    assert [pair.split for pair in found.pairs] == splits
    assert [array.key for pair in found.pairs for array in (pair.images, pair.labels) if array] == names
    assert found.ignored == ("note",)


def test_it_is_told_what_is_what() -> None:
    """A sentence says which array is taken for what, and which are not used."""
    assert find(x_train=IMAGES, y_train=np.eye(4), z=np.arange(2)).told() == (
        "train: 4 images of 2 x 3 from 'x_train', labels from 'y_train', one-hot; not used: 'z'"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": IMAGES, "b": LABELS}, r"expected keys of images and labels.*found 'a' \(u1 of shape 4 x 2 x 3\), 'b'"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "no labels beside 'x_test'"),
        ({"y": LABELS}, "no images beside 'y'"),
        ({"x": IMAGES, "images": IMAGES, "y": LABELS}, "'x' and 'images', which may both be it"),
        ({"x_train": IMAGES, "y_train": LABELS, "x": IMAGES, "y": LABELS}, "one pair of keys for each split"),
        ({"x_test": IMAGES, "y_test": LABELS}, "keys of images and labels"),
        ({"x": IMAGES, "y": LABELS[:3]}, "as many images as labels, found 4 images and 3 labels"),
    ],
)
def test_what_may_be_either_is_an_error(given: dict[str, Any], said: str) -> None:
    """Nothing is guessed: the message lists the keys, and says how they are named."""
    with pytest.raises(BadSource, match=f"{said}.*(Say which keys|Write both)"):
        find(**given)


def test_keys_can_be_said() -> None:
    """Whatever arrays are called, and whatever else may be meant."""
    file = opener(x=IMAGES, images=IMAGES, y=LABELS, more=LABELS)
    keys: dict[Split, tuple[str, str]] = {"train": ("images", "more")}
    assert (labels := find_arrays(file, "a.npz", keys).pairs[0].labels) and labels.key == "more"
    with pytest.raises(BadSource, match="expected a key 'other', found 'x'"):
        find_arrays(file, "a.npz", {"train": ("other", "y")})


def test_however_images_lie_they_are_the_same() -> None:
    """C and Fortran order, a channel of one, rows of pixels with their size."""
    same = read()[0]
    assert same == IMAGES.tolist()
    assert read(np.asfortranarray(IMAGES))[0] == same
    assert read(IMAGES[..., None])[0] == same
    assert read(IMAGES.reshape(4, 6), shape=ImageSpec(rows=2, columns=3))[0] == same
    assert read(np.arange(16, dtype=np.uint8).reshape(4, 4))[0] == np.arange(16).reshape(4, 2, 2).tolist()
    colour = np.arange(72, dtype=np.uint8).reshape(4, 2, 3, 3)
    assert read(colour)[0] == read(np.asfortranarray(colour))[0] == colour.tolist()


@pytest.mark.parametrize(
    "labels",
    [
        LABELS, LABELS[:, None], LABELS.astype(">i4"), LABELS.astype(np.uint8), np.eye(4)[LABELS],
        np.asfortranarray(np.eye(4)[LABELS]),
        np.eye(4, dtype=bool)[LABELS], LABELS.astype(str), LABELS.astype(">U3"),
    ],
)  # fmt: skip
def test_however_labels_lie_they_are_the_same(labels: Any) -> None:
    """Of shape n, n x 1 or one-hot, of any width and byte order, numbers or text."""
    assert read(labels=labels)[1] == ["3", "1", "0", "3"]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (IMAGES / 255, r"found f8 of shape 4 x 2 x 3. Floats are not cast.*np.round\(images \* 255\)"),
        (IMAGES.astype(np.int64), r"found i8.*If all values are 0 to 255, write images.astype\('uint8'\)"),
        (IMAGES > 3, r"found b1.*images.astype\('uint8'\) \* 255"),
        (IMAGES[:0], "Write one image at least"),
        (np.zeros((4, 3, 2, 2), np.uint8), r"Put channels last: np.moveaxis\(images, 1, -1\)"),
        (np.zeros((4, 2, 2, 4), np.uint8), "one channel or three"),
        (np.zeros((4, 1, 5000), np.uint8), "A side has at most 4096 pixels"),
        (np.zeros((4, 7), np.uint8), "rows of pixels that make no square"),
        (np.zeros(4, np.uint8), "n x rows x columns"),
        (np.array(7, np.uint8), "n x rows x columns"),
        (np.array([IMAGES, None], object), "found Python objects.*never opened"),
        (np.zeros(4, [("a", "u1")]), "found named fields"),
    ],
)
def test_what_are_no_images_is_refused(images: Any, said: str) -> None:
    """Nothing is cast: the message has type and shape, and how they are written."""
    with pytest.raises(BadSource, match=said):
        read(images)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS / 1, r"found f8 of shape 4. Write labels.astype\('int64'\)"),
        (np.eye(4)[LABELS] + 1, "one 1 in each row and 0 elsewhere, found 4 rows not so, the first is row 0"),
        (np.full((4, 2), 0.5), "one 1 in each row"),
        (np.zeros((4, 2, 2), np.uint8), "labels of shape n, n x 1, or one-hot"),
        (np.zeros((4, 0), np.uint8), "labels of shape n, n x 1, or one-hot"),
        (LABELS.astype("S3"), "labels of shape n, n x 1, or one-hot"),
        (np.array(["a", None] * 2, object), "found Python objects"),
        (LABELS.astype(complex), "labels of shape n, n x 1, or one-hot"),
        (LABELS.astype("M8[s]"), "labels of shape n, n x 1, or one-hot"),
    ],
)
def test_what_are_no_labels_is_refused(labels: Any, said: str) -> None:
    """Floats, and rows that are not one-hot, are no labels."""
    with pytest.raises(BadSource, match=said):
        read(labels=labels)


def test_a_shape_that_is_said_has_to_fit() -> None:
    """An image of another shape is an error, and so are rows of another length."""
    for images in (IMAGES, IMAGES.reshape(4, 6)):
        with pytest.raises(BadSource, match="images of 2 x 2"):
            read(images, shape=ImageSpec(rows=2, columns=2))


def test_blocks_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are read in blocks, the last one shorter, so that memory does not grow with the set."""
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 18)
    file = opener(images=IMAGES, labels=LABELS)
    (pair,) = find_arrays(file, "a.npz").pairs
    blocks = list(image_blocks(file, "a.npz", pair))
    assert [len(block) for block in blocks] == [3, 1]
    assert np.concatenate(blocks).tolist() == IMAGES.tolist()


def test_a_header_that_lies_takes_no_memory() -> None:
    """A header that says more or less than the member holds is refused before the body is read."""
    for shape in ((4, 2, 2**40), (3, 2, 3)):
        body = io.BytesIO()
        np.lib.format.write_array_header_1_0(body, {"descr": "|u1", "fortran_order": False, "shape": shape})
        body.write(IMAGES.tobytes())
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("images.npy", body.getvalue())
        with pytest.raises(BadSource, match="found a body of 24 bytes"):
            find_arrays(lambda: nullcontext(file), "a.npz")  # noqa: B023


def test_a_damaged_file_is_an_error() -> None:
    """Cut short, no zip at all, without an array, or with a body whose checksum is wrong."""
    file = io.BytesIO()
    np.savez(file, images=IMAGES, labels=LABELS)
    whole = file.getvalue()
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("a.txt", "a")
    for data in (b"", b"text", whole[:-30], whole[:100], text.getvalue()):
        with pytest.raises(BadSource, match=r"a whole npz file|arrays of NumPy"):
            find_arrays(lambda: nullcontext(io.BytesIO(data)), "a.npz")  # noqa: B023
    wrong = whole.replace(IMAGES.tobytes(), IMAGES.tobytes()[::-1])

    def opened() -> Any:
        return nullcontext(io.BytesIO(wrong))

    with pytest.raises(BadSource, match="Bad CRC-32"):
        (pair,) = find_arrays(opened, "a.npz").pairs
        list(image_blocks(opened, "a.npz", pair))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_arrays_are_read_where_they_lie(kind: str, tmp_path: Path) -> None:
    """In a folder, or in a zip in which the npz itself lies."""
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    path = tmp_path
    if kind == "zip":
        path = tmp_path / "b.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "a.npz", "a.npz")
    with open_tree(path) as tree:
        (pair,) = find_arrays(lambda: tree.open("a.npz"), "a.npz").pairs
        assert np.concatenate(list(image_blocks(lambda: tree.open("a.npz"), "a.npz", pair))).tolist() == IMAGES.tolist()
