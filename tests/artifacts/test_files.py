"""The file layer: all or nothing, once or never, and nothing that a link points to."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store import files
from tests.artifacts.together import at_once
from tests.faults.disk import CountingDisk, Crash, CrashingDisk, FailingDisk, steps_of, using

OLD, NEW = b"old", b"new" * 1000


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a file, which links may point to."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "precious").write_bytes(OLD)
    return folder


@pytest.fixture
def folder(tmp_path: Path, elsewhere: Path) -> Path:
    """A folder with files, folders, and links: to a file, to a folder, to nothing."""
    folder = tmp_path / "folder"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 100)
    (folder / "deep" / "deeper" / "file").write_bytes(b"y" * 10)
    (folder / "to-file").symlink_to(elsewhere / "precious")
    (folder / "deep" / "to-folder").symlink_to(elsewhere)
    (folder / "to-nothing").symlink_to(folder / "gone")
    (folder / "file").chmod(files.READ_ONLY)
    return folder


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    """SHA-256 in hexadecimal digits, of any file and of an empty one."""
    for content in (b"", b"x" * 100_000):
        (tmp_path / "file").write_bytes(content)
        assert files.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    """A plain file is read, an empty one too; one that is not there is the usual error."""
    for content in (b"", NEW):
        (tmp_path / "file").write_bytes(content)
        assert files.read_plain(tmp_path / "file") == content
    with pytest.raises(FileNotFoundError):
        files.read_plain(tmp_path / "gone")


@pytest.mark.parametrize("name", ["to-file", "to-nothing", "deep", "pipe"])
def test_nothing_but_a_plain_file_is_read(name: str, folder: Path) -> None:
    """A link is not followed, and at a pipe nobody waits."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match=r"symbolic links|directory|not a plain file"):
        files.read_plain(folder / name)


def test_a_file_that_is_larger_than_any_record_is_not_read(tmp_path: Path) -> None:
    """Whatever it is, it does not fill the memory."""
    for size, too_large in ((files.LARGEST_RECORD, False), (files.LARGEST_RECORD + 1, True)):
        with (tmp_path / "file").open("wb") as file:
            file.truncate(size)
        if too_large:
            with pytest.raises(OSError, match="too large"):
                files.read_plain(tmp_path / "file")
        else:
            assert len(files.read_plain(tmp_path / "file")) == size


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    """Each folder on the way is made once; one that is there is left as it is."""
    assert steps_of(lambda: files.make_folder(tmp_path / "a" / "b" / "c")) == ["make_folder"] * 3
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "a" / "file").touch()
    assert steps_of(lambda: files.make_folder(tmp_path / "a" / "b")) == []
    assert (tmp_path / "a" / "file").exists()


def test_a_folder_that_another_process_makes_meanwhile_is_no_error(tmp_path: Path) -> None:
    """Of many who make one folder at once, each finds it there."""
    folder = tmp_path / "a" / "b" / "c"

    def make(_: int) -> bool:
        files.make_folder(folder)
        return folder.is_dir()

    assert all(at_once(make))


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    """What is in the way is not taken for the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="directory"):
        files.make_folder(tmp_path / "file" / "folder")


@pytest.mark.parametrize("before", [None, OLD])
def test_a_file_is_replaced_whole(before: bytes | None, tmp_path: Path) -> None:
    """Folders above it are made, and nothing else is left beside it."""
    path = tmp_path / "folder" / "file"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)
    files.write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_flushed_before_it_gets_its_name(tmp_path: Path) -> None:
    """Write, flush, rename, flush the folder: in another order a power cut could leave an empty file."""
    path = tmp_path / "file"
    whole = ["create", "write", "sync", "rename", "sync"]
    assert steps_of(lambda: files.write_atomically(path, NEW)) == whole
    quick = ["create", "write", "rename"]
    assert steps_of(lambda: files.write_atomically(path, NEW, durable=False)) == quick
    once = ["create", "write", "sync", "link", "sync", "unlink"]
    assert steps_of(lambda: files.write_once(tmp_path / "other", NEW)) == once


@pytest.mark.parametrize("at", range(4))
def test_a_crash_leaves_the_old_file_or_the_new_one(at: int, tmp_path: Path) -> None:
    """Before whatever step the process dies, a reader sees all of one of them."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(Crash), using(CrashingDisk(at)):
        files.write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    files.write_atomically(path, NEW)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("write", [files.write_atomically, files.write_once])
def test_an_error_of_the_disk_leaves_nothing_half(
    write: Callable[[Path, bytes], object], at: int, tmp_path: Path
) -> None:
    """A full disk is an error, and the half file goes: only the one that was there is left."""
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_bytes(OLD)
    with pytest.raises(OSError, match="No space"), using(FailingDisk(at, errno.ENOSPC)):
        write(path, NEW)
    assert list(tmp_path.iterdir()) == [other]


