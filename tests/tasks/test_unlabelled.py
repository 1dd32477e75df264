"""Images to be named: whatever they lie in gives the same pixels, and every file is accounted for."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas.errors import StageError
from schemas.image_spec import ImageSpec
from schemas.pictures import PictureSpec
from tasks.formats.layout import NO_PICTURE
from tasks.formats.parts import NOT_THIS
from tasks.formats.tree import open_tree
from tasks.formats.unlabelled import LABELS_ALONE, LABELS_USED, Block, Reading, Refusal
from tests.tasks.idx_bytes import idx_bytes
from tests.tasks.picture_bytes import saved

SPEC = ImageSpec(rows=4, columns=3)
PIXELS = np.random.default_rng(2).integers(0, 256, (5, 4, 3), np.uint8)
LABELS = np.array([7, 8, 7, 9, 8])


def read(path: Path, **chosen: Any) -> tuple[list[Block], dict[str, str]]:
    """Read what lies at a path. Returns: the images, and why other files have none."""
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    usual: dict[str, Any] = {
        "shape": SPEC, "picture": PictureSpec(shape=SPEC), "transpose": False, "only": None, "label": None,
        "classes": frozenset({"seven", "eight"}), "known": {}, "scratch": scratch,
    }  # fmt: skip
    with open_tree(path) as tree:
        found = list(Reading(**usual | chosen).read(tree))
    refused = [each for each in found if isinstance(each, Refusal)]
    assert len({each.file for each in refused}) == len(refused)
    return [each for each in found if isinstance(each, Block)], {each.file: each.reason for each in refused}


def joined(blocks: list[Block]) -> Any:
    """Return the pixels of all blocks."""
    return np.concatenate([block.pixels for block in blocks]).reshape(-1, 4, 3)


def png(pixels: Any) -> bytes:
    """Return an image as a PNG."""
    return saved(Image.fromarray(pixels), "PNG")


def csv_of(*, label: bool, header: bool = True) -> str:
    """Return the images as a table of pixels."""
    names = (["label"] if label else []) + [f"pixel{at}" for at in range(12)]
    rows = [[*([value] if label else []), *image.ravel().tolist()] for value, image in zip(LABELS, PIXELS, strict=True)]
    return "\n".join(",".join(map(str, row)) for row in ([names] if header else []) + rows) + "\n"


def npz_of(**arrays: Any) -> bytes:
    """Return arrays as an npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


