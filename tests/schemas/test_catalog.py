"""The catalog's data sets, and the description of one's own."""

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

OWN = """
title = "Own"
source = "my own"
shape = [2, 3]
classes = ["left", "right"]
mirrors = ["files", "https://example.org/own"]

[checks]
duplicate = "error"

[train]
[[train.shards]]
images.name = "a-images.gz"
labels.name = "a-labels.gz"
[[train.shards]]
images.name = "b-images.gz"
labels.name = "b-labels.gz"

[test]
samples = 4
[[test.shards]]
images.name = "c-images.gz"
images.bytes = 30
labels.name = "c-labels.gz"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The description of a set of one's own."""
    path = tmp_path / "own-set.toml"
    path.write_text(OWN)
    return path


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
        assert all(file.sha256 and file.bytes and file.mirrors and file.dataset == name for file in split.files)
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


def test_a_set_of_ones_own(own: Path) -> None:
    """A TOML file's set is called as the file, resolves its folders against it, and needs no checksums."""
    dataset = load_dataset(str(own))
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (dataset.name, dataset.classes, dataset.checks.duplicate) == ("own-set", ("left", "right"), "error")
    assert [file.name for file in train.files] == ["a-images.gz", "a-labels.gz", "b-images.gz", "b-labels.gz"]
    assert (train.spec.split, train.spec.shape, train.spec.samples) == ("train", (2, 3), None)
    assert (test.spec.split, test.spec.samples, test.shards[0].images.bytes) == ("test", 4, 30)
    assert {file.sha256 for file in dataset.files} == {None}
    assert {file.mirrors for file in dataset.files} == {
        (f"{(own.parent / 'files').as_uri()}/", "https://example.org/own/")
    }


def test_an_unknown_name_is_told_the_known_ones() -> None:
    """An unknown name is refused with the known ones and the way to describe one's own."""
    with pytest.raises(UsageError) as caught:
        load_dataset("emnist")
    assert all(name in caught.value.expected for name in dataset_names())
    assert ".toml" in caught.value.expected
    assert "'emnist'" in caught.value.found


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('title = "Own"', "title = Own", "line 2"),
        ("shape = [2, 3]", "", "shape: Field required"),
        ("shape = [2, 3]", "shape = [2, 0]", "train.shape.1: Input should be greater than 0"),
        ('["left", "right"]', '["left"]', "train.classes: "),
        ('mirrors = ["files", "https://example.org/own"]', "mirrors = []", "mirrors: "),
        ("images.bytes = 30", "images.size = 30", "test.shards.0.images.size: Extra inputs are not permitted"),
        ("images.bytes = 30", 'images.sha256 = "abc"', "test.shards.0.images.sha256: String should match"),
        ('"b-labels.gz"', '"../b-labels.gz"', "train.shards.1.labels.name: String should match"),
        ('duplicate = "error"', 'duplicate = "fatal"', "checks.duplicate: Input should be 'ignore', 'warn' or 'error'"),
    ],
)
def test_a_broken_description_names_the_field(own: Path, right: str, wrong: str, told: str) -> None:
    """A description with one mistake is refused with its file and field named."""
    assert right in OWN
    own.write_text(OWN.replace(right, wrong))
    with pytest.raises(UsageError) as caught:
        load_dataset(str(own))
    assert caught.value.subject == str(own)
    assert told in caught.value.found


def test_a_description_that_is_not_there(tmp_path: Path) -> None:
    """A path without a file is refused as wrong usage, not as a bare OSError."""
    with pytest.raises(UsageError, match="No such file"):
        load_dataset(str(tmp_path / "none.toml"))


def test_the_file_name_has_to_be_a_name(own: Path) -> None:
    """A set whose file name is no name is refused, for the store files its trust under it."""
    with pytest.raises(UsageError, match="found name: String should match"):
        load_dataset(str(own.rename(own.with_name("Own Set.toml"))))
