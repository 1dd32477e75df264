"""Twins: what stands for an artifact that is gone."""

from __future__ import annotations

from artifacts.archive.order import Order
from artifacts.archive.twins import Twins
from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.store.store import Store
from tests.artifacts.archive.making import make


def table(store: Store, code: str, day: int = 1, content: bytes = b"table") -> Ref:
    return make(store, "parse", "train", code=code, files={"t": content}, created=f"2026-01-0{day}T12:00:00+00:00")


def taken(ref: Ref, **changes: str) -> Input:
    facts = {"argument": "table"} | ref.model_dump(include={"stage", "name", "version", "digest"}) | changes
    return Input.model_validate(facts)


def test_what_is_there_needs_no_twin(store: Store) -> None:
    """However many artifacts of its content are newer."""
    first = table(store, "1")
    table(store, "2", day=2)
    assert Twins(store.manifests(), Order()).of(taken(first)) is None


def test_the_newest_of_the_same_stage_and_content_stands_for_what_is_gone(store: Store) -> None:
    """Neither an older one, nor one of other content, nor another stage's."""
    for code, day in (("2", 2), ("3", 3), ("1", 1)):
        table(store, code, day)
    table(store, "4", day=4, content=b"another")
    newest = table(store, "3", day=3)
    twins = Twins(store.manifests(), Order())
    found = twins.of(taken(newest, version="f" * 16))
    assert found is not None
    assert found.version == newest.version
    assert twins.of(taken(newest, version="f" * 16, stage="validate")) is None
    assert twins.of(taken(newest, version="f" * 16, digest="0" * 64)) is None


def test_what_was_made_anew_with_other_content_has_a_twin(store: Store) -> None:
    """A version alone is not what was taken."""
    changed, alike = table(store, "1", content=b"another"), table(store, "2")
    found = Twins(store.manifests(), Order()).of(taken(changed, digest=alike.digest))
    assert found is not None
    assert found.version == alike.version