FORMS: dict[str, tuple[str, Callable[[], bytes], list[str | None]]] = {
    "table": ("new.csv", lambda: csv_of(label=False).encode(), [None] * 5),
    "table without a header": ("new.csv", lambda: csv_of(label=False, header=False).encode(), [None] * 5),
    "table with labels": ("new.csv", lambda: csv_of(label=True).encode(), list(map(str, LABELS))),
    "arrays": ("new.npz", lambda: npz_of(images=PIXELS), [None] * 5),
    "arrays with labels": ("new.npz", lambda: npz_of(images=PIXELS, labels=LABELS), list(map(str, LABELS))),
    "an array of another name": ("new.npz", lambda: npz_of(scans=PIXELS, ids=np.arange(5)), [None] * 5),
    "rows of an array": ("new.npz", lambda: npz_of(x=PIXELS.reshape(5, 12)), [None] * 5),
    "IDX": ("new-images", lambda: idx_bytes(PIXELS), [None] * 5),
    "IDX, gzip": ("new-images.gz", lambda: gzip.compress(idx_bytes(PIXELS)), [None] * 5),
    "IDX, xz": ("new-images.xz", lambda: lzma.compress(idx_bytes(PIXELS)), [None] * 5),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(form: str, tmp_path: Path) -> None:
    """A file of rows gives its images in their order, each with its row, and labels where it has some."""
    name, content, labels = FORMS[form]
    (tmp_path / name).write_bytes(content())
    blocks, refused = read(tmp_path / name)
    assert not refused
    np.testing.assert_array_equal(joined(blocks), PIXELS)
    assert [label for block in blocks for label in block.labels] == labels
    assert [sample for block in blocks for sample in block.samples] == [0, 1, 2, 3, 4]
    assert {file for block in blocks for file in block.files} == {name}


def test_a_picture_alone(tmp_path: Path) -> None:
    """One picture is a place of its own."""
    (tmp_path / "one.png").write_bytes(png(PIXELS[0]))
    (block,), refused = read(tmp_path / "one.png")
    assert (block.files, block.samples, block.labels, refused) == (["one.png"], [0], [None], {})
    np.testing.assert_array_equal(joined([block]), PIXELS[:1])


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_every_file_of_a_folder_is_accounted_for(kind: str, tmp_path: Path) -> None:
    """Pictures are named wherever they lie, a class folder says what they show, and each other file has a reason."""
    files = {
        "b.png": png(PIXELS[0]),
        "seven/a.png": png(PIXELS[1]),
        "attic/eight/c.png": png(PIXELS[2]),
        "attic/odd.png": png(PIXELS[3][:2]),
        "broken.png": png(PIXELS[4])[:40],
        "notes.txt": b"nothing",
        "README": b"nothing",
        ".hidden.png": png(PIXELS[0]),
        "raw.heic": b"no",
    }
    folder = tmp_path / "new"
    if kind == "folder":
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    else:
        folder = tmp_path / "new.zip"
        with zipfile.ZipFile(folder, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    blocks, refused = read(folder)
    named = {file: label for block in blocks for file, label in zip(block.files, block.labels, strict=True)}
    assert named == {"attic/eight/c.png": "eight", "b.png": None, "seven/a.png": "seven"}
    np.testing.assert_array_equal(joined(blocks), PIXELS[[2, 0, 1]])
    assert {*named, *refused} == set(files)
    assert (refused["notes.txt"], refused["README"]) == (NO_PICTURE, NOT_THIS)
    assert "2 x 3 pixels" in refused["attic/odd.png"]
    assert "hidden" in refused[".hidden.png"]


def test_label_files_belong_to_their_images(tmp_path: Path) -> None:
    """In a folder of IDX files labels belong to the images of the same name; others are refused by what they hold."""
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(PIXELS))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(LABELS.astype(np.uint8))))
    (tmp_path / "more-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(3, np.uint8)))
    (tmp_path / "other-images-idx3-ubyte").write_bytes(idx_bytes(PIXELS[:, :2]))
    (tmp_path / "notes").write_bytes(b"nothing")
    (block,), refused = read(tmp_path)
    assert list(block.labels) == list(map(str, LABELS))
    assert refused["t10k-labels-idx1-ubyte.gz"] == LABELS_USED
    assert refused["more-labels-idx1-ubyte"] == LABELS_ALONE
    assert "the model takes 4 x 3" in refused["other-images-idx3-ubyte"]
    assert refused["notes"] == NOT_THIS


def test_files_that_lie_on_their_side_are_turned(tmp_path: Path) -> None:
    """Where the training's IDX files hold columns x rows, new ones do as well."""
    (tmp_path / "images").write_bytes(idx_bytes(np.ascontiguousarray(PIXELS.swapaxes(1, 2))))
    blocks, refused = read(tmp_path / "images", transpose=True)
    assert not refused
    np.testing.assert_array_equal(joined(blocks), PIXELS)
    assert "the model takes 4 x 3" in read(tmp_path / "images")[1]["images"]


def test_only_those_that_are_asked_for(tmp_path: Path) -> None:
    """Of a folder only the named files are taken, and nothing is said of the others."""
    for at in range(3):
        (tmp_path / f"{at}.png").write_bytes(png(PIXELS[at]))
    (tmp_path / "x.txt").write_bytes(b"")
    (block,), refused = read(tmp_path, only=frozenset({"1.png", "x.txt"}))
    assert (block.files, refused) == (["1.png"], {"x.txt": NO_PICTURE})


def test_a_picture_that_changes_meanwhile(tmp_path: Path) -> None:
    """What is read has to be what was hashed."""
    (tmp_path / "a.png").write_bytes(png(PIXELS[0]))
    with pytest.raises(StageError, match=r"a.png: expected a file that stays as it is"):
        read(tmp_path, known={"a.png": "0" * 64})


def test_what_lies_beside_decides_nothing(tmp_path: Path) -> None:
    """A table, arrays and IDX files among pictures are read as what they are, and make no picture another thing."""
    (tmp_path / "a.png").write_bytes(png(PIXELS[0]))
    (tmp_path / "b.csv").write_text(csv_of(label=True))
    (tmp_path / "c.npz").write_bytes(npz_of(x_train=PIXELS, x_test=PIXELS[:2]))
    (tmp_path / "d-images").write_bytes(idx_bytes(PIXELS))
    (tmp_path / "list.csv").write_text("file,label\na.png,seven\n")
    blocks, refused = read(tmp_path)
    counts: dict[tuple[str, str | None], int] = {}
    for block in blocks:
        for key in zip(block.files, block.parts, strict=True):
            counts[key] = counts.get(key, 0) + 1
    assert counts == {
        ("a.png", None): 1, ("b.csv", None): 5, ("c.npz", "x_train"): 5, ("c.npz", "x_test"): 2, ("d-images", None): 5,
    }  # fmt: skip
    assert refused == {"list.csv": "expected columns of pixels, 12, found a list of files"}


def test_rows_that_change_meanwhile(tmp_path: Path) -> None:
    """Of a file of rows, too, what is read has to be what was hashed; one that nobody hashed is refused."""
    (tmp_path / "a.csv").write_text(csv_of(label=True))
    with pytest.raises(StageError, match=r"a.csv: expected a file that stays as it is"):
        read(tmp_path, known={"a.csv": "0" * 64})
    assert "name it by itself" in read(tmp_path, known={"b.csv": "0" * 64})[1]["a.csv"]


def test_of_a_file_that_is_damaged_late_the_first_rows_are_named(tmp_path: Path) -> None:
    """Where blocks were named before the damage came, the reason says how many."""
    row = ",".join(["1"] * 12)
    (tmp_path / "a.csv").write_text("\n".join([row] * 2400 + [row.replace("1", "x", 1)]))
    blocks, refused = read(tmp_path / "a.csv")
    assert sum(len(block.pixels) for block in blocks) == 2000
    assert refused["a.csv"].startswith("only its first 2,000 images were named: ")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"p1,p2\n1,2\n3,4\n", "columns of pixels"),
        ("a.npz", b"PK\3\4 no archive", "damaged"),
        ("b.npz", npz_of(images=PIXELS.astype(np.float32)), "uint8"),
        ("c.npz", npz_of(one=PIXELS, two=PIXELS), "an array of uint8 images"),
        ("b.csv", b"x,y z,w\nfoo,bar\n", "columns"),
        ("c.csv", b'"a","b"\r"1","2"\n"3","4"\n', "damaged"),
        ("d.csv", b"file,label\na.png,seven\nb.png,eight\n", "a list of files"),
        ("words.txt", b"words", NO_PICTURE),
    ],
)
def test_rows_that_do_not_fit_are_refused(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    """A table or array that is none of the model's images is one refused file, with the reason."""
    (tmp_path / name).write_bytes(content)
    blocks, refused = read(tmp_path / name)
    assert not blocks
    assert reason in refused[name]