def test_a_first_writing_counts(tmp_path: Path) -> None:
    """What was written once stays, and a second writer is told so; nothing is left beside it."""
    path = tmp_path / "folder" / "file"
    assert files.write_once(path, OLD) is True
    assert files.write_once(path, NEW) is False
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_of_many_first_writers_one_is_the_first(tmp_path: Path) -> None:
    """However many write at once, one is told that it did, and the file is that one's."""
    path = tmp_path / "file"
    wrote = at_once(lambda number: files.write_once(path, str(number).encode()))
    assert wrote.count(True) == 1
    assert path.read_text() == str(wrote.index(True))
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_name_is_hidden_and_the_writers_own(tmp_path: Path) -> None:
    """It begins with a dot, stands beside the file, names process and thread, and a clean-up knows it as such."""
    path = tmp_path / "file.json"
    names = []
    with files.temporary_name(path) as mine:
        thread = threading.Thread(target=lambda: names.append(files.temporary_name(path).__enter__()))
        thread.start()
        thread.join()
    assert mine == path.with_name(f".file.json.{os.getpid()}-{threading.get_ident()}")
    assert names[0] != mine
    assert files.TEMPORARY.fullmatch(mine.name)


@pytest.mark.parametrize("kind", ["file", "link to nothing", "nothing"])
def test_what_bears_a_temporary_name_at_the_end_is_deleted(kind: str, tmp_path: Path) -> None:
    """Whatever ends the block, also an error; what has got its true name by then is left."""
    with pytest.raises(KeyError), files.temporary_name(tmp_path / "file") as temporary:
        if kind == "file":
            temporary.touch()
        elif kind == "link to nothing":
            temporary.symlink_to(tmp_path / "gone")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with files.temporary_name(tmp_path / "file") as temporary:
        temporary.touch()
        temporary.rename(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_moved_durably(folder: Path, tmp_path: Path) -> None:
    """It arrives with all that is in it; both places are flushed where they are two."""
    target = tmp_path / "far" / "away"
    assert steps_of(lambda: files.move_folder(folder, target)) == ["make_folder", "rename", "sync", "sync"]
    assert (target / "deep" / "deeper" / "file").read_bytes() == b"y" * 10
    assert not folder.exists()
    assert steps_of(lambda: files.move_folder(target, target.with_name("near"))) == ["rename", "sync"]


@pytest.mark.parametrize("circular", [False, True])
def test_a_folder_goes_and_nothing_that_its_links_point_to(circular: bool, folder: Path, elsewhere: Path) -> None:
    """Read-only files, folders in folders and links of every kind go; what the links point to is untouched."""
    if circular:
        (folder / "to-itself").symlink_to(folder)
    files.remove_folder(folder)
    assert not os.path.lexists(folder)
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]
    assert (elsewhere / "precious").read_bytes() == OLD


@pytest.mark.parametrize("name", ["deep/to-folder", "to-file", "to-nothing", "file", "pipe"])
def test_whatever_lies_in_the_place_of_a_folder_goes_alone(name: str, folder: Path, elsewhere: Path) -> None:
    """A link or a file where a folder should have been is deleted in one step, and no link is followed."""
    os.mkfifo(folder / "pipe")
    assert steps_of(lambda: files.remove_folder(folder / name)) == ["unlink"]
    assert not os.path.lexists(folder / name)
    assert (elsewhere / "precious").read_bytes() == OLD


def test_what_is_no_longer_there_is_no_error(folder: Path) -> None:
    """Two may delete one folder at once: what is gone before its turn is as good as deleted."""
    files.remove_folder(folder / "gone")
    unlink, taken = os.unlink, iter([True, False, False, False, False])

    class Racing(CountingDisk):
        def unlink(self, path: Path) -> None:
            if next(taken):
                unlink(path)  # somebody else was faster
            super().unlink(path)

    with using(Racing()):
        files.remove_folder(folder)
    assert not os.path.lexists(folder)


def test_a_folder_that_fills_up_meanwhile_is_an_error(folder: Path) -> None:
    """What somebody else puts in while it is deleted is not deleted with it."""

    class Filling(CountingDisk):
        def remove_folder(self, path: Path) -> None:
            if path == folder:
                (folder / "new").touch()
            super().remove_folder(path)

    with pytest.raises(OSError, match="not empty"), using(Filling()):
        files.remove_folder(folder)
    assert (folder / "new").exists()


def test_a_single_file_or_link_goes(folder: Path, elsewhere: Path) -> None:
    """One step, then its folder is flushed; a link goes without what it points to."""
    assert steps_of(lambda: files.remove_file(folder / "file")) == ["unlink", "sync"]
    files.remove_file(folder / "deep" / "to-folder")
    assert not (folder / "file").exists()
    assert (elsewhere / "precious").exists()
    with pytest.raises(FileNotFoundError):
        files.remove_file(folder / "file")


def test_a_size_is_that_of_all_files_below(folder: Path, tmp_path: Path) -> None:
    """A file's bytes, or the sum below a folder; a link counts itself and nothing behind it, what is gone nothing."""
    (folder / "to-itself").symlink_to(folder)
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    assert len(links) == 4
    assert files.size_of(folder / "file") == 100
    assert files.size_of(folder) == 110 + sum(path.lstat().st_size for path in links)
    assert files.size_of(folder / "to-itself") == (folder / "to-itself").lstat().st_size
    assert files.size_of(tmp_path / "gone") == 0


def test_only_a_regular_file_is_a_plain_one(folder: Path) -> None:
    """Neither a link, to whatever, nor a folder, a pipe or nothing at all."""
    os.mkfifo(folder / "pipe")
    names = ("file", "to-file", "to-nothing", "deep", "deep/to-folder", "pipe", "gone")
    assert [name for name in names if files.is_plain_file(folder / name)] == ["file"]
    assert not files.is_plain_file(folder / "file" / "below")
