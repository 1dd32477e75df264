"""Equal and near images: just those that a comparison of all pairs finds, in groups, for any order, in little time."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality import near
from tasks.quality.near import Found, Stacked, find_equal, find_near
from tasks.quality.profile import digest_images
from tasks.quality.projection import find_directions, multiply, reach_of

Pixels = npt.NDArray[np.uint8]
NOISE = 4.9
"""Standard deviation of noise whose differences are about as large as the threshold: 7 / sqrt(2)."""


def by_hand(images: Pixels) -> tuple[list[tuple[int, int]], list[int]]:
    """Compare all pairs: those of different images that are near, first rows alone, and the group of each row."""
    first = [next(j for j in range(i + 1) if (images[j] == images[i]).all()) for i in range(len(images))]
    leads = [i for i, lead in enumerate(first) if lead == i]
    wide = images.astype(np.int64)
    pairs = [(i, j) for i in leads for j in leads if i < j and ((wide[i] - wide[j]) ** 2).sum() <= 49 * images.shape[1]]
    group = list(range(len(images)))
    for i, j in [*pairs, *enumerate(first)]:
        old, new = group[i], group[j]
        group = [new if one == old else one for one in group]
    return pairs, group


def smallest(images: Pixels, group: list[int]) -> list[int]:
    """Return the smallest digest of each row's group."""
    digests = digest_images(images).tolist()
    return [min(digest for digest, other in zip(digests, group, strict=True) if other == one) for one in group]


@st.composite
def sets(draw: st.DrawFn) -> Pixels:
    """Draw up to 60 images of 1 to 60 values: unlike, equal, a level or a little noise away from each other."""
    rows, values = draw(st.integers(0, 60)), draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    images = random.integers(0, 256, (rows, values))
    for row in range(1, rows):
        other = images[random.integers(row)]
        match random.integers(5):
            case 0:
                images[row] = other
            case 1:
                images[row] = other + random.choice([-7, 7, 8, -8])
            case 2:
                images[row] = other + random.normal(0, 7, values).round()
            case 3:
                images[row] = other + 7 * (random.random(values) < 0.5)
    return images.clip(0, 255).astype(np.uint8)


@given(sets(), st.integers(0, 99))
def test_just_the_near_pairs_are_found(images: Pixels, seed: int) -> None:
    """Pairs, distances and groups are those of a comparison of all pairs; another order changes no group."""
    found = find_near(images)
    pairs, group = by_hand(images)
    assert [tuple(pair) for pair in found.pairs.tolist()] == pairs
    wide = images.astype(np.float64)
    expected = [np.sqrt(((wide[i] - wide[j]) ** 2).mean()) for i, j in pairs]
    np.testing.assert_allclose(found.distances, expected, rtol=1e-12)
    assert found.groups.tolist() == smallest(images, group)
    assert (found.crowds, found.complete) == (0, True)
    order = np.random.default_rng(seed).permutation(len(images))
    np.testing.assert_array_equal(find_near(images[order]).groups, found.groups[order])


def test_the_threshold_itself_is_near() -> None:
    """All values 7 levels apart is near, and one value one more is not."""
    images = np.full((3, 100), 50, np.uint8)
    images[1] += 7
    images[2] -= 7
    images[2, 0] -= 1
    found = find_near(images)
    assert found.pairs.tolist() == [[0, 1]]
    assert found.distances.tolist() == [7.0]
    assert len(set(found.groups.tolist())) == 2


def test_a_chain_is_one_group() -> None:
    """What hangs together by near pairs is one group, whose ends may be far apart; the smallest digest names it."""
    images = np.repeat(np.arange(0, 70, 7, dtype=np.uint8)[:, None], 20, axis=1)
    found = find_near(images)
    assert len(found.pairs) == 9
    assert set(found.groups.tolist()) == {int(digest_images(images).min())}


