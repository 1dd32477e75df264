"""New images named by a trained network: what is said of each, of all, and beside what evaluate said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from artifacts.ref import Ref
from artifacts.store.files import sha256_of
from artifacts.store.own_folders import OwnFolders
from schemas.datasets import Checks, TableSpec
from schemas.errors import StageError
from schemas.image_spec import ImageSpec
from schemas.image_table import Batch, ImageTable
from schemas.model import MODEL
from schemas.pictures import PictureSpec
from schemas.scoring import REFERENCE, SCORED, SCORES, Meaning, Place, Reference, Scored
from schemas.training import Training
from tasks.evaluate import evaluate
from tasks.fitting.network import build_network
from tasks.formats.tree import left_out
from tasks.reference import FEWEST, reference
from tasks.score import Scoring, content_of, digests_of, score
from tasks.validate import validate_table
from tests.tasks.idx_bytes import write_idx
from tests.tasks.picture_bytes import saved
from tests.tasks.refs import bind
from tests.tasks.small_split import CLASSES, MEAN, SHAPE, STD, small_split, table_artifact

TRAIN, TEST = small_split(400), small_split(150, seed=8)
SPEC = ImageSpec(rows=SHAPE[0], columns=SHAPE[1])
MEANING = Meaning(shape=SPEC, classes=CLASSES, stored=(0, 1, 2))


@pytest.fixture
def model(tmp_path: Path) -> Ref:
    """A network without training: it names half of the images wrong."""
    stage = bind("train", tmp_path / "model")
    network = build_network(Training(hidden=(5,), seed=2), MEAN.reshape(SHAPE), STD, len(CLASSES), 150)
    network.classifier.save(tmp_path / "model" / MODEL)
    return stage


@pytest.fixture
def evaluated(model: Ref, tmp_path: Path) -> Path:
    """The folder of the network's evaluation."""
    return evaluate_on(model, TEST, tmp_path)


def evaluate_on(model: Ref, test: Batch, folder: Path) -> Path:
    """Evaluate a network, and validate its tables, in a folder. Returns: that of the evaluation."""
    tables, profiles = {}, {}
    for split, data in (("train", TRAIN), ("test", test)):
        tables[split] = table_artifact(folder / f"table-{split}", split, data)
        (folder / f"profile-{split}").mkdir()
        opened = ImageTable(tables[split].file())
        spec = TableSpec.model_validate({"dataset": "small", **opened.metadata.model_dump()})
        validate_table(opened, spec, Checks(), None, folder / f"profile-{split}" / "profile.parquet")
        profiles[split] = bind("validate", folder / f"profile-{split}")
    (folder / "scores").mkdir()
    evaluate.function(model, tables["train"], tables["test"], profiles, folder / "scores")
    return folder / "scores"


@pytest.fixture
def known(evaluated: Path, tmp_path: Path) -> Ref:
    """What is known of the training."""
    (tmp_path / "reference").mkdir()
    reference.function(
        bind("validate", tmp_path / "profile-train"), bind("evaluate", evaluated), MEANING, tmp_path / "reference"
    )
    return bind("reference", tmp_path / "reference")


def scored(model: Ref, known: Ref, path: Path, out: Path, **chosen: Any) -> tuple[Scored, list[dict[str, Any]]]:
    """Run the stage over a path. Returns: what it says of all, and its rows."""
    out.mkdir()
    own = OwnFolders(out.with_name("own"))
    listing = own.listing(path, left_out) if path.is_dir() else None
    digests = digests_of(listing.names, listing.digests) if listing else {}
    content = content_of(digests, sorted(digests)) if listing else sha256_of(path)
    usual = {
        "path": str(path),
        "name": path.name,
        "where": "0" * 16,
        "content": content,
        "picture": PictureSpec(shape=SPEC),
    }
    score.function(model, known, Place(**{**usual, **chosen}), own, out)
    rows: list[dict[str, Any]] = pq.read_table(out / SCORES).to_pylist()
    assert {each.name for each in out.iterdir()} == {SCORES, SCORED}
    return Scored.model_validate_json((out / SCORED).read_bytes()), rows


def images(batch: Batch) -> npt.NDArray[np.uint8]:
    """Return the images of a batch in their shape."""
    return batch.image.reshape(-1, *SHAPE)


def test_the_test_split_gets_what_evaluate_said(model: Ref, known: Ref, evaluated: Path, tmp_path: Path) -> None:
    """The same images in the same order: the same classes and the same bits of probability."""
    found, rows = scored(model, known, write_idx(tmp_path / "images", images(TEST)), tmp_path / "out")
    stored = [row for row in pq.read_table(evaluated / "predictions.parquet").to_pylist() if row["split"] == "test"]
    assert [row["predicted"] for row in rows] == [CLASSES[row["predicted"]] for row in stored]
    assert [row["probability"] for row in rows] == [row["probability"] for row in stored]
    assert (found.files, found.images, found.refused, found.labelled) == (1, 150, {}, 0)
    assert [row["sample"] for row in rows] == [*range(150)]
    assert {row["file"] for row in rows} == {"images"}
    assert {row["sha256"] for row in rows} == {sha256_of(tmp_path / "images")}
    assert sum(found.classes.values()) == 150


