"""Tables in text: which column is what is found and told, and what is no pixel or label is refused by its place."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import BadSource
from schemas.image_spec import ImageSpec
from tasks.formats import separated
from tasks.formats.separated import Found, find_columns, path_rows, pixel_blocks
from tasks.formats.tree import Opener, open_tree
from tests.memory import peak_memory

TWO = "label,p0,p1,p2,p3\ncat,0,1,2,3\ndog,4,5,6,255\n"


def opener(content: str | bytes) -> Opener:
    """Return what opens a table."""
    data = content.encode() if isinstance(content, str) else content
    return lambda: nullcontext(io.BytesIO(data))


def find(content: str | bytes, label: str | int | None = None, shape: tuple[int, ...] | None = None) -> Found:
    """Find the columns of a table called t.csv."""
    return find_columns(opener(content), "t.csv", label, ImageSpec.model_validate(shape) if shape else None)


def read(content: str | bytes, label: str | int | None = None, rows: int = 2) -> tuple[list[str], list[object]]:
    """Return the labels and pixels of a table."""
    blocks = list(pixel_blocks(opener(content), find(content, label), rows))
    return [each for labels, _ in blocks for each in labels], np.concatenate([pixels for _, pixels in blocks]).tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", ";"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("cat", '"cat"').replace("255", '"255"'),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("dog", "\n dog ") + "\n\n",
        lambda text: text.partition("\n")[2],
        lambda text: text.replace("label", "Y"),
        lambda text: gzip.compress(text.encode()),
    ],
)
def test_however_a_table_is_written_it_is_the_same(change: Callable[[str], str | bytes]) -> None:
    """Byte order mark, line ends, separators, quotes, spaces, blank lines, no header, gzip: one answer."""
    assert read(change(TWO)) == (["cat", "dog"], [[[0, 1], [2, 3]], [[4, 5], [6, 255]]])


def test_the_label_may_stand_anywhere() -> None:
    """It is found by its name or said by name or number; an index of pandas is not used; all of that is told."""
    table = "Unnamed: 0,p0,Target,p1,p2,p3\n0,1,9,2,3,4\n"
    found = find(table)
    assert found.told() == (
        "labels from column 3 ('Target'), as its name says; images of 2 x 2; the first line is a header; not used: "
        "column 1 ('Unnamed: 0')"
    )
    assert read(table) == (["9"], [[[1, 2], [3, 4]]])
    assert read("1,2,3,4,7\n5,6,7,8,9\n", -1) == (["7", "9"], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    assert read("kind,a,b,c,d\nx,1,2,3,4\n", " KIND ")[0] == ["x"]
    assert find("7,1,2,3,4\n").told() == (
        "labels from column 1, as it is the first, and all others are pixels; images of 2 x 2; the first line is data, "
        "as the table has no header"
    )


def test_a_first_line_of_numbers_is_data() -> None:
    """No row is lost to a header that is none, also where labels are texts."""
    assert read("7,1,2,3,4\n8,1,2,3,4\n9,1,2,3,4\n")[0] == ["7", "8", "9"]
    assert read("cat,1,2,3,4\ndog,1,2,3,4\n")[0] == ["cat", "dog"]
    assert read("5,0,1,2,3\n6,0,1,2,3\n")[0] == ["5", "6"]
    assert read("y,9,9,2,3\nn,0,1,2,3\n")[0] == ["y", "n"]
    assert read("y,0,1,2,3\n6,0,1,2,3\n")[0] == ["6"]
    assert read("digit,0,1,2,3\n6,0,1,2,3\n")[0] == ["6"]


def test_a_shape_that_is_no_square_has_to_be_given() -> None:
    """Of 2 x 3 pixels nothing is guessed; colour is rows, columns, then channels."""
    table = "y,a,b,c,d,e,f\n1,1,2,3,4,5,6\n"
    with pytest.raises(BadSource, match=r"as many pixels as a square has, found 6 columns of pixels.*--size 28x20"):
        find(table)
    with pytest.raises(BadSource, match="4 columns of pixels, for images of 2 x 2, found 6 columns"):
        find(table, shape=(2, 2))
    found = find(table, shape=(1, 2, 3))
    ((_, pixels),) = pixel_blocks(opener(table), found)
    assert pixels.tolist() == [[[[1, 2, 3], [4, 5, 6]]]]


@pytest.mark.parametrize("cell", ["256", "-1", "1.5", "7.0", "", "x", "1e2", "0x7", "\u0667", "99999999999"])
def test_what_is_no_pixel_is_refused_by_its_place(cell: str) -> None:
    """Nothing is cast: the message has the line of the file, the column and the cell."""
    table = TWO + f"\nbird,0,1,{cell},3\n"
    shown = repr(cell) if cell else "an empty cell"
    with pytest.raises(BadSource) as refused:
        read(table)
    assert str(refused.value) == (
        f"t.csv, line 5, column 4 ('p2'): expected a pixel, a whole number from 0 to 255, found {shown}. "
        "Write pixels as uint8."
    )


@pytest.mark.parametrize("line", ["bird,0,1,2", "bird,0,1,2,3,4", '"bird",0,1,2', ",0,1,2,3", "1.0,0,1,2,3"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    """Fewer or more cells, an empty label and one with a fraction are errors that name the line."""
    with pytest.raises(BadSource, match=r"t\.csv, line 4"):
        read(TWO + line)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"label,p0\n", "a header alone|found"),
        (b"a\nb\n", "separated by commas"),
        (b"\xff\xfel\0a\0", "UTF-8, found UTF-16"),
        (b"label,a\nb,\xe9\n", "line 2: expected UTF-8, found a byte e9"),
        (b"label,a\n1,\0\n", "a byte of 0"),
        (b"label,class,a\n1,2,3\n", "one column of labels, found 2"),
        (b"a,b,c\n1,x,2\n", "a column of labels"),
        (b"label,a,b\n1,2\n", "line 2: expected 3 columns, found 2"),
        (b"emotion,pixels\n0,1 2 3 4\n", "a column of labels|a pixel or the path"),
        (gzip.compress(TWO.encode())[:-9], "a whole file"),
        (gzip.compress(TWO.encode())[:-5] + b"12345", "a whole file"),
    ],
)
def test_what_is_no_table_is_an_error(content: bytes, said: str) -> None:
    """The message says what is missing."""
    with pytest.raises(BadSource, match=said):
        read(content)


def test_a_table_of_paths() -> None:
    """Paths and labels come with their lines; which column is what is found by name, by suffix, or as the other one."""
    for table in (
        'file,label\na/1.png,cat\n"b, 2.JPG",dog\n',
        "label;path;note\ncat;a/1.png;x\ndog;b, 2.JPG;y\n",
        "a/1.png\tcat\nb, 2.JPG\tdog\n",
        "cat\ta/1.png\ndog\tb, 2.JPG\n",
    ):
        found = find(table)
        assert [row[1:] for row in path_rows(opener(table), found)] == [("a/1.png", "cat"), ("b, 2.JPG", "dog")]
    assert found.told() == (
        "labels from column 1, as it is the only other one; paths from column 2; the first line is data, as the table "
        "has no header"
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("path,label\na.png,\n", "line 2, column 2.*found an empty cell"),
        ("path,label\na.png,x\n,y\n", "line 3, column 1.*expected a path, found an empty cell"),
        ("path,label\na.png,x\nb.png\n", "line 3: expected 2 columns, found 1"),
        ("a.png,y,label\n", "a column of labels, found 2 columns beside that of paths"),
        ("label,other\na.png,b\n", "labels and paths in two columns"),
    ],
)
def test_a_table_of_paths_that_is_none(table: str, said: str) -> None:
    """Each fault is said by its place."""
    with pytest.raises(BadSource, match=said):
        list(path_rows(opener(table), find(table)))


@pytest.mark.parametrize("kind", ["t.csv", "t.zip", "t.tgz"])
def test_a_table_is_read_where_it_lies(kind: str, tmp_path: Path) -> None:
    """In a folder, a zip or a compressed tar it is read block by block, and never unpacked."""
    path = tmp_path / kind
    if kind == "t.csv":
        path.write_text(TWO)
    elif kind == "t.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", TWO)
    else:
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("t.csv")
            member.size = len(TWO)
            archive.addfile(member, io.BytesIO(TWO.encode()))
    with open_tree(path) as tree:
        found = find_columns(lambda: tree.open("t.csv"), "t.csv")
        ((labels, _),) = pixel_blocks(lambda: tree.open("t.csv"), found)
    assert labels == ["cat", "dog"]


def test_a_table_that_is_damaged_in_its_archive_is_an_error(tmp_path: Path) -> None:
    """A wrong checksum is found at the end of the member at the latest, and no row of it is used."""
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", TWO)
    path.write_bytes(path.read_bytes().replace(b"255", b"254"))
    with open_tree(path) as tree, pytest.raises(BadSource, match="a whole file, found damage behind line 0"):
        find_columns(lambda: tree.open("t.csv"), "t.csv")


def test_a_line_without_an_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is one line, as a compressed one of zeros may be, is refused before it is read whole."""
    monkeypatch.setattr(separated, "MAX_LINE", 1000)
    with pytest.raises(BadSource, match="line 1: expected fewer than 1,000 bytes"):
        find("1," * 10_000)


def test_memory_does_not_grow_with_the_rows() -> None:
    """Ten times the rows take the memory of a block."""
    line = "1," + ",".join(["7"] * 784) + "\n"

    def work(rows: int) -> Callable[[], object]:
        content = opener(line * rows)
        return lambda: [len(labels) for labels, _ in pixel_blocks(content, find_columns(content, "t.csv"), 50)]

    assert peak_memory(work(2000)) < 1.5 * peak_memory(work(200)) + 2**16
