"""Aliases and pins: set, removed, kept from clean-up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from artifacts.archive.lookup import REBUILDS
from artifacts.archive.name_records import ArtifactPin, RunPin
from artifacts.archive.names import NameProblem, Names
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.disk import Disk
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build
from tests.artifacts.together import at_once

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def names(store: Store) -> Names:
    """Its names."""
    return Names(store)


@pytest.fixture
def model(store: Store) -> Ref:
    """A model in the store."""
    return build(store, {"model.keras": b"weights"}, "train")


def lose(store: Store, ref: Ref) -> None:
    """Let an artifact be gone."""
    files.remove_folder(store.folder(ref.stage, ref.version))


def test_an_alias_is_set_with_its_history(names: Names, store: Store, model: Ref) -> None:
    """Each change adds an entry: what it stands for, which run made that, and since when, in UTC."""
    table = build(store, {"a": b"a"})
    names.set_alias("champion", "parse", table.version, NOW.astimezone(timezone(timedelta(hours=2))))
    names.set_alias("champion", "train", model.version, LATER)
    names.remove_alias("champion", LATER)
    alias = names.alias("champion")
    assert [(entry.stage, entry.version, entry.run, entry.set) for entry in alias.history] == [
        ("parse", table.version, "0" * 12, "2026-01-02T03:04:05+00:00"),
        ("train", model.version, "0" * 12, "2026-01-02T04:04:05+00:00"),
        (None, None, None, "2026-01-02T04:04:05+00:00"),
    ]


def test_aliases_that_stand_for_something_are_listed(names: Names, model: Ref) -> None:
    """The list is by name, without those that were removed."""
    for name in ("second", "first", "removed"):
        names.set_alias(name, "train", model.version, NOW)
    names.remove_alias("removed", LATER)
    assert [alias.name for alias in names.aliases()] == ["first", "second"]


def test_the_history_has_no_entry_that_says_nothing(names: Names, model: Ref) -> None:
    """Set to what it is, an alias stays as it is; after its removal it goes on with its history."""
    first = names.set_alias("champion", "train", model.version, NOW)
    assert names.set_alias("champion", "train", model.version, LATER) == first
    names.remove_alias("champion", NOW)
    assert len(names.set_alias("champion", "train", model.version, LATER).history) == 3


@pytest.mark.parametrize("name", ["latest", "train", "abc", "../x"])
def test_a_name_that_will_not_do_is_refused(names: Names, store: Store, model: Ref, name: str) -> None:
    """A name that means something else is a wrong word, and nothing is written."""
    with pytest.raises(UsageError, match=f"alias '{name}': expected up to 64 lower-case letters"):
        names.set_alias(name, "train", model.version, NOW)
    assert not (store.home / "aliases").exists()


def test_an_alias_that_is_not_set_is_neither_shown_nor_removed(names: Names, model: Ref) -> None:
    """A name that never was an alias is an error that offers a close one; a removed one is not removed again."""
    names.set_alias("champion", "train", model.version, NOW)
    with pytest.raises(UsageError, match=r"alias 'champoin': .* found none\. Did you mean champion\?"):
        names.alias("champoin")
    with pytest.raises(UsageError, match="alias 'other': "):
        names.remove_alias("other", NOW)
    names.remove_alias("champion", NOW)
    with pytest.raises(UsageError, match=r"found one that was removed. Nothing has changed"):
        names.remove_alias("champion", NOW)


def test_what_is_gone_or_damaged_gets_no_name(names: Names, store: Store, model: Ref) -> None:
    """An alias or a pin is set only on an artifact that is there and what it was."""
    path = store.folder("train", model.version) / "model.keras"
    path.chmod(0o644)
    path.write_bytes(b"WEIGHTS")
    write_run(store, "a" * 12, [stage_record(model)])
    for error in (ArtifactDamaged, UsageError):
        with pytest.raises(error, match="artifact train/"):
            names.set_alias("champion", "train", model.version, NOW)
        with pytest.raises(error, match="artifact train/"):
            names.pin_artifact("train", model.version, "", NOW)
        with pytest.raises(error, match="artifact train/"):
            names.pin_run("a" * 12, "", NOW)
        lose(store, model)
    with pytest.raises(UsageError, match=r"run b{12}: expected its record, found none"):
        names.pin_run("b" * 12, "", NOW)
    assert not [*store.home.glob("aliases/*"), *store.home.glob("pins/*")]


def test_pins_are_set_listed_and_removed(names: Names, store: Store, model: Ref) -> None:
    """A version and a run are pinned with a note; pinned again, the note is replaced."""
    write_run(store, "a" * 12, [stage_record(model)])
    names.pin_artifact("train", model.version, "first", NOW)
    artifact = names.pin_artifact("train", model.version, "second", LATER)
    run = names.pin_run("a" * 12, "", NOW)
    assert names.pins() == [run, artifact]
    assert artifact == ArtifactPin(stage="train", version=model.version, note="second", set="2026-01-02T04:04:05+00:00")
    assert run == RunPin(run="a" * 12, note="", set="2026-01-02T03:04:05+00:00")
    assert names.unpin(model.version[:3]) == artifact
    assert names.unpin("aa") == run
    assert names.pins() == []


def test_a_pin_is_removed_by_any_word_for_what_it_keeps(names: Names, store: Store, model: Ref) -> None:
    """An alias and `latest` take a pin away as an id does."""
    write_run(store, "a" * 12)
    names.set_alias("champion", "train", model.version, NOW)
    artifact, run = names.pin_artifact("train", model.version, "", NOW), names.pin_run("a" * 12, "", NOW)
    assert names.unpin("champion") == artifact
    assert names.unpin("latest") == run
    with pytest.raises(UsageError, match="'latest': expected the word for one pin, found none"):
        names.unpin("latest")


def test_a_word_for_two_pins_takes_neither(names: Names, store: Store) -> None:
    """Where a word is the beginning of two pins, both are named and stay."""
    for run in ("a" * 12, "a" * 11 + "b"):
        write_run(store, run)
        names.pin_run(run, "", NOW)
    with pytest.raises(UsageError, match=f"found run {'a' * 12}, run {'a' * 11}b"):
        names.unpin("aa")
    assert len(names.pins()) == 2


def test_a_pin_of_what_is_gone_can_be_removed(names: Names, store: Store, model: Ref) -> None:
    """A pin does not outlive its use because its artifact is lost."""
    names.pin_artifact("train", model.version, "", NOW)
    lose(store, model)
    names.unpin(model.version)
    assert names.pins() == []


def test_names_and_pins_are_kept(names: Names, store: Store, model: Ref) -> None:
    """What has an alias or a pin is kept, what had one is not."""
    table, profile = build(store, {"a": b"a"}), build(store, {"a": b"a"}, "validate")
    write_run(store, "a" * 12)
    names.set_alias("champion", "validate", profile.version, NOW)
    names.set_alias("champion", "train", model.version, NOW)
    names.pin_artifact("parse", table.version, "", NOW)
    names.pin_run("a" * 12, "", NOW)
    kept = names.kept()
    assert kept.artifacts == {("train", model.version), ("parse", table.version)}
    assert kept.runs == {"a" * 12}


@pytest.mark.parametrize("folder", ["aliases", "pins"])
def test_what_a_damaged_name_keeps_is_not_guessed(names: Names, store: Store, folder: str) -> None:
    """A name that does not read stops whoever wants to clean up, and is a problem that is listed."""
    (store.home / folder).mkdir()
    (store.home / folder / "x.json").write_text("{")
    with pytest.raises(StoreError, match=f"{folder}/x.json: expected the record"):
        names.kept()
    path = store.home / folder / "x.json"
    assert names.problems() == [NameProblem(f"{folder}/x.json", "found one that does not read", path)]
    assert (names.aliases(), names.pins()) == ([], [])


def test_a_damaged_alias_is_not_written_over(names: Names, store: Store, model: Ref) -> None:
    """Setting an alias whose file does not read would lose its history: it is refused."""
    names.set_alias("champion", "train", model.version, NOW)
    path = store.home / "aliases" / "champion.json"
    path.write_text("{")
    with pytest.raises(StoreError, match="Restore it from a backup, or delete it"):
        names.set_alias("champion", "train", model.version, NOW)
    assert path.read_text() == "{"


def test_names_of_what_is_gone_are_problems(names: Names, store: Store, model: Ref) -> None:
    """Each name or pin whose artifact or run is gone is listed with the way out; healthy and removed ones are not."""
    table = build(store, {"a": b"a"})
    write_run(store, "a" * 12, [stage_record(model), stage_record(table)])
    write_run(store, "b" * 12)
    names.set_alias("champion", "train", model.version, NOW)
    names.set_alias("removed", "train", model.version, NOW)
    names.remove_alias("removed", NOW)
    names.pin_artifact("train", model.version, "", NOW)
    names.pin_artifact("parse", table.version, "", NOW)
    names.pin_run("a" * 12, "", NOW)
    names.pin_run("b" * 12, "", NOW)
    assert names.problems() == []
    lose(store, model)
    (store.runs / f"{'b' * 12}.json").unlink()
    model_gone = f"train/{model.version} is gone"
    ways_out = [
        f"{REBUILDS}, or `idxflow alias champion --remove` takes the name away.",
        f"{REBUILDS}, or `idxflow pin aaaaaaaaaaaa --remove` takes the pin away.",
        "`idxflow pin bbbbbbbbbbbb --remove` takes the pin away.",
        f"{REBUILDS}, or `idxflow pin train/{model.version} --remove` takes the pin away.",
    ]
    assert names.problems() == [
        NameProblem("alias champion", model_gone, way_out=ways_out[0]),
        NameProblem("pin of run aaaaaaaaaaaa", model_gone, way_out=ways_out[1]),
        NameProblem("pin of run bbbbbbbbbbbb", "the run's record is gone", way_out=ways_out[2]),
        NameProblem(f"pin of train/{model.version}", model_gone, way_out=ways_out[3]),
    ]


def test_a_clean_up_and_a_new_name_wait_for_each_other(names: Names, store: Store, model: Ref) -> None:
    """A name that is set while a clean-up goes on waits, and is refused when the artifact was taken."""
    caught: list[Exception] = []

    def set_alias() -> None:
        try:
            Names(store).set_alias("champion", "train", model.version, NOW)
        except UsageError as error:
            caught.append(error)

    setting = threading.Thread(target=set_alias)
    with names.changing():
        setting.start()
        setting.join(0.2)
        assert setting.is_alive()
        lose(store, model)
    setting.join(10)
    assert "it was cleaned up" in str(caught[0])
    assert names.aliases() == []


def test_two_who_set_names_at_once_lose_nothing(store: Store, model: Ref) -> None:
    """Eight threads that move one alias leave eight entries: none writes over another's."""
    versions = [build(store, {"a": b"a"}, salt=salt).version for salt in range(8)]
    at_once(lambda number: Names(store).set_alias("champion", "parse", versions[number], NOW))
    assert {entry.version for entry in Names(store).alias("champion").history} == set(versions)


class Failing(Disk):
    """A disk that is full when something is to take its place."""

    def rename(self, source: Path, target: Path) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")


def test_a_change_that_fails_leaves_all_as_it_was(
    names: Names, store: Store, model: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alias and history change in one step: where that fails, both are what they were, and it is said."""
    before = names.set_alias("champion", "train", model.version, NOW)
    table = build(store, {"a": b"a"})
    with monkeypatch.context() as patched:
        patched.setattr(files, "DISK", Failing())
        with pytest.raises(StoreError, match=r"aliases: .* found No space left on device"):
            names.set_alias("champion", "parse", table.version, LATER)
        with pytest.raises(StoreError, match=r"pins: .* found No space left on device"):
            names.pin_artifact("parse", table.version, "", LATER)
    assert names.alias("champion") == before
    assert names.kept().artifacts == {("train", model.version)}
    assert names.problems() == []
