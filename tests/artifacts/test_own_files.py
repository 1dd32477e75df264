"""artifacts/store/own_files.py: files that may change at any time are hashed when they have, and only then."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store.own_files import Content, OwnFiles
from schemas.errors import StageError

SETTLED = 0.05
"""Seconds after which a file's times are older than a clock's tick."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file, which was written a while ago."""
    path = tmp_path / "files" / "a.gz"
    path.parent.mkdir()
    path.write_bytes(b"one")
    time.sleep(SETTLED)
    return path


@pytest.fixture
def own(tmp_path: Path) -> OwnFiles:
    """The notes of a home folder."""
    (tmp_path / "home").mkdir()
    return OwnFiles(tmp_path / "home" / "own")


def of(content: bytes) -> Content:
    return Content(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def note(tmp_path: Path) -> tuple[int, int]:
    """How the one note looks: it is written whenever the file was hashed."""
    (path,) = (tmp_path / "home" / "own").iterdir()
    return path.stat().st_ino, path.stat().st_mtime_ns


def test_an_unchanged_file_is_hashed_once(path: Path, own: OwnFiles, tmp_path: Path) -> None:
    """What looks as it did when it was hashed is not read again, by another process either."""
    assert own.content(path) == of(b"one")
    before = note(tmp_path)
    assert own.content(path) == OwnFiles(tmp_path / "home" / "own").content(path) == of(b"one")
    assert note(tmp_path) == before


def rewrite(path: Path) -> None:
    """Write other bytes of the same size, and set the time back."""
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(path: Path) -> None:
    """Put another file there, with the same time."""
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(path)


def link(path: Path) -> None:
    """Have the name lead to another file."""
    other = path.with_name("other")
    other.write_bytes(b"two")
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("change", [rewrite, replace, link])
def test_a_changed_file_is_hashed_again(
    change: Callable[[Path], None], path: Path, own: OwnFiles, tmp_path: Path
) -> None:
    """The same size and modification time hide nothing: inode and change time tell."""
    own.content(path)
    before = note(tmp_path)
    change(path)
    assert own.content(path) == of(b"two")
    assert note(tmp_path) != before


def test_a_file_that_was_just_written_is_not_believed(path: Path, own: OwnFiles) -> None:
    """Two writes in one tick of the clock leave the same times: a note of that tick proves nothing."""
    for content in (b"one", b"two", b"six") * 20:
        path.write_bytes(content)
        assert own.content(path) == of(content)


def test_without_a_home_nothing_is_noted(path: Path, tmp_path: Path) -> None:
    """A plan over no store makes none."""
    assert OwnFiles(tmp_path / "nowhere" / "own").content(path) == of(b"one")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"content": {"sha256": "x", "bytes": 3}, "look": []}'])
def test_a_damaged_note_is_no_note(damage: str, path: Path, own: OwnFiles, tmp_path: Path) -> None:
    """Whatever stands in a note, the file is what it is."""
    own.content(path)
    next((tmp_path / "home" / "own").iterdir()).write_text(damage)
    assert own.content(path) == of(b"one")


def test_what_is_no_file_is_refused(own: OwnFiles, tmp_path: Path) -> None:
    """A folder, a pipe, a link to nowhere: an error that names it, and nobody waits."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("folder", "pipe", "nowhere"):
        with pytest.raises(StageError, match=f"{name}: expected a regular file that can be read"):
            own.content(tmp_path / name)
