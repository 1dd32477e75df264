"""The description of a data set of one's own: what it may say, and how each mistake is named."""

from __future__ import annotations

import gzip
import os
import re
import time
from pathlib import Path

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


def refused(path: Path) -> str:
    """Return what is said of a description, at once, under the name of its file."""
    started = time.monotonic()
    with pytest.raises(UsageError) as error:
        load_dataset(str(path))
    assert time.monotonic() - started < 2
    assert path.name in error.value.subject
    assert "\x1b" not in str(error.value)
    return str(error.value)


def test_a_set_of_ones_own(own: Path) -> None:
    """A TOML file's set is called as the file, resolves its folders against it, and needs no checksums."""
    dataset = load_dataset(str(own))
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (dataset.name, dataset.classes, dataset.checks.duplicate) == ("own-set", ("left", "right"), "error")
    assert [file.name for file in train.files] == ["a-images.gz", "a-labels.gz", "b-images.gz", "b-labels.gz"]
    assert (train.spec.split, train.spec.shape.array, train.spec.samples) == ("train", (2, 3), None)
    assert (test.spec.split, test.spec.samples, test.shards[0].images.bytes) == ("test", 4, 30)
    assert {file.sha256 for file in dataset.files} == {None}
    assert {file.mirrors for file in dataset.files} == {
        (f"{(own.parent / 'files').as_uri()}/", "https://example.org/own/")
    }


def test_the_documented_description_is_one(tmp_path: Path) -> None:
    """The example of docs/datasets.md describes a set, and its tables name every field and check."""
    document = (PROJECT / "docs" / "datasets.md").read_text("utf-8")
    example, *others = re.findall(r"```toml\n(.*?)```", document, flags=re.DOTALL)
    path = tmp_path / "leaves.toml"
    path.write_text(example)
    assert load_dataset(str(path)).classes == ("oak", "beech", "birch")
    (shard,) = [other for other in others if other.startswith("[[")]
    path.write_text(f"{example}\n{shard}")  # behind the description, where a shard is appended
    assert len(load_dataset(str(path)).splits["train"].shards) == 2
    lines = [line for other in others if other != shard for line in other.splitlines()]
    assert len(lines) >= 5
    for line in lines:
        path.write_text(f"{line}\n{example}".replace('["oak", "beech", "birch"]', '["oak", "beech"]'))
        assert load_dataset(str(path)).classes == ("oak", "beech")
    told = set(re.findall(r"`([a-z_.0-9]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", document, flags=re.MULTILINE))))
    fields = {"title", "source", "shape", "classes", "mirrors", "checks"}
    fields |= {"label_offset", "label_values", "label_column", "labels", "transpose", "held_out", "corrections"}
    of_a_file = set(RemoteFile.model_fields) - {"described_in", "mirrors", "origin", "trusted_as"}
    assert told == {
        *fields, *("train", "test", "train.samples", "test.samples", "test.fraction"), *Checks.model_fields,
        *(f"{kind}.{field}" for kind in ("images", "labels") for field in of_a_file),
    }  # fmt: skip


