"""Colour through the whole pipeline, by real runs: what hue alone tells apart is learned, and its grey is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from flows.pipeline import pipeline
from flows.run_record import RunRecord
from flows.summary import summary_page
from idxflow.api import open_store
from idxflow.exporting.export import export
from schemas.errors import InvalidData, UsageError
from schemas.results import STATISTICS, Statistics
from schemas.training import Training
from tests.flows.colour_sets import CLASSES, SIDE, draw_hues, grey_of, write_set
from tests.flows.own_sets import OwnSet, draw, table_of
from tests.flows.test_tuned import read_split
from tests.tasks.test_figures import embedded_image

pytestmark = pytest.mark.usefixtures("prefect_server")
TRAINING = Training(epochs=6)


def run(own: OwnSet, training: Training = TRAINING) -> RunRecord:
    """Run the pipeline over a set."""
    record: RunRecord = pipeline(own.toml, training=training)
    return record


def folder(home: Path, record: RunRecord, stage: str, name: str = "") -> Path:
    """Where an artifact of a run lies."""
    row = next(row for row in record.stages if (row.stage, row.name) == (stage, name))
    return Store(home).folder(stage, row.version)


@pytest.mark.slow
def test_hue_is_learned_and_its_grey_is_not(home: Path, tmp_path: Path) -> None:
    """A network of colours names the hue of 99 in 100 pictures; one of the same pictures in grey guesses."""
    train, test = draw_hues(1, 600), draw_hues(2, 900)
    grey = {"train": (grey_of(train[0]), train[1]), "test": (grey_of(test[0]), test[1])}
    colours = run(write_set(tmp_path / "hues", {"train": train, "test": test}, CLASSES))
    guesses = run(write_set(tmp_path / "greys", grey, CLASSES))
    assert colours.metrics["test"].accuracy >= 0.99
    assert guesses.metrics["test"].accuracy < 0.4  # chance is a third; four standard errors above it are 0.396

    (caveat,) = (each for each in colours.caveats if each.kind == "perceptron")
    assert caveat.message in summary_page(colours)
    assert "perceptron" not in {each.kind for each in guesses.caveats}
    page = (folder(home, colours, "report") / "report.html").read_text()
    assert caveat.message in page
    assert "leaves, 32 \N{MULTIPLICATION SIGN} 32 pixels in colour" in page
    drawn = embedded_image((folder(home, colours, "report") / "samples.svg").read_bytes())[..., :3] * 255
    np.testing.assert_allclose(drawn, train[0][np.flatnonzero(train[1] == 0)[0]], atol=0.5)

    mean = np.load(folder(home, colours, "normalize") / "mean.npy")
    np.testing.assert_allclose(mean, train[0].reshape(600, -1).mean(axis=0) / 127.5 - 1, atol=1e-12)

    ran = open_store(home).run(colours.id)
    images = ran.table("test").image
    np.testing.assert_array_equal(images, test[0])
    found = ran.predict(images)
    stored = ran.predictions().filter(np.array([False] * 600 + [True] * 900)).to_pydict()
    assert found.label.tolist() == stored["predicted"]
    with pytest.raises(UsageError, match=r"found \(900, 32, 32\)\. These look grey, and the model was trained on red"):
        ran.predict(grey["test"][0])
    with pytest.raises(UsageError, match=r"found \(900, 32, 32, 3\)\. These look like colours"):
        open_store(home).run(guesses.id).predict(images)
    normalized = ran.table("train", "normalized").image
    assert normalized.shape == (600, SIDE, SIDE, 3)
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-5)


def test_grey_in_three_channels_is_the_same_set(home: Path, tmp_path: Path) -> None:
    """Grey images repeated three times have the same labels, the same figures, and the mean image repeated."""
    splits = {name: draw(seed, rows) for name, seed, rows in (("train", 5, 90), ("test", 6, 30))}
    tripled = {name: (np.repeat(images[..., None], 3, axis=3), labels) for name, (images, labels) in splits.items()}
    records = [run(write_set(tmp_path / name, each, CLASSES)) for name, each in (("one", splits), ("three", tripled))]
    for split, (images, labels) in splits.items():
        tables = [table_of(home, record, split) for record in records]
        assert tables[0][1].tolist() == tables[1][1].tolist() == labels.tolist()
        np.testing.assert_array_equal(tables[1][0], np.repeat(images.reshape(len(images), -1), 3, axis=1))
        figures = [
            Statistics.model_validate_json((folder(home, record, "validate", split) / STATISTICS).read_bytes())
            for record in records
        ]
        alike = [each.model_dump(exclude={"shape", "sum", "sum_of_squares"}) for each in figures]
        assert alike[0] == alike[1]
    means = [np.load(folder(home, record, "normalize") / "mean.npy") for record in records]
    np.testing.assert_array_equal(np.repeat(means[0], 3), means[1])
    stds = [json.loads((folder(home, each, "normalize") / "normalizer.json").read_bytes())["std"] for each in records]
    assert stds[0] == stds[1]


def test_colours_may_be_shifted(home: Path, tmp_path: Path) -> None:
    """A network whose pictures are moved while it learns names hues as well: channels are not mixed by a shift."""
    splits = {"train": draw_hues(1, 300), "test": draw_hues(2, 150)}
    record = run(write_set(tmp_path / "hues", splits, CLASSES), Training(shift=3, epochs=10))
    assert record.metrics["test"].accuracy >= 0.99


def test_one_third_of_a_pixel_is_enough_to_differ(home: Path, tmp_path: Path) -> None:
    """Images that differ in one channel of one pixel are no duplicates, and equal ones are found, as of grey images."""
    images, labels = draw_hues(3, 60)
    images[1] = images[0]
    images[2] = images[0]
    images[2, 31, 31, 2] ^= 1
    own = write_set(tmp_path / "hues", {"train": (images, labels), "test": draw_hues(4, 30)}, CLASSES)
    own.folder.joinpath("leaves.toml").write_text("checks.duplicate = 'error'\n" + Path(own.toml).read_text())
    with pytest.raises(InvalidData, match=r"images that occur more than once, .*: 2 \(sample_id 0, 1\)"):
        run(own)


@pytest.mark.slow
def test_an_exported_model_of_colours_stands_alone(home: Path, tmp_path: Path) -> None:
    """The card's snippet names a picture as evaluate did, and refuses grey and channels that stand first."""
    splits = {"train": draw_hues(1, 300), "test": draw_hues(2, 60)}
    record = run(write_set(tmp_path / "hues", splits, CLASSES))
    ran, target = open_store(home).run(record.id), tmp_path / "model"
    export(open_store(home).store, ran.artifact("train"), target)
    assert json.loads((target / "labels.json").read_bytes())["shape"] == [SIDE, SIDE, 3]
    snippet = re.search(r"```python\n(.*?)```", (target / "README.md").read_text(), re.DOTALL)
    assert snippet
    mine, swapped = re.subn(r"images = np\.zeros\(.*\)", 'images = np.load("image.npy")', snippet[1])
    assert swapped == 1
    picture = splits["test"][0][:1]

    def answer(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> subprocess.CompletedProcess[str]:
        np.save(target / "image.npy", image)
        return subprocess.run([sys.executable, "-c", mine], cwd=target, capture_output=True, text=True, check=False)

    found = ran.predict(picture)
    assert answer(picture).stdout == f"{found.name[0]} {found.probabilities.max():.1%}\n"
    for wrong, shape in ((grey_of(picture), r"\(1, 32, 32\)"), (picture.transpose(0, 3, 1, 2), r"\(1, 3, 32, 32\)")):
        refused = answer(wrong)
        assert (refused.returncode, refused.stdout) == (1, "")
        told = rf"uint8 \(n, 32, 32, 3\), the last axis red, green, blue, found uint8 {shape}\n"
        assert re.search(rf"images: expected raw pixels, 0 to 255, {told}", refused.stderr)


@pytest.mark.slow
@pytest.mark.mnist
def test_mnist_in_three_channels_is_learned_as_well(mnist_files: Path, home: Path, tmp_path: Path) -> None:
    """Digits repeated three times have the genuine labels, and are named no worse than grey ones, by a point."""
    found = []
    whole = {name: read_split(mnist_files, prefix) for name, prefix in (("train", "train"), ("test", "t10k"))}
    for channels in (1, 3):
        splits = {
            name: (
                np.repeat(batch.image.reshape(-1, 28, 28, 1), channels, axis=3).squeeze()[:10_000],
                batch.label[:10_000].astype(np.uint8),
            )
            for name, batch in whole.items()
        }
        record = run(write_set(tmp_path / f"{channels}", splits, tuple("0123456789")))
        assert table_of(home, record, "test")[1].tolist() == whole["test"].label.tolist()
        found.append(record.metrics["test"].accuracy)
    assert found[1] > found[0] - 0.01  # three equal inputs learn faster than one: after six epochs they are ahead
