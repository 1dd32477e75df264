"""Why a stage is computed: what differs from the nearest earlier version, in words."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from artifacts.archive import reasons
from artifacts.archive.index import RunIndex
from artifacts.archive.reasons import Change, sentence
from artifacts.keys import KeyParts
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.store.store import Store
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build, publish

PARTS = KeyParts(
    stage="train",
    parameters={"training": {"epochs": 50, "hidden": [50, 50]}},
    inputs={"table": "a" * 64},
    code={"tasks/train.py": "1" * 64, "tasks/fitting/network.py": "2" * 64},
    packages={"keras": "3.14"},
)
TABLE = Input(argument="table", stage="parse", name="train", version="0" * 16, digest="a" * 64)


def made(store: Store, parts: KeyParts, inputs: tuple[Input, ...] = (TABLE,), **facts: Any) -> None:
    """Put an artifact with these parts into the store."""
    build(store, {"a": b"x"}, parts=parts, inputs=inputs, **facts)


def explain(store: Store, *rest: Any, **options: Any) -> tuple[Change, ...]:
    """Say why an artifact is computed, from an index that is brought up to date."""
    with RunIndex(store) as index:
        return reasons.explain(store, index, *rest, **options)


def explain_unasked(store: Store, *rest: Any, **options: Any) -> tuple[Change, ...]:
    """Say what differs beside the inputs."""
    with RunIndex(store) as index:
        return reasons.explain_unasked(store, index, *rest, **options)


def changed(**changes: object) -> KeyParts:
    return PARTS.model_copy(update=changes)


def part(name: str, digest: str, argument: str = "tables", stage: str = "parse") -> Input:
    """Return one input of many."""
    return Input(argument=argument, stage=stage, name=name, version="0" * 16, digest=digest * 64)


MANY = ("a", "b", "c")
"""Parts that a stage took before, each with its content."""


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("abcd", "parse d is new, profile d is new"),
        ("dabc", "parse d is new, profile d is new"),
        ("ac", "parse b is gone, profile b is gone"),
        ("abC", "parse C changed (content cccccccc -> CCCCCCCC), profile C changed (content cccccccc -> CCCCCCCC)"),
    ],
)
def test_one_of_many_inputs_is_told_alone(store: Store, now: str, words: str) -> None:
    """What is put in, taken out or changed among the parts of two arguments says nothing of the others."""
    taken = {
        names: [part(name, name) for name in names] + [part(name, name, "profiles", "profile") for name in names]
        for names in ("".join(MANY), now)
    }
    keys = [PARTS.model_copy(update={"inputs": {"tables": list(names), "profiles": list(names)}}) for names in taken]
    made(store, keys[0], tuple(taken["abc"]))
    assert sentence(explain(store, "train", keys[1], taken[now])) == words


@pytest.mark.parametrize(
    ("parts", "digest", "words"),
    [
        (changed(parameters={"training": {"epochs": 10, "hidden": [50, 50]}}), "a", "training.epochs 50 -> 10"),
        (changed(parameters={"training": {"epochs": 50, "hidden": []}}), "a", "training.hidden [50, 50] -> []"),
        (changed(code={**PARTS.code, "tasks/fitting/network.py": "3" * 64}), "a", "tasks/fitting/network.py changed"),
        (
            changed(code={**PARTS.code, "tasks/explaining/page.html": "3" * 64}),
            "a",
            "tasks/explaining/page.html is new",
        ),
        (changed(code={"tasks/train.py": "1" * 64}), "a", "tasks/fitting/network.py is gone"),
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


def used(store: Store, run: str, dataset: str, parts: KeyParts) -> None:
    """Write the record of a run of a data set that used the artifact with these parts."""
    ref = Ref(stage=parts.stage, name="train", version=parts.version, digest="", manifest="")
    write_run(store, run, [stage_record(ref)], dataset="leaves", dataset_id=dataset)


def test_one_of_another_data_set_is_not_compared_with(store: Store) -> None:
    """What runs of this data set used is compared with, by its identity: two sets may bear one name."""
    made(store, other := changed(parameters={"training": {"epochs": 7, "hidden": [50, 50]}}))
    used(store, "a" * 12, "leaves-11111111", other)
    assert sentence(explain(store, "train", PARTS, (TABLE,), dataset="leaves-11111111")) == "training.epochs 7 -> 50"
    never = "never run on this data set"
    assert sentence(explain(store, "train", PARTS, (TABLE,), dataset="leaves-22222222")) == never
    assert sentence(explain_unasked(store, "train", PARTS, dataset="leaves-22222222")) == never
    used(store, "b" * 12, "leaves-22222222", other)  # of equal content: made for one set, used by another
    assert sentence(explain(store, "train", PARTS, (TABLE,), dataset="leaves-22222222")) == "training.epochs 7 -> 50"


def test_a_file_of_the_data_set_is_named(store: Store) -> None:
    """Another content of a file is one change, which names the file and nothing else that is said of it."""
    file = {"name": "train-labels.gz", "sha256": "1" * 64, "bytes": 100, "origin": "own file"}
    edited = {**file, "sha256": "2" * 64, "bytes": 101}
    more = {"name": "more.gz", "sha256": "3" * 64, "bytes": 9}
    for before, after, words in (
        ({"file": file}, {"file": edited}, "train-labels.gz changed"),
        ({"shards": [{"labels": file}]}, {"shards": [{"labels": file}, {"labels": more}]}, "more.gz is new"),
        ({"shards": [{"labels": file}, {"labels": more}]}, {"shards": [{"labels": file}]}, "more.gz is gone"),
    ):
        made(store, old := changed(parameters=before))
        assert sentence(explain(store, "train", changed(parameters=after), (TABLE,))) == words
        shutil.rmtree(store.folder("train", old.version))


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
