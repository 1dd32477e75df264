"""`idxflow trust`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from artifacts.store.store import Store
from artifacts.store.trust import FirstUse, Trusted
from idxflow.cli.commands.trust import trust
from idxflow.cli.ending import DONE
from schemas.catalog import digest_of
from schemas.errors import UsageError

ADDRESS = "https://example.org/leaves/"
OTHER = "https://example.com/leaves/"
TOML = """
title = "Leaves"
source = "a test"
shape = [6, 6]
classes = ["oak", "beech"]
mirrors = [MIRROR]
[[train.shards]]
images.name = "a.gz"
labels.name = "b.gz"
[[test.shards]]
images.name = "c.gz"
labels.name = "d.gz"
"""


def trusted(address: str = ADDRESS) -> Trusted:
    """A place of two files."""
    files = {name: FirstUse(sha256=digit * 64, bytes=1500) for name, digit in (("a.gz", "a"), ("b.gz", "b"))}
    sets = {"leaves-01234567": "leaves"}
    return Trusted(place=place(address), address=address, sets=sets, since="2026-11-28T10:00:00+00:00", files=files)


def place(address: str = ADDRESS) -> str:
    """The digits that stand for an address."""
    return digest_of(address)[:16]


@pytest.fixture
def known(store: Store) -> Store:
    """A store that trusts one place."""
    store.trust.write(trusted())
    return store


def described(folder: Path, mirror: str) -> str:
    """Write a description. Returns: its path."""
    folder.mkdir(exist_ok=True)
    (folder / "leaves.toml").write_text(TOML.replace("MIRROR", json.dumps(mirror)))
    return str(folder / "leaves.toml")


def test_the_list_names_sets_and_addresses(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any the list says why; then a line a place; a record that does not read is told beside it."""
    assert trust() == DONE
    assert capsys.readouterr().out.startswith("No file is trusted on first use")
    store.trust.write(trusted())
    (store.home / "trust" / "0123456789abcdef.json").write_text("{")
    assert trust() == DONE
    said = capsys.readouterr().out
    assert said.splitlines()[1].split()[:3] == ["leaves", "2", "files"]
    assert said.splitlines()[1].endswith(ADDRESS)
    assert "trust/0123456789abcdef.json" in said
    assert trust(json=True) == DONE
    assert [each["address"] for each in json.loads(capsys.readouterr().out)] == [ADDRESS]


@pytest.mark.parametrize("word", ["leaves", ADDRESS, place(), "toml"])
def test_a_set_is_found_by_every_word_for_it(
    word: str, known: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, address, record and description mean the same place; its files are shown with size and SHA-256."""
    assert trust(described(tmp_path / "a", ADDRESS) if word == "toml" else word) == DONE
    said = capsys.readouterr().out
    assert f"leaves  {ADDRESS}" in said
    assert "a.gz  1.5 kB  aaaaaaaaaaaaaaaa\n" in said
    assert known.trust.read(place()) == trusted()


def test_a_name_of_two_places_is_refused(known: Store) -> None:
    """Nothing is renewed or forgotten by a name that means two sets."""
    known.trust.write(trusted(OTHER))
    with pytest.raises(UsageError, match=rf"found 2: {place(OTHER)} \({OTHER}\), {place()} \({ADDRESS}\)"):
        trust("leaves", forget=True)
    assert trust(ADDRESS, forget=True) == DONE
    assert [each.address for each in known.trust.all()] == [OTHER]


def test_renewing_is_left_to_the_next_run(known: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What was trusted stays written, and both the message and the page say what will happen."""
    assert trust("leaves", renew=True) == DONE
    assert "the next run accepts 2 files as they are then" in capsys.readouterr().out
    assert known.trust.read(place()) == trusted().model_copy(update={"renewing": ("a.gz", "b.gz")})
    assert trust("leaves") == DONE
    assert "the next run accepts all files as they are then" in capsys.readouterr().out


def test_a_damaged_record_can_be_forgotten(known: Store, tmp_path: Path) -> None:
    """By the path of the description, which says where the record lies, or by the record's own name."""
    path = known.home / "trust" / f"{place()}.json"
    for word in (described(tmp_path / "a", ADDRESS), place()):
        path.write_text("{")
        assert trust(word, forget=True) == DONE
        assert not path.exists()


def test_a_word_that_is_a_path_forgets_nothing_else(known: Store) -> None:
    """What is no name of a record leads nowhere."""
    (other := known.home / "runs" / "x.json").write_text("{}")
    with pytest.raises(UsageError):
        trust("../runs/x", forget=True)
    assert other.exists()


def test_a_set_with_a_part_of_the_files_renews_its_own(known: Store, tmp_path: Path) -> None:
    """A description renews the files that it names; those that other sets have at the same address stay held."""
    text = TOML.replace("MIRROR", json.dumps(ADDRESS)).replace('"b.gz"', '"e.gz"')
    (tmp_path / "part.toml").write_text(text)
    assert trust(str(tmp_path / "part.toml"), renew=True) == DONE
    assert known.trust.read(place()) == trusted().model_copy(update={"renewing": ("a.gz",)})


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"renew": True}, "--renew: expected a data set"),
        ({"forget": True}, "--forget: expected a data set"),
        ({"word": "leaves", "renew": True, "forget": True}, "expected one of them, found both"),
        ({"word": "oaks"}, "oaks: expected a data set with trusted files, found none"),
        ({"word": "own", "renew": True}, "files on this machine only"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    options: dict[str, object], wrong: str, known: Store, tmp_path: Path
) -> None:
    """Each wrong use says what lacks, and that nothing has changed."""
    words = [described(tmp_path / "b", "files/") if word == "own" else str(word) for word in [options.pop("word", "")]]
    with pytest.raises(UsageError, match=wrong) as refused:
        trust(*filter(None, words), **options)  # type: ignore[arg-type]
    assert "Nothing has changed." in refused.value.way_out
    assert known.trust.read(place()) == trusted()
