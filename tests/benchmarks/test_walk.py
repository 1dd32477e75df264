"""The graph without Prefect: how far it goes, what it rebuilds, what it times, and in how many threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from artifacts.store.store import Store
from benchmarks.loading import THREADS
from benchmarks.walk import Walk
from flows.pipeline import pipeline
from schemas.catalog import load_dataset
from schemas.errors import BadTable
from schemas.training import Training

DATA, TRAINING = load_dataset("digits"), Training(epochs=1)


def test_it_goes_as_far_as_it_is_told_and_leaves_a_sound_store(tmp_path: Path) -> None:
    """Up to normalize 17 artifacts are made, committed and whole, and each stage has its two times."""
    store = Store(tmp_path)
    walk = Walk(store, "normalize").through(DATA, TRAINING)
    assert len(walk.refs) == 17
    assert all(store.inspect(ref.stage, ref.version, fully=True) for ref in walk.refs.values())
    assert list(walk.whole) == ["download", "verify", "decompress", "parse", "validate", "normalize"]
    assert all(0 < walk.own[stage] < seconds for stage, seconds in walk.whole.items())


def test_what_is_stored_is_taken_unless_it_is_wanted_anew(tmp_path: Path) -> None:
    """A second walk computes nothing; one that rebuilds parse computes parse, to the same content."""
    first = Walk(Store(tmp_path), "normalize").through(DATA, TRAINING)
    second = Walk(Store(tmp_path), "normalize").through(DATA, TRAINING)
    third = Walk(Store(tmp_path), "normalize", rebuild=("parse",)).through(DATA, TRAINING)
    assert not second.whole
    assert list(third.whole) == ["parse"]
    assert [ref.digest for ref in first.refs.values()] == [ref.digest for ref in third.refs.values()]


def test_its_versions_are_those_of_a_run(tmp_path: Path) -> None:
    """Timing a stage changes nothing of its key."""
    from tasks.parse import parse

    walk = Walk(Store(tmp_path), "parse").through(DATA, TRAINING)
    raw = {name: ref for (stage, name), ref in walk.refs.items() if stage == "decompress"}
    shard, spec = DATA.splits["test"].shards[0], DATA.splits["test"].spec
    arguments = {"images": [raw[shard.images.name]], "labels": [raw[shard.labels.name]], "spec": spec}
    assert parse.parts(arguments).version == walk.refs["parse", "test"].version


def test_stages_at_once_make_what_they_make_one_by_one(tmp_path: Path) -> None:
    """Sixteen threads and one leave the same artifacts, listed in the graph's order."""
    alone = Walk(Store(tmp_path / "alone"), "normalize").through(DATA, TRAINING)
    together = Walk(Store(tmp_path / "together"), "normalize", threads=16).through(DATA, TRAINING)
    assert [(ref.stage, ref.name, ref.digest) for ref in together.refs.values()] == [
        (ref.stage, ref.name, ref.digest) for ref in alone.refs.values()
    ]


def test_what_fails_is_told_and_ends_the_walk(tmp_path: Path) -> None:
    """The first error in the order of the graph is raised, not what it led to."""
    train = DATA.splits["train"]
    few = train.model_copy(update={"spec": train.spec.model_copy(update={"samples": 7})})
    data = DATA.model_copy(update={"splits": DATA.splits | {"train": few}})
    with pytest.raises(BadTable, match="expected 7 images"):
        Walk(Store(tmp_path / "home"), "normalize", threads=16).through(data, TRAINING)


def test_as_many_stages_run_at_once_as_in_a_flow() -> None:
    """What is measured without Prefect has the threads that a run has with it."""
    assert isinstance(pipeline.task_runner, ThreadPoolTaskRunner)
    assert pipeline.task_runner._max_workers == THREADS
