"""People's own folders: what changed is hashed again, and only that."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from artifacts.code import TICK
from artifacts.store.own_folders import OwnFolders
from schemas.errors import StageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of some files, that have not been touched for a while."""
    folder = tmp_path / "photos"
    for name in ("oak/1.png", "oak/2.PNG", "elm/deep/1.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def own(tmp_path: Path, root: Path) -> OwnFolders:
    """The notes on it, taken late enough after its files were written."""
    (tmp_path / "home").mkdir()
    notes = OwnFolders(tmp_path / "home" / "own")
    notes.listing(root)
    age(tmp_path / "home" / "own")
    return notes


def age(folder: Path) -> None:
    """Make notes younger than every tick in which a file was written."""
    for path in folder.iterdir():
        later = path.stat().st_mtime_ns + 10 * TICK
        os.utime(path, ns=(later, later))


def test_it_lists_every_file_with_its_digest(root: Path, own: OwnFolders) -> None:
    """In the order of names, whatever the order on the disk."""
    found = own.listing(root)
    assert found.names == ("elm/deep/1.png", "notes.txt", "oak/1.png", "oak/2.PNG")
    expected = [hashlib.sha256((root / name).read_bytes()).digest() for name in found.names]
    assert [bytes(digest) for digest in found.digests] == expected
    assert found.hashed == 0


@pytest.mark.parametrize("change", ["content", "touched", "replaced", "added", "deleted", "renamed"])
def test_what_changed_is_hashed_again_and_only_that(root: Path, own: OwnFolders, change: str) -> None:
    """A change of whatever kind is seen; it changes the whole where the content or a name did."""
    before, file = own.listing(root), root / "oak/1.png"
    if change == "content":
        look = file.stat()
        file.write_text("oak/9.png")
        os.utime(file, ns=(look.st_atime_ns, look.st_mtime_ns))
    elif change == "touched":
        os.utime(file)
    elif change == "replaced":
        shutil.copy(file, root / "new")
        (root / "new").rename(file)
    elif change == "added":
        (root / "elm/2.png").write_text("x")
    elif change == "deleted":
        file.unlink()
    else:
        file.rename(root / "oak/3.png")
    found = own.listing(root)
    assert found.hashed == (0 if change == "deleted" else 1)
    assert (found.content == before.content) == (change in {"touched", "replaced"})


def test_what_was_written_in_the_tick_of_the_note_is_hashed_again(tmp_path: Path, root: Path) -> None:
    """It may have changed once more since, and look the same."""
    (tmp_path / "home").mkdir()
    notes = OwnFolders(tmp_path / "home" / "own")
    assert notes.listing(root).hashed == 4
    for path in (tmp_path / "home" / "own").iterdir():
        written = (root / "oak/1.png").stat().st_mtime_ns
        os.utime(path, ns=(written, written))
    assert notes.listing(root).hashed > 0


def test_one_content_wherever_it_lies_and_however_its_endings_are_written(tmp_path: Path, root: Path) -> None:
    """A copy elsewhere, listed in another order and with `.JPG` for `.jpg`, is the same; another stem is not."""
    here = OwnFolders(tmp_path / "none" / "own").listing(root).content
    copy = tmp_path / "elsewhere" / "copy"
    for path in sorted((p for p in root.rglob("*") if p.is_file()), reverse=True):
        target = copy / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target.with_suffix(target.suffix.swapcase()))
    assert OwnFolders(tmp_path / "none" / "own").listing(copy).content == here
    (copy / "oak/1.PNG").rename(copy / "oak/7.PNG")
    assert OwnFolders(tmp_path / "none" / "own").listing(copy).content != here


def test_a_link_and_a_pipe_are_listed_and_not_read(tmp_path: Path, root: Path, own: OwnFolders) -> None:
    """Neither is followed or waited at; their digests are zeros, and a change behind a link changes nothing."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_text("1")
    (root / "oak/link").symlink_to(outside)
    (root / "oak/pic.png").symlink_to(outside / "secret.png")
    os.mkfifo(root / "oak/pipe.png")
    found = own.listing(root)
    digests = dict(zip(found.names, map(bytes, found.digests), strict=True))
    assert [digests[f"oak/{name}"] for name in ("link", "pic.png", "pipe.png")] == [bytes(32)] * 3
    (outside / "secret.png").write_text("2")
    assert own.listing(root).content == found.content


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 garbage", b"x" * 1000])
def test_notes_that_do_not_read_are_made_again(tmp_path: Path, root: Path, own: OwnFolders, damage: bytes) -> None:
    """They only save time."""
    before = own.listing(root).content
    (note,) = (tmp_path / "home" / "own").iterdir()
    note.write_bytes(damage)
    found = own.listing(root)
    assert (found.hashed, found.content) == (4, before)


def test_what_is_skipped_is_no_part_of_the_content_but_its_name_is(root: Path, own: OwnFolders) -> None:
    """What an operating system writes into a folder may change without another version."""

    def skipped(name: str) -> bool:
        return name.endswith(".txt")

    fresh = OwnFolders(root.parent / "none" / "own")
    before = fresh.listing(root, skipped).content
    (root / "notes.txt").write_text("other")
    assert fresh.listing(root, skipped).content == before


def test_a_folder_that_cannot_be_listed(tmp_path: Path, own: OwnFolders) -> None:
    """It is named, with the way out."""
    with pytest.raises(StageError, match="expected a folder, found No such file or directory"):
        own.listing(tmp_path / "gone")
