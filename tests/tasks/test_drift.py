"""The population stability index and its bins, and what validate makes of drift and of images that train has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from schemas.datasets import Checks
from schemas.errors import InvalidData
from schemas.image_table import Batch
from tasks.quality.drift import (
    beyond_chance,
    chi_squared_tail,
    deciles,
    histogram,
    measure_drift,
    measure_shift,
    pool,
    stability,
)
from tests.tasks.splits import check, draw, spec_of, split

counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=12).filter(any)


def write(path: Path, label: list[int], mean: list[float], ink: list[float]) -> Path:
    """Write the columns of a profile that drift looks at."""
    columns = {"label": np.array(label, np.uint16), "mean": np.array(mean, np.float32)}
    pq.write_table(pa.table(columns | {"ink": np.array(ink, np.float32)}), path, row_group_size=700)
    return path


def test_the_index_of_a_worked_example() -> None:
    """Shares of 1/4 and 3/4 against 3/4 and 1/4 have the index ln 3, but for the half counts."""
    drift = stability("label", np.array([250_000, 750_000]), np.array([750_000, 250_000]))
    assert drift.psi == pytest.approx(np.log(3), rel=1e-5)
    assert drift.noise == pytest.approx(2e-6)


@given(counts)
def test_equal_distributions_do_not_drift(bins: list[int]) -> None:
    """A sample has the index 0 against itself, empty bins included."""
    assert stability("ink", np.array(bins), np.array(bins)).psi == 0


@given(counts)
def test_the_index_is_symmetric_and_not_negative(bins: list[int]) -> None:
    """Exchanging the samples changes nothing, and no pair of samples is less unlike than equal ones."""
    expected, actual = np.array(bins), np.array(bins[::-1])
    there, back = stability("mean", expected, actual).psi, stability("mean", actual, expected).psi
    assert there >= 0
    assert there == pytest.approx(back)


def test_the_noise_is_the_mean_index_of_samples_of_one_population() -> None:
    """Over a thousand pairs of samples of one population, the index is the stated noise on average."""
    rng, shares = np.random.default_rng(0), np.full(10, 0.1)
    pairs = [stability("label", rng.multinomial(3000, shares), rng.multinomial(600, shares)) for _ in range(1000)]
    assert np.mean([pair.psi for pair in pairs]) == pytest.approx(pairs[0].noise, rel=0.05)


@given(st.lists(st.floats(0, 255, width=32), min_size=1, max_size=200))
def test_bins_hold_every_value(values: list[float]) -> None:
    """Each value falls into one bin, those that the edges were not made from included."""
    array = np.array(values, np.float32)
    edges = deciles(array)
    assert 1 <= len(edges) <= 9
    assert histogram(array, edges).sum() == len(values)
    assert histogram(np.array([-1.0, 256.0]), edges).tolist() == [1, *[0] * (len(edges) - 1), 1]


def test_deciles_cut_into_tenths() -> None:
    """A hundred different values fall into ten bins of ten."""
    values = np.random.default_rng(0).permutation(100).astype(np.float32)
    assert histogram(values, deciles(values)).tolist() == [10] * 10


def test_each_feature_drifts_by_itself(tmp_path: Path) -> None:
    """Images that are brighter, but of the same classes and as much ink, drift in their mean alone."""
    rng = np.random.default_rng(0)
    mean, ink, label = rng.uniform(0, 100, 4000), rng.uniform(0, 1, 4000), rng.integers(0, 3, 4000)
    old = write(tmp_path / "train", label[:2000].tolist(), mean[:2000].tolist(), ink[:2000].tolist())
    new = write(tmp_path / "test", label[2000:].tolist(), (mean[2000:] + 50).tolist(), ink[2000:].tolist())
    drift = {one.feature: one.psi - one.noise for one in measure_drift(old, new, 3)}
    assert drift["mean"] > 1
    assert abs(drift["label"]) < 0.01
    assert abs(drift["ink"]) < 0.02


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """The profile of a train split of 300 images."""
    (tmp_path / "train").mkdir()
    check(tmp_path / "train", split(300))
    return tmp_path / "train" / "profile.parquet"


def test_a_like_test_split_does_not_drift(tmp_path: Path, train: Path) -> None:
    """Images of the same kind have a drift of each feature, and no finding."""
    found = check(tmp_path, split(100, seed=1), spec_of("test"), train=train)
    assert [drift.feature for drift in found.drift] == ["label", "mean", "ink"]
    assert found.findings == ()


def test_an_unlike_test_split_drifts(tmp_path: Path, train: Path) -> None:
    """Darker images with more black in them are told by both features, and by the classes if those are others."""
    image, label = draw(100, seed=1)
    darker = Batch(np.arange(100, dtype=np.uint32), label * 0, np.where(image < 100, 0, image // 2).astype(np.uint8))
    (finding,) = check(tmp_path, darker, spec_of("test"), train=train).findings
    assert (finding.check, finding.count, finding.sample_ids) == ("drift", 3, ())
    assert "0.2 above noise: 3 (feature label: " in finding.message
    with pytest.raises(InvalidData, match="features unlike the train split's"):
        check(tmp_path, darker, spec_of("test"), Checks(drift="error"), train)


def test_test_images_that_train_has_are_a_leak(tmp_path: Path, train: Path) -> None:
    """A test image that the train split has is found by its id."""
    image, label = draw(100, seed=1)
    image[[5, 50]] = draw(300)[0][[200, 7]]
    batch = Batch(np.arange(100, dtype=np.uint32), label, image)
    (finding,) = check(tmp_path, batch, spec_of("test"), train=train).findings
    assert finding.message == "images that occur in the train split as well: 2 (sample_id 5, 50)"
    with pytest.raises(InvalidData, match="occur in the train split as well"):
        check(tmp_path, batch, spec_of("test"), Checks(leak="error"), train)


@pytest.mark.parametrize("degrees", [1, 2, 3, 9, 10, 49, 1000])
def test_the_tail_of_chi_squared_is_scipys(degrees: int) -> None:
    """For whole degrees of freedom the finite sums give what SciPy gives, near and far from the mean."""
    for value in (0.0, 0.1, degrees * 0.5, float(degrees), degrees * 1.5 + 5, degrees * 3.0 + 30):
        assert chi_squared_tail(degrees, value) == pytest.approx(scipy.stats.chi2.sf(value, degrees), rel=1e-9)


def test_the_chance_of_the_largest_is_exact() -> None:
    """Of five values all orders are as probable: that the two largest are both new ones, of two, has 1 in 10."""
    assert beyond_chance(2, 2, 3) == pytest.approx(1 / 10)
    assert beyond_chance(1, 2, 3) == pytest.approx(2 / 5)
    assert beyond_chance(0, 2, 3) == 1.0
    random = np.random.default_rng(4)
    drawn = random.random((20_000, 40))
    above = (drawn[:, :10] > drawn[:, 10:].max(axis=1, keepdims=True)).sum(axis=1)
    for beyond in (1, 2, 3):
        assert np.mean(above >= beyond) == pytest.approx(beyond_chance(beyond, 10, 30), rel=0.15)


def test_bins_of_few_are_joined() -> None:
    """Each bin may expect five of the new images; neighbours are joined, and what is left goes to the last one."""
    expected, actual = np.array([1000, 10, 10, 1000, 5]), np.array([3, 1, 2, 4, 0])
    one, other = pool(expected, actual)
    assert (one.tolist(), other.tolist()) == ([2025], [10])
    one, other = pool(np.array([50, 1, 1, 48]), np.array([10, 0, 0, 10]))
    assert (one.tolist(), other.tolist()) == ([50, 50], [10, 10])
    assert pool(expected, actual * 1000)[0].tolist() == expected.tolist()


@pytest.mark.parametrize(("classes", "rare", "images"), [(50, 45, 100), (30, 27, 60), (20, 15, 30), (1000, 500, 500)])
def test_rare_classes_raise_no_alarm(classes: int, rare: int, images: int) -> None:
    """Of images from one population 1 in 100 has a chance below 0.01, also where most classes hardly occur."""
    random = np.random.default_rng(6)
    shares = np.r_[np.full(rare, 0.1 / rare), np.full(classes - rare, 0.9 / (classes - rare))]
    known = random.multinomial(10_000, shares)
    chances = [measure_shift("class", known, random.multinomial(images, shares)).chance for _ in range(500)]
    assert np.mean(np.array(chances) < 0.01) <= 0.03


def test_chance_says_how_often_so_much_would_be_seen() -> None:
    """Of samples from one population one in ten has a chance below 0.1, and one from another population has none."""
    random = np.random.default_rng(3)
    edges = np.arange(1, 10)
    known = histogram(random.integers(0, 10, 20_000), edges)
    chances = [measure_shift("class", known, histogram(random.integers(0, 10, 400), edges)).chance for _ in range(1000)]
    assert 0.07 <= np.mean(np.array(chances) < 0.1) <= 0.13
    moved = measure_shift("class", known, histogram(random.integers(2, 10, 400), edges))
    assert moved.chance < 1e-9
    assert moved.drifted
