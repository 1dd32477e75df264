"""The fitted normaliser: exact sums, the tutorial's arithmetic, and the proof of validation."""

from __future__ import annotations

import gzip
import math
import random
from fractions import Fraction
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from schemas.datasets import Checks
from schemas.errors import InvalidData
from schemas.model import NormalizerFacts
from schemas.results import Statistics
from tasks.normalize import normalize, normalize_pixels
from tasks.quality.pixel_sums import PixelSums, merge
from tasks.validate import validate_table
from tests.tasks.refs import bind
from tests.tasks.splits import draw, save, spec_of

images = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24))
quick = settings(deadline=None)


def same(left: PixelSums, right: PixelSums) -> bool:
    """Return whether two sums are equal in every integer."""
    return (left.samples, left.columns.tolist(), left.squares) == (right.samples, right.columns.tolist(), right.squares)


@quick
@given(images)
def test_sums_are_those_of_integers(image: npt.NDArray[np.uint8]) -> None:
    """Column sums and the sum of squares are what Python's integers give."""
    sums = PixelSums.of(image)
    assert sums.columns.tolist() == [sum(int(value) for value in column) for column in image.T]
    assert sums.squares == sum(int(value) ** 2 for value in image.ravel())


@quick
@given(images, st.lists(st.integers(0, 24), max_size=5), st.randoms(use_true_random=False))
def test_shards_merge_to_the_whole_in_any_order(
    image: npt.NDArray[np.uint8], cuts: list[int], shuffle: random.Random
) -> None:
    """Sums, mean and deviation do not depend on how a table is cut, nor on the order of its parts, to the last bit."""
    whole = PixelSums.of(image)
    parts = [PixelSums.of(part) for part in np.split(image, sorted(min(cut, len(image)) for cut in cuts))]
    shuffle.shuffle(parts)
    merged = merge(parts, image.shape[1])
    assert same(merged, whole)
    assert same(reduce(add, parts), whole)
    assert merged.mean.tobytes() == whole.mean.tobytes()
    assert merged.std == whole.std


@quick
@given(images)
def test_mean_and_deviation_are_those_of_fractions(image: npt.NDArray[np.uint8]) -> None:
    """The mean is the exact one rounded once; the deviation is within the last bits of the exact one."""
    sums = PixelSums.of(image)
    exact = [Fraction(2 * sum(column), 255 * len(image)) - 1 for column in image.T.tolist()]
    assert sums.mean.tolist() == [float(value) for value in exact]
    pixels = [Fraction(2 * value, 255) - 1 for value in image.ravel().tolist()]
    center = sum(pixels) / len(pixels)
    variance = sum((value - center) ** 2 for value in pixels) / len(pixels)
    assert sums.std == pytest.approx(math.sqrt(variance), rel=1e-15)


def test_a_deviation_near_zero_keeps_its_digits() -> None:
    """One pixel of a million that differs by one is seen, where squares in float64 would drown it."""
    image = np.full((1000, 1000), 255, np.uint8)
    image[0, 0] = 254
    n = 10**6
    assert PixelSums.of(image).std == pytest.approx(2 / 255 * math.sqrt((n - 1) / n**2), rel=1e-15)


def test_the_largest_deviation_is_one() -> None:
    """Half black, half white is the largest deviation, and not above the 1 that the schema allows."""
    assert PixelSums.of(np.array([[0, 255]] * 3, np.uint8)).std == 1.0


@quick
@given(arrays(np.uint8, st.tuples(st.integers(2, 24), st.integers(2, 24))).filter(lambda image: np.ptp(image) > 0))
def test_pixels_are_normalised_as_the_tutorial_does(image: npt.NDArray[np.uint8]) -> None:
    """The result is that of the plain float64 script, to float32's precision: fitted by NumPy, and centred the same."""
    sums = PixelSums.of(image)
    scaled = ((image / 255.0) - 0.5) * 2
    naive = (scaled - np.mean(scaled, axis=0)) / np.std(scaled)
    result = normalize_pixels(image, sums.mean, sums.std)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, naive, rtol=1e-6, atol=1e-6)