@pytest.mark.parametrize("values", [3 * 32 * 32, 5000])
def test_large_images_are_compared_whole(values: int) -> None:
    """Where sums of runs are projected, near and far are still told apart by all values."""
    random = np.random.default_rng(2)
    images = random.integers(20, 230, (50, values))
    images = np.concatenate([images, images[:10] + random.choice([-6, 6], (10, values))])
    images = np.concatenate([images, images[:10] + random.choice([-8, 8], (10, values))]).astype(np.uint8)
    assert [tuple(pair) for pair in find_near(images).pairs.tolist()] == [(row, 50 + row) for row in range(10)]


@pytest.mark.parametrize("noise", [1.0, NOISE, 5.1])
def test_a_crowd_is_joined_as_by_hand(noise: float) -> None:
    """Of hundreds of images about as far apart as the threshold no group is wrong; the crowd's pairs are not listed."""
    random = np.random.default_rng(1)
    images = (100 + random.normal(0, noise, (600, 100))).round().clip(0, 255).astype(np.uint8)
    images[300:] += 60  # two clouds
    found = find_near(images)
    wide = images.astype(np.int64)
    near_by = ((wide[:, None] - wide[None]) ** 2).sum(axis=2) <= 4900
    group = np.arange(600)
    while ((joined := np.where(near_by, group, 600).min(axis=1)) != group).any():
        group = joined
    assert found.groups.tolist() == smallest(images, group.tolist())
    sizes = np.bincount(group)
    assert found.crowds == (sizes > near.CROWD).sum() > 0
    assert not np.isin(found.pairs, np.flatnonzero(sizes[group] > near.CROWD)).any()


def test_a_cloud_just_beyond_the_threshold_is_searched_to_the_end() -> None:
    """Thousands of images 9 levels apart are all candidates, and no pair; a planted one among them is found."""
    random = np.random.default_rng(4)
    images = (100 + random.normal(0, 6.5, (3000, 400))).round().astype(np.uint8)
    images[2500] = images[7] + random.choice(np.array([0, 5], np.uint8), 400)
    found = find_near(images)
    assert found.pairs.tolist() == [[7, 2500]]
    assert (found.crowds, found.complete) == (0, True)


def test_a_search_that_is_given_up_says_so() -> None:
    """Beyond the most pairs no near pair is known, and equal images still are a group."""
    random = np.random.default_rng(4)
    images = (100 + random.normal(0, 6.5, (500, 400))).round().astype(np.uint8)
    images[400] = images[3]
    images[401] = images[5] + 1
    found = find_near(images, most_pairs=1000)
    assert (found.complete, found.crowds, found.pairs.tolist()) == (False, 0, [])
    assert found.first[400] == 3
    groups = found.groups.tolist()
    assert groups[400] == groups[3] != groups[5]
    assert len(set(groups)) == 499
    assert find_near(images).pairs.tolist() == [[5, 401]]


def test_all_pairs_of_65536_images_are_not_too_many() -> None:
    """What the module promises of sets of up to 65,536 different images follows from its limit."""
    assert near.MOST_PAIRS >= 65_536 * 65_535 // 2


def test_one_digest_for_different_images_joins_none() -> None:
    """Rows are equal by their pixels: what a weak digest calls equal is compared, and then named by its SHA-256."""
    images = np.array([[1], [2], [1], [2], [3], [3]], np.uint8)
    assert find_equal(images, np.zeros(6, np.uint64)).tolist() == [0, 1, 0, 1, 4, 4]


def test_no_projection_is_beyond_the_reach() -> None:
    """Two images at the threshold in the very direction of a component are within reach as float32 has them."""
    values = 784
    direction = np.full((values, 1), 1 / np.sqrt(values), np.float32)
    for level in range(0, 249):
        one, other = (np.full(values, each, np.float32) @ direction for each in (level, level + 7))
        assert abs(other - one)[0] <= reach_of(values, values, 1)
    assert reach_of(values, values, 16) < 1.02 * 7 * 28  # the slack costs little


@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 1), (3, 50, 7), (40, 17, 784), (20, 33, 2500)])
def test_tiles_make_the_whole_product(rows: int, columns: int, depth: int) -> None:
    """A product in tiles is the product, whatever the sizes."""
    random = np.random.default_rng(8)
    one, other = (random.integers(-20, 20, (each, depth)).astype(np.float32) for each in (rows, columns))
    np.testing.assert_array_equal(multiply(one, other), one @ other.T)  # of whole numbers both are exact


