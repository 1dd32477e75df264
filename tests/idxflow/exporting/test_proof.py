"""The proof notices every difference, asks about every row once, and says what differs."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from idxflow.exporting.formats.form import Predictor, find_formats
from idxflow.exporting.proof import BATCHES, NotProved, StoredScores, prove, read_stored
from schemas.errors import BadTable
from schemas.image_table import ImageTable
from tests.idxflow.exporting.real_model import IMAGES, real_model

KERAS, INT8 = (find_formats([name], 1)[0] for name in ("keras", "litert-int8"))
Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its test table and predictions."""
    folder = tmp_path_factory.mktemp("real")
    for name, content in vars(real_model()).items():
        (folder / {"model": "model.keras"}.get(name, f"{name}.parquet")).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def stored(laid: Path) -> StoredScores:
    """The test rows as they were scored."""
    return read_stored(ImageTable(laid / "table.parquet"), laid / "predictions.parquet", laid / "model.keras")


@pytest.fixture(scope="module")
def right(laid: Path) -> Predictor:
    """The model itself."""
    return KERAS.load(laid)


def spoilt(right: Predictor, change: Callable[[Floats], object], batch: int) -> Predictor:
    """Return a model whose answers are changed for batches of one size alone."""

    def predict(pixels: npt.NDArray[np.uint8]) -> Floats:
        found = np.array(right(pixels))
        if len(pixels) == batch:
            change(found)
        return found

    return predict


def swap(found: Floats) -> None:
    """Give one image's second best class the first place."""
    worst, best = found[-1].argsort()[-2:]
    found[-1, [worst, best]] = found[-1, [best, worst]]


def lower(found: Floats) -> None:
    """Take a little of the best class's probability, so that no class changes."""
    found[0, found[0].argmax()] -= 1e-5


def test_the_model_itself_is_proved(stored: StoredScores, right: Predictor) -> None:
    """Each of its test images has the stored class, and the stored probability but for the order of sums."""
    found = prove(KERAS, right, stored)
    assert (found.images, found.equal, found.ties, found.exact) == (IMAGES, IMAGES, 0, True)
    assert found.largest_difference < 1e-6
    assert found.accuracy == found.stored_accuracy == np.mean(stored.predicted == stored.table.labels())


def test_every_image_is_asked_about_once(stored: StoredScores, right: Predictor) -> None:
    """Batches of one, of an odd number and of many are together the test split, in its order and as it is stored."""
    seen: list[npt.NDArray[np.uint8]] = []

    def predict(pixels: npt.NDArray[np.uint8]) -> Floats:
        seen.append(pixels)
        return right(pixels)

    prove(KERAS, predict, stored)
    assert Counter(map(len, seen)) == Counter([*BATCHES[:-1], IMAGES - sum(BATCHES[:-1])])
    np.testing.assert_array_equal(np.concatenate(seen), stored.table.read().image)


@pytest.mark.parametrize("batch", [1, 7, 64, IMAGES - 72])
@pytest.mark.parametrize(("change", "told"), [(swap, r"another class of 1 image \(sample_id \d+\), "), (lower, "prob")])
def test_one_wrong_answer_is_refused(
    change: Callable[[Floats], object], told: str, batch: int, stored: StoredScores, right: Predictor
) -> None:
    """One image of one batch size with another class, or with its own a hundred-thousandth less probable, is enough."""
    with pytest.raises(NotProved, match=rf"format keras: expected the stored class of 90 test images, .* found {told}"):
        prove(KERAS, spoilt(right, change, batch), stored)


def test_the_true_classs_probability_counts(stored: StoredScores, right: Predictor) -> None:
    """A probability that is wrong only for the true class of an image that is misclassified is noticed by its loss."""
    labels, at = stored.table.labels(), int(np.flatnonzero(stored.predicted != stored.table.labels())[0])
    place = iter(range(IMAGES))

    def predict(pixels: npt.NDArray[np.uint8]) -> Floats:
        found = np.array(right(pixels))
        for row in found:
            if (image := next(place)) == at:
                row[labels[image]] += 1e-4
        return found

    with pytest.raises(NotProved, match=r"found probabilities up to 1\.0e-04 off"):
        prove(KERAS, predict, stored)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda found: np.full_like(found, np.nan), "NaN or infinity"),
        (lambda found: found.astype(np.float64), "float64"),
        (lambda found: found[:, :9], r"float32 \(1, 9\)"),
        (lambda found: found[0], r"float32 \(10,\)"),
    ],
)
@pytest.mark.parametrize("form", [KERAS, INT8], ids=["exact", "measured"])
def test_what_is_no_answer_is_refused(
    answer: Callable[[Floats], Floats], told: str, form: object, stored: StoredScores, right: Predictor
) -> None:
    """NaN, another type or shape is refused, also of a format that is only measured."""
    with pytest.raises(NotProved, match=rf"expected probabilities, float32 \(1, 10\), found {told}\. Nothing was exp"):
        prove(form, lambda pixels: answer(right(pixels)), stored)  # type: ignore[arg-type]


def test_a_measured_format_may_differ(stored: StoredScores, right: Predictor) -> None:
    """Of a format that is not exact the same difference is counted, and nothing is refused."""
    found = prove(INT8, spoilt(right, swap, 7), stored)
    assert (found.images, found.equal, found.ties, found.exact) == (IMAGES, IMAGES - 1, 0, False)
    assert f", the model's own {found.stored_accuracy:.2%}".replace("%", " %") in found.words


def test_a_tie_is_no_difference(stored: StoredScores, right: Predictor) -> None:
    """Two classes that are equally probable within the tolerance may change places, which is counted and said."""
    halves = np.zeros((IMAGES, 10), np.float32)
    halves[:, 3], halves[:, 4] = 0.5 - 1e-6, 0.5 + 1e-6
    probability = np.full(IMAGES, 0.5, np.float32)
    true = np.where(np.isin(stored.table.labels(), (3, 4)), np.float32(0.5), np.float32(0))
    tied = StoredScores(stored.table, np.full(IMAGES, 3, np.uint16), probability, true)
    found = prove(KERAS, lambda pixels: halves[: len(pixels)], tied)
    assert (found.equal, found.ties) == (0, IMAGES)
    assert "0 of 90 classes as stored, 90 ties, " in found.words


def test_predictions_of_other_rows_are_no_proof(laid: Path, tmp_path: Path) -> None:
    """Where the stored predictions are not of the test table's rows, one by one, nothing is proved with them."""
    rows = pq.read_table(io.BytesIO(real_model().predictions))
    for wrong in (rows.slice(0, IMAGES), rows.slice(4), rows.filter(rows["sample_id"].to_numpy() != 5)):
        pq.write_table(wrong, tmp_path / "predictions.parquet")
        with pytest.raises(BadTable, match=r"expected a prediction of each of 90 test images, found 8\d rows of other"):
            read_stored(ImageTable(laid / "table.parquet"), tmp_path / "predictions.parquet", laid / "model.keras")
