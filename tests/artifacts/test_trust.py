"""artifacts/trust.py: first uses are written once and held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.trust import Expected, Trust
from schemas.datasets import RemoteFile
from schemas.errors import StoreError
from tests.artifacts.together import at_once

UNPUBLISHED = RemoteFile(name="x.gz", dataset="letters", mirrors=())
PUBLISHED = RemoteFile(name="x.gz", dataset="letters", bytes=7, sha256="a" * 64, mirrors=())


def test_a_published_checksum_is_what_is_expected(tmp_path: Path) -> None:
    """What the catalog publishes counts, whatever was found, and nothing is written down."""
    trust = Trust(tmp_path)
    published = Expected(sha256="a" * 64, bytes=7, origin="published")
    assert trust.expected(PUBLISHED) == published
    assert trust.remember(PUBLISHED, "b" * 64, 8) == published
    assert list(tmp_path.iterdir()) == []


def test_a_first_use_is_held_to_ever_after(tmp_path: Path) -> None:
    """The first use is remembered across processes; a second one changes nothing."""
    assert Trust(tmp_path).expected(UNPUBLISHED) == Expected(sha256=None, bytes=None, origin="first use")
    first = Expected(sha256="b" * 64, bytes=8, origin="first use")
    assert Trust(tmp_path).remember(UNPUBLISHED, "b" * 64, 8) == first
    assert Trust(tmp_path).remember(UNPUBLISHED, "c" * 64, 9) == first
    assert Trust(tmp_path).expected(UNPUBLISHED) == first
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["x.gz.json"]


def test_files_of_one_name_are_told_apart_by_their_data_set(tmp_path: Path) -> None:
    """Another data set's file of the same name has a first use of its own."""
    trust = Trust(tmp_path)
    trust.remember(UNPUBLISHED, "b" * 64, 8)
    assert trust.expected(UNPUBLISHED.model_copy(update={"dataset": "digits"})).sha256 is None


def test_of_many_that_are_first_at_once_one_is(tmp_path: Path) -> None:
    """Eight threads remember eight different files: all are told the same, and that is what is kept."""
    trust = Trust(tmp_path)
    told = set(at_once(lambda digit: trust.remember(UNPUBLISHED, str(digit) * 64, digit)))
    assert told == {trust.expected(UNPUBLISHED)}
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["x.gz.json"]


@pytest.mark.parametrize("content", ["", "{", '{"sha256": null, "bytes": 8, "origin": "first use"}'])
def test_a_damaged_record_is_an_error_and_no_new_first_use(content: str, tmp_path: Path) -> None:
    """A record that does not read never makes a file be trusted anew; the error names the record."""
    trust = Trust(tmp_path)
    trust.remember(UNPUBLISHED, "b" * 64, 8)
    (tmp_path / "letters" / "x.gz.json").write_text(content)
    damaged = r"trust/letters/x\.gz\.json: .*delete it"
    with pytest.raises(StoreError, match=damaged):
        trust.expected(UNPUBLISHED)
    with pytest.raises(StoreError, match=damaged):
        trust.remember(UNPUBLISHED, "b" * 64, 8)
