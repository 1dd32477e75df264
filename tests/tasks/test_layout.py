"""How names of files say part and class, and why a file is not used."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import pytest

from schemas.errors import BadSource
from tasks.formats.layout import BESIDE, NO_CLASS, NO_PICTURE, NOT_CHOSEN, lay_out, suffix_of
from tasks.formats.tree import Entry, arranged


def entries(names: Sequence[str]) -> tuple[Entry, ...]:
    """Files of these names."""
    return arranged(Entry(name, 1) for name in names)


def placed(names: Sequence[str], chosen: Sequence[str] | None = None) -> list[tuple[str, str, str]]:
    """Part, class and name of what is used."""
    return [(each.part, each.label, each.name) for each in lay_out(entries(names), "photos", (), chosen).placed]


def test_a_class_is_a_folder() -> None:
    """Also where a file lies deeper in it; the order is that of names."""
    assert placed(["oak/2.png", "elm/b/1.JPG", "oak/1.png"]) == [
        ("train", "elm", "elm/b/1.JPG"),
        ("train", "oak", "oak/1.png"),
        ("train", "oak", "oak/2.png"),
    ]


@pytest.mark.parametrize("test", ["test", "Testing", "val", "VALIDATION"])
def test_train_and_test_are_parts(test: str) -> None:
    """In any letter case, the train part first."""
    names = [f"{test}/oak/1.png", f"{test}/elm/1.png", "Train/oak/2.png", "Train/elm/2.png"]
    assert [each[:2] for each in placed(names)] == [
        ("train", "elm"),
        ("train", "oak"),
        *[("test", label) for label in ("elm", "oak")],
    ]


def test_a_validation_folder_beside_a_test_folder_is_not_used() -> None:
    """It is said of each file of it."""
    names = [f"{part}/{label}/1.png" for part in ("train", "test", "val") for label in ("oak", "elm")]
    layout = lay_out(entries(names), "photos", (), None)
    assert {each.name.split("/")[0] for each in layout.placed} == {"train", "test"}
    assert set(layout.unused) == {"val/oak/1.png", "val/elm/1.png"}
    assert all("val/ is not used" in reason for reason in layout.unused.values())


@pytest.mark.parametrize("above", ["photos/", "a/b/", "train/"])
def test_a_folder_around_all_is_passed_over(above: str) -> None:
    """As an archive of a folder has one; train alone is no part."""
    assert [each[1] for each in placed([f"{above}oak/1.png", f"{above}elm/1.png"])] == ["elm", "oak"]


def test_every_file_is_used_or_has_a_reason() -> None:
    """Other endings, files in no class folder, hidden ones and those beside the parts."""
    names = ["oak/1.png", "elm/1", "elm/notes.txt", "loose.png", "oak/.hidden.png"]
    layout = lay_out(entries(names), "photos", (), None)
    assert {each.name for each in layout.placed} | set(layout.unused) == set(names)
    assert layout.unused["elm/notes.txt"] == NO_PICTURE
    assert layout.unused["loose.png"] == NO_CLASS
    assert "hidden" in layout.unused["oak/.hidden.png"]
    parts = ["train/oak/1.png", "train/elm/1.png", "test/oak/1.png", "other/oak/1.png", "train/2.png"]
    layout = lay_out(entries(parts), "photos", (), None)
    assert layout.unused == {"other/oak/1.png": BESIDE, "train/2.png": NO_CLASS}


def test_classes_that_are_numbers_are_in_their_order() -> None:
    """10 follows 9; where one is no number all are words."""
    assert lay_out(entries([f"{n}/1.png" for n in (10, 9, 1)]), "", (), None).classes == ("1", "9", "10")
    assert lay_out(entries([f"{n}/1.png" for n in (10, 9, "a")]), "", (), None).classes == ("10", "9", "a")


def test_chosen_classes_have_the_labels_of_their_order() -> None:
    """Others are not used, and say so; one that is not there is refused."""
    names = ["oak/1.png", "elm/1.png", "ash/1.png"]
    layout = lay_out(entries(names), "photos", (), ("oak", "ash"))
    assert layout.classes == ("oak", "ash")
    assert layout.unused == {"elm/1.png": NOT_CHOSEN}
    with pytest.raises(BadSource, match="expected pictures of 2 classes, as chosen, found none of fir"):
        lay_out(entries(names), "photos", (), ("oak", "fir"))


@pytest.mark.parametrize(
    ("names", "found"), [([], "none"), (["1.png", "2.png"], "none"), (["oak/1.png", "oak/2.png"], "one, oak")]
)
def test_one_class_is_none(names: list[str], found: str) -> None:
    """There is nothing to tell apart: it is said how the folders have to lie."""
    with pytest.raises(BadSource, match=f"photos: expected two class folders at least .* found {found}"):
        lay_out(entries(names), "photos", (), None)


def test_empty_class_folders_are_named() -> None:
    """A class without a picture is easily overlooked."""
    layout = lay_out(entries(["oak/1.png", "elm/1.png"]), "photos", ("fir", "elm/deeper"), None)
    assert layout.empty == ("fir",)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a/b.PNG", ".png"), ("a.b/c", ""), (".png", ""), ("x.csv.gz", ".csv"), ("x.gz", ""), ("a.", ".")],
)
def test_an_ending_is_that_of_what_is_compressed(name: str, suffix: str) -> None:
    """In small letters; a name that begins with its only dot has none."""
    assert suffix_of(name) == suffix


def test_pictures_that_are_left_out_are_lost() -> None:
    """A person thinks that they are used: those in no class folder, links, and folders that cannot be listed."""
    found = [Entry(name, 1) for name in ("oak/1.png", "elm/1.png", "loose.jpg", "notes.txt", "README")]
    found += [Entry("oak/2.png", 1, unreadable="it is a symbolic link"), Entry("ash/", 0, unreadable="it is a folder")]
    layout = lay_out(arranged(found), "photos", (), None)
    assert set(layout.lost) == {"loose.jpg", "oak/2.png", "ash/"}


def test_pictures_of_other_kinds_are_looked_at() -> None:
    """A HEIC is refused by its name, and not left out with the notes."""
    assert [each[2] for each in placed(["oak/1.heic", "elm/1.png", "elm/x.txt"])] == ["elm/1.png", "oak/1.heic"]


def test_accents_that_are_taken_apart_are_the_same_class() -> None:
    """As in what a Mac has packed."""
    whole, apart = (unicodedata.normalize(form, "Blüte") for form in ("NFC", "NFD"))
    assert {each[1] for each in placed([f"{whole}/1.png", f"{apart}/2.png", "oak/1.png"])} == {whole, "oak"}
