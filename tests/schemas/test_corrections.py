"""`corrections.csv`: what it may say, and how each mistake in it is named, with its line."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from artifacts.keys import plain
from schemas.catalog import load_dataset
from schemas.corrections import Correction
from schemas.errors import UsageError
from tests.flows.own_sets import OwnSet

HEAD = "sample,split,label,who,why\n"


@pytest.fixture
def own(tmp_path: Path) -> OwnSet:
    """A set of three classes: oak, beech, birch; only its description is there."""
    own = OwnSet(tmp_path / "set")
    own.describe()
    return own


def correct(own: OwnSet, text: str | bytes, name: str = "corrections.csv") -> None:
    """Put a file of corrections beside the description."""
    (own.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def rows(own: OwnSet, split: str = "train") -> list[tuple[int | None, int, str, str]]:
    """Return sample, class index, who and why of each correction."""
    found = load_dataset(own.toml).corrected
    return [(row.sample, row.label, row.who, row.why) for row in found[split].rows] if split in found else []


def refused(own: OwnSet, text: str | bytes) -> str:
    """Return what is said of a file of corrections."""
    correct(own, text)
    with pytest.raises(UsageError) as error:
        load_dataset(own.toml)
    assert error.value.subject.startswith("corrections.csv")
    return str(error.value)


def test_corrections_of_both_splits(own: OwnSet) -> None:
    """A label is a class's name or its stored label; each split has its own, in the order of the sample ids."""
    text = HEAD + '7,train,birch,Ada,"under the lens, twice"\n2,test,0,,\n3,train,1,Bo,\n'
    correct(own, text)
    assert rows(own) == [(3, 1, "Bo", ""), (7, 2, "Ada", "under the lens, twice")]
    assert rows(own, "test") == [(2, 0, "", "")]
    train = load_dataset(own.toml).corrected["train"]
    sha256 = hashlib.sha256((own.folder / "corrections.csv").read_bytes()).hexdigest()
    assert (train.name, train.labels, train.sha256) == ("corrections.csv", 2, sha256)
    assert train.told("train") == f"2 train labels corrected by corrections.csv, SHA-256 {sha256[:16]}"
    assert train.rows[0] == Correction(line=4, sample=3, label=1, who="Bo")


@pytest.mark.parametrize(
    "text",
    [
        "label;split;sample\nbirch;train;7\n",
        "label\tsplit\tsample\r\nbirch\ttrain\t7\r\n",
        "\ufeffSample, Split, Label\n7, train, birch\n\n,,\n",
        "split,sample,file,label,predicted,probability,loss,who,why\ntrain,7,,birch,oak,0.9,4.1,,\n",
        "\nsample,split,label,why\n7,train,birch,\n",
    ],
    ids=["semicolons", "tabs and CRLF", "a spreadsheet's", "what hints write", "an empty line first"],
)
def test_forms_of_the_file(own: OwnSet, text: str) -> None:
    """Whatever parts the cells, in whatever order: one correction."""
    correct(own, text)
    assert [row[:2] for row in rows(own)] == [(7, 2)]


@pytest.mark.parametrize("text", ["", "\n", HEAD, f"{HEAD},,,,\n\n", None])
def test_nothing_is_corrected_by_nothing(own: OwnSet, text: str | None) -> None:
    """Without the file, and with one that has no line but the first, a set is what it was, key and all."""
    before = load_dataset(own.toml)
    if text is not None:
        correct(own, text)
    assert load_dataset(own.toml) == before
    assert "corrections" not in plain(before.splits["train"])
    assert not before.corrected


