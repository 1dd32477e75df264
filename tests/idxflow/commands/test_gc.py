"""`idxflow gc`: what it says, what it takes, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.store.store import Store
from idxflow.cli.commands.gc import parse_age
from idxflow.cli.ending import DONE, FAILED, WRONG_USAGE
from idxflow.cli.main import main
from schemas.text import amount
from tests.artifacts.building import build
from tests.faults.scenarios import record, ref_of

WHY = "no alias, no pin, not in the last 5 runs"


@pytest.fixture
def store(desk: Path) -> Store:
    """A store of three artifacts in the working folder, of which a run holds the first."""
    store = Store(desk / ".idxflow")
    for salt in range(3):
        build(store, {"a": b"x" * 100}, salt=salt)
    record(store, "a" * 12, (0,))
    return store


def left(store: Store) -> set[int]:
    """Return the salts of the artifacts that are there."""
    return {salt for salt in range(3) if store.read("parse", ref_of(salt).version)}


def size(store: Store, *salts: int) -> int:
    """Return the bytes of artifacts, with all that belongs to them."""
    folders = [store.folder("parse", ref_of(salt).version) for salt in salts]
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir())


def test_without_yes_it_is_only_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Each thing that could go stands there with its size and reason, then the sums, then how to do it."""
    assert main(["gc"]) == DONE
    output, errors = capsys.readouterr()
    one = amount(size(store, 1), "bytes")
    first, second = sorted(ref_of(salt).version for salt in (1, 2))
    assert (
        output
        == f"""\
what      which                     size  why
artifact  parse/{first}  {one}  {WHY}
artifact  parse/{second}  {one}  {WHY}

Would delete 2 items ({amount(size(store, 1, 2), "bytes")}) and keep 1 artifact ({amount(size(store, 0), "bytes")}). \
Nothing has changed: add --yes to delete.
"""
    )
    assert not errors
    assert left(store) == {0, 1, 2}


def test_with_yes_it_goes(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What nothing holds is gone afterwards, and a second clean-up finds nothing."""
    both, one = (amount(size(store, *salts), "bytes") for salts in ((1, 2), (0,)))
    assert main(["gc", "--yes"]) == DONE
    assert capsys.readouterr().out.splitlines()[-1] == f"Deleted 2 items ({both}); kept 1 artifact ({one})."
    assert left(store) == {0}
    assert main(["gc", "--yes"]) == DONE
    assert capsys.readouterr().out == f"Nothing to delete; kept 1 artifact ({one}).\n"


def test_what_somebody_uses_is_spared_and_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """An artifact whose lock is taken stays, counts as one that did not go, and is named."""
    version = ref_of(1).version
    gone = amount(size(store, 2), "bytes")
    with store.locked("parse", version):
        assert main(["gc", "--yes"]) == DONE
    *_, total, spared = capsys.readouterr().out.splitlines()
    assert total.startswith(f"Deleted 1 item ({gone}); kept ")
    assert spared == f"parse/{version}: in use, kept."
    assert left(store) == {0, 1}


def test_how_many_runs_hold_what_they_used_can_be_said(store: Store) -> None:
    """The last run alone holds its artifact; none holds anything."""
    record(store, "b" * 12, (1,), minute=1)
    assert main(["gc", "--yes", "--keep", "1"]) == DONE
    assert left(store) == {1}
    assert main(["gc", "--yes", "--keep", "0"]) == DONE
    assert left(store) == set()


def test_what_is_young_can_be_spared(store: Store) -> None:
    """With an age only what is older is deleted."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    build(store, {"a": b"x"}, salt=2, created=yesterday.isoformat(timespec="seconds"))
    assert main(["gc", "--yes", "--older-than", "2d"]) == DONE
    assert left(store) == {0, 2}
    assert main(["gc", "--yes", "--older-than", "23h"]) == DONE
    assert left(store) == {0}


def test_the_document_stands_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints what went or would go, with reasons and bytes, and no path of this machine."""
    bytes_of = {salt: size(store, salt) for salt in range(3)}
    for options, done in ([], False), (["--yes"], True):
        assert main(["gc", "--json", *options]) == DONE
        output, errors = capsys.readouterr()
        document = json.loads(output)
        assert (document["done"], document["kept"], document["kept_bytes"]) == (done, 1, bytes_of[0])
        rows = [(each["kind"], each["subject"], each["reason"], each["bytes"]) for each in document["candidates"]]
        assert sorted(rows) == sorted(
            ("artifact", f"parse/{ref_of(salt).version}", WHY, bytes_of[salt]) for salt in (1, 2)
        )
        assert document["spared"] == []
        assert str(store.home) not in output
        assert not errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "-1"], "--keep: expected a whole number at least 0, found '-1'"),
        (["--keep", "0.4"], "--keep: expected a whole number at least 0, found '0.4'"),
        (["--keep", "many"], "--keep: expected a whole number at least 0, found 'many'"),
        (["--keep", ""], "--keep: expected a whole number at least 0, found ''"),
        (["--older-than", "soon"], "--older-than: expected a whole number of hours, days or weeks, as 12h, 30d or 8w"),
        (["--older-than", ""], "--older-than: expected a whole number of hours, days or weeks"),
        (["--older-than", "3"], "found '3'"),
        (["--older-than", "1.5d"], "found '1.5d'"),
        (["--older-than", "1d 2h"], "found '1d 2h'"),
        (["--older-than"], "expected a value after --older-than, found none"),
        (["stray"], "stray"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_goes(
    options: list[str], words: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error with what is allowed, exit code 2; a value is never guessed, and nothing is taken."""
    assert main(["gc", "--yes", "--json", *options]) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    assert errors.count("\n") == 1
    assert words in errors
    assert errors.endswith(("Nothing has changed.\n", "Nothing has run.\n"))
    assert left(store) == {0, 1, 2}


def test_a_home_without_a_store_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to clean up where no run ever was, and nothing is made there."""
    assert main(["gc", "--yes", "--home", "elsewhere"]) == WRONG_USAGE
    assert "elsewhere: expected a store, as a run leaves one" in capsys.readouterr().err
    assert not list(desk.iterdir())


def test_an_alias_that_does_not_read_stops_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows what it holds: exit code 1, with its name, and nothing is taken."""
    (store.home / "aliases").mkdir()
    (store.home / "aliases" / "champion.json").write_text("{")
    assert main(["gc", "--yes"]) == FAILED
    assert capsys.readouterr().err.startswith("ERROR aliases/champion.json: expected the record of the name")
    assert left(store) == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("8w", timedelta(weeks=8)),
        (" 0d ", timedelta(0)),
        ("99999w", timedelta(weeks=99999)),
    ],
)
def test_an_age_is_hours_days_or_weeks(text: str, age: timedelta) -> None:
    """A whole number and one letter."""
    assert parse_age(text) == age