@quick
@given(images, st.floats(0.01, 1))
def test_the_arithmetic_is_exactly_as_written(image: npt.NDArray[np.uint8], std: float) -> None:
    """With the same mean and deviation, looking the scaled values up gives every bit of computing them."""
    mean = PixelSums.of(image).mean
    written = (((image.astype(np.float64) / 255 - 0.5) * 2 - mean) / std).astype(np.float32)
    assert normalize_pixels(image, mean, std).tobytes() == written.tobytes()


def prepare(folder: Path, image: npt.NDArray[np.uint8], group: int = 7) -> Statistics:
    """Write and validate a train table, the way the stages before do."""
    for stage in ("parse", "validate"):
        (folder / stage).mkdir(parents=True)
    label = (np.arange(len(image)) % 3).astype(np.uint16)
    table = save(folder / "parse" / "table.parquet", image, label, group=group)
    statistics = validate_table(table, spec_of(), Checks(), None, folder / "validate" / "profile.parquet").statistics
    (folder / "validate" / "statistics.json").write_text(statistics.model_dump_json())
    return statistics


def run(train: Path, out: Path) -> NormalizerFacts:
    """Run the stage's own function on what `prepare` left, and read its facts."""
    out.mkdir()
    normalize.function(bind("validate", train / "validate"), out)
    return NormalizerFacts.model_validate_json((out / "normalizer.json").read_bytes())


def test_the_stage_fits_the_train_table(tmp_path: Path) -> None:
    """The stage leaves the facts and the mean image, float64, and nothing else."""
    image, _ = draw(40)
    prepare(tmp_path / "train", image)
    facts = run(tmp_path / "train", tmp_path / "out")
    sums = PixelSums.of(image)
    mean = np.load(tmp_path / "out" / "mean.npy")
    assert (facts.samples, facts.shape.array, facts.sum) == (40, (3, 5), int(image.sum(dtype=np.int64)))
    assert (facts.sum_of_squares, facts.std) == (sums.squares, sums.std)
    assert (mean.dtype, mean.tobytes()) == (np.float64, sums.mean.tobytes())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"normalizer.json", "mean.npy"}


def test_row_groups_leave_no_trace(tmp_path: Path) -> None:
    """The same images in other row groups give the same bytes, so that nothing after normalize is recomputed."""
    image, _ = draw(40)
    for group in (1, 13, 40):
        prepare(tmp_path / str(group), image, group)
        run(tmp_path / str(group), tmp_path / f"out{group}")
    for name in ("normalizer.json", "mean.npy"):
        assert len({(tmp_path / f"out{group}" / name).read_bytes() for group in (1, 13, 40)}) == 1


def test_sums_that_are_not_the_validated_ones_are_refused(tmp_path: Path) -> None:
    """Sums of another table than the statistics are of are noticed, and the error gives both."""
    image, _ = draw(40)
    prepare(tmp_path / "train", image)
    other = image.copy()
    other[3, 3] ^= 1
    validated = prepare(tmp_path / "other", other)
    sums = tmp_path / "other" / "validate" / "sums.npy"
    sums.write_bytes((tmp_path / "train" / "validate" / "sums.npy").read_bytes())
    with pytest.raises(InvalidData, match=rf"expected 40 images, pixel sum {validated.sum}.*--refresh validate"):
        run(tmp_path / "other", tmp_path / "out")


@pytest.mark.parametrize("value", [0, 200])
def test_a_constant_data_set_is_refused(tmp_path: Path, value: int) -> None:
    """Without any deviation there is nothing to divide by: an error says so, and what to look at."""
    prepare(tmp_path / "train", np.full((6, 15), value, np.uint8))
    with pytest.raises(InvalidData, match=f"found 6 images whose pixels are all {value}. There is nothing to learn"):
        run(tmp_path / "train", tmp_path / "out")


@pytest.mark.mnist
def test_the_figures_of_mnist(mnist_files: Path) -> None:
    """MNIST's train images have the published sums and deviation."""
    raw = gzip.decompress((mnist_files / "train-images-idx3-ubyte.gz").read_bytes())
    sums = PixelSums.of(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784))
    assert (sums.samples, sums.sum, sums.squares) == (60000, 1567298545, 342590800147)
    assert sums.std == pytest.approx(0.6162156077, abs=5e-11)
