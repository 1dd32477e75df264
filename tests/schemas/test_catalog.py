"""The catalog's data sets, and the description of one's own."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from schemas.catalog import dataset_names, load_dataset
from schemas.datasets import Checks, RemoteFile
from schemas.errors import UsageError
from tests.processes import PROJECT

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
        assert all(file.sha256 and file.bytes and file.mirrors and not file.described for file in split.files)
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


def test_the_documented_description_is_one(tmp_path: Path) -> None:
    """The example of docs/datasets.md describes a set, and its tables name every field and check."""
    document = (PROJECT / "docs" / "datasets.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", document, flags=re.DOTALL)
    path = tmp_path / "leaves.toml"
    path.write_text(example)
    assert load_dataset(str(path)).classes == ("oak", "beech", "birch")
    told = set(re.findall(r"`([a-z_.0-9]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", document, flags=re.MULTILINE))))
    fields = {"title", "source", "shape", "classes", "mirrors", "label_offset", "label_column", "checks"}
    of_a_file = set(RemoteFile.model_fields) - {"described", "mirrors", "origin"}
    assert told == {
        *fields, *("train", "test", "train.samples", "test.samples"), *Checks.model_fields,
        *(f"{kind}.{field}" for kind in ("images", "labels") for field in of_a_file),
    }  # fmt: skip


def test_an_unknown_name_is_told_the_known_ones() -> None:
    """An unknown name is refused with the known ones, the nearest, and the way to describe one's own."""
    with pytest.raises(UsageError, match=r"Did you mean mnist\? docs/datasets.md tells how"):
        load_dataset("mnits")
    with pytest.raises(UsageError) as caught:
        load_dataset("emnist")
    assert all(name in caught.value.expected for name in dataset_names())
    assert ".toml" in caught.value.expected
    assert "'emnist'" in caught.value.found


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('title = "Own"', "title = Own", "line 2"),
        ("shape = [2, 3]", "", "no shape"),
        ("shape = [2, 3]", "shape = 28", "shape: 28, where a list belongs"),
        ("shape = [2, 3]", "shpae = [2, 3]", "no shape; the unknown name shpae (did you mean shape?)"),
        ("shape = [2, 3]", "shape = [2, 0]", "shape.2: 0, where a number above 0 belongs"),
        ('["left", "right"]', '["left"]', "classes: 1 of them, where at least 2 belongs"),
        (
            'mirrors = ["files", "https://example.org/own"]',
            "mirrors = []",
            "mirrors: 0 of them, where at least 1 belongs",
        ),
        ("images.bytes = 30", "images.size = 30", "the unknown name test.shards.1.images.size"),
        (
            "images.bytes = 30",
            'images.sha256 = "abc"',
            "test.shards.1.images.sha256: 'abc', where 64 hexadecimal digits",
        ),
        (
            '"b-labels.gz"',
            '"../b-labels.gz"',
            "train.shards.2.labels.name: '../b-labels.gz', where letters, digits, dots",
        ),
        (
            'duplicate = "error"',
            'duplicate = "fatal"',
            "checks.duplicate: 'fatal', where 'ignore', 'warn' or 'error' belongs",
        ),
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
    with pytest.raises(UsageError, match="found name: 'Own Set', where lower-case letters, digits and dashes"):
        load_dataset(str(own.rename(own.with_name("Own Set.toml"))))


CUT = """
title = "Own"
source = "my own"
shape = [2, 3]
classes = ["left", "right"]
mirrors = ["files"]
[[train.shards]]
images.name = "images.gz"
labels.name = "labels.gz"
[test]
fraction = 0.2
"""


def test_a_test_split_can_be_cut_off_the_train_files(tmp_path: Path) -> None:
    """Both splits are then of the same files, each of which is listed once, and say how they are cut."""
    path = tmp_path / "cut.toml"
    path.write_text(CUT)
    dataset = load_dataset(str(path))
    assert [file.name for file in dataset.files] == ["images.gz", "labels.gz"]
    assert dataset.splits["train"].shards == dataset.splits["test"].shards
    assert {split.spec.test_fraction for split in dataset.splits.values()} == {dataset.test_fraction} == {0.2}
    assert load_dataset("digits").test_fraction is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("fraction = 0.2", "fraction = 1", "test.fraction: 1, where a number below 1 belongs"),
        ("fraction = 0.2", "fraction = 0", "test.fraction: 0, where a number above 0 belongs"),
        ("fraction = 0.2", "", "neither [[test.shards]] nor a fraction below [test]"),
        ("fraction = 0.2", "fraction = 0.2\nsamples = 3", "test.fraction and test.samples: what is cut off"),
        (
            "fraction = 0.2",
            'fraction = 0.2\n[[test.shards]]\nimages.name = "a.gz"\nlabels.name = "b.gz"',
            "test.fraction and test.shards: what is cut off",
        ),
        ("[[train.shards]]", "train.fraction = 0.5\n[[train.shards]]", "the unknown name train.fraction"),
    ],
)
def test_a_split_is_cut_off_or_has_files(tmp_path: Path, old: str, new: str, told: str) -> None:
    """A share that is none, both or neither of files and a share, and a share of the train split, are refused."""
    path = tmp_path / "cut.toml"
    path.write_text(CUT.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(told)):
        load_dataset(str(path))


def test_rows_are_held_out_as_the_description_says(own: Path) -> None:
    """One's own set is stratified unless it says otherwise; the catalog's keep the last tenth."""
    assert load_dataset(str(own)).held_out == "stratified"
    own.write_text(f'held_out = "last"\n{OWN}')
    assert load_dataset(str(own)).held_out == "last"
    assert {load_dataset(name).held_out for name in dataset_names()} == {"last"}
    own.write_text(f'held_out = "first"\n{OWN}')
    with pytest.raises(UsageError, match="held_out: 'first', where 'last' or 'stratified' belongs"):
        load_dataset(str(own))
