"""`idxflow alias` and `idxflow pin`."""

from __future__ import annotations

import json

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.alias import alias
from idxflow.cli.commands.pin import pin
from idxflow.cli.ending import DONE
from idxflow.views.layout import local_time
from schemas.errors import UsageError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build


@pytest.fixture
def used(model: Ref, store: Store) -> Ref:
    """A used in the store, with the completed run that made it and a failed one that used it."""
    write_run(store, "b" * 12, [stage_record(model)], minute=1, state="failed")
    return model


def since(store: Store, name: str = "champion") -> list[str]:
    """When each entry of an alias was set, in local time, the latest first."""
    return [local_time(entry.set) for entry in reversed(Names(store).alias(name).history)]


def test_without_aliases_the_way_to_one_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list says how to set an alias; as JSON it is empty."""
    assert alias() == DONE
    assert capsys.readouterr().out == "No aliases. Set one with: idxflow alias champion latest\n"
    assert alias(json=True) == DONE
    assert capsys.readouterr().out == "[]\n"


def test_an_alias_is_set_shown_and_listed(store: Store, used: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's word sets it to the run's used, whose accuracy is told; what it stood for before is its history."""
    table = build(store, {"a": b"a"})
    write_run(store, "c" * 12, [stage_record(table), stage_record(used)], minute=2)
    alias("champion", table.version)
    capsys.readouterr()
    assert alias("champion", "latest") == DONE
    now, before = since(store)
    page = f"""\
champion: train/{used.version} since {now}, test accuracy 96.06 %

before                  since             test
parse/{table.version}  {before}     -
"""
    assert capsys.readouterr().out == page
    assert alias("champion") == DONE
    assert capsys.readouterr().out == page
    alias("baseline", table.version[:8])
    capsys.readouterr()
    assert alias() == DONE
    assert (
        capsys.readouterr().out
        == f"""\
alias     artifact                since                test
baseline  parse/{table.version}  {since(store, "baseline")[0]}        -
champion  train/{used.version}  {now}  96.06 %
"""
    )


def test_another_alias_is_a_word_too(store: Store, used: Ref) -> None:
    """An alias can be set to what another one stands for, and stays when that one moves."""
    alias("champion", "latest")
    alias("former", "champion")
    alias("champion", build(store, {"a": b"a"}).version)
    assert Names(store).alias("former").artifact == ("train", used.version)


def test_an_alias_is_removed(store: Store, used: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A removed alias is no longer listed, and still has its history."""
    alias("champion", "latest")
    capsys.readouterr()
    assert alias("champion", remove=True) == DONE
    now, before = since(store)
    assert (
        capsys.readouterr().out
        == f"""\
champion: nothing since {now}

before                  since                test
train/{used.version}  {before}  96.06 %
"""
    )
    alias()
    assert capsys.readouterr().out.startswith("No aliases.")


def test_an_alias_as_json(store: Store, used: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """One alias is one document, the list a list of such, moments in UTC."""
    alias("champion", "latest", json=True)
    one = json.loads(capsys.readouterr().out)
    assert one["name"] == "champion"
    assert one["current"]["since"].endswith("+00:00")
    assert one["current"] | {"since": ""} == {
        "stage": "train", "version": used.version, "run": "0" * 12, "since": "", "test_accuracy": 0.9606,
        "verdict": None, "force": None,
    }  # fmt: skip
    assert one["before"] == []
    alias(json=True)
    assert json.loads(capsys.readouterr().out) == [one]


@pytest.mark.parametrize("words", [(), ("champion", "latest")])
def test_only_an_alias_is_removed(used: Ref, words: tuple[str, ...]) -> None:
    """To remove is not to set, and not to list."""
    with pytest.raises(UsageError, match=r"--remove: expected an alias alone, .* Nothing has changed\."):
        alias(*words, remove=True)


def test_without_pins_the_way_to_one_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list says how to pin; as JSON it is empty."""
    assert pin() == DONE
    assert capsys.readouterr().out == "No pins. Set one with: idxflow pin latest\n"
    assert pin(json=True) == DONE
    assert capsys.readouterr().out == "[]\n"


def test_runs_and_versions_are_pinned_and_listed(store: Store, model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's word pins the run, a version's the artifact; the list has their notes."""
    assert pin("latest", note="the one of the paper") == pin(model.version[:5]) == DONE
    assert capsys.readouterr().out == f"run aaaaaaaaaaaa: pinned\ntrain/{model.version}: pinned\n"
    assert Names(store).kept().runs == {"a" * 12}
    assert Names(store).kept().artifacts == {("train", model.version)}
    run, artifact = (local_time(each.set) for each in Names(store).pins())
    assert pin() == DONE
    assert (
        capsys.readouterr().out
        == f"""\
pinned                  since             note
run aaaaaaaaaaaa        {run}  the one of the paper
train/{model.version}  {artifact}
"""
    )


def test_a_pin_is_removed(store: Store, model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A removed pin keeps nothing."""
    pin("latest")
    assert pin("aaa", remove=True) == DONE
    assert capsys.readouterr().out.endswith("run aaaaaaaaaaaa: no longer pinned\n")
    assert Names(store).pins() == []
    with pytest.raises(UsageError, match="expected the word for one pin, found none"):
        pin("aaa", remove=True)


def test_a_pin_as_json(model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """One pin is one document, the list a list of such, moments in UTC."""
    pin("latest", note="why", json=True)
    one = json.loads(capsys.readouterr().out)
    assert one.pop("set").endswith("+00:00")
    assert one == {"kind": "run", "run": "a" * 12, "note": "why"}
    pin(json=True)
    assert [each["run"] for each in json.loads(capsys.readouterr().out)] == ["a" * 12]


@pytest.mark.parametrize(
    ("words", "note", "remove", "said"),
    [
        ((), "why", False, "--note: expected a run or a version"),
        ((), None, True, "--remove: expected a run or a version"),
        (("latest",), "why", True, "--remove: expected no note"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    store: Store, model: Ref, words: tuple[str, ...], note: str | None, remove: bool, said: str
) -> None:
    """A note or a removal wants something that is pinned, and not both."""
    with pytest.raises(UsageError, match=said):
        pin(*words, note=note, remove=remove)
    assert Names(store).pins() == []
