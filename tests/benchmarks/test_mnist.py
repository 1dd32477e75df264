"""The folder of the four files, and the mirror of it."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.mnist import FILES, mirror, open_folder
from schemas.errors import UsageError


def test_a_missing_file_is_named_with_a_way_out(tmp_path: Path) -> None:
    """A folder without one of the files is refused before anything is measured."""
    for name in FILES[:3]:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"found no {FILES[3]}\. Download them once.*MNIST=DIR"):
        open_folder(tmp_path)
    (tmp_path / FILES[3]).touch()
    assert open_folder(tmp_path) == tmp_path


def test_the_mirror_serves_the_folder_while_it_is_open(tmp_path: Path) -> None:
    """A file comes over HTTP as it is on the disk, and afterwards nobody listens."""
    (tmp_path / "a.gz").write_bytes(b"abc")
    with mirror(tmp_path) as address, urlopen(f"{address}a.gz") as answer:
        assert answer.read() == b"abc"
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{address}a.gz")
