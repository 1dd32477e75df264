"""Real runs over files that are stored raw, as xz or padded, and over some that are something else."""

from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from schemas.errors import DownloadFailed, IdxflowError
from tests.flows.own_sets import OwnSet, assert_own, computed, make_set, plan, run

RENAMED = {
    "train-images.gz": "train-images.idx",
    "train-labels.gz": "train-labels-idx3-ubyte.xz",
    "test-images.gz": "test-images",
}
pytestmark = pytest.mark.usefixtures("prefect_server")


def store_otherwise(own: OwnSet) -> OwnSet:
    """Store a set's files raw, as xz, raw without a suffix, and padded. Returns: the set in a folder of its own."""
    other = OwnSet(own.folder.with_name("other"))
    for name in ("train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz"):
        content = gzip.decompress(own.file(name).read_bytes())
        as_stored = {"train-labels.gz": lzma.compress(content), "test-labels.gz": gzip.compress(content) + bytes(512)}
        other.put(RENAMED.get(name, name), as_stored.get(name, content))
    text = Path(own.toml).read_text()
    for name, renamed in RENAMED.items():
        text = text.replace(f'"{name}"', f'"{renamed}"')
    Path(other.toml).write_text(text)
    return other


def test_a_set_is_the_same_in_whatever_way_it_is_stored(home: Path, tmp_path: Path) -> None:
    """Raw, xz and padded files give the tables of their gzip twins; a name that disagrees is warned of and kept."""
    own = make_set(tmp_path / "leaves", 1)
    other = store_otherwise(own)
    record = run(other)
    assert_own(home, record, own)
    said = "train-labels-idx3-ubyte.xz: its name says uint8 of rank 3, its header uint8 of shape 60; the header counts."
    assert record.warnings[0] == said
    row = next(row for row in record.stages if (row.stage, row.name) == ("decompress", "train-labels-idx3-ubyte.xz"))
    summary = Store(home).inspect("decompress", row.version)
    assert summary is not None
    assert summary.manifest.summary["findings"] == [said.partition(": ")[2].removesuffix(".")]
    assert computed(run(other)) == []
    assert {row.state for row in plan(home, other).values()} == {"cached"}


@pytest.mark.slow
def test_something_else_first_and_the_right_file_next(home: Path, tmp_path: Path) -> None:
    """Arrays, a page, a pointer, what is compressed twice: each is named, and then the right file is read."""
    own = make_set(tmp_path / "leaves", 1)
    right = own.file("test-images.gz").read_bytes()
    arrays = io.BytesIO()
    np.savez(arrays, images=np.zeros(3, np.uint8))
    wrong = {
        "an npz file of NumPy": arrays.getvalue(),
        "an HTML page": b"<html><body>Log in.</body></html>",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a gzip file": gzip.compress(right),
        "a file of zeros": gzip.compress(bytes(3000)),
        "an empty file": b"",
        "3 times that (colour?)": gzip.compress(gzip.decompress(right) + bytes(2 * 30 * 36)),
    }
    for named, content in wrong.items():
        own.put("test-images.gz", content)
        with pytest.raises(IdxflowError) as refused:
            run(own)
        assert named in refused.value.found
        assert "--" not in str(refused.value)
    own.put("test-images.gz", right)
    assert_own(home, run(own), own)


def test_an_annexed_file_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    """A link to what git-annex has not fetched says so, in the run and in the plan."""
    own = make_set(tmp_path / "leaves", 1)
    own.file("train-labels.gz").unlink()
    own.file("train-labels.gz").symlink_to(".git/annex/objects/1/2/SHA256E--4/SHA256E--4")
    for action in (lambda: run(own), lambda: plan(home, own)):
        with pytest.raises(DownloadFailed, match=r"found a link to a git-annex object that is not there\. .*annex get"):
            action()
