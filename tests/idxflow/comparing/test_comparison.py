"""Two runs compared, and the exact McNemar test of their predictions."""

from __future__ import annotations

import subprocess
import sys
from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.store.files import remove_folder
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.comparing.comparison import Comparison, Difference, compare_runs, gather
from idxflow.comparing.significance import LEVEL, disagreement
from schemas.errors import ArtifactDamaged, UsageError
from schemas.training import Training
from tasks.quality.paired import mcnemar
from tests.artifacts.building import flip_unseen
from tests.idxflow.comparing.compared_runs import CLASSES, CODE, ENVIRONMENT, LABELS, finished_run, predictions

A, B = "a" * 12, "b" * 12


def test_a_run_is_the_same_as_itself(store: Store) -> None:
    """A run held against itself: nothing differs, no image parts the models, p is 1; the document reads back."""
    record = finished_run(store, A)
    found = compare_runs(store, record, record)
    assert not [*found.parameters, *found.data, *found.code, *found.environment]
    assert found.classes == ()
    assert {each.difference for each in found.metrics} == {0}
    assert found.disagreement
    assert (found.disagreement.n, found.disagreement.p_value) == (0, 1)
    assert Comparison.model_validate_json(found.model_dump_json()).model_dump() == found.model_dump()


def test_parameters_that_differ_are_told_once_with_their_stages(store: Store) -> None:
    """What differs is told by its path and both values, once, with every stage that it goes into."""
    one = finished_run(store, A, training=Training(hidden=(30,)))
    other = finished_run(store, B, training=Training(seed=7), dataset="birds")
    found = compare_runs(store, one, other)
    assert found.parameters == (
        Difference(name="dataset", a="animals", b="birds", stages=()),
        Difference(name="training.hidden", a=[30], b=[50, 50], stages=("train",)),
        Difference(name="training.seed", a=123, b=7, stages=("train",)),
        Difference(name="file.shards.0.of", a="animals", b="birds", stages=("download images.gz",)),
    )
    assert (found.a.id, found.b.id, found.b.seed, found.b.dataset) == (A, B, 7, "birds")


@pytest.mark.parametrize("value", [1.0, True, "1"])
def test_values_of_another_type_differ(store: Store, value: object) -> None:
    """A 1 is neither 1.0 nor true, as in a key."""
    found = compare_runs(store, finished_run(store, A), finished_run(store, B, threshold=value))
    assert [(each.name, each.stages) for each in found.parameters] == [("threshold", ("parse train", "parse test"))]


def test_a_stage_that_only_one_run_has_is_told_by_its_data(store: Store) -> None:
    """Of files that only one run downloaded the content is told, and not every parameter of theirs."""
    found = compare_runs(store, finished_run(store, A), finished_run(store, B, file="other.gz"))
    assert not found.parameters
    assert [(each.name, each.a is None, each.b is None) for each in found.data] == [
        ("download images.gz", False, True),
        ("download other.gz", True, False),
    ]


def test_code_that_differs_is_told_by_file(store: Store) -> None:
    """A file of code that changed has two digests, one that only one run has is absent from the other."""
    one = finished_run(store, A)
    other = finished_run(store, B, code={"tasks/fitting/network.py": "9" * 64, "tasks/new.py": "3" * 64})
    stages = ("download", "parse", "normalize", "train", "evaluate")
    assert compare_runs(store, one, other).code == (
        Difference(name="tasks/fitting/network.py", a=CODE["tasks/fitting/network.py"], b="9" * 64, stages=stages),
        Difference(name="tasks/explaining/page.html", a=CODE["tasks/explaining/page.html"], b=None, stages=stages),
        Difference(name="tasks/new.py", a=None, b="3" * 64, stages=stages),
    )


def test_the_environment_is_that_of_the_training(store: Store) -> None:
    """Interpreter, packages, numerics settings and git commit are told where they differ."""
    changed = {
        "python": "3.12.1",
        "packages": {"keras": "3.13.0"},
        "numerics": {"OMP_NUM_THREADS": "1"},
        "git_dirty": True,
    }
    one = finished_run(store, A)
    other = finished_run(store, B, training=Training(seed=7), environment=ENVIRONMENT.model_copy(update=changed))
    assert {each.name: (each.a, each.b) for each in compare_runs(store, one, other).environment} == {
        "python": ("3.11.7", "3.12.1"),
        "packages.keras": ("3.12.0", "3.13.0"),
        "numerics.OMP_NUM_THREADS": (None, "1"),
        "git_dirty": (False, True),
    }


def test_metrics_stand_side_by_side(store: Store) -> None:
    """Accuracy, both halves and loss of both splits have A's value, B's value, and B less A."""
    found = compare_runs(store, finished_run(store, A, (0, 0, 1, 0, 0, 0)), finished_run(store, B, LABELS))
    told = {(each.split, each.metric): (each.a, each.b, each.difference) for each in found.metrics}
    metrics = ("accuracy", "first half accuracy", "second half accuracy", "loss")
    assert list(told) == [(split, metric) for split in ("train", "test") for metric in metrics]
    assert told["train", "accuracy"] == (1, 1, 0)
    assert told["test", "accuracy"] == (0.5, 1, 0.5)
    assert told["test", "first half accuracy"] == (1, 1, 0)
    assert told["test", "second half accuracy"] == (0, 1, 1)
    assert told["test", "loss"] == (0.875, 0.25, -0.625)


