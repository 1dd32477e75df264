"""Images that are the same, in a split and in two: which they are, what it takes to find them, and which leaked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.image_table import ROW_GROUP, Batch, ImageTable
from tasks.evaluate import write_predictions
from tasks.quality import duplicates
from tasks.quality.duplicates import (
    Duplicates,
    Leak,
    bands,
    find_duplicates,
    find_leak,
    find_shared,
    name_images,
    read_band,
    recut,
)
from tasks.quality.profile import digest_images
from tasks.quality.scoring import score
from tests.memory import peak_memory
from tests.tasks.splits import SHAPE, save

PIXELS = SHAPE[0] * SHAPE[1]
EVERY = (np.uint64(0), np.uint64(2**64 - 1))
in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, digest: Iterable[int] | npt.NDArray[np.uint64], group: int = 5) -> Path:
    """Write the column of a profile that tells images apart."""
    pq.write_table(pa.table({"digest": np.array(digest, np.uint64)}), path, row_group_size=group)
    return path


def found(folder: Path, image: npt.NDArray[np.uint8], label: npt.NDArray[np.uint16], group: int) -> Duplicates:
    """Find the duplicates of a table in row groups of so many images, and of its profile, cut elsewhere."""
    table = save(folder / "table.parquet", image, label, group=group)
    return find_duplicates(write(folder / "profile.parquet", digest_images(image), group + 3), table)


def numbered(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return an image for each number below 2^32, the same for the same ones: uint8 (n, 15)."""
    image = np.zeros((len(numbers), PIXELS), np.uint8)
    image[:, :4] = numbers.astype("<u4").view(np.uint8).reshape(-1, 4)
    return image


@in_one_folder
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=30), st.integers(1, 8))
def test_duplicates_are_found_in_their_groups(tmp_path: Path, rows: list[tuple[int, int]], size: int) -> None:
    """Every group of equal images is found, over row groups, with its ids, its size and all of its labels."""
    image = numbered(np.array([value for value, _ in rows], np.int64))
    all_of_them = found(tmp_path, image, np.array([label for _, label in rows], np.uint16), size)
    counts = Counter(value for value, _ in rows)
    several = [value for value in dict.fromkeys(value for value, _ in rows) if counts[value] > 1]
    members = [[row for row, (value, _) in enumerate(rows) if value == one] for one in several]
    labels = [{rows[row][1] for row in group} for group in members]
    assert [group.images for group in all_of_them.shown] == [len(group) for group in members]
    assert [list(group.sample_ids) for group in all_of_them.shown] == [group[:20] for group in members]
    assert [set(group.labels) for group in all_of_them.shown] == labels
    assert (all_of_them.groups, all_of_them.images) == (len(members), sum(map(len, members)))
    assert all_of_them.torn == sum(len(kinds) > 1 for kinds in labels)


@in_one_folder
@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 8))
def test_equal_digests_of_different_images_are_no_duplicates(tmp_path: Path, values: list[int], size: int) -> None:
    """Pixels decide: where all digests collide, within a row group and over several, the groups are as without."""
    label = np.arange(len(values)).astype(np.uint16)
    without = found(tmp_path, numbered(np.array(values, np.int64)), label, size)
    collided = write(tmp_path / "profile.parquet", [7] * len(values))
    assert find_duplicates(collided, ImageTable(tmp_path / "table.parquet")) == without


def test_only_what_is_in_question_is_read_again(tmp_path: Path) -> None:
    """Without equal digests no row group of the table is read, and with some only those that they are in."""
    image = numbered(np.arange(40))
    image[33] = image[11]
    table = save(tmp_path / "table.parquet", image, np.zeros(40, np.uint16), group=10)
    read = list[int]()

    class Watched(ImageTable):
        def group(self, index: int) -> Batch:
            read.append(index)
            return super().group(index)

    watched = Watched(*table.paths)
    assert find_duplicates(write(tmp_path / "all.parquet", range(40)), watched) == Duplicates(0, 0, 0, ())
    assert not read
    assert find_duplicates(write(tmp_path / "p.parquet", digest_images(image)), watched).shown[0].sample_ids == (11, 33)
    assert set(read) == {1, 3}


