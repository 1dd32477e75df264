"""The stage that groups copies: what it writes, counts and says, and how its groups are dealt out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from artifacts.ref import Ref
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_spec import ImageSpec
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table
from schemas.training import Training
from tasks.fitting.dealing import Deal, read_deal
from tasks.fitting.holding import hold_out
from tasks.formats.cut import rows_of
from tasks.group import GroupSummary, group
from tests.tasks.idx_bytes import write_idx
from tests.tasks.refs import bind

CLASSES = ("a", "b", "c")
Pixels = npt.NDArray[np.uint8]


def spec_of(**fields: Any) -> TableSpec:
    """What the files of the small set have to look like."""
    values = {"dataset": "small", "split": "train", "shape": (4, 5), "classes": CLASSES}
    return TableSpec.model_validate({**values, **fields})


def unlike(rows: int, seed: int = 1, shape: tuple[int, ...] = (4, 5)) -> Pixels:
    """Return images no two of which are near."""
    return np.random.default_rng(seed).integers(10, 246, (rows, *shape), np.uint8)


def packed(folder: Path, name: str, array: npt.NDArray[Any]) -> Ref:
    """Write an array as the one IDX file of an artifact."""
    ref = bind("decompress", folder / name, name)
    write_idx(folder / name / name, array)
    return ref


def grouped(
    folder: Path,
    images: Pixels,
    labels: npt.NDArray[np.uint8],
    test: tuple[Pixels, npt.NDArray[np.uint8]] | None = None,
    cuts: tuple[int, ...] = (),
    **fields: Any,
) -> tuple[GroupSummary, Path]:
    """Write files, in shards that are cut at rows `cuts`, and call the stage."""
    shards = enumerate(zip(np.split(images, cuts), np.split(labels, cuts), strict=True))
    pairs = [
        (packed(folder, f"images-{at}", one), packed(folder, f"labels-{at}", other)) for at, (one, other) in shards
    ]
    of_test = [[packed(folder, f"test-{at}", part)] for at, part in enumerate(test)] if test else [[], []]
    (out := folder / "out").mkdir()
    summary = group.function([one for one, _ in pairs], [other for _, other in pairs], *of_test, spec_of(**fields), out)
    assert isinstance(summary, GroupSummary)
    return summary, out


def test_what_it_finds_is_written_and_counted(tmp_path: Path) -> None:
    """Rows of both splits have their groups; near pairs are listed with labels; leaks and torn groups are counted."""
    images, labels = unlike(20), np.arange(20, dtype=np.uint8) % 3
    images[10] = images[2]  # equal, of classes 1 and 2
    images[11] = images[2] + 3  # near, of class 2
    test = unlike(4, seed=2)
    test[1] = images[5]  # a leak
    test[3] = images[6] - 5  # a near leak
    summary, out = grouped(tmp_path, images, labels, (test, np.array([0, 2, 1, 1], np.uint8)), cuts=(7, 8))
    counts = summary.model_dump(exclude={"content", "findings"})
    assert counts == {
        "images": 24,
        "groups": 3,
        "grouped": 7,
        "equal": 2,
        "near": 2,
        "together": 4,
        "torn": 2,
        "torn_pairs": 1,
        "leaked": 1,
        "near_leaked": 1,
        "across": 1,
        "crowds": 0,
        "complete": True,
    }
    pairs = pq.read_table(out / "near.parquet").to_pylist()
    assert [tuple(pair.values()) for pair in pairs] == [
        ("train", 2, 2, "train", 11, 2, 3.0),
        ("train", 6, 0, "test", 3, 1, 5.0),
    ]
    rows = pq.read_table(out / "groups.parquet").to_pydict()
    assert rows["split"] == ["train"] * 20 + ["test"] * 4
    assert rows["row"] == [*range(20), *range(4)]
    assert rows["label"] == [*labels.tolist(), 0, 2, 1, 1]
    groups = rows["group"]
    assert groups[2] == groups[10] == groups[11] == min(rows["digest"][2], rows["digest"][11])
    assert groups[5] == groups[21]
    assert groups[6] == groups[23]
    assert len(set(groups)) == 20
    assert set(summary.content) == {"groups.parquet", "near.parquet"}


def test_what_is_unusual_is_said_with_what_cannot_be_seen(tmp_path: Path) -> None:
    """A near leak, copies and torn groups are findings, and what the search is blind to stands with them."""
    images, labels = unlike(9), np.arange(9, dtype=np.uint8) % 3
    images[4] = images[3] + 2
    test = (images[:1] + 1, labels[:1])
    findings = grouped(tmp_path, images, labels, test)[0].findings
    assert [finding.partition(" (")[0] for finding in findings] == [
        "test images that are near-equal to train images",
        "images that are equal or near-equal",
        "groups of equal or near-equal images with different labels: 1",
    ]
    assert findings[1].endswith("4 in 2 groups. Shifted, resized, turned, mirrored or recoloured copies are not found")
    assert "at most 7 grey levels" in findings[0]


def test_a_set_without_copies_has_no_findings(tmp_path: Path) -> None:
    """Where all images are far apart nothing is said, and every image is a group."""
    summary, out = grouped(tmp_path, unlike(30), np.arange(30, dtype=np.uint8) % 3)
    assert (summary.groups, summary.near, summary.findings) == (0, 0, ())
    assert pq.read_table(out / "near.parquet").num_rows == 0


def test_the_cut_into_files_leaves_no_trace(tmp_path: Path) -> None:
    """The same rows in one file and in four give the same content."""
    images, labels = unlike(20), np.arange(20, dtype=np.uint8) % 3
    images[7] = images[19] + 1
    contents = []
    for name, cuts in (("one", ()), ("four", (3, 4, 11))):
        (tmp_path / name).mkdir()
        contents.append(grouped(tmp_path / name, images, labels, cuts=cuts)[0].content)
    assert contents[0] == contents[1]


def test_colour_is_compared_over_all_channels(tmp_path: Path) -> None:
    """Images of three channels are near by all their values: one channel 12 levels off is, 13 is not."""
    images = unlike(6, shape=(4, 5, 3))
    images[1], images[3] = images[0], images[2]
    images[0, ..., 0], images[1, ..., 0] = 100, 112
    images[2, ..., 0], images[3, ..., 0] = 100, 113
    summary, out = grouped(tmp_path, images, np.zeros(6, np.uint8), shape=(4, 5, 3))
    assert summary.near == 1
    assert pq.read_table(out / "near.parquet")["other_row"].to_pylist() == [1]


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Another shape, and fewer labels than images, are said before anything is searched."""
    with pytest.raises(BadTable, match="expected uint8 images of n x 4 x 5, found uint8 of shape 9 x 5 x 4"):
        grouped(tmp_path, unlike(9, shape=(5, 4)), np.zeros(9, np.uint8))
    (tmp_path / "other").mkdir()
    image, label = packed(tmp_path / "other", "i", unlike(9)), packed(tmp_path / "other", "l", np.zeros(8, np.uint8))
    with pytest.raises(BadTable, match="expected a label for each of 9 images, found 8 labels"):
        group.function([image], [label], [], [], spec_of(), tmp_path)