def test_the_runner_up_and_who_is_sure(model: Ref, known: Ref, tmp_path: Path) -> None:
    """The second class is the most probable of the others; sure is what the coverage table of the test split says."""
    facts = Reference.model_validate_json((tmp_path / "reference" / REFERENCE).read_bytes())
    found, rows = scored(model, known, write_idx(tmp_path / "images", images(TEST)), tmp_path / "out")
    assert facts.sure is not None
    for row in rows:
        assert row["runner_up"] != row["predicted"]
        assert row["probability"] >= row["runner_up_probability"] >= (1 - row["probability"]) / 2 - 1e-6
        assert row["sure"] == (row["probability"] >= np.float32(facts.sure) and not row["unlike"])
    assert found.sure == sum(row["sure"] for row in rows)
    assert 0.94 <= (found.sure or 0) / 150 <= 0.96
    assert found.sure_right == facts.sure_right


def test_of_few_test_images_nobody_is_sure(model: Ref, tmp_path: Path) -> None:
    """Below a hundred test images no threshold is given, and no image is called sure or unsure."""
    folder = tmp_path / "few"
    folder.mkdir()
    few = Batch(*(getattr(TEST, name)[: FEWEST - 1] for name in ("sample_id", "label", "image")))
    scores = evaluate_on(model, few, folder)
    (tmp_path / "reference").mkdir()
    reference.function(
        bind("validate", folder / "profile-train"), bind("evaluate", scores), MEANING, tmp_path / "reference"
    )
    known = bind("reference", tmp_path / "reference")
    found, rows = scored(model, known, write_idx(tmp_path / "images", images(TEST)), tmp_path / "out")
    assert (found.sure, found.sure_right) == (None, None)
    assert {row["sure"] for row in rows} == {None}


def test_images_like_those_of_training_have_not_drifted(model: Ref, known: Ref, tmp_path: Path) -> None:
    """The test split is from where the train split is; dark images are not, each is unlike, and it is said by what."""
    same, rows = scored(model, known, write_idx(tmp_path / "images", images(TEST)), tmp_path / "out")
    assert same.drift == ()
    assert same.words == "none seen"
    assert sum(row["unlike"] for row in rows) == same.unlike <= 2
    dark = np.zeros((100, *SHAPE), np.uint8)
    found, rows = scored(model, known, write_idx(tmp_path / "dark", dark), tmp_path / "dark-out")
    assert {"mean", "class", "unlike"} <= set(found.drift)
    assert all(row["unlike"] for row in rows)
    assert found.unlike == 100
    assert "100.00 % of the images are unlike any trained on" in found.words


def test_labels_give_the_metrics(model: Ref, known: Ref, evaluated: Path, tmp_path: Path) -> None:
    """Images in class folders are measured as evaluate measures; a folder of no class is no label."""
    for at, (image, label) in enumerate(zip(images(TEST), TEST.label, strict=True)):
        folder = tmp_path / "new" / (CLASSES[label] if at else "unsorted")
        folder.mkdir(parents=True, exist_ok=True)
        from PIL import Image

        (folder / f"{at:03}.png").write_bytes(saved(Image.fromarray(image), "PNG"))
    (tmp_path / "new" / "notes.txt").write_text("nothing")
    found, rows = scored(model, known, tmp_path / "new", tmp_path / "out")
    assert (found.files, found.images, found.labelled, found.unknown) == (150, 150, 149, 0)
    assert found.refused == {"no picture, by its ending": 1}
    assert found.metrics is not None
    right = [row["predicted"] == row["label"] for row in rows if row["label"]]
    assert len(right) == found.metrics.samples == 149
    assert found.metrics.accuracy == sum(right) / 149
    assert {row["file"] for row in rows if row["sample"] is None} == {"notes.txt"}


def test_groups_are_cut_as_a_tables(model: Ref, known: Ref, monkeypatch: pytest.MonkeyPatch) -> None:
    """However images come, they go through the network in groups of a table's size, each once and in order."""
    from tasks.formats.unlabelled import Block
    from tasks.inference.perceptron import Perceptron

    monkeypatch.setattr("schemas.image_table.ROW_GROUP", 40)
    facts = Reference.model_validate_json(known.file(REFERENCE).read_bytes())
    network = Perceptron.read(model.file(MODEL))
    scoring = Scoring(network, facts, {})
    sizes = []
    monkeypatch.setattr(
        Scoring, "_name", lambda self, files, parts, samples, labels, pixels: sizes.append(list(samples))
    )
    for start, stop in ((0, 1), (1, 95), (95, 96), (96, 150)):
        n = stop - start
        scoring.add(Block(["x"] * n, [None] * n, range(start, stop), [None] * n, TEST.image[start:stop]))
    scoring.flush()
    assert [len(each) for each in sizes] == [40, 40, 40, 30]
    assert [at for each in sizes for at in each] == [*range(150)]


def test_a_folder_that_changes_meanwhile(model: Ref, known: Ref, tmp_path: Path) -> None:
    """A folder has to be what the key was made of, or of a part of it, that part."""
    (tmp_path / "new").mkdir()
    write_idx(tmp_path / "new" / "images", images(TEST))
    for at, only in enumerate((None, ("images",))):
        with pytest.raises(StageError, match=r"new: expected a file that stays as it is"):
            scored(model, known, tmp_path / "new", tmp_path / f"out-{at}", content="0" * 64, only=only)


def test_a_file_that_changes_meanwhile(model: Ref, known: Ref, tmp_path: Path) -> None:
    """What was read has to be what the key was made of."""
    path = write_idx(tmp_path / "images", images(TEST))
    with pytest.raises(StageError, match=r"images: expected a file that stays as it is"):
        scored(model, known, path, tmp_path / "out", content="0" * 64)
