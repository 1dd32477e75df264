"""artifacts/store/trust.py: first uses are written together, and held to until a person accepts others."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.store.trust import FirstUse, Trust, Trusted, differing
from schemas.errors import StoreError
from tests.artifacts.together import at_once

PLACE, OTHER = "0123456789abcdef", "fedcba9876543210"
NOW = "2026-11-28T00:00:00+00:00"


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """An empty ledger."""
    return Trust(tmp_path / "trust", tmp_path / "locks" / "trust.lock")


def trusted(digit: int = 1, **facts: object) -> Trusted:
    """A place with one file."""
    files = {"x.gz": FirstUse(sha256=str(digit) * 64, bytes=digit)}
    said = {"place": PLACE, "address": "https://example.org/", "sets": {"leaves-1": "leaves"}, "since": NOW}
    return Trusted.model_validate({**said, "files": files, **facts})


def test_a_first_use_is_there_for_other_processes(trust: Trust, tmp_path: Path) -> None:
    """What was written is read again, under its place and no other."""
    assert trust.read(PLACE) is None
    trust.write(trusted())
    assert Trust(tmp_path / "trust", tmp_path / "other.lock").read(PLACE) == trusted()
    assert trust.has(PLACE)
    assert trust.read(OTHER) is trust.read("") is None
    assert [path.name for path in (tmp_path / "trust").iterdir()] == [f"{PLACE}.json"]


def test_a_set_whose_mirror_moved_is_known(trust: Trust) -> None:
    """Where a place has no record, the one counts that the same set had at another place; never that of another set."""
    trust.write(trusted(1))
    assert trust.find(OTHER, "leaves-1") == trust.find("", "leaves-1") == trusted(1)
    assert trust.find(OTHER, "leaves-2") is None
    trust.write(trusted(2, place=OTHER))
    assert trust.find(OTHER, "leaves-1") == trusted(2, place=OTHER)


def test_whoever_changes_the_ledger_is_alone(trust: Trust) -> None:
    """Of eight threads that each add a file to what they read, none undoes what another one did."""
    trust.write(trusted())

    def add(digit: int) -> int:
        with trust.changing():
            known = trust.read(PLACE)
            assert known is not None
            files = {**known.files, f"{digit}.gz": FirstUse(sha256=str(digit) * 64, bytes=digit)}
            trust.write(known.model_copy(update={"files": files}))
        return digit

    digits = at_once(add)
    known = trust.read(PLACE)
    assert known is not None
    assert set(known.files) == {"x.gz", *(f"{digit}.gz" for digit in digits)}


def test_to_renew_forgets_nothing(trust: Trust) -> None:
    """What is to be renewed stays written, and is no longer held to; what is forgotten is gone."""
    both = {name: FirstUse(sha256="1" * 64, bytes=1) for name in ("x.gz", "y.gz")}
    trust.write(trusted(files=both))
    assert trust.renew(PLACE, {"x.gz", "z.gz"}) == trust.read(PLACE) == trusted(files=both, renewing=("x.gz",))
    assert list(trusted(files=both, renewing=("x.gz",)).held) == ["y.gz"]
    renewed = trust.renew(PLACE)
    assert renewed is not None
    assert renewed.held == {}
    assert renewed.files == both
    assert trust.renew(OTHER) is None
    assert trust.forget(PLACE)
    assert not trust.forget(PLACE)
    assert trust.all() == []


@pytest.mark.parametrize("content", ["", "{", trusted(place=OTHER).model_dump_json()])
def test_a_damaged_record_is_an_error_and_no_new_first_use(content: str, trust: Trust, tmp_path: Path) -> None:
    """A record that does not read, or is of another place, never makes a file be trusted again; it can be forgotten."""
    trust.write(trusted())
    (tmp_path / "trust" / f"{PLACE}.json").write_text(content)
    with pytest.raises(StoreError, match=rf"trust/{PLACE}\.json: .*idxflow trust {PLACE} --forget"):
        trust.read(PLACE)
    assert [flaw.subject for flaw in trust.flaws()] == [f"trust/{PLACE}.json"]
    assert trust.all() == []
    assert trust.forget(PLACE)
    assert trust.read(PLACE) is None


def test_files_that_are_not_the_same_are_named() -> None:
    """Of two accounts of a place, those that are in both and differ."""
    one = {name: FirstUse(sha256=digit * 64, bytes=1) for name, digit in (("a", "1"), ("b", "2"), ("c", "3"))}
    other = {name: FirstUse(sha256=digit * 64, bytes=1) for name, digit in (("b", "2"), ("c", "4"), ("d", "5"))}
    assert differing(one, other) == ["c"]