def test_classes_that_changed_come_largest_change_first(store: Store) -> None:
    """Classes whose recall changed stand by the size of the change, better or worse, and those alike by their label."""
    found = compare_runs(store, finished_run(store, A, (0, 0, 0, 0, 2, 2)), finished_run(store, B, (0, 1, 1, 1, 0, 0)))
    assert [(each.name, each.a, each.b, each.difference, each.support_a) for each in found.classes or ()] == [
        ("dog", 0, 1, 1, 2),
        ("owl", 1, 0, -1, 2),
        ("cat", 1, 0.5, -0.5, 2),
    ]
    assert found.disagreement
    assert (found.disagreement.b, found.disagreement.c) == (3, 2)


def test_a_class_that_did_not_change_is_left_out(store: Store) -> None:
    """A class with the same recall in both runs is not told, though other images of it are right."""
    found = compare_runs(store, finished_run(store, A, (0, 1, 1, 1, 2, 2)), finished_run(store, B, (1, 0, 1, 1, 2, 2)))
    assert found.classes == ()
    assert found.disagreement
    assert (found.disagreement.b, found.disagreement.c) == (1, 1)


def test_models_of_different_test_images_are_not_tested_for_chance(store: Store) -> None:
    """Where the test tables differ in content, this is said, and only what can be compared is."""
    one, other = finished_run(store, A), finished_run(store, B, (0, 0, 1, 1, 2, 0), table=b"another")
    found = compare_runs(store, one, other)
    assert [each.name for each in found.data] == ["download images.gz", "parse train", "parse test"]
    assert found.disagreement is None
    assert found.no_disagreement
    assert "tested on different images" in found.no_disagreement
    assert [each.name for each in found.classes or ()] == ["owl"]


def test_predictions_that_are_not_of_the_same_images_are_not_compared(store: Store) -> None:
    """Equal test tables with predictions for other images: this is said, and not what they would make of it."""
    one, other = finished_run(store, A), finished_run(store, B, (0, 0, 1, 1, 2, 0), ids=(0, 1, 2, 3, 4, 9))
    found = compare_runs(store, one, other)
    assert found.disagreement is None
    assert found.no_disagreement
    assert "sample ids or labels" in found.no_disagreement


@pytest.mark.parametrize(("classes", "told"), [(("cat", "emu", "owl"), ["owl"]), (("elk", "emu", "ant"), None)])
def test_classes_that_only_one_run_knows_are_not_compared(
    store: Store, classes: tuple[str, ...], told: list[str] | None
) -> None:
    """Recalls are compared by the class's name; without a common class there is nothing to compare."""
    one, other = finished_run(store, A), finished_run(store, B, (0, 0, 0, 0, 0, 0), table=b"x", classes=classes)
    found = compare_runs(store, one, other).classes
    assert (found and [each.name for each in found]) == told


def take_away(store: Store, run: RunRecord, *stages: str) -> None:
    """Clean artifacts of a run up, with whatever else has the same version."""
    for row in run.stages:
        if row.stage in stages:
            remove_folder(store.folder(row.stage, row.version))


def test_what_a_clean_up_has_taken_is_said_and_the_rest_compared(store: Store) -> None:
    """Without A's model and scores: parameters, data, the records' accuracy and loss as before, and why no more."""
    one = finished_run(store, A, (0, 0, 1, 0, 0, 0))
    other = finished_run(store, B, training=Training(seed=7), table=b"another")
    whole = compare_runs(store, one, other)
    take_away(store, one, "train", "evaluate")
    found = compare_runs(store, one, other)
    assert (found.a.gone, found.b.gone) == (("train", "evaluate"), ())
    assert found.untold == ("train", "evaluate")
    assert found.data == whole.data
    assert [(each.name, each.stages) for each in found.parameters] == [("training.seed", ())]
    told = {(each.split, each.metric): each for each in whole.metrics}
    assert [(each.split, each.metric) for each in found.metrics] == [
        (split, metric) for split in ("train", "test") for metric in ("accuracy", "loss")
    ]
    assert all(told[each.split, each.metric] == each for each in found.metrics)
    assert (found.classes, found.disagreement) == (None, None)
    assert found.no_classes == found.no_disagreement
    assert found.no_classes == "the evaluation of A is no longer in the store"
    assert Comparison.model_validate_json(found.model_dump_json()).model_dump() == found.model_dump()


