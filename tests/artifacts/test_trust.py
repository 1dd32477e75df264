"""artifacts/trust.py: first uses are written together, and held to until a person accepts others."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.trust import FirstUse, Trust, Trusted, address_file, differing
from schemas.errors import StoreError
from tests.artifacts.together import at_once

ADDRESS = "https://example.org/leaves/"
NOW = "2026-11-28T00:00:00+00:00"


def trusted(digit: int = 1, **facts: object) -> Trusted:
    """A place with one file."""
    files = {"x.gz": FirstUse(sha256=str(digit) * 64, bytes=digit)}
    return Trusted.model_validate({"address": ADDRESS, "sets": ("leaves",), "since": NOW, "files": files, **facts})


def test_a_first_use_is_there_for_other_processes(tmp_path: Path) -> None:
    """What was written is read again, under its address and no other."""
    assert Trust(tmp_path).read(ADDRESS) is None
    assert Trust(tmp_path).write(trusted(), instead_of=None)
    assert Trust(tmp_path).read(ADDRESS) == trusted()
    assert Trust(tmp_path).read("https://example.org/other/") is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{address_file(ADDRESS)}.json"]


def test_of_many_that_are_first_at_once_one_is(tmp_path: Path) -> None:
    """Eight threads write eight different first uses: one is told that it was written, and that is what is kept."""
    trust, told = Trust(tmp_path), dict[int, bool]()

    def first(digit: int) -> None:
        told[digit] = trust.write(trusted(digit), instead_of=None)

    at_once(first)
    (winner,) = [digit for digit, written in told.items() if written]
    assert trust.read(ADDRESS) == trusted(winner)


def test_what_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Whoever decided by what was trusted before is refused where that is something else by now."""
    trust = Trust(tmp_path)
    trust.write(trusted(1), instead_of=None)
    assert not trust.write(trusted(3), instead_of=trusted(2))
    assert trust.write(trusted(3), instead_of=trusted(1))
    assert trust.read(ADDRESS) == trusted(3)


def test_to_renew_forgets_nothing(tmp_path: Path) -> None:
    """What is to be renewed stays written as it was, and is marked; what is forgotten is gone."""
    trust = Trust(tmp_path)
    trust.write(trusted(), instead_of=None)
    assert trust.renew(trusted()) == trust.read(ADDRESS) == trusted(renewing=True)
    assert [each.files for each in trust.all()] == [trusted().files]
    assert trust.forget(ADDRESS)
    assert not trust.forget(ADDRESS)
    assert trust.all() == []


@pytest.mark.parametrize("content", ["", "{", trusted(address="https://example.org/other/").model_dump_json()])
def test_a_damaged_record_is_an_error_and_no_new_first_use(content: str, tmp_path: Path) -> None:
    """A record that does not read, or is of another place, never makes a file be trusted anew; it can be forgotten."""
    trust = Trust(tmp_path)
    (path := tmp_path / f"{address_file(ADDRESS)}.json").write_text(content)
    with pytest.raises(StoreError, match=rf"trust/{path.name}: .*idxflow trust SET --forget"):
        trust.read(ADDRESS)
    assert [flaw.subject for flaw in trust.flaws()] == [f"trust/{path.name}"]
    assert trust.all() == []
    assert trust.forget(ADDRESS)
    assert trust.read(ADDRESS) is None


def test_files_that_are_not_the_same_are_named() -> None:
    """Of two accounts of a place, those that are in both and differ."""
    one = {name: FirstUse(sha256=digit * 64, bytes=1) for name, digit in (("a", "1"), ("b", "2"), ("c", "3"))}
    other = {name: FirstUse(sha256=digit * 64, bytes=1) for name, digit in (("b", "2"), ("c", "4"), ("d", "5"))}
    assert differing(one, other) == ["c"]
