"""`idxflow alias`."""

from __future__ import annotations

import json

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.alias import alias
from idxflow.cli.ending import DONE
from idxflow.views.layout import local_time
from schemas.errors import UsageError
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build


@pytest.fixture
def model(model: Ref, store: Store) -> Ref:
    """A model in the store, with the completed run that made it and a failed one that used it."""
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


def test_an_alias_is_set_shown_and_listed(store: Store, model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's word sets it to the run's model, whose accuracy is told; what it stood for before is its history."""
    table = build(store, {"a": b"a"})
    write_run(store, "c" * 12, [stage_record(table), stage_record(model)], minute=2)
    alias("champion", table.version)
    capsys.readouterr()
    assert alias("champion", "latest") == DONE
    now, before = since(store)
    page = f"""\
champion: train/{model.version} since {now}, test accuracy 96.06 %

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
champion  train/{model.version}  {now}  96.06 %
"""
    )


def test_another_alias_is_a_word_too(store: Store, model: Ref) -> None:
    """An alias can be set to what another one stands for, and stays when that one moves."""
    alias("champion", "latest")
    alias("former", "champion")
    alias("champion", build(store, {"a": b"a"}).version)
    assert Names(store).alias("former").artifact == ("train", model.version)


def test_an_alias_is_removed(store: Store, model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
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
train/{model.version}  {before}  96.06 %
"""
    )
    alias()
    assert capsys.readouterr().out.startswith("No aliases.")


def test_an_alias_as_json(store: Store, model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """One alias is one document, the list a list of such, moments in UTC."""
    alias("champion", "latest", json=True)
    one = json.loads(capsys.readouterr().out)
    assert one["name"] == "champion"
    assert one["current"]["since"].endswith("+00:00")
    assert one["current"] | {"since": ""} == {
        "stage": "train", "version": model.version, "run": "0" * 12, "since": "", "test_accuracy": 0.9606,
    }  # fmt: skip
    assert one["before"] == []
    alias(json=True)
    assert json.loads(capsys.readouterr().out) == [one]


@pytest.mark.parametrize("words", [(), ("champion", "latest")])
def test_only_an_alias_is_removed(model: Ref, words: tuple[str, ...]) -> None:
    """To remove is not to set, and not to list."""
    with pytest.raises(UsageError, match=r"--remove: expected an alias alone, .* Nothing has changed\."):
        alias(*words, remove=True)
