"""Evaluation: every image of both splits is scored once, from the stored model and tables."""

from __future__ import annotations

import csv
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from artifacts.ref import Ref
from schemas.datasets import Checks, TableSpec
from schemas.errors import BadTable
from schemas.image_table import Batch, ImageTable
from schemas.results import Metrics, wilson_interval
from schemas.training import Training
from tasks import evaluate as module
from tasks.evaluate import EvaluateSummary, evaluate, predict, write_confusion
from tasks.fitting.backend import keras
from tasks.fitting.network import build_network
from tasks.inference.perceptron import Perceptron
from tasks.quality.scoring import Scores, score
from tasks.validate import validate_table
from tests.tasks.measured import measured
from tests.tasks.refs import bind
from tests.tasks.small_split import CLASSES, MEAN, SHAPE, STD, small_split, table_artifact

TRAIN, TEST = small_split(150), small_split(61, seed=8)
FILES = {"metrics.json", "predictions.parquet", "confusion.csv"}


@pytest.fixture
def model(tmp_path: Path) -> Ref:
    """An untrained model: half of its predictions are wrong."""
    stage = bind("train", tmp_path / "train-stage")
    network = build_network(Training(hidden=(5,)), MEAN.reshape(SHAPE), STD, len(CLASSES), 150)
    network.classifier.save(tmp_path / "train-stage" / "model.keras")
    return stage


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Ref, Ref]:
    """Both splits, in several row groups."""
    return table_artifact(tmp_path / "a", "train", TRAIN), table_artifact(tmp_path / "b", "test", TEST)


def profile_artifact(folder: Path, table: Ref) -> Ref:
    """Validate a table and return the artifact of its profile."""
    folder.mkdir(parents=True)
    opened = ImageTable(table.file())
    meaning = opened.metadata.model_dump()
    spec = TableSpec.model_validate({"dataset": "small", **meaning})
    validate_table(opened, spec, Checks(), None, folder / "profile.parquet")
    return bind("validate", folder)


def run(model: Ref, tables: tuple[Ref, Ref], out: Path) -> EvaluateSummary:
    """Run the stage into a new folder."""
    out.mkdir()
    profiles = {
        split: profile_artifact(out.with_name(f"{out.name}-profiles") / split, table)
        for split, table in zip(("train", "test"), tables, strict=True)
    }
    summary = evaluate.function(model, *tables, profiles, out)
    assert isinstance(summary, EvaluateSummary)
    return summary