def test_an_unknown_name_is_told_the_known_ones() -> None:
    """An unknown name is refused with the known ones, the nearest, and the way to describe one's own."""
    with pytest.raises(UsageError, match=r"Did you mean mnist\? docs/datasets.md shows how"):
        load_dataset("mnits")
    with pytest.raises(UsageError) as caught:
        load_dataset("emnist")
    assert (
        caught.value.expected
        == f"one of {', '.join(dataset_names())}, or the path of a folder, archive, CSV, .npz or .toml file"
    )
    assert "'emnist'" in caught.value.found


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('title = "Own"', "title = Own", "line 2"),
        ("shape = [2, 3]", "", "no shape"),
        ("shape = [2, 3]", "shape = 28", "shape: 28, where a list belongs"),
        ("shape = [2, 3]", "shpae = [2, 3]", "found the unknown name shpae (did you mean shape?). "),
        ("shape = [2, 3]", "shape = [2, 0]", "shape.2: 0, where a number above 0 belongs"),
        ("shape = [2, 3]", "shape = [2]", "shape: 1 of them, where at least 2 belongs"),
        ("shape = [2, 3]", "shape = [2, 3, 3, 1]", "shape: 4 of them, where at most 3 belongs"),
        (
            "shape = [2, 3]",
            "shape = [2, 3, 4]",
            "shape: the third number 4, where 3 for colour, or nothing for grey, be",
        ),
        (
            "shape = [2, 3]",
            "shape = [3, 2, 5]",
            "shape: channels first, [3, 2, 5], where channels last, [2, 5, 3], bel",
        ),
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
            "train.shards.2.labels.name: '../b-labels.gz', where a name inside of the mirror",
        ),
        (
            '["left", "right"]',
            "[true, 1.5]",
            "2 mistakes:\n  - classes.1: True, where a text belongs;\n  - classes.2: 1.5",
        ),
        ('["left", "right"]', '["left", " "]', "classes.2: ' ', where a name belongs"),
        ('["left", "right"]', '["left", "a\\nb"]', r"classes.2: 'a\nb', where a name in one line belongs"),
        ('["left", "right"]', '["left", "up", "left "]', "classes: 'left' as 1 and as 3, where each name once belongs"),
        ('["left", "right"]', '[1, "1"]', "classes: '1' as 1 and as 2, where each name once belongs"),
        ("shape = [2, 3]", "shape = [2.0, 3]", "found shape.1: 2.0, where a whole number belongs. "),
        ("shape = [2, 3]", "shape = [2, 3]\nlabel_offset = true", "found label_offset: True, where a whole number bel"),
        ("shape = [2, 3]", "shape = [2, 3]\nlabel_values = [1]", "label_values: 1 of them, where one for each of 2 cl"),
        ("shape = [2, 3]", "shape = [2, 3]\nlabel_values = [7, 7]", "label_values: 7 twice, where each value once bel"),
        (
            "shape = [2, 3]",
            "shape = [2, 3]\nlabel_values = [1, 2]\nlabel_offset = 1",
            "found label_values and label_offset, where one of them belongs. ",
        ),
        (
            "shape = [2, 3]",
            'shape = [2, 3]\nlabels = "one-hot"\nlabel_column = 0',
            'found labels = "one-hot" and label_column, where one of them belongs. ',
        ),
        (
            "shape = [2, 3]",
            'shape = [2, 3]\nlabels = "onehot"',
            "labels: 'onehot', where 'integers' or 'one-hot' belongs",
        ),
        ("shape = [2, 3]", "shape = [2, 3]\ntranspose = 1", "transpose: 1, where true or false belongs"),
        ("samples = 4", "samples = 4\nlabel_column = -1", "test.label_column: -1, where a number at least 0 belongs"),
        (
            "images.bytes = 30",
            "label_offset = 1",
            "test.shards.1.label_offset (write label_offset at the top, above the first [table])",
        ),
        ('"https://example.org/own"', r'"C:\data"', "; a path is written with /"),
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
    said = refused(own)
    assert told in said
    assert said.count(" belongs") <= 2


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("[checks]", "label_offset = 1" + "0" * 30 + "\n[checks]", "label_offset: 1000"),
        ("[checks]", "label_offset = 0x" + "f" * 10**5 + "\n[checks]", "fit into 64 bits, found one of 400000 bits"),
        ("[checks]", "label_offset = 1" + "0" * 5000 + "\n[checks]", "fit into 64 bits"),
        ("[checks]", "more = " + "[" * 10**5 + "]" * 10**5 + "\n[checks]", "no more than 16 levels"),
        ("[checks]", "more = " + "[" * 20 + "]" * 20 + "\n[checks]", "no more than 16 levels"),
        ("[checks]", "more = " + "{a=" * 400 + "1" + "}" * 400 + "\n[checks]", "no more than 16 levels"),
        ("[checks]", "a" + ".a" * 10**5 + " = 1\n[checks]", "a name of more parts"),
        ("[checks]", "[" + ' "a"  .' * 10**4 + "a]\n[checks]", "a name of more parts"),
        ("[checks]", "[checks]\nmax_drift = nan", "checks.max_drift: nan, where a number belongs"),
        ("[train]", "[train]\nsamples = 1" + "0" * 17, "train.samples: 1000"),
        ("[checks]", '"\\u001b]0;x\\u0007\\nERROR" = 1\n[checks]', r"\x1b]0;x\x07\nERROR"),
        ('"Own"', '"\\u001b]0;x\\u0007"', "title: '\\x1b]0;x\\x07', where a title in one line belongs"),
        ('"Own"', f'"{"x" * 301}"', "where a text of at most 300 characters belongs"),
        ('"Own"', f'"{"x" * 2**22}"', "at most 4 MiB, found more"),
        ('"left"', '"a\\u202eb"', "classes.1: 'a\\u202eb', where a name in one line belongs"),
        ('"left"', f'"{"x" * 201}"', "where a name of at most 200 characters belongs"),
        ('"a-images.gz"', '"i\\u202e.gz"', "without control characters"),
        ('"a-images.gz"', f'"{"x" * 253}.gz"', "a name of at most 255 bytes"),
        ('["files", "https://example.org/own"]', str([f"m{at}" for at in range(101)]), "mirrors: 101 of them"),
        (
            '"b-images.gz"',
            '"a-images.gz"\nimages.bytes = 5',
            "the file 'a-images.gz', where the same bytes wherever it is named belongs",
        ),
        ('"b-images.gz"', f'"a-images.gz"\nimages.sha256 = "{"0" * 64}"', "the same sha256"),
    ],
    ids=range(21),
)
def test_what_is_beyond_a_bound_is_refused(own: Path, right: str, wrong: str, told: str) -> None:
    """Numbers, depths, lengths and files of two descriptions are named as what they are, and not worked on."""
    assert right in OWN
    own.write_text(OWN.replace(right, wrong, 1))
    assert told in refused(own)


