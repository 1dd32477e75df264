"""Which file a sample comes from, and which sample a file is: names, as people and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.corrections import Correction, Corrections
from tasks.formats.ledger import Names, Row, write_ledger
from tasks.formats.packed import Origins

ROWS = (
    Row("=1.png", 9, split="train", label="oak", sample=0, samples=1),
    Row("oak/1.png", 9, split="train", label="oak", sample=1, samples=1),
    Row("oak/2.png", 9, split="test", label="oak", sample=0, samples=1),
    Row("notes.txt", 9, reason="no picture, by its ending"),
    Row("labels", 9, split="train"),
    Row("more.csv", 9, split="train", sample=2, samples=3),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The ledger of two pictures to train on, three rows of a table, and a picture to test with."""
    write_ledger(tmp_path / "files.parquet", ROWS, "")
    return tmp_path / "files.parquet"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("oak/1.png", ("train", 1)),
        ("./oak/1.png", ("train", 1)),
        ("oak\\1.png", ("train", 1)),
        ("oak/2.png", ("test", 0)),
        ("'=1.png", ("train", 0)),
        ("more.csv, row 0", ("train", 2)),
        ("more.csv, row 2", ("train", 4)),
        ("more.csv, row 3", "3 images in more.csv, rows from 0"),
        ("more.csv", "3 images in it: name one of them as 'more.csv, row 0'"),
        ("notes.txt", "one that is not used: no picture, by its ending"),
        ("labels", "one that is not used: it holds no images"),
        ("oak/3.png", "no file of this name"),
        ("oak/1.png, row 0", "1 images in oak/1.png, rows from 0"),
        ("", "no file of this name"),
        ("../oak/1.png", "no file of this name"),
    ],
)
def test_a_file_is_found_by_its_name(given: str, place: tuple[str, int] | str) -> None:
    """However it is written; or why it is no sample."""
    assert Names(ROWS).find(given) == place


def test_names_lead_there_and_back(ledger: Path) -> None:
    """Of files as they are, and of those that a split was cut off."""
    whole = Origins(ledger)
    for split, samples in (("train", 5), ("test", 1)):
        assert [whole.find(split, whole.name(split, at)) for at in range(samples)] == list(range(samples))
    assert whole.find("test", "oak/1.png") is None
    rows = {"train": np.array([1, 4], np.uint32), "test": np.array([0, 2, 3], np.uint32)}
    cut = Origins(ledger, rows)
    for split, samples in (("train", 2), ("test", 3)):
        assert [cut.find(split, cut.name(split, at)) for at in range(samples)] == list(range(samples))
    assert cut.find("test", "oak/1.png") is None
    assert cut.find("train", "=1.png") is None


def corrections(*rows: Correction) -> Corrections:
    """A file of corrections."""
    return Corrections(name="corrections.csv", sha256="0" * 64, labels=len(rows), rows=rows)