def test_every_image_is_scored_once(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """Predictions hold each sample of each split once, in table order, with what the model says of its own pixels."""
    run(model, tables, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pydict()
    assert rows["split"] == ["train"] * 150 + ["test"] * 61
    assert rows["sample_id"] == [*range(150), *range(61)]
    assert rows["label"] == [*TRAIN.label, *TEST.label]
    loaded = keras.saving.load_model(model.file("model.keras"))
    probabilities = np.asarray(loaded(np.concatenate([TRAIN.image, TEST.image])))
    assert rows["predicted"] == probabilities.argmax(axis=1).tolist()
    np.testing.assert_allclose(rows["probability"], probabilities.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(rows["loss"], -np.log(probabilities[np.arange(211), rows["label"]]), rtol=1e-5)


def test_files_and_summary_tell_the_same(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """Metrics follow from the predictions of their split, as do summary and confusion.csv, and Keras agrees."""
    summary = run(model, tables, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    metrics = Metrics.model_validate_json((tmp_path / "out" / "metrics.json").read_bytes())
    loaded = keras.saving.load_model(model.file("model.keras"))
    loaded.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    for data, found in ((TRAIN, metrics.train), (TEST, metrics.test)):
        scores = score(Perceptron.read(model.file("model.keras"))(data.image), data.label)
        expected = measured(scores, CLASSES, unseen=data is TEST)
        assert found.model_dump(exclude={"loss"}) == expected.model_dump(exclude={"loss"})
        loss, accuracy = loaded.evaluate(data.image, data.label, verbose=0)
        assert (found.loss, found.accuracy) == pytest.approx((loss, accuracy), rel=1e-5)
        assert 0 < found.accuracy < 1
        assert found.interval == (wilson_interval(found.accuracy, found.samples) if data is TEST else None)
    assert summary.content.keys() == {"predictions.parquet"}
    assert (summary.test_samples, summary.test_accuracy) == (61, metrics.test.accuracy)
    assert (summary.train_samples, summary.train_loss) == (150, metrics.train.loss)
    with (tmp_path / "out" / "confusion.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["true class", *CLASSES]
    assert [(name, *map(int, counts)) for name, *counts in rows] == [
        (name, *counts) for name, counts in zip(CLASSES, metrics.test.confusion, strict=True)
    ]


def test_a_leak_is_measured(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """Test images that occur in the train split are counted, whatever their labels, and the others scored apart."""
    image = TEST.image.copy()
    image[::2] = TRAIN.image[:31]
    leaky = table_artifact(tmp_path / "leaky", "test", replace(TEST, image=image))
    summary = run(model, (tables[0], leaky), tmp_path / "out")
    train_images = {row.tobytes() for row in TRAIN.image}
    unseen = np.array([row.tobytes() not in train_images for row in image])
    metrics = Metrics.model_validate_json((tmp_path / "out" / "metrics.json").read_bytes())
    assert summary.leaked == metrics.leaked == 61 - unseen.sum() >= 31
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pydict()
    right = np.array(rows["label"][150:]) == np.array(rows["predicted"][150:])
    assert metrics.unseen_accuracy == pytest.approx(right[unseen].mean())
    assert metrics.unseen_accuracy != metrics.test.accuracy


def test_a_test_split_of_copies_has_nothing_unseen(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """Where every test image occurs in the train split, there is no accuracy on others."""
    copies = table_artifact(tmp_path / "copies", "test", TRAIN)
    assert run(model, (tables[0], copies), tmp_path / "out").leaked == 150
    metrics = Metrics.model_validate_json((tmp_path / "out" / "metrics.json").read_bytes())
    assert (metrics.leaked, metrics.unseen_accuracy) == (150, None)


def test_a_second_evaluation_writes_the_same_bytes(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """All three files are deterministic."""
    run(model, tables, tmp_path / "one")
    run(model, tables, tmp_path / "two")
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_scores_are_kept(
    model: Ref, tables: tuple[Ref, Ref], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a row group is scored, memory holds the scores of the one before it, and of no other."""
    scored: list[weakref.ref[Scores]] = []
    alive = []

    def watched(model: Any, batch: Batch) -> Scores:
        alive.append(sum(scores() is not None for scores in scored))
        scores = predict(model, batch)
        scored.append(weakref.ref(scores))
        return scores

    monkeypatch.setattr(module, "predict", watched)
    run(model, tables, tmp_path / "out")
    assert alive == [0, 1, 1, 1, 1, 1]


def test_a_table_of_another_kind_is_refused(model: Ref, tables: tuple[Ref, Ref], tmp_path: Path) -> None:
    """A split with other classes than the model's is refused with both numbers."""
    odd = table_artifact(tmp_path / "odd", "test", TEST, classes=(*CLASSES, "blinding"))
    with pytest.raises(
        BadTable, match=r"the test table: expected 6 pixels and 3 classes.* found 6 pixels and 4 classes"
    ):
        run(model, (tables[0], odd), tmp_path / "out")


def test_of_many_classes_the_pairs_are_written(tmp_path: Path) -> None:
    """Above 256 classes `confusion.csv` has one row per pair of classes that occurs, with its number of images."""
    names = ["=odd", *map(str, range(1, 300))]
    rows = 4
    scores = Scores(np.array([7, 0, 0, 0]), np.array([7, 299, 0, 299]), np.ones(rows), np.zeros(rows))
    write_confusion(tmp_path / "confusion.csv", measured(scores, names))
    assert (tmp_path / "confusion.csv").read_text("utf-8").splitlines() == [
        "true class,predicted class,images", "'=odd,'=odd,1", "'=odd,299,2", "7,7,1",
    ]  # fmt: skip


def test_a_class_name_is_no_formula(tmp_path: Path) -> None:
    """In the confusion matrix a name that begins like a formula gets a mark; a negative number is a number."""
    names = ("=1+1", "-1", "@x", "two\nlines")
    one = Scores(np.arange(4), np.zeros(4, np.int64), np.ones(4), np.ones(4))
    write_confusion(tmp_path / "confusion.csv", measured(one, names))
    rows = (tmp_path / "confusion.csv").read_text("utf-8").splitlines()
    assert rows[0] == "true class,'=1+1,-1,'@x,two\\nlines"
    assert [row.split(",")[0] for row in rows[1:]] == ["'=1+1", "-1", "'@x", "two\\nlines"]
