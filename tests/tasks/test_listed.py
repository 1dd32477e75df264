"""Pictures that a table lists, with their labels: which lines count, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import BadSource
from schemas.source import SplitName
from tasks.formats.layout import NOT_CHOSEN, PictureLayout
from tasks.formats.listed import NOT_LISTED, THE_LIST, lay_out_listed, lists_pictures, tables_of_paths
from tasks.formats.tree import open_tree
from tests.flows.packed_sets import write_pictures

FILES = ("a/1.png", "a/2.png", "b/3.png", "4.JPG")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of four pictures, of which folders say nothing."""
    for at, name in enumerate(FILES):
        (path := tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 3), at, np.uint8)).save(path)
    return tmp_path / "photos"


def laid_out(
    place: Path, text: str | bytes, name: str = "list.csv", chosen: tuple[str, ...] | None = None
) -> PictureLayout:
    """Write a table into the folder, and read what it says."""
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with open_tree(place) as tree:
        tables = tables_of_paths(tree, None)
        assert tables
        return lay_out_listed(tree, tables, None, chosen)


def used(found: PictureLayout) -> list[tuple[str, str, str]]:
    """Name, part and label of what is used."""
    return [(each.name, each.part, each.label) for each in found.placed]


def test_the_order_is_that_of_the_lines(place: Path) -> None:
    """Labels come from the table, and what no line names is in the account."""
    found = laid_out(place, "path,label\nb/3.png,elm\na/1.png,oak\n4.JPG,elm\n")
    assert used(found) == [("b/3.png", "train", "elm"), ("a/1.png", "train", "oak"), ("4.JPG", "train", "elm")]
    assert found.classes == ("elm", "oak")
    assert found.unused == {"a/2.png": NOT_LISTED.format("list.csv"), "list.csv": THE_LIST}


@pytest.mark.parametrize(
    "text",
    [
        'file,label\n"a/1.png","oak, old"\n"b/3.png","elm"\n',
        "label;path;by\noak, old;a/1.png;me\nelm;b/3.png;me\n",
        "\ufeffpath\tlabel\r\na\\1.png\toak, old\r\nb\\3.png\telm\r\n",
        'path,label\n./a/1.png,"oak, old"\na/../b/3.png,elm\n',
        'a/1.png,"oak, old"\nb/3.png,elm\n',
    ],
    ids=["quoted", "another order", "from Windows", "with dots", "no header"],
)
def test_forms_of_the_table(place: Path, text: str) -> None:
    """However the cells are parted and the paths are written."""
    assert used(laid_out(place, text)) == [("a/1.png", "train", "oak, old"), ("b/3.png", "train", "elm")]


def test_paths_are_seen_from_the_folder_of_the_table(place: Path) -> None:
    """A table in a folder of its own names pictures beside and above it."""
    found = laid_out(place, "path,label\n1.png,oak\n../b/3.png,elm\n", "a/list.csv")
    assert [name for name, *_ in used(found)] == ["a/1.png", "b/3.png"]


def test_tables_of_both_parts(place: Path) -> None:
    """Their names say which part they list, and the train part stands first."""
    (place / "test.csv").write_text("path,label\na/1.png,oak\n4.JPG,elm\n")
    found = laid_out(place, "path,label\nb/3.png,elm\na/2.png,oak\n", "train.csv")
    assert [(name, part) for name, part, _ in used(found)] == [
        ("b/3.png", "train"),
        ("a/2.png", "train"),
        ("a/1.png", "test"),
        ("4.JPG", "test"),
    ]