def test_directions_are_at_right_angles() -> None:
    """What the bound rests on: no direction lengthens a distance, also of images that are all the same or few."""
    random = np.random.default_rng(5)
    sets = [random.integers(0, 256, (rows, 30), np.uint8) for rows in (2, 5, 100)] + [np.zeros((4, 30), np.uint8)]
    for images in sets:
        directions = find_directions(images, np.arange(len(images)), 1).astype(np.float64)
        np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-6)


def test_parts_are_read_as_one() -> None:
    """Several arrays as one give the rows that their concatenation has, by slice and by rows in any order."""
    random = np.random.default_rng(6)
    whole = random.integers(0, 256, (30, 4), np.uint8)
    stacked = Stacked([whole[:7], whole[7:8], whole[8:]])
    assert stacked.shape == (30, 4)
    np.testing.assert_array_equal(stacked[5:20], whole[5:20])
    rows = random.permutation(30)
    np.testing.assert_array_equal(stacked[rows], whole[rows])
    np.testing.assert_array_equal(find_near(stacked).groups, find_near(whole).groups)


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """A search in a memory-mapped file takes blocks and some bytes an image, also where all are one crowd."""
    peaks = []
    for rows in (4000, 24_000):
        images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=(rows, 2000))
        for start in range(0, rows, 2000):
            images[start : start + 2000] = np.random.default_rng(start).integers(0, 4, (2000, 2000), np.uint8)
        tracemalloc.start()
        found = find_near(images)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(set(found.groups.tolist())) == found.crowds == 1
    assert peaks[1] - peaks[0] < 10_000_000  # the images have 40 million bytes more


def read_images(path: Path) -> Pixels:
    """Read the images of one of MNIST's files: uint8 (n, 784)."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 784)


def as_jpeg(image: Pixels) -> Pixels:
    """Write and read an image as a JPEG of quality 75."""
    import tensorflow as tf

    saved = tf.io.encode_jpeg(image.reshape(28, 28, 1), quality=75)
    return np.asarray(tf.io.decode_jpeg(saved), np.uint8).reshape(784)


def timed(images: Pixels | Stacked) -> tuple[Found, float]:
    """Search, and say how many seconds of the processor that took, whatever else it does."""
    begin = process_time()
    return find_near(images), process_time() - begin


@pytest.mark.slow
def test_planted_copies_of_mnist_are_found(mnist_files: Path) -> None:
    """Of 60,000 digits and 1,000 of them saved as JPEGs just these pairs are found, within 6 s of the processor."""
    train = read_images(mnist_files / "train-images-idx3-ubyte.gz")
    rows = np.sort(np.random.default_rng(0).choice(len(train), 1000, replace=False))
    copies = np.array([as_jpeg(train[row]) for row in rows])
    found, seconds = timed(Stacked([train, copies]))
    assert found.pairs.tolist() == [[row, 60_000 + place] for place, row in enumerate(rows.tolist())]
    assert (found.complete, found.crowds) == (True, 0)
    assert seconds < 6


@pytest.mark.slow
def test_mnist_has_no_near_copies(mnist_files: Path) -> None:
    """No two of MNIST's own 70,000 images are equal or near."""
    parts = [read_images(mnist_files / f"{name}-images-idx3-ubyte.gz") for name in ("train", "t10k")]
    found, seconds = timed(Stacked(parts))
    assert not len(found.pairs)
    assert len(set(found.groups.tolist())) == 70_000
    assert seconds < 8


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1.0, NOISE, 5.1, 5.7])
def test_the_worst_sets_end_soon(noise: float) -> None:
    """6,000 images that are equal, near each other, or just not near, are told apart within two minutes."""
    images = (100 + np.random.default_rng(3).normal(0, noise, (6000, 784))).round().astype(np.uint8)
    found, seconds = timed(images)
    assert found.complete
    assert seconds < 120
