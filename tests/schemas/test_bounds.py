"""Descriptions beyond every bound: refused when they are read, at once, with the name of the file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from schemas.catalog import load_dataset
from schemas.errors import UsageError

PLAIN = """
title = "Leaves"
source = "x"
shape = [4, 4]
classes = ["a", "b"]
mirrors = ["."]
[train]
shards = [{images = {name = "i.gz"}, labels = {name = "l.gz"}}]
[test]
shards = [{images = {name = "t.gz"}, labels = {name = "u.gz"}}]
"""
QUICK = 2.0
TWICE = """shards = [
  {{images = {{name = "i.gz"}}, labels = {{name = "l.gz"}}}},
  {{images = {{name = "i.gz", {}}}, labels = {{name = "m.gz"}}}}
]"""
TRAIN = 'shards = [{images = {name = "i.gz"}, labels = {name = "l.gz"}}]'


def refused(path: Path) -> str:
    """Return what is said of a description, soon."""
    started = time.monotonic()
    with pytest.raises(UsageError) as error:
        load_dataset(str(path))
    assert time.monotonic() - started < QUICK
    assert path.name in error.value.subject
    assert "\x1b" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("[train]", "label_offset = 1" + "0" * 30 + "\n[train]", "label_offset: 1000"),
        ("[train]", "label_offset = 0x" + "f" * 10**5 + "\n[train]", "fit into 64 bits, found one of 400000 bits"),
        ("[train]", "label_offset = 1" + "0" * 5000 + "\n[train]", "fit into 64 bits"),
        ("[train]", "more = " + "[" * 10**5 + "]" * 10**5 + "\n[train]", "no more than 16 levels"),
        ("[train]", "more = " + "[" * 20 + "]" * 20 + "\n[train]", "no more than 16 levels"),
        ("[train]", "more = " + "{a=" * 400 + "1" + "}" * 400 + "\n[train]", "no more than 16 levels"),
        ("[train]", "a" + ".a" * 10**5 + " = 1\n[train]", "a name of more parts"),
        ("[train]", "[" + ' "a"  .' * 10**4 + "a]\n[train]", "a name of more parts"),
        ("[train]", "checks.max_drift = nan\n[train]", "checks.max_drift: nan, where a number belongs"),
        ("[train]", "[train]\nsamples = 1" + "0" * 17, "train.samples: 1000"),
        ("[train]", '"\\u001b]0;x\\u0007\\nERROR" = 1\n[train]', r"\x1b]0;x\x07\nERROR"),
        ('"Leaves"', '"\\u001b]0;x\\u0007"', "title: '\\x1b]0;x\\x07', where a title in one line belongs"),
        ('"Leaves"', f'"{"x" * 301}"', "where a text of at most 300 characters belongs"),
        ('"Leaves"', f'"{"x" * 2**22}"', "at most 4 MiB, found more"),
        ('"a"', '"a\\u202eb"', "classes.1: 'a\\u202eb', where a name in one line belongs"),
        ('"a"', f'"{"x" * 201}"', "where a name of at most 200 characters belongs"),
        ('"i.gz"', '"i\\u202e.gz"', "without control characters"),
        ('"i.gz"', f'"{"x" * 253}.gz"', "a name of at most 255 bytes"),
        ('["."]', str([f"m{at}" for at in range(101)]), "mirrors: 101 of them"),
        (TRAIN, TWICE.format("bytes = 5"), "the file 'i.gz', where the same bytes wherever it is named belongs"),
        (TRAIN, TWICE.format(f'sha256 = "{"0" * 64}"'), "the same sha256"),
    ],
    ids=range(21),
)
def test_what_is_beyond_a_bound_is_refused(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    """Numbers, depths, lengths and files of two descriptions are named as what they are, and not worked on."""
    assert right in PLAIN
    path = tmp_path / "leaves.toml"
    path.write_text(PLAIN.replace(right, wrong, 1))
    assert told in refused(path)


def test_one_file_may_be_named_twice(tmp_path: Path) -> None:
    """What is said of it is then the same, and it is one file."""
    path = tmp_path / "leaves.toml"
    path.write_text(PLAIN.replace('"t.gz"', '"i.gz"'))
    assert [file.name for file in load_dataset(str(path)).files] == ["i.gz", "l.gz", "u.gz"]


def test_a_set_has_a_name_that_fits(tmp_path: Path) -> None:
    """A set is called as its file, and 80 letters of it fit into all that bears its name."""
    for letters in (80, 81):
        path = tmp_path / f"{'l' * letters}.toml"
        path.write_text(PLAIN)
        if letters == 80:
            assert load_dataset(str(path)).name == "l" * 80
        else:
            assert "at most 80 letters and digits" in refused(path)


def test_a_description_is_a_regular_file(tmp_path: Path) -> None:
    """A pipe is not waited at, and a device that never ends is not read."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zeros.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe", "zeros"):
        assert "a regular file, found a pipe, a socket or a device" in refused(tmp_path / f"{name}.toml")
    assert "Is a directory" in refused(tmp_path / "folder.toml")


def test_the_most_classes_are_read(tmp_path: Path) -> None:
    """65,536 classes are within the bounds."""
    path = tmp_path / "many.toml"
    names = ", ".join(f'"a class with a rather long name, number {at}"' for at in range(65_536))
    path.write_text(PLAIN.replace('"a", "b"', names))
    assert len(load_dataset(str(path)).classes) == 65_536
