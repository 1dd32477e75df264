"""Aliases and their data sets: which one a word means, and where one is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from artifacts.archive.aliases import place_for, sets_of
from artifacts.archive.lookup import find_artifact
from artifacts.archive.name_records import Alias, alias_files
from artifacts.archive.names import Names
from artifacts.archive.roots import find_roots, read_graph
from artifacts.ref import Ref
from artifacts.store.store import Store
from schemas.errors import UsageError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEAVES = "leaves-3fa2b1c4"


@pytest.fixture
def names(store: Store) -> Names:
    """Its names."""
    return Names(store)


@pytest.fixture
def models(store: Store) -> dict[str, Ref]:
    """A model of each of three data sets, two of which have one name; and one that no run knows."""
    sets = {"mnist": ("mnist", ""), "leaves": ("leaves", LEAVES), "others": ("leaves", "leaves-00000000")}
    found = {}
    for salt, (name, (dataset, identity)) in enumerate(sets.items()):
        found[name] = build(store, {"model.keras": name.encode()}, "train", salt=salt)
        write_run(store, f"{salt:012}", [stage_record(found[name])], dataset=dataset, dataset_id=identity)
    return found | {"lost": build(store, {"model.keras": b"lost"}, "train", salt=9)}


def promote(names: Names, name: str, ref: Ref, instead_of: Ref | None = None) -> bool:
    """Let the gate move an alias."""
    before = (instead_of.stage, instead_of.version) if instead_of else None
    return names.promote(name, (ref.stage, ref.version), before, "f" * 16, None, NOW)


def version(store: Store, word: str) -> str:
    """Return the version of what a word stands for."""
    return find_artifact(store, word).ref.version


def test_an_alias_is_called_with_its_data_set_or_without(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """As long as one data set has the name, it is enough; with its set, by name or identity, it is always found."""
    names.set_alias("champion", "train", models["mnist"].version, NOW)
    assert version(store, "champion") == version(store, "champion@mnist") == models["mnist"].version
    with pytest.raises(UsageError, match="found nothing of that name"):
        find_artifact(store, "champion@leaves")
    assert promote(names, f"champion@{LEAVES}", models["leaves"])
    assert version(store, "champion@mnist") == models["mnist"].version
    assert version(store, "champion@leaves") == version(store, f"champion@{LEAVES}") == models["leaves"].version
    said = (
        rf"alias 'champion': expected one alias, found 2: champion@mnist, champion@{LEAVES}. Say which, as champion@mn"
    )
    with pytest.raises(UsageError, match=said):
        find_artifact(store, "champion")
    names.remove_alias("champion@mnist", NOW)
    assert version(store, "champion") == models["leaves"].version
    assert promote(names, "champion@leaves-00000000", models["others"])
    with pytest.raises(UsageError, match=r"found 2: champion@leaves-00000000, champion@leaves-3fa2b1c4"):
        find_artifact(store, "champion@leaves")


def test_a_plain_alias_is_of_the_set_of_what_it_stands_for(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """Whose runs made or used it says so; where nobody knows, it is of no set, and stays a word."""
    assert sets_of(store, names.set_alias("champion", "train", models["leaves"].version, NOW)) == {LEAVES}
    assert sets_of(store, names.set_alias("lost", "train", models["lost"].version, NOW)) == set()
    assert version(store, "lost") == models["lost"].version


def test_an_alias_moves_to_another_data_set_by_force_only(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """What belongs to one set is not let stand for something of another by mistake; nothing has changed then."""
    names.set_alias("champion", "train", models["mnist"].version, NOW)
    said = (
        r"alias 'champion': expected something of mnist, whose alias it is, found something of leaves-3fa2b1c4\. Name "
    )
    with pytest.raises(UsageError, match=said):
        names.set_alias("champion", "train", models["leaves"].version, NOW)
    with pytest.raises(UsageError, match="alias 'champion@leaves': expected something of leaves"):
        names.set_alias("champion@leaves", "train", models["mnist"].version, NOW)
    assert version(store, "champion") == models["mnist"].version
    names.set_alias("champion", "train", models["leaves"].version, NOW, force=True)
    assert len(names.alias("champion@leaves").history) == 2
    names.set_alias("champion", "train", models["lost"].version, NOW)  # nobody knows whose it is


def test_an_alias_of_a_set_has_a_file_of_its_own(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """By its identity, so that two sets of one name have two; a name without a set goes on where it is."""
    names.set_alias("champion", "train", models["mnist"].version, NOW)
    names.set_alias(f"champion@{LEAVES}", "train", models["leaves"].version, NOW)
    names.set_alias("best@mnist", "train", models["mnist"].version, NOW)
    files = ["best@mnist.json", "champion.json", f"champion@{LEAVES}.json"]
    assert [path.name for path in alias_files(store)] == files
    assert [alias.name for alias in names.aliases()] == ["best@mnist", "champion", f"champion@{LEAVES}"]
    assert names.set_alias("champion", "train", models["leaves"].version, NOW).name == f"champion@{LEAVES}"


@pytest.mark.parametrize(
    "word", ["champion@", "champion@Mnist", "champion@../x", "@mnist", "latest@mnist", "abc@mnist"]
)
def test_a_word_that_will_not_do_with_a_set_either_is_refused(
    store: Store, names: Names, models: dict[str, Ref], word: str
) -> None:
    """Neither a name nor a set is a path, or means something else; nothing is written."""
    with pytest.raises(UsageError, match=rf"alias '{word}': expected up to 64 lower-case letters"):
        names.set_alias(word, "train", models["mnist"].version, NOW)
    assert not alias_files(store)


def test_the_gate_gives_each_data_set_its_own(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """Its name without a set means the run's own, whether or not another set has it; a plain alias of it goes on."""
    assert place_for(store, "champion", {"mnist"}, new=True).name == "champion@mnist"
    names.set_alias("champion", "train", models["mnist"].version, NOW)
    assert place_for(store, "champion", {"mnist"}, new=True).name == "champion"
    assert place_for(store, "champion", {LEAVES}, new=True) == place_for(
        store, f"champion@{LEAVES}", {LEAVES}, new=True
    )
    across = place_for(store, "champion@mnist", {LEAVES}, new=True)
    assert (across.name, across.across) == ("champion", True)