def test_one_file_may_be_named_twice(own: Path) -> None:
    """What is said of it is then the same, and it is one file."""
    own.write_text(OWN.replace('"b-images.gz"', '"a-images.gz"').replace('"b-labels.gz"', '"a-labels.gz"'))
    assert [file.name for file in load_dataset(str(own)).splits["train"].files] == ["a-images.gz", "a-labels.gz"] * 2
    assert len(load_dataset(str(own)).files) == 4


def test_a_set_has_a_name_that_fits(own: Path) -> None:
    """A set is called as its file, and 80 letters of it fit into all that bears its name."""
    longest = own.rename(own.with_name(f"{'l' * 80}.toml"))
    assert load_dataset(str(longest)).name == "l" * 80
    assert "at most 80 letters and digits" in refused(longest.rename(own.with_name(f"{'l' * 81}.toml")))


def test_a_description_is_a_regular_file(tmp_path: Path) -> None:
    """A pipe is not waited at, and a device that never ends is not read."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zeros.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe", "zeros"):
        assert "a regular file, found a pipe, a socket or a device" in refused(tmp_path / f"{name}.toml")
    assert "Is a directory" in refused(tmp_path / "folder.toml")


def test_the_most_classes_are_read(own: Path) -> None:
    """65,536 classes are within the bounds."""
    names = ", ".join(f'"a class with a rather long name, number {at}"' for at in range(65_536))
    own.write_text(OWN.replace('"left", "right"', names))
    assert len(load_dataset(str(own)).classes) == 65_536


def test_a_wrong_value_is_one_mistake(own: Path) -> None:
    """Several mistakes are one line each, and none is repeated per split, shard or file."""
    own.write_text(
        OWN.replace("[2, 3]", "[2, 0]").replace('"left", "right"', '"left"').replace("bytes = 30", "bytes = 0")
    )
    with pytest.raises(UsageError) as caught:
        load_dataset(str(own))
    assert caught.value.found == (
        "3 mistakes:\n"
        "  - shape.2: 0, where a number above 0 belongs;\n"
        "  - classes: 1 of them, where at least 2 belongs;\n"
        "  - test.shards.1.images.bytes: 0, where a number above 0 belongs"
    )


def test_whole_numbers_are_class_names(own: Path) -> None:
    """Classes that are called 0, 1, 2 need no quotes."""
    own.write_text(OWN.replace('["left", "right"]', '[0, 10, "left"]'))
    assert load_dataset(str(own)).classes == ("0", "10", "left")


def test_labels_are_described_at_the_top_or_by_split(own: Path) -> None:
    """What stands at the top holds for both splits; what a split says itself wins there."""
    own.write_text(OWN.replace("[2, 3]", "[2, 3]\nlabel_offset = 1\ntranspose = true"))
    assert [
        (split.spec.label_offset, split.spec.transpose, split.spec.described_in)
        for split in load_dataset(str(own)).splits.values()
    ] == [(1, True, "own-set.toml")] * 2
    top = OWN.replace("[2, 3]", "[2, 3]\nlabel_offset = 1\nlabel_column = 2")
    for said, offset, values, column in (
        ("label_offset = 0", 0, None, 2),
        ("label_values = [0, 255]", 0, (0, 255), 2),
        ("label_column = 0", 1, None, 0),
        ('labels = "integers"', 0, None, 2),
    ):
        own.write_text(top.replace("samples = 4", f"samples = 4\n{said}"))
        train, test = (load_dataset(str(own)).splits[name].spec for name in ("train", "test"))
        assert (train.label_offset, train.label_values, train.label_column) == (1, None, 2)
        assert (test.label_offset, test.label_values, test.label_column) == (offset, values, column)
    own.write_text(OWN.replace("[train]", '[train]\nlabels = "one-hot"'))
    assert [split.spec.labels for split in load_dataset(str(own)).splits.values()] == ["one-hot", "integers"]


def test_a_set_of_the_catalog_is_described_in_no_file_of_ones_own() -> None:
    """Messages about a set of the catalog name no TOML file: nobody is to edit it."""
    assert {split.spec.described_in for split in load_dataset("mnist").splits.values()} == {""}


@pytest.mark.parametrize("name", ["2026 summer/train images (1).gz", "{x}[b]/\u00e4.gz", "a.gz?version=2", "b#c&d.gz"])
def test_names_of_files_are_paths_below_a_mirror(own: Path, name: str) -> None:
    """Folders, spaces, signs and a query are taken as they are written."""
    own.write_text(OWN.replace('"a-images.gz"', f'"{name}"'))
    assert load_dataset(str(own)).files[0].name == name


@pytest.mark.parametrize("secret", ["a.gz?token=s3cret", "https://alice:s3cret@host/a.gz", "https://host/?key=s3cret"])
def test_a_secret_in_a_name_is_not_repeated(own: Path, secret: str) -> None:
    """A name that looks like a secret is refused, and the message is fit for a log."""
    own.write_text(OWN.replace('"a-images.gz"', f'"{secret}"'))
    said = refused(own)
    assert re.search(r"train\.shards\.1\.images\.name: .*into mirrors", said)
    assert "s3cret" not in said


def test_a_description_that_is_not_there(tmp_path: Path) -> None:
    """A path without a file is refused as wrong usage, not as a bare OSError."""
    assert "No such file" in refused(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Own Set.toml", "own-set"),
        ("My Bl\u00e4tter (2).toml", "my-blatter-2"),
        ("_.x.toml", "x"),
        ("2026_LEAVES.toml", "2026-leaves"),
    ],
)
def test_a_set_is_called_as_its_file(own: Path, file: str, name: str) -> None:
    """The file's name becomes the set's: small letters, digits and dashes; messages name the file as it is."""
    dataset = load_dataset(str(own.rename(own.with_name(file))))
    assert (dataset.name, dataset.splits["test"].spec.described_in) == (name, file)


def test_a_file_name_without_a_letter_is_no_name(own: Path) -> None:
    """A file name of which nothing is left is refused, with what to rename it to."""
    with pytest.raises(UsageError, match=r"^\u8449\.toml: expected a file name with .*Rename it, as in leaves\.toml\."):
        load_dataset(str(own.rename(own.with_name("\u8449.toml"))))


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_description_from_any_editor(own: Path, mark: bytes, end: str) -> None:
    """A byte-order mark and Windows' line ends mean nothing."""
    own.write_bytes(mark + OWN.replace("\n", end).replace('"Own"', '"Bl\u00e4tter"').encode())
    assert load_dataset(str(own)).title == "Bl\u00e4tter"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (OWN.encode("utf-16"), "UTF-16"),
        (OWN.encode("utf-16-be"), "UTF-16 without a byte-order mark, or no text at all"),
        (OWN.encode("utf-32"), "UTF-32"),
        (gzip.compress(OWN.encode()), "a gzip file"),
        (OWN.replace("Own", "Bl\u00e4tter").encode("latin-1"), "byte e4 in line 2, as Latin-1 or Windows-1252 have it"),
    ],
)
def test_another_encoding_is_named(own: Path, data: bytes, found: str) -> None:
    """A description that is not UTF-8 is refused by what it is, and how to save it."""
    own.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load_dataset(str(own))
    assert (caught.value.expected, caught.value.found) == ("UTF-8 text", found)
    assert caught.value.way_out.startswith("Save it as UTF-8")