def test_what_stands_in_a_key(own: OwnSet) -> None:
    """The file's digest decides, and its rows, which follow from it, are left out."""
    correct(own, f"{HEAD}7,train,birch,,\n")
    splits = load_dataset(own.toml).splits
    assert plain(splits["train"])["corrections"].keys() == {"name", "sha256", "labels"}
    assert "corrections" not in plain(splits["test"])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("7,train,elm,,", "line 2: expected the name of a class, found 'elm'. Write one of oak, beech, birch"),
        ("7,train,brich,,", "Did you mean birch?"),
        ("7,train,3,,", "line 2: expected the name of a class, found '3'"),
        ("7,train,,Ada,blurred", "line 2: expected the label that is right, found none. Write one of oak, beech"),
        (",train,oak,,", "line 2: expected a sample id, a whole number from 0, found none"),
        ("-1,train,oak,,", "found '-1'"),
        ("4294967296,train,oak,,", "found '4294967296'"),
        ("1.5,train,oak,,", "found '1.5'"),
        ("7,val,oak,,", "line 2: expected a split, train or test, found 'val'"),
        ("7,,oak,,", "line 2: expected a split, train or test, found none"),
        ("7,train,oak,,\n8,train,oak,,\n7,train,birch,,", "line 4: expected each image once, found train sample 7"),
        ("7,train,oak,a,b,c", "line 2: expected 5 cells, as in the first line, found 6"),
        ("7,train", "line 2: expected 5 cells, as in the first line, found 2"),
        ('7,train,oak,"a"b,', "line 2: expected CSV"),
        (f"7,train,oak,,{'x' * 1001}", "expected at most 1000 characters of why, found 1001"),
        ('7,train,oak,,"two\nlines"\n8,train,elm,,', "line 4: expected the name of a class"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_followed(own: OwnSet, lines: str, said: str) -> None:
    """A wrong line is named by its number, with what can be done."""
    assert said in refused(own, HEAD + lines + "\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample,label\n7,oak\n", "line 1: expected columns sample, split, label, who, why, found no split"),
        ("split,label\ntrain,oak\n", "found no sample"),
        ("sample,split,lable\n", "found 'lable'. Did you mean label?"),
        ("sample,split,label,label\n", "found 'label' twice"),
        ("file,split,label\noak/1.png,train,birch\n", "expected a sample id, found the file 'oak/1.png' alone. Name"),
        (b"sample,split,label\n7,train,B\xe4\n", "expected UTF-8 text, found byte e4 in line 2"),
        ("sample,split,label\n7,train,oak\0\n", "found a byte 0"),
        ("sample\x1b[2J,split,label\n", "found 'sample\\x1b[2j'"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(own: OwnSet, text: str | bytes, said: str) -> None:
    """Wrong columns and other encodings are refused, and nothing of them steers a terminal."""
    message = refused(own, text)
    assert said in message
    assert "\x1b" not in message


def test_a_class_that_is_called_as_anothers_stored_label(own: OwnSet) -> None:
    """The name of a class wins over a stored label."""
    path = Path(own.toml)
    path.write_text(path.read_text().replace('["oak", "beech", "birch"]', '["1", "2", "-x"]'))
    correct(own, f"{HEAD}7,train,1,,\n8,train,0,,\n9,train,'-x,,\n10,train,-x,,\n")
    assert [row[1] for row in rows(own)] == [0, 0, 2, 2]


def test_another_file_can_be_named(own: OwnSet) -> None:
    """Two descriptions in one folder each name their own; one that is named has to be there."""
    correct(own, f"{HEAD}7,train,oak,,\n")
    correct(own, f"{HEAD}8,train,oak,,\n", "mine.csv")
    own.describe(more='corrections = "mine.csv"')
    assert [row[0] for row in rows(own)] == [8]
    (own.folder / "mine.csv").unlink()
    with pytest.raises(UsageError, match=r"mine\.csv: expected a file of corrections, found No such file"):
        load_dataset(own.toml)


@pytest.mark.parametrize("kind", ["a folder", "a link to nothing", "a pipe"])
def test_what_is_no_file(own: OwnSet, kind: str) -> None:
    """What bears the name and cannot be read is an error, and no reason to go on without corrections."""
    path = own.folder / "corrections.csv"
    match kind:
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to(own.folder / "gone.csv")
    with pytest.raises(UsageError, match=r"corrections\.csv: expected a (regular )?file"):
        load_dataset(own.toml)