def test_many_groups_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    """Of a hundred groups all are counted, those that contradict themselves too, and the first twenty are told."""
    image = numbered(np.arange(200) % 100)
    label = np.zeros(200, np.uint16)
    label[150:] = 1
    all_of_them = found(tmp_path, image, label, 30)
    assert (all_of_them.groups, all_of_them.images, all_of_them.torn) == (100, 200, 50)
    assert [group.sample_ids for group in all_of_them.shown] == [(row, row + 100) for row in range(20)]


def test_shared_images_are_found_by_their_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose digest the train split has is named by its id, once, whatever bands the digests are read in."""
    train = write(tmp_path / "train", [7, 9, 7, 2**64 - 1, 2**63, 2**63 - 1])
    other = write(tmp_path / "test", [2**63 - 1, 7, 2**64 - 1, 8, 2**63, 9], 2)
    few = write(tmp_path / "few", [7])
    for size in (100, 3, 1):
        monkeypatch.setattr(duplicates, "BAND", size)
        assert find_shared(train, other) == (5, (0, 1, 2, 4, 5))
        assert find_shared(few, other) == (1, (1,))


@given(st.integers(0, 2**32), st.integers(1, 2**21))
def test_bands_hold_every_digest_once(images: int, size: int) -> None:
    """From 0 to the last number of 64 bits the bands follow upon each other, as many as it takes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(duplicates, "BAND", max(size, images // 100))
        edges = list(bands(images))
        assert len(edges) == max(1, -(-images // duplicates.BAND))
    assert (edges[0][0], edges[-1][1]) == EVERY
    assert all(int(high) + 1 == int(low) for (_, high), (low, _) in pairwise(edges))


@pytest.mark.parametrize("most", [1, 2])
def test_a_band_has_each_digest_so_often_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A band that is thinned out while it is read has what sorting all of it, and then counting, gives."""
    monkeypatch.setattr(duplicates, "BAND", 16)
    digest = np.random.default_rng(0).integers(0, 40, 500, np.uint64)
    counts = Counter(digest.tolist())
    band = read_band(write(tmp_path / "profile", digest, 17), np.uint64(5), np.uint64(30), most)
    assert band.tolist() == sorted(one for one in counts if 5 <= one <= 30 for _ in range(min(most, counts[one])))


@given(st.lists(st.integers(0, 9), max_size=9), st.lists(st.integers(0, 9), max_size=9))
def test_a_column_is_cut_into_other_sizes(parts: list[int], sizes: list[int]) -> None:
    """However a column is stored, it comes in the sizes that are asked for, in its order."""
    whole = np.arange(sum(parts), dtype=np.uint64)
    sizes = [size for end, size in enumerate(sizes) if sum(sizes[: end + 1]) <= len(whole)]
    stored = np.split(whole, np.cumsum(parts)[:-1]) if parts else []
    cut = list(recut(stored, sizes))
    assert [len(part) for part in cut] == sizes
    assert [value for part in cut for value in part.tolist()] == list(range(sum(sizes)))


def test_equal_images_have_equal_names() -> None:
    """A name is the first half of the SHA-256 of the pixels, whatever others have the same digest."""
    image = numbered(np.array([3, 1, 3, 2, 1, 3]))
    row = np.array([0, 1, 2, 4, 5])
    names = name_images(image, row, np.array([0, 0, 0, 1, 1]))
    assert [name.tobytes() for name in names] == [sha256(image[each]).digest()[:16] for each in row]


def spent(folder: Path, image: npt.NDArray[np.uint8]) -> tuple[Duplicates, float, float]:
    """Find duplicates. Returns: them, the seconds that it took, and its memory at most in MB."""
    label = np.zeros(len(image), np.uint16)
    table = save(folder / "table.parquet", image, label, group=ROW_GROUP)
    profile = write(folder / "profile.parquet", digest_images(image), 1 << 17)
    started = perf_counter()
    find_duplicates(profile, table)
    seconds = perf_counter() - started
    all_of_them: list[Duplicates] = []
    peak = peak_memory(lambda: all_of_them.append(find_duplicates(profile, table)), tries=1)
    return all_of_them[0], seconds, peak / 1e6


@pytest.mark.slow
def test_a_million_equal_images_take_no_memory_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One group of a million images takes the memory that a part of them takes, and less than two seconds."""
    monkeypatch.setattr(duplicates, "BAND", 1 << 17)
    few, _, least = spent(tmp_path, np.ones((400_000, PIXELS), np.uint8))
    many, seconds, most = spent(tmp_path, np.ones((1_000_000, PIXELS), np.uint8))
    assert (few.images, many.images, many.groups) == (400_000, 1_000_000, 1)
    assert most < 1.1 * least
    assert seconds < 2


@pytest.mark.slow
def test_pairs_take_bytes_and_not_objects(tmp_path: Path) -> None:
    """Pairs of duplicates take less than a hundred bytes each, and twenty of them are told."""
    _, _, least = spent(tmp_path, numbered(np.arange(400_000)))
    all_of_them, _, most = spent(tmp_path, numbered(np.arange(400_000) % 200_000))
    assert (all_of_them.groups, all_of_them.images, len(all_of_them.shown)) == (200_000, 400_000, 20)
    assert most - least < 200_000 * 100 / 1e6


digests = st.lists(st.integers(0, 9), min_size=1, max_size=40)


def predictions(path: Path, groups: list[tuple[str, npt.NDArray[np.bool_]]]) -> Path:
    """Write row groups of predictions which are right or not, as evaluate does."""

    def batch(right: npt.NDArray[np.bool_]) -> Batch:
        rows = len(right)
        return Batch(np.arange(rows, dtype=np.uint32), np.zeros(rows, np.uint16), np.zeros((rows, 1), np.uint8))

    def scored(right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        return np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]]).astype(np.float32)

    write_predictions(
        path, ((split, batch(right), score(scored(right), np.zeros(len(right), np.int64))) for split, right in groups)
    )
    return path


def cut_rows(split: str, right: npt.NDArray[np.bool_], size: int) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Cut a split into row groups."""
    return [(split, right[start : start + size]) for start in range(0, len(right), size)]


@in_one_folder
@given(digests, digests, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_every_copy_is_counted(
    tmp_path: Path, train: list[int], test: list[int], group: int, other: int, seed: int
) -> None:
    """However all three files are cut, and in however many bands: what two loops over the rows count."""
    right = np.random.default_rng(seed).random(len(test)) < 0.5
    step = np.uint64(2**60)  # so that the digests spread over the bands
    known, asked = (np.array(digest, np.uint64) * step for digest in (train, test))
    files = write(tmp_path / "train", known, other), write(tmp_path / "test", asked, group)
    rows = [*cut_rows("train", np.ones(len(train), bool), group), *cut_rows("test", right, other)]
    written = predictions(tmp_path / "predictions", rows)
    seen = [digest in train for digest in test]
    expected = Leak(sum(seen), sum(hit for hit, copy in zip(right.tolist(), seen, strict=True) if copy))
    for band in (100, 7, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(duplicates, "BAND", band)
            assert find_leak(*files, written) == expected


def test_memory_does_not_grow_with_the_test_split(tmp_path: Path) -> None:
    """Eight times the rows, each of them a copy, take the same memory."""
    train = write(tmp_path / "train", np.arange(50, dtype=np.uint64), 50)
    peaks = []
    for rows in (20_000, 160_000):
        test = write(tmp_path / "test", np.arange(rows, dtype=np.uint64) % np.uint64(50), 5_000)
        written = predictions(tmp_path / "predictions", cut_rows("test", np.arange(rows) % 2 == 0, 5_000))
        assert find_leak(train, test, written) == Leak(rows, rows // 2)
        peaks.append(peak_memory(partial(find_leak, train, test, written)))
    assert peaks[1] < peaks[0] + 100_000
