"""Why a stage is computed: what differs from the nearest earlier version, in words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from artifacts.keys import KeyParts
from artifacts.manifest import Input
from artifacts.reasons import Change, explain, explain_unasked, sentence
from artifacts.store import Store
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build, publish

PARTS = KeyParts(
    stage="train",
    parameters={"training": {"epochs": 50, "hidden": [50, 50]}},
    inputs={"table": "a" * 64},
    code={"tasks/train.py": "1" * 64, "tasks/network.py": "2" * 64},
    packages={"keras": "3.14"},
)
TABLE = Input(argument="table", stage="parse", name="train", version="0" * 16, digest="a" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def made(store: Store, parts: KeyParts, inputs: tuple[Input, ...] = (TABLE,), **facts: Any) -> None:
    """Put an artifact with these parts into the store."""
    build(store, {"a": b"x"}, parts=parts, inputs=inputs, **facts)


def changed(**changes: object) -> KeyParts:
    return PARTS.model_copy(update=changes)


@pytest.mark.parametrize(
    ("parts", "digest", "words"),
    [
        (changed(parameters={"training": {"epochs": 10, "hidden": [50, 50]}}), "a", "training.epochs 50 -> 10"),
        (changed(parameters={"training": {"epochs": 50, "hidden": []}}), "a", "training.hidden [50, 50] -> []"),
        (changed(code={**PARTS.code, "tasks/network.py": "3" * 64}), "a", "tasks/network.py changed"),
        (changed(code={**PARTS.code, "tasks/page.html": "3" * 64}), "a", "tasks/page.html is new"),
        (changed(code={"tasks/train.py": "1" * 64}), "a", "tasks/network.py is gone"),
        (changed(packages={"keras": "3.15"}), "a", "keras 3.14 -> 3.15"),
        (changed(inputs={"table": "b" * 64}), "b", "parse train changed (content aaaaaaaa -> bbbbbbbb)"),
        (changed(format=3), "a", "the store's format 2 -> 3"),
    ],
)
def test_what_differs_is_named_with_both_values(store: Store, parts: KeyParts, digest: str, words: str) -> None:
    """Parameter, file, package, input, format: each is named, with what it was and what it is."""
    made(store, PARTS)
    changes = explain(store, "train", parts, (TABLE.model_copy(update={"digest": digest * 64}),))
    assert sentence(changes) == words


def test_the_nearest_version_is_the_one_to_compare_with(store: Store) -> None:
    """Of several earlier versions the one with the fewest differences counts, of equals the youngest."""
    made(store, PARTS, created="2026-01-01T00:00:00+00:00")
    for epochs, created in ((7, "2026-01-03T00:00:00+00:00"), (8, "2026-01-02T00:00:00+00:00")):
        made(store, changed(parameters={"training": {"epochs": epochs, "hidden": [50, 50]}}), created=created)
    made(store, changed(parameters={"training": {"epochs": 9, "hidden": []}}, code={}))
    wanted = changed(parameters={"training": {"epochs": 9, "hidden": [50, 50]}})
    assert sentence(explain(store, "train", wanted, (TABLE,))) == "training.epochs 7 -> 9"


def test_what_was_made_from_the_same_data_is_nearer_than_what_was_not(store: Store) -> None:
    """However many parameters differ: a model of other data says nothing of why this one is trained."""
    many = changed(parameters={"training": {"epochs": 1, "hidden": [1], "seed": 7}}, code={}, packages={"keras": "2"})
    made(store, many, created="2026-01-01T00:00:00+00:00")
    other = TABLE.model_copy(update={"digest": "b" * 64})
    made(store, changed(inputs={"table": "b" * 64}), inputs=(other,), created="2026-01-02T00:00:00+00:00")
    words = sentence(explain(store, "train", PARTS, (TABLE,)))
    assert words.startswith("training.epochs 1 -> 50, training.hidden [1] -> [50, 50], training.seed 7 -> none, and 3")


def table_of(store: Store, dataset: str) -> Input:
    """Put a table of a data set into the store, and return it as an input."""
    parts = KeyParts(stage="parse", parameters={"spec": {"dataset": dataset}}, inputs={}, code={}, packages={})
    ref = build(store, {"table": dataset.encode()}, parts=parts)
    return Input(argument="table", stage="parse", name="train", version=ref.version, digest=ref.digest)


def test_one_of_another_data_set_is_not_compared_with(store: Store) -> None:
    """The parameters of a stage, or of what it takes, say which data set it is of; what is not known may be any."""
    digits, mnist = table_of(store, "digits"), table_of(store, "mnist")
    made(store, changed(inputs={"table": digits.digest}), inputs=(digits,))
    wanted = changed(inputs={"table": mnist.digest})
    assert sentence(explain(store, "train", wanted, (mnist,))) == "never run on mnist"
    spec = changed(stage="parse", parameters={"spec": {"dataset": "kmnist"}})
    assert sentence(explain(store, "train", spec, ())) == "never run on kmnist"
    assert sentence(explain_unasked(store, "train", spec)) == "never run on kmnist"
    unknown = Input(argument="table", stage="parse", name="train", version="f" * 16, digest="c" * 64)
    made(store, changed(inputs={"table": "c" * 64}), inputs=(unknown,))
    assert sentence(explain(store, "train", wanted, (mnist,))).startswith("parse train changed (content cccccccc -> ")
    shutil.rmtree(store.folder("parse", digits.version))
    assert sentence(explain(store, "train", wanted, (mnist,))).startswith("parse train changed (content ")


def test_manifests_that_name_each_other_are_followed_once(store: Store) -> None:
    """Whoever is said to be made from itself is of no data set, and nobody waits for ever."""
    ref = build(store, {"a": b"x"}, parts=changed(packages={}))
    own = Input(argument="table", stage="train", name="train", version=ref.version, digest=ref.digest)
    made(store, PARTS, inputs=(own.model_copy(update={"version": PARTS.version}),))
    assert sentence(explain(store, "train", changed(packages={"keras": "4"}), (own,)))


def test_one_of_another_format_is_compared_only_when_there_is_no_other(store: Store) -> None:
    """A single difference of the format is no nearness."""
    made(store, changed(format=1))
    wanted = changed(parameters={"training": {"epochs": 9, "hidden": []}})
    assert sentence(explain(store, "train", wanted, (TABLE,))) == "the store's format 1 -> 2"
    made(store, PARTS)
    assert (
        sentence(explain(store, "train", wanted, (TABLE,))) == "training.epochs 50 -> 9, training.hidden [50, 50] -> []"
    )


def test_what_was_never_made_says_so(store: Store) -> None:
    """Neither another stage's artifact nor one of another name is an earlier version."""
    made(store, changed(packages={}), name="test")
    build(store, {"a": b"x"}, stage="parse")
    assert explain(store, "train", PARTS, (TABLE,)) == (Change(kind="never run"),)


