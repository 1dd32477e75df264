"""What a run left, and the runs that have left too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.store.store import Store
from idxflow.comparing.comparison import gather
from schemas.errors import ArtifactDamaged, UsageError
from tests.artifacts.building import flip_unseen
from tests.idxflow.comparing.compared_runs import finished_run

A = "a" * 12


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def test_a_store_that_was_moved_is_read_where_it_is(store: Store) -> None:
    """Artifacts are found below the store's folder, not where the run's record says that they were."""
    record = finished_run(store, A)
    moved = Store(store.home.rename(store.home.with_name("moved")))
    found = gather(moved, record)
    assert found.evaluation.is_relative_to(moved.home)
    assert list(found.stored) == ["download images.gz", "parse train", "parse test", "normalize", "train", "evaluate"]
    assert found.metrics
    assert found.metrics.test.samples == 6


@pytest.mark.parametrize(("state", "said"), [("failed", "failed"), ("running", "was killed")])
def test_a_run_that_was_not_completed_is_refused(store: Store, state: str, said: str) -> None:
    """A run that failed or was killed has no metrics: its id and state are named."""
    broken = finished_run(store, A, state=state)
    with pytest.raises(
        UsageError, match=f"run {A}, which {said}: expected a completed run, which has metrics, found one without"
    ):
        gather(store, broken)


def test_a_run_without_an_evaluation_is_refused(store: Store) -> None:
    """A completed run of another kind, which scored nothing, is refused."""
    record = finished_run(store, A)
    with pytest.raises(UsageError, match="found one without training and evaluation"):
        gather(store, record.model_copy(update={"stages": record.stages[:-1]}))


@pytest.mark.parametrize("name", ["predictions.parquet", "metrics.json"])
def test_a_damaged_evaluation_is_refused_and_left_where_it_is(store: Store, name: str) -> None:
    """A flipped byte is found even where the store's note vouches for the file, and nothing is moved."""
    record = finished_run(store, A)
    folder = store.folder("evaluate", record.stages[-1].version)
    flip_unseen(folder / name)
    assert store.inspect("evaluate", folder.name)
    with pytest.raises(ArtifactDamaged, match=rf"artifact evaluate/.*: .*{name}.*verify --repair"):
        gather(store, record)
    assert (folder / name).exists()


@pytest.mark.parametrize("row", range(6))
def test_an_artifact_that_was_cleaned_up_is_named(store: Store, row: int) -> None:
    """Whatever artifact of a run is no longer there is among what is gone, and all else among what is stored."""
    record = finished_run(store, A)
    stage, version = record.stages[row].stage, record.stages[row].version
    store.folder(stage, version).rename(store.home / "gone")
    found = gather(store, record)
    name = f"{stage} {record.stages[row].name}".strip()
    assert found.gone == (name,)
    assert found.versions[name] == version
    assert found.stored.keys() == found.versions.keys() - {name}
    assert (found.metrics is None) == (stage == "evaluate")
