"""What lies below a folder, as it looks from outside: every file, whatever its times, and folders without one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.store.own_folders import OwnFolders
from artifacts.store.own_scan import looks_array, scan
from tasks.formats.tree_folder import open_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two files, a folder without one, and a link."""
    folder = tmp_path / "photos"
    for name in ("oak/2.png", "oak/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "elm/young").mkdir(parents=True)
    (folder / "link").symlink_to("oak")
    return folder


def test_files_links_and_folders_are_listed(root: Path) -> None:
    """Names in code-point order; a link is no folder, and what is behind it is not listed."""
    found = scan(root)
    assert found.names == ("link", "oak/1.png", "oak/2.png")
    assert found.looks[:, 0].tolist() == [3, 9, 9]
    assert found.regular.tolist() == [False, True, True]
    assert sorted(found.folders) == ["elm", "elm/young", "oak"]
    assert found.closed == ()


def test_two_looks_at_the_same_are_equal(root: Path) -> None:
    """Until a file is touched, or an empty folder comes."""
    before = scan(root)
    assert (before, hash(before)) == (scan(root), hash(scan(root)))
    (root / "ash").mkdir()
    with_folder = scan(root)
    assert with_folder != before
    os.utime(root / "oak/1.png", (1, 1))
    assert scan(root) != with_folder


@pytest.mark.parametrize("seconds", [-1, -2_000_000_000, 0])
def test_a_file_may_be_older_than_1970(root: Path, tmp_path: Path, seconds: int) -> None:
    """A scan of an old photograph, or a clock that was wrong: it is listed, hashed once and known again."""
    os.utime(root / "oak/1.png", (seconds, seconds))
    (tmp_path / "home" / "artifacts").mkdir(parents=True)
    own = OwnFolders(tmp_path / "home" / "own")
    found = own.listing(root)
    assert found.scan.looks[1, 4] == seconds * 10**9
    assert np.array_equal(found.digests[1], OwnFolders(tmp_path / "no" / "own").listing(root).digests[1])
    (note,) = (tmp_path / "home" / "own").iterdir()
    os.utime(note, (4e9, 4e9))  # written long after the files, as it seems
    again = own.listing(root)
    assert (again.hashed, again.content) == (0, found.content)


def test_an_inode_beyond_63_bits_is_told_from_others() -> None:
    """Some file systems number them so; what does not fit is folded, and stays what it is from look to look."""
    found = looks_array([(1, 2**63 + 5, 3, 4, 5, 6), (1, 2**64 - 1, 3, 4, -5, 6), (1, 7, 3, 4, 5, 6)])
    assert found.shape == (3, 6)
    assert len({tuple(row) for row in found.tolist()}) == 3
    assert found[2].tolist() == [1, 7, 3, 4, 5, 6]
    assert found[1, 4] == -5


def test_a_folder_that_went_away_meanwhile_is_no_matter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there a moment ago may be gone, also between a folder's list and a look at its files."""
    listing = os.scandir

    def taken(path: str) -> Any:
        entries = listing(path)
        if path.endswith("/oak/"):
            (root / "oak/1.png").unlink()
        if path == f"{root}/":
            (root / "elm/young").rmdir()
            (root / "elm").rmdir()
        return entries

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "scandir", taken)
        found = scan(root)
    assert "oak/2.png" in found.names
    assert found.folders == ("oak",)


def test_a_folder_that_lets_nobody_in_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are listed; it is one of the files that cannot be read."""
    listing = os.scandir

    def closed(path: str) -> Any:
        if path.endswith("/elm/"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listing(path)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "scandir", closed)
        found = scan(root)
    assert found.closed == (("elm", "Permission denied"),)
    assert sorted(found.folders) == ["elm", "oak"]
    told = {entry.name: entry.unreadable for entry in open_folder(root, found).entries if entry.unreadable}
    assert told["elm/"] == "it is a folder that cannot be listed (Permission denied)"