def test_what_was_asked_for_damaged_unfinished_or_removed_says_so(store: Store) -> None:
    """A refresh, damage, a missing record and a clean-up are reasons of their own."""
    ref = build(store, {"a": b"x"}, parts=PARTS)
    assert sentence(explain(store, "train", PARTS, (), refreshed="asked for")) == "refresh: asked for"
    store.quarantine(ref.stage, ref.version, "a: expected 1 bytes, found 2")
    assert sentence(explain(store, "train", PARTS, ())) == "damaged: a: expected 1 bytes, found 2"
    publish(store, {"a": b"x"}, parts=PARTS)
    assert sentence(explain(store, "train", PARTS, ())) == "unfinished: a run ended before its record was written"
    other = changed(packages={})
    write_run(store, "a" * 12, [stage_record(ref.model_copy(update={"version": other.version}))])
    assert sentence(explain(store, "train", other, ())) == "removed: made before, and cleaned up since"


def test_many_changes_are_counted(store: Store) -> None:
    """A sentence names three changes, the others are a number."""
    changes = [Change(kind="code", subject=f"{n}.py", before="1", after="2") for n in range(5)]
    assert sentence(changes) == "0.py changed, 1.py changed, 2.py changed, and 2 more"
    assert sentence(()) == ""


def test_without_its_inputs_a_stage_is_compared_by_all_else(store: Store) -> None:
    """While an input is not known, its absence is no change; everything else is."""
    made(store, PARTS)
    assert explain_unasked(store, "train", changed(inputs={})) == ()
    words = sentence(explain_unasked(store, "train", changed(inputs={}, packages={})))
    assert words == "keras 3.14 -> none"


def test_a_manifest_that_does_not_read_is_passed_over(store: Store) -> None:
    """A damaged manifest explains nothing, and stops nothing."""
    made(store, PARTS)
    path = next(store.artifacts.glob("train/*/manifest.json"))
    path.chmod(0o644)
    path.write_text("{")
    assert explain(store, "train", changed(packages={}), ()) == (Change(kind="never run"),)