def test_a_label_outside_of_the_classes_is_left_to_parse(tmp_path: Path) -> None:
    """What parse refuses, with words of its own, does not end the search for copies."""
    assert grouped(tmp_path, unlike(5), np.array([0, 1, 2, 3, 255], np.uint8))[0].images == 5


def copied(rows: int = 120) -> tuple[Pixels, npt.NDArray[np.uint8]]:
    """Return images of which two thirds are near copies of each other, in pairs, and their labels."""
    images, labels = unlike(rows), np.arange(rows, dtype=np.uint8) // 2 % 3
    images[1::3] = np.roll(images, 1, axis=0)[1::3] + 4
    labels[1::3] = np.roll(labels, 1)[1::3]
    return images, labels


def test_a_cut_and_held_out_rows_tear_no_group(tmp_path: Path) -> None:
    """Near copies are on one side of the test split and of the held-out rows, which are chosen among what is left."""
    images, labels = copied()
    summary, out = grouped(tmp_path, images, labels)
    assert summary.together == 40
    deal = read_deal(out / "groups.parquet")
    split: dict[str, npt.NDArray[np.bool_]] = {
        name: rows_of(spec_of(split=name, test_fraction=0.2), [images], [labels], deal) for name in ("train", "test")
    }
    np.testing.assert_array_equal(split["train"], ~split["test"])
    kept = np.flatnonzero(split["train"])
    batch = Batch(
        np.arange(len(kept), dtype=np.uint32), labels[kept].astype(np.uint16), images[kept].reshape(len(kept), -1)
    )
    path = tmp_path / "table.parquet"
    holding = hold_out(written_as(path, batch), "stratified", Training(validation_fraction=0.2), deal)
    side = np.where(split["test"], 2, 0)
    side[kept[holding.rows]] = 1
    np.testing.assert_array_equal(side[0::3], side[1::3])
    assert set(side.tolist()) == {0, 1, 2}
    alone = Deal.of(deal.digests, deal.digests, np.zeros(len(deal.digests), np.uint8))
    torn = rows_of(spec_of(split="test", test_fraction=0.2), [images], [labels], alone)
    assert (torn[0::3] != torn[1::3]).any(), "the images alone would have told nothing"