def test_the_gate_moves_only_what_it_has_judged(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """Where an alias stands for something else by now nothing is written: the verdict was about another model."""
    assert promote(names, "champion@mnist", models["mnist"])
    assert not promote(names, "champion@mnist", models["lost"])
    assert not promote(names, "champion@mnist", models["lost"], instead_of=models["leaves"])
    assert len(names.alias("champion").history) == 1
    assert promote(names, "champion@mnist", models["lost"], instead_of=models["mnist"])
    entry = names.alias("champion").history[-1]
    assert (entry.version, entry.verdict, entry.force) == (models["lost"].version, "f" * 16, None)


def test_a_clean_up_keeps_the_verdict_of_an_alias(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """What an alias was moved by stays as long as it holds, whatever runs there are."""
    verdict = build(store, {"verdict.json": b"{}"}, "promote")
    names.promote("champion@x", ("train", models["lost"].version), None, verdict.version, None, NOW)
    assert ("promote", verdict.version) in find_roots(store, read_graph(store), keep=0)
    names.set_alias("champion@x", "train", models["mnist"].version, NOW, force=True)
    assert ("promote", verdict.version) not in find_roots(store, read_graph(store), keep=0)


def test_history_that_is_not_known_stays_through_a_move(store: Store, names: Names, models: dict[str, Ref]) -> None:
    """What a newer idxflow has written beside what this one knows is there after the next entry."""
    alias = names.set_alias("champion", "train", models["mnist"].version, NOW)
    newer = Alias.model_validate(alias.model_dump() | {"colour": "red"})
    alias_files(store)[0].write_bytes(newer.content)
    names.set_alias("champion", "train", models["lost"].version, NOW)
    assert b'"colour": "red"' in alias_files(store)[0].read_bytes()
