"""Drift on MNIST: samples of the test split are not flagged, and changed ones are, by whatever they were changed."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from artifacts.store.store import Store
from flows.answers import trained
from flows.pipeline import pipeline
from schemas.model import MODEL
from schemas.results import METRICS, PREDICTIONS, PROFILE, Metrics
from schemas.scoring import Reference, Scored
from tasks.formats.table import parts_of
from tasks.formats.unlabelled import Block
from tasks.inference.perceptron import Perceptron
from tasks.reference import describe
from tasks.score import Scoring

pytestmark = [pytest.mark.slow, pytest.mark.mnist, pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(1800)]
log = logging.getLogger("idxflow.tests.drift")
Images = npt.NDArray[np.float64]
RANDOM = np.random.default_rng(1)
ROWS, COLUMNS = np.arange(28)[:, np.newaxis], np.arange(28)


def each(change: Callable[[Images], Images]) -> Callable[[Images], Images]:
    """Change one image after the other."""
    return lambda images: np.stack([change(image) for image in images])


def turned(degrees: float) -> Callable[[Images], Images]:
    """Turn images about their middle."""
    return lambda images: np.asarray(ndimage.rotate(images, degrees, axes=(1, 2), reshape=False, order=1))


CHANGES: dict[str, Callable[[Images], Images]] = {
    "noise of 10 levels": lambda images: images + RANDOM.normal(0, 10, images.shape),
    "noise of 40 levels": lambda images: images + RANDOM.normal(0, 40, images.shape),
    "salt": lambda images: np.where(RANDOM.random(images.shape) < 0.02, 255, images),
    "slight blur": each(lambda image: ndimage.gaussian_filter(image, 0.7)),
    "blur": each(lambda image: ndimage.gaussian_filter(image, 1.5)),
    "inversion": lambda images: 255 - images,
    "turned by 15 degrees": turned(15),
    "turned by 45 degrees": turned(45),
    "turned by 180 degrees": lambda images: images[:, ::-1, ::-1],
    "mirrored": lambda images: images[:, :, ::-1],
    "moved by 3 pixels": lambda images: np.roll(images, (3, 3), axis=(1, 2)),
    "half the contrast": lambda images: images * 0.5,
    "brighter by 30 levels": lambda images: images + 30,
    "smaller": each(lambda image: np.pad(ndimage.zoom(image, 20 / 28, order=1), 4)),
    "a covered square": lambda images: np.where((ROWS // 7 == 2) & (COLUMNS // 7 == 1), 0, images),
    "thinner": each(lambda image: ndimage.grey_erosion(image, (2, 2))),
    "bolder": each(lambda image: ndimage.grey_dilation(image, (2, 2))),
    "four grey levels": lambda images: np.round(images / 64) * 64,
    "two grey levels": lambda images: np.where(images > 127, 255, 0),
    "transposed": lambda images: images.swapaxes(1, 2),
}


@pytest.fixture
def score(home: Path, mnist_files: Path) -> Callable[[Any], Scored]:
    """What says of images what the tutorial's network says, and whether they have drifted."""
    record: Any = pipeline("mnist", mirrors=(mnist_files.as_uri(),))
    store = Store(home)
    network = trained(store, record.id)
    assert network.made is not None
    made = network.made
    refs = (made.model, *parts_of(made.profile), made.scores)
    folders = {ref.stage: store.folder(ref.stage, ref.version) for ref in refs}
    metrics = Metrics.model_validate_json((folders["evaluate"] / METRICS).read_bytes())
    known: Reference = describe(made.meaning, folders["validate"] / PROFILE, folders["evaluate"] / PREDICTIONS, metrics)
    perceptron = Perceptron.read(folders["train"] / MODEL)

    def score(images: Any) -> Scored:
        n = len(images)
        scoring = Scoring(perceptron, known, {})
        pixels = np.clip(np.round(images), 0, 255).astype(np.uint8).reshape(n, -1)
        scoring.add(Block(["x"] * n, [None] * n, range(n), [None] * n, pixels))
        scoring.flush()
        return scoring.scored()

    return score


def test_what_changed_is_flagged_and_what_has_not_is_not(score: Callable[[Any], Scored], mnist_files: Path) -> None:
    """Of 100 samples of 500 test images one at most is flagged; of 20 changes of 1,000 images each 16 at least."""
    content = gzip.decompress((mnist_files / "t10k-images-idx3-ubyte.gz").read_bytes())
    test = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    samples = [score(test[RANDOM.choice(len(test), 500, replace=False)]) for _ in range(100)]
    flagged = [sample.drift for sample in samples if sample.drift]
    log.info("clean samples flagged: %s", flagged)
    assert len(flagged) <= 1
    images = test[RANDOM.choice(len(test), 1000, replace=False)].astype(np.float64)
    found = {name: score(change(images)).drift for name, change in CHANGES.items()}
    log.info("changes: %s", found)
    assert sum(map(bool, found.values())) >= 16