def written_as(path: Path, batch: Batch) -> ImageTable:
    """Write a table of the small set's shape."""
    write_table(path, TableMetadata(split="train", shape=ImageSpec(rows=4, columns=5), classes=CLASSES), [batch])
    return ImageTable(path)


def test_held_out_rows_by_number_are_not_called_uneven(tmp_path: Path) -> None:
    """Of a small class chance may hold out many: that is no finding, while a class without one is."""
    images, labels = unlike(60), np.repeat(np.arange(3, dtype=np.uint8), [2, 18, 40])
    _, out = grouped(tmp_path, images, labels)
    batch = Batch(np.arange(60, dtype=np.uint32), labels.astype(np.uint16), images.reshape(60, -1))
    table, deal = written_as(tmp_path / "table.parquet", batch), read_deal(out / "groups.parquet")
    for seed in range(20):
        holding = hold_out(table, "stratified", Training(seed=seed), deal)
        assert not any("more than twice" in finding for finding in holding.findings)
        held = np.bincount(labels[holding.rows], minlength=3)
        assert (held < [2, 18, 40]).all()
        assert len(holding.findings) == (held == 0).any()


def sides_of(folder: Path, images: Pixels, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Group, cut and hold out as a run does: 0 for a row that is trained on, 1 for a held-out, 2 for a tested one."""
    folder.mkdir()
    deal = read_deal(grouped(folder, images, labels)[1] / "groups.parquet")
    tested = rows_of(spec_of(split="test", test_fraction=0.2), [images], [labels], deal)
    kept = images[~tested].reshape(-1, 20)
    batch = Batch(np.arange(len(kept), dtype=np.uint32), labels[~tested].astype(np.uint16), kept)
    sides = np.where(tested, 2, 0)
    table = written_as(folder / "table.parquet", batch)
    sides[~tested] = hold_out(table, "stratified", Training(validation_fraction=0.2), deal).rows
    return sides


def test_an_added_file_moves_one_other_at_most(tmp_path: Path) -> None:
    """From files to sides: each of 40 images added to a set with copies moves one group of its class or none."""
    images, labels = copied(60)
    before, moves = sides_of(tmp_path / "before", images, labels), 0
    for at, added in enumerate(unlike(40, seed=9)):
        label = np.uint8(at % 3)
        after = sides_of(tmp_path / f"{at}", np.append(images, added[None], axis=0), np.append(labels, label))
        moved = np.flatnonzero(before != after[:-1])
        moves += len(moved) > 0
        assert (labels[moved] == label).all()
        assert len(set(moved // 3 if (moved % 3 < 2).all() else moved)) <= 1
    assert moves < 20, "most move none"
