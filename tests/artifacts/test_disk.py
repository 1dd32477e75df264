"""The system calls behind the store: each does one thing, and an error of the disk is told with its folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store.disk import Disk, disk
from schemas.errors import StoreError

DISK = Disk()


def refuse(change: Callable[[], None], error: type[OSError]) -> None:
    """Make a change that has to be refused."""
    with pytest.raises(error):
        change()


def test_a_new_file_is_empty_and_writable_by_its_owner_alone(tmp_path: Path) -> None:
    """A file that is created has nothing in it, whatever stood there, and is nobody else's to change."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.close(DISK.create(path))
    assert path.read_bytes() == b""
    mask = os.umask(0)
    try:
        os.close(DISK.create(tmp_path / "new"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


@pytest.mark.parametrize("size", [0, 1, 3, 100_000])
def test_all_is_written_though_the_system_takes_it_in_pieces(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that the system ends early is gone on with, from where it ended."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, bytes(content[: 1 + size // 7])))
    content, path = os.urandom(size), tmp_path / "file"
    descriptor = DISK.create(path)
    DISK.write(descriptor, content)
    DISK.sync(descriptor)
    os.close(descriptor)
    assert path.read_bytes() == content


def test_a_file_is_moved_over_another(tmp_path: Path) -> None:
    """The new file stands where the old one stood, and nowhere else."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    DISK.rename(new, old)
    assert old.read_bytes() == b"new"
    assert not new.exists()


def test_a_folder_is_moved_to_where_there_is_none(tmp_path: Path) -> None:
    """What is in the way stops it, so that no artifact is ever mixed with another."""
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        DISK.make_folder(folder)
        (folder / "file").write_text(folder.name)
    refuse(lambda: DISK.rename(source, target), OSError)
    assert (target / "file").read_text() == "target"
    DISK.rename(source, tmp_path / "free")
    assert (tmp_path / "free" / "file").read_text() == "source"


def test_a_second_name_is_never_one_that_is_taken(tmp_path: Path) -> None:
    """Of two who link to one name, one does."""
    one, other, name = tmp_path / "one", tmp_path / "other", tmp_path / "name"
    one.write_text("one")
    other.write_text("other")
    DISK.link(one, name)
    refuse(lambda: DISK.link(other, name), FileExistsError)
    assert name.read_text() == "one"


def test_a_folder_is_made_once_and_below_one_that_is_there(tmp_path: Path) -> None:
    """One step makes one folder."""
    DISK.make_folder(tmp_path / "a")
    refuse(lambda: DISK.make_folder(tmp_path / "a"), FileExistsError)
    refuse(lambda: DISK.make_folder(tmp_path / "b" / "c"), FileNotFoundError)


def test_only_an_empty_folder_is_deleted(tmp_path: Path) -> None:
    """Nothing goes with a folder that was not looked at."""
    DISK.make_folder(tmp_path / "a")
    (tmp_path / "a" / "file").touch()
    refuse(lambda: DISK.remove_folder(tmp_path / "a"), OSError)
    DISK.unlink(tmp_path / "a" / "file")
    DISK.remove_folder(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_link_is_deleted_and_not_what_it_points_to(tmp_path: Path) -> None:
    """What lies elsewhere is nobody's business."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    DISK.unlink(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_rights_are_set_as_they_are_given(tmp_path: Path) -> None:
    """Neither more nor less, whatever the process's mask."""
    path = tmp_path / "file"
    path.touch()
    for mode in (0o444, 0o644):
        DISK.protect(path, mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_an_error_of_the_disk_names_the_folder_and_the_way_out(number: int, tmp_path: Path) -> None:
    """Full, broken or read-only: the message says where, what, and what a person can do."""
    with pytest.raises(StoreError) as caught, disk(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "file"))
    assert str(caught.value) == (
        f"{tmp_path}: expected a folder that can be read and written, found {os.strerror(number)}. "
        "Free space or mend the folder's rights, or choose another with --home."
    )
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_without_a_number_is_told_in_its_own_words(tmp_path: Path) -> None:
    """A library's OSError may bring no more than a sentence."""
    with pytest.raises(StoreError, match="found it broke"), disk(tmp_path):
        raise OSError("it broke")


def test_other_errors_pass(tmp_path: Path) -> None:
    """Only the disk's errors are the store's."""
    with pytest.raises(KeyError), disk(tmp_path):
        raise KeyError("x")