def test_paths_below_the_home_folder(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder: in a description's path, in its mirrors and in those of the caller."""
    monkeypatch.setenv("HOME", str(own.parent))
    own.write_text(OWN.replace('"files"', '"~/data/leaves/"'))
    mirrors = load_dataset("~/own-set.toml", ("~/x", "~nobody-at-all/x")).files[0].mirrors
    home, nobody = own.parent.as_uri(), (Path.cwd() / "~nobody-at-all/x").as_uri()
    assert mirrors[:3] == (f"{home}/x/", f"{nobody}/", f"{home}/data/leaves/")


@pytest.mark.parametrize("path", ["C:\\\\data", "c:/data", r"\\\\server\\data"])
def test_windows_paths_are_named(own: Path, path: str) -> None:
    """A Windows path, as a mirror or a data set, is refused in words that help."""
    for given, mirrors in (("mnist", (path,)), (f"{path}.toml", ()), (path, ())):
        with pytest.raises(UsageError, match=r"found the Windows path .*\. In WSL, C:.data is /mnt/c/data\."):
            load_dataset(given, mirrors)
    own.write_text(OWN.replace('"files"', f"'{path}'"))
    with pytest.raises(UsageError, match="found the Windows path"):
        load_dataset(str(own))


@pytest.mark.parametrize("mirror", ["", " ", "C:\temp"])
def test_a_mirror_that_is_nothing(mirror: str) -> None:
    """A blank mirror, or one with a tab that was meant as a folder, is refused as it is."""
    with pytest.raises(UsageError, match=r"^mirror: expected an address or a folder, found '"):
        load_dataset("mnist", (mirror,))


def test_what_is_no_description(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, another kind of file and a forgotten ending are told what is taken today."""
    monkeypatch.chdir(own.parent)
    (own.parent / "photos").mkdir()
    (own.parent / "set.csv").write_text("1,2")
    (own.parent / "Big.TOML").write_text(OWN)
    for given, told in (
        ("photos/", "found the folder photos/. A .toml file names the IDX files in it: docs/datasets.md"),
        (".", "found the folder .. Did you mean own-set.toml?"),
        ("set.csv", "found the file set.csv. Images and labels are IDX files, and a .toml file names them: docs"),
        ("Big.TOML", "found Big.TOML, with another ending. Rename it to Big.toml."),
        ("own-set", "found 'own-set'. Did you mean own-set.toml?"),
    ):
        with pytest.raises(UsageError) as caught:
            load_dataset(given)
        assert "or the path of a folder, archive, CSV, .npz or .toml file, " in str(caught.value)
        assert told in str(caught.value)


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
    assert told in refused(path)


def test_rows_are_held_out_as_the_description_says(own: Path) -> None:
    """One's own set is stratified unless it says otherwise; the catalog's keep the last tenth."""
    assert load_dataset(str(own)).held_out == "stratified"
    own.write_text(f'held_out = "last"\n{OWN}')
    assert load_dataset(str(own)).held_out == "last"
    assert {load_dataset(name).held_out for name in dataset_names()} == {"last"}
    own.write_text(f'held_out = "first"\n{OWN}')
    assert "held_out: 'first', where 'last' or 'stratified' belongs" in refused(own)
