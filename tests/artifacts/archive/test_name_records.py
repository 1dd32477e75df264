"""The files of aliases and pins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.archive.name_records import (
    Alias,
    ArtifactPin,
    Placement,
    RunPin,
    alias_files,
    alias_path,
    find_alias,
    flaw_of,
    pin_files,
    pin_path,
    read_alias,
    read_pin,
)
from artifacts.store.store import Store
from flows.dag import STAGES
from schemas.errors import StoreError

MOMENT = "2026-01-01T00:00:00+00:00"
PLACEMENT = Placement(stage="train", version="1" * 16, run="a" * 12, set=MOMENT)
ALIAS = Alias(name="champion", history=(PLACEMENT,))
PINS = (
    ArtifactPin(stage="train", version="1" * 16, note="why", set=MOMENT),
    RunPin(run="a" * 12, note="", set=MOMENT),
)


def write(path: Path, content: str) -> Path:
    """Write a file in a folder that may not be there yet."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_an_alias_reads_back(store: Store) -> None:
    """What was written of an alias is what is read."""
    path = write(alias_path(store, "champion"), ALIAS.model_dump_json())
    assert read_alias(path) == find_alias(store, "champion") == ALIAS
    assert alias_files(store) == [path]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.kind)
def test_a_pin_reads_back(store: Store, pin: ArtifactPin | RunPin) -> None:
    """Each kind of pin is read as what it is."""
    path = write(pin_path(store, pin.stem), pin.model_dump_json())
    assert read_pin(path) == pin
    assert pin_files(store) == [path]


def test_a_removed_alias_stands_for_nothing() -> None:
    """The last entry of the history is what holds."""
    removed = Placement(stage=None, version=None, run=None, set=MOMENT)
    assert ALIAS.artifact == ("train", "1" * 16)
    assert Alias(name="champion", history=(PLACEMENT, removed)).artifact is None
    assert Alias(name="champion", history=(removed, PLACEMENT)).artifact == ("train", "1" * 16)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "champion", "history": []}'])
def test_a_damaged_record_is_named(store: Store, content: str) -> None:
    """A record that does not read is an error that names its file and the way out."""
    for path, read in ((alias_path(store, "champion"), read_alias), (pin_path(store, PINS[0].stem), read_pin)):
        write(path, content)
        with pytest.raises(StoreError, match=rf"{path.name}: expected the record .* found one that does not read\. "):
            read(path)


def test_a_record_under_another_name_is_not_believed(store: Store) -> None:
    """A copied record does not make a second alias, or a pin of something else."""
    with pytest.raises(StoreError, match=r"aliases/second\.json: .* found that of champion"):
        read_alias(write(alias_path(store, "second"), ALIAS.model_dump_json()))
    with pytest.raises(StoreError, match=r"found that of train/1{16}"):
        read_pin(write(pin_path(store, PINS[1].stem), PINS[0].model_dump_json()))
    with pytest.raises(StoreError, match="aliases/champion: "):
        read_alias(write(store.home / "aliases" / "champion", ALIAS.model_dump_json()))


def test_what_a_newer_idxflow_has_added_is_kept(store: Store) -> None:
    """A field that this version does not know stays in the record; of a pin, it is a record of another program."""
    newer = ALIAS.model_dump(mode="json", exclude_defaults=True) | {"extra": 1}
    newer["history"][0]["more"] = [2]
    path = write(alias_path(store, "champion"), json.dumps(newer))
    assert json.loads(read_alias(path).content) == newer
    path = write(pin_path(store, PINS[0].stem), json.dumps(PINS[0].model_dump(mode="json") | {"extra": 1}))
    with pytest.raises(StoreError):
        read_pin(path)


def test_an_alias_without_a_verdict_is_what_earlier_versions_read() -> None:
    """No field is written that an alias set by hand has no value for: earlier versions refuse what they do not know."""
    assert json.loads(ALIAS.content) == {
        "name": "champion",
        "history": [{"stage": "train", "version": "1" * 16, "run": "a" * 12, "set": MOMENT}],
    }


def test_what_is_being_written_is_not_listed(store: Store) -> None:
    """A hidden file is a record under way; without a folder there are no records."""
    assert (alias_files(store), pin_files(store)) == ([], [])
    write(store.home / "aliases" / ".champion.json.1-2", "{")
    assert alias_files(store) == []


@pytest.mark.parametrize("name", ["../runs/a", "../aliases/champion", ".", "", "champion.json", "Champion"])
def test_what_is_no_name_is_not_looked_for(store: Store, name: str) -> None:
    """A path is no alias, whatever lies there."""
    write(alias_path(store, "champion"), ALIAS.model_dump_json())
    write(store.runs / "a.json", ALIAS.model_dump_json())
    assert find_alias(store, name) is None


def test_a_pin_is_called_by_what_it_keeps() -> None:
    """The beginning of a version, with its stage or without, or of a run's id is what a pin is called by."""
    artifact, run = PINS
    assert all(artifact.is_called(word) for word in ("1", "1" * 16, "train/1", "train/"))
    assert not any(artifact.is_called(word) for word in ("a", "parse/1", "11111f"))
    assert run.is_called("aaa")
    assert not run.is_called("1")


@pytest.mark.parametrize("name", ["champion", "a-1", "x" * 64, "facade-x", "latest-one", "training"])
def test_a_good_name_has_no_flaw(name: str) -> None:
    """Lower-case letters, digits and hyphens make a name."""
    assert flaw_of(name) is None


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("latest", "the word for the newest run"),
        *((stage, "the name of a stage") for stage in STAGES),
        ("abc", "only digits and a to f, as a version has them"),
        ("e12", "only digits and a to f, as a version has them"),
        ("x" * 65, "65 characters"),
        *((name, "other characters") for name in ("", "A", "1a", "-a", "a b", "a/b", "../a", "a.json", "a\n", "é")),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, flaw: str) -> None:
    """A name that could be a path, or be taken for a run, a version, a stage or `latest`, says what it is."""
    assert flaw_of(name, STAGES) == flaw


@given(st.text(max_size=70))
def test_a_name_without_a_flaw_is_a_file_of_its_own(name: str) -> None:
    """Whatever the name: without a flaw it is one plain part of a path, and no beginning of an id."""
    if flaw_of(name) is None:
        assert Path(f"{name}.json").name == f"{name}.json"
        assert not set(name) <= set("0123456789abcdef")
