"""`idxflow pin`."""

from __future__ import annotations

import json

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.commands.pin import pin
from idxflow.cli.ending import DONE
from idxflow.views.layout import local_time
from schemas.errors import UsageError


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