def test_lines_that_are_the_same_count_once(place: Path) -> None:
    """A picture that is named twice with one label is one sample."""
    assert len(used(laid_out(place, "path,label\na/1.png,oak\nb/3.png,elm\n./a/1.png,oak\n"))) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a/1.png,oak\nnone.png,elm\ngone.png,elm\n", r"none for 2 lines \(line 3: none\.png, line 4: gone\.png\)"),
        ("a/1.png,oak\nb/3.png,elm\na/1.png,elm\n", "line 4: expected each picture in one .* oak in train, found elm"),
        ("a/1.png,oak\n../photos/b/3.png,elm\n", "expected a file for each line"),
        ("/etc/x.png,oak\nb/3.png,elm\n", "expected a file for each line"),
        ("a/1.png,oak\nb/3.png,oak\n", "expected pictures of two classes at least, found oak"),
        ("a/1.png,oak\n,elm\n", "expected a path"),
    ],
    ids=["missing", "two labels", "around", "absolute", "one class", "no path"],
)  # fmt: skip
def test_what_is_refused(place: Path, text: str, said: str) -> None:
    """Lines that name no file below the place, or one in two ways."""
    with pytest.raises(BadSource, match=said):
        laid_out(place, f"path,label\n{text}")


def test_chosen_classes(place: Path) -> None:
    """Pictures of others are not used, labels are in the order that was chosen, and one without pictures is refused."""
    text = "path,label\na/1.png,oak\na/2.png,ash\nb/3.png,elm\n"
    found = laid_out(place, text, chosen=("oak", "elm"))
    assert [label for *_, label in used(found)] == ["oak", "elm"]
    assert found.classes == ("oak", "elm")
    assert found.unused["a/2.png"] == NOT_CHOSEN
    with pytest.raises(BadSource, match="expected pictures of oak, fir, found oak"):
        laid_out(place, text, chosen=("oak", "fir"))


def test_the_table_itself_may_be_given(place: Path, tmp_path: Path) -> None:
    """It stands for its folder; a table of pixels, and everything else, for itself."""
    (place / "list.csv").write_text("path,label\na/1.png,oak\nb/3.png,elm\n")
    assert lists_pictures(place / "list.csv")
    (tmp_path / "pixels.csv").write_text("label,a,b,c,d\n0,1,2,3,4\n1,2,3,4,5\n")
    assert not lists_pictures(tmp_path / "pixels.csv")
    assert not lists_pictures(place)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.csv", "year,label\n1999,elm\n2000,oak\n"),
        ("notes.csv", "who,what\nAda,hello\n"),
        ("corrections.csv", "file,label\nFIRST,elm\n"),
        ("old/corrections.csv", "file,label\n../FIRST,elm\n"),
        ("empty.csv", ""),
    ],
    ids=["years", "texts", "corrections", "deeper", "empty"],
)
def test_a_table_that_lists_nothing(tmp_path: Path, name: str, text: str) -> None:
    """Beside class folders a table of something else changes nothing; nor do corrections, which name files as well."""
    random = np.random.default_rng(1)
    images, labels = random.integers(0, 256, (6, 3, 3), np.uint8), np.arange(6) % 2
    files = write_pictures(tmp_path / "photos", images, labels, ("oak", "elm"))
    (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "photos" / name).write_text(text.replace("FIRST", files[0]))
    with open_tree(tmp_path / "photos") as tree:
        found: dict[SplitName, str] = tables_of_paths(tree, None)
        assert found == {}


def test_labels_of_a_table_go_before_folders(place: Path) -> None:
    """Where a column is called so, or is said to be it."""
    text = "path,width,species\na/1.png,3,oak\nb/3.png,3,elm\n"
    (place / "list.csv").write_text(text)
    with open_tree(place) as tree:
        assert tables_of_paths(tree, "species") == {"train": "list.csv"}
    (place / "list.csv").write_text(text.replace("species", "label"))
    (place / "other.csv").write_text("who,what\nAda,hello\n")
    with open_tree(place) as tree:
        assert tables_of_paths(tree, None) == {"train": "list.csv"}


@pytest.mark.parametrize(
    "text", ["file,width\na/1.png,3\n", "file,width,height\na/1.png,3,3\n", "file,breed\na/1.png,pug\n"]
)
def test_a_table_and_folders_that_both_may_say_the_classes(place: Path, text: str) -> None:
    """It is not guessed which: the message says how to answer."""
    (place / "list.csv").write_text(text)
    with (
        open_tree(place) as tree,
        pytest.raises(BadSource, match=r"list\.csv, which lists pictures, .* --label, or take"),
    ):
        tables_of_paths(tree, None)
