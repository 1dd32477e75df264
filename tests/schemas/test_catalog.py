"""The catalog's data sets, and where their files come from."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections import Counter
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from schemas.catalog import dataset_names, load_dataset
from schemas.datasets import RemoteFile
from schemas.errors import UsageError


def bundled(file: RemoteFile) -> Path:
    """Where a bundled file lies."""
    return Path(url2pathname(urlsplit(file.mirrors[0]).path)) / file.name


@pytest.mark.parametrize("name", dataset_names())
def test_every_entry_is_complete(name: str) -> None:
    """Each data set of the catalog publishes the size and checksum of four files, and sizes that fit its shape."""
    dataset = load_dataset(name)
    assert dataset.name == name
    assert len(dataset.files) == 4
    for split in dataset.splits.values():
        images, labels = split.files
        assert all(file.sha256 and file.bytes and file.mirrors and not file.described_in for file in split.files)
        assert split.spec.samples is not None
        assert images.raw_bytes == 16 + split.spec.samples * split.spec.pixels
        assert labels.raw_bytes == 8 + split.spec.samples


def test_no_two_files_share_a_checksum() -> None:
    """No checksum was copied from one file to another."""
    digests = [file.sha256 for name in dataset_names() for file in load_dataset(name).files]
    assert len(set(digests)) == len(digests)


def test_the_bundled_files_are_the_published_ones() -> None:
    """The digits that ship with the package have the size and SHA-256 that their entry states."""
    for file in load_dataset("digits").files:
        data = bundled(file).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)


@pytest.mark.parametrize(
    ("split", "samples", "pixel_sum", "counts"),
    [
        ("train", 1500, 7029675, [151, 151, 150, 153, 148, 152, 151, 149, 146, 149]),
        ("test", 297, 1396095, [27, 31, 27, 30, 33, 30, 30, 30, 28, 31]),
    ],
)
def test_the_bundled_digits_read_by_hand(
    split: Literal["train", "test"], samples: int, pixel_sum: int, counts: list[int]
) -> None:
    """The digits' IDX files hold the known images and labels."""
    images, labels = (gzip.decompress(bundled(f).read_bytes()) for f in load_dataset("digits").splits[split].files)
    assert struct.unpack(">4I", images[:16]) == (0x803, samples, 8, 8)
    assert struct.unpack(">2I", labels[:8]) == (0x801, samples)
    assert set(images[16:]) == {15 * value for value in range(17)}
    assert sum(images[16:]) == pixel_sum
    assert [Counter(labels[8:])[label] for label in range(10)] == counts


def test_the_digits_name_their_authors_and_licence() -> None:
    """The bundled set carries the attribution that its licence asks for."""
    source = load_dataset("digits").source
    assert all(part in source for part in ("Alpaydin", "Kaynak", "UCI", "CC BY 4.0", "writer"))


def test_given_mirrors_come_first() -> None:
    """Mirrors of the caller are tried in their order, before the catalog's, each once."""
    known = load_dataset("mnist").files[0].mirrors
    given = ("http://localhost:8000/mnist", known[1])
    assert load_dataset("mnist", given).files[0].mirrors == ("http://localhost:8000/mnist/", known[1], known[0])


def test_a_folder_is_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror without a scheme is a folder, relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    assert load_dataset("mnist", ("my files",)).files[0].mirrors[0] == f"{(tmp_path / 'my files').as_uri()}/"


@pytest.mark.parametrize("mirror", ["ftp://example.org/", "localhost:8000"])
def test_another_scheme_is_refused(mirror: str) -> None:
    """A mirror that is neither http, https, file nor a folder is refused before anything runs."""
    with pytest.raises(UsageError, match=f"mirror {mirror}: expected an http, https or file address, or a folder"):
        load_dataset("mnist", (mirror,))