def test_what_is_gone_from_one_run_is_no_difference(store: Store) -> None:
    """Data and code that only one run still has are not told as though the other had had none."""
    one, other = finished_run(store, A), finished_run(store, B, dataset="birds", file="other.gz")
    take_away(store, one, *(row.stage for row in one.stages))
    found = compare_runs(store, one, other)
    assert found.a.gone == ("download images.gz", "parse train", "parse test", "normalize", "train", "evaluate")
    assert [each.name for each in found.data] == ["download other.gz"]
    assert {stage for each in found.code for stage in each.stages} == {"download"}
    assert [each.name for each in found.parameters] == ["dataset"]
    assert not found.environment


def test_what_both_runs_have_lost_and_had_in_common_is_told_to_be_the_same(store: Store) -> None:
    """Of one version two runs had the same, also where it is gone."""
    one, other = finished_run(store, A), finished_run(store, B, training=Training(seed=7))
    take_away(store, one, "download", "parse")
    found = compare_runs(store, one, other)
    assert found.a.gone == found.b.gone == ("download images.gz", "parse train", "parse test")
    assert found.untold == ()
    assert found.disagreement


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


COUNTS = st.integers(0, 60)
PEAK = """
import sys
from pathlib import Path
import pyarrow as pa
from idxflow.comparing.significance import disagreement
for path in sys.argv[1:]:
    disagreement(Path(path), Path(path), ("cat", "dog", "owl"))
    print(pa.default_memory_pool().max_memory())
"""


@settings(deadline=None)  # the first one imports SciPy
@given(b=COUNTS, c=COUNTS)
def test_the_p_value_is_the_binomial_tail_on_both_sides(b: int, c: int) -> None:
    """The p-value is twice the chance that n fair coins give at most the smaller count of heads, and at most 1."""
    tail = sum(comb(b + c, heads) for heads in range(min(b, c) + 1)) / 2 ** (b + c)
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(min(1, 2 * tail), rel=1e-9)


def test_without_a_discordant_image_there_is_nothing_to_explain() -> None:
    """Where no image tells the models apart, p is exactly 1."""
    assert mcnemar(0, 0) == 1


def test_the_images_that_one_model_alone_gets_right_are_told(tmp_path: Path) -> None:
    """Images are told by sample id, class names and probabilities, for each model those that only it gets right."""
    one = predictions(tmp_path / "one", (0, 1, 2, 2), (0, 0, 2, 1))
    other = predictions(tmp_path / "other", (0, 1, 2, 2), (0, 1, 1, 0))
    found = disagreement(one, other, CLASSES)
    assert found
    (mine,), (theirs,) = found.only_a_right, found.only_b_right
    assert (mine.sample_id, mine.label, mine.predicted_a, mine.predicted_b) == (2, "owl", "owl", "dog")
    assert (theirs.sample_id, theirs.label, theirs.predicted_a, theirs.predicted_b) == (1, "dog", "cat", "dog")
    assert mine.probability_a == theirs.probability_b == 0.75
    assert (found.b, found.c, found.n, found.p_value) == (1, 1, 2, 1)


@pytest.mark.parametrize(("images", "more"), [(5, False), (6, True)])
def test_only_what_chance_rarely_does_is_more_than_chance(tmp_path: Path, images: int, more: bool) -> None:
    """Five images that all fall to one model are chance at level 0.05 (p = 0.0625), six are not (p = 0.031)."""
    labels = [1] * images
    found = disagreement(
        predictions(tmp_path / "one", labels, [0] * images), predictions(tmp_path / "other", labels, labels), CLASSES
    )
    assert found
    assert (found.b, found.c, found.more_than_chance, found.level) == (0, images, more, LEVEL)
    assert found.p_value == 2 / 2**images


def test_the_order_of_the_rows_makes_no_difference(tmp_path: Path) -> None:
    """Images are matched by their ids, in whatever order the files hold them."""
    one = predictions(tmp_path / "one", (0, 1, 2), (0, 0, 0), ids=(0, 1, 2))
    other = predictions(tmp_path / "other", (2, 1, 0), (2, 0, 0), ids=(2, 1, 0))
    found = disagreement(one, other, CLASSES)
    assert found
    assert [image.sample_id for image in found.only_b_right] == [2]
    assert not found.only_a_right


@pytest.mark.parametrize(("labels", "ids"), [((0, 1, 1), (0, 1, 2)), ((0, 1, 2), (0, 1, 3)), ((0, 1), (0, 1))])
def test_predictions_of_other_images_are_not_compared(
    tmp_path: Path, labels: tuple[int, ...], ids: tuple[int, ...]
) -> None:
    """Another label, another sample id or another number of images: not the same images."""
    one = predictions(tmp_path / "one", (0, 1, 2), (0, 1, 2))
    assert disagreement(one, predictions(tmp_path / "other", labels, labels, ids), CLASSES) is None


def test_memory_does_not_grow_with_the_train_split(tmp_path: Path) -> None:
    """Predictions for ten times as many train images take no more memory."""
    short = predictions(tmp_path / "short", (0, 1, 2), (0, 1, 2), train_groups=10)
    long = predictions(tmp_path / "long", (0, 1, 2), (0, 1, 2), train_groups=100)
    done = subprocess.run([sys.executable, "-c", PEAK, short, long], capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert 0 < many < 2 * few
