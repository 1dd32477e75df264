"""The validate stage on real tables: sound ones, unusual ones, and every kind of broken one."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.datasets import Checks
from schemas.errors import BadTable, InvalidData
from schemas.image_table import Batch
from schemas.results import Statistics
from schemas.tables import failures, image_profile
from tasks.validate import ValidateSummary, validate, validate_table
from tests.tasks.refs import bind
from tests.tasks.splits import BREAKS, CLASSES, SAMPLES, Break, check, draw, save, spec_of, split

KINDS = ("images-idx3", "labels-idx1")
COUNTS = {
    "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}
ALL = ("blank", "duplicate", "leak", "missing_class", "imbalance", "drift")
in_one_folder = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_sound_split_is_described(tmp_path: Path) -> None:
    """Without anything unusual there are no findings, and the figures are NumPy's."""
    batch = split()
    found = check(tmp_path, batch, spec_of(samples=SAMPLES))
    wide = batch.image.astype(np.int64)
    assert (found.samples, found.shape.array, found.classes, found.class_counts) == (
        SAMPLES,
        (3, 5),
        CLASSES,
        (10, 10, 10),
    )
    assert (found.sum, found.sum_of_squares) == (int(wide.sum()), int((wide**2).sum()))
    assert (found.minimum, found.maximum, found.blank, found.imbalance) == (wide.min(), wide.max(), 0, 1.0)
    assert [found.mean, found.std] == pytest.approx([wide.mean(), wide.std()], rel=1e-14)
    assert found.ink == np.count_nonzero(wide) / wide.size
    assert not found.findings + found.duplicates + found.drift


def test_the_profile_is_a_valid_row_an_image(tmp_path: Path) -> None:
    """The Parquet profile read back passes the Pandera model that it was checked by."""
    check(tmp_path, split())
    table = pq.read_table(tmp_path / "profile.parquet")
    assert table.num_rows == SAMPLES
    assert failures(image_profile(len(CLASSES)), table.to_pandas()) == []


def test_figures_do_not_depend_on_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table cut into other row groups, and checked in other parts, has the same statistics and the same profile."""
    monkeypatch.setattr("tasks.profile.CHECKED_ROWS", 8)
    image, _ = draw(SAMPLES)
    image[20] = image[3]
    image[9] = 0
    seen, rows = set(), []
    for group in (1, 7, SAMPLES):
        batch = split(image=image)
        table = save(tmp_path / "table.parquet", batch.image, batch.label, group=group)
        seen.add(validate_table(table, spec_of(), Checks(), None, tmp_path / "profile.parquet"))
        rows.append(pq.read_table(tmp_path / "profile.parquet"))
    assert len(seen) == 1
    assert rows[0].equals(rows[1])
    assert rows[1].equals(rows[2])


def test_the_stage_is_deterministic_and_leaves_four_files(tmp_path: Path) -> None:
    """Run twice, the stage's function leaves the same bytes: profile, sums, statistics, nothing else."""
    left = []
    batch = split()
    (tmp_path / "parse").mkdir()
    save(tmp_path / "parse" / "table.parquet", batch.image, batch.label)
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        summary = validate.function(bind("parse", tmp_path / "parse"), spec_of(), Checks(), None, out)
        left.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert isinstance(summary, ValidateSummary)
        assert summary.per_class == {"circle": 10, "square": 10, "star": 10}
        assert summary.content.keys() == {"profile.parquet"}
    assert left[0] == left[1]
    assert set(left[0]) == {"profile.parquet", "part.json", "sums.npy", "statistics.json"}
    assert Statistics.model_validate_json(left[0]["statistics.json"]).samples == SAMPLES


def test_colours_are_described(tmp_path: Path) -> None:
    """Figures are over all channels, ink is what is not black, and blank is an image of one colour, whichever it is."""
    spec = spec_of(shape=(2, 4, 3))
    pixels = np.random.default_rng(8).integers(0, 256, (SAMPLES, 2, 4, 3), np.uint8)
    pixels[4] = (200, 10, 0)
    pixels[11] = 0
    pixels[12, 0] = (0, 0, 9)
    found = check(tmp_path, split(image=pixels.reshape(SAMPLES, 24)), spec)
    wide = pixels.astype(np.int64)
    assert (found.shape.array, found.minimum, found.maximum) == ((2, 4, 3), wide.min(), wide.max())
    assert (found.sum, found.sum_of_squares) == (int(wide.sum()), int((wide**2).sum()))
    assert [found.mean, found.std] == pytest.approx([wide.mean(), wide.std()], rel=1e-14)
    assert found.ink == pixels.any(axis=3).mean()
    assert found.blank == 2
    (finding,) = found.findings
    assert (finding.check, finding.sample_ids) == ("blank", (4, 11))


def test_grey_in_three_channels_is_described_as_grey(tmp_path: Path) -> None:
    """Grey images whose values are repeated three times have the same figures, findings and duplicates."""
    image, _ = draw(SAMPLES)
    image[20] = image[3]
    image[9] = 7
    found = []
    for channels in (1, 3):
        (folder := tmp_path / f"{channels}").mkdir()
        spec = spec_of(shape=(3, 5, channels))
        seen = check(folder, split(image=np.repeat(image, channels, axis=1)), spec)
        ignored = {"shape", "sum", "sum_of_squares"}
        found.append((seen.model_dump(exclude=ignored), seen.sum // channels, seen.sum_of_squares // channels))
    assert found[0] == found[1]


@in_one_folder
@given(row=st.integers(0, SAMPLES - 1), label=st.integers(len(CLASSES), 2**16 - 1))
def test_a_label_out_of_range_is_refused(tmp_path: Path, row: int, label: int) -> None:
    """A label that is no class stops the stage, with its sample id and value."""
    labels = draw(SAMPLES)[1]
    labels[row] = label
    with pytest.raises(InvalidData, match=rf"label outside 0 to 2: 1 \(sample_id {row}: {label}\)"):
        check(tmp_path, split(label=labels))


@in_one_folder
@given(row=st.integers(0, SAMPLES - 1), other=st.integers(0, 2**32 - 1))
def test_ids_that_are_not_unique_and_complete_are_refused(tmp_path: Path, row: int, other: int) -> None:
    """An id that occurs twice, is missing, or stands elsewhere stops the stage, wherever the row groups are cut."""
    ids = np.arange(SAMPLES, dtype=np.uint32)
    ids[row] = other
    if other == row:
        check(tmp_path, split(sample_id=ids))
        return
    with pytest.raises(InvalidData, match=rf"unique and complete ids are: 1 \(sample_id {row}: {other}\)"):
        check(tmp_path, split(sample_id=ids))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"samples": SAMPLES + 1}, "samples is 30, not 31"),
        ({"shape": (5, 3)}, r"shape is \(3, 5\), not \(5, 3\)"),
        ({"classes": ("circle", "star", "square")}, "classes is"),
        ({"split": "test"}, "split is train, not test"),
        ({"label_offset": 1}, "label_offset is 0, not 1"),
    ],
)
def test_a_table_that_is_not_the_catalogs_is_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    """A table of another number, shape or meaning than the catalog says stops the stage, with both values."""
    batch = split()
    table = save(tmp_path / "table.parquet", batch.image, batch.label)
    with pytest.raises(InvalidData, match=text):
        validate_table(table, spec_of(**change), Checks(), None, tmp_path / "profile.parquet")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    """An empty split is an error of its own, published count or not."""
    with pytest.raises(InvalidData, match="found 1 failure in 0 images:\n  - samples is 0, not at least 1"):
        check(tmp_path, split(0))


@pytest.mark.parametrize("change", BREAKS, ids=lambda each: each.__name__)
def test_a_table_of_another_physical_schema_is_refused(tmp_path: Path, change: Break) -> None:
    """A column that is missing, added, retyped, nullable, narrower or misplaced stops the stage at once."""
    (tmp_path / "parse").mkdir()
    (tmp_path / "out").mkdir()
    path = tmp_path / "parse" / "table.parquet"
    batch = split()
    save(path, batch.image, batch.label)
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(BadTable, match="expected columns"):
        validate.function(bind("parse", path.parent), spec_of(), Checks(), None, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_all_failures_are_told_in_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error has every failure, over all row groups and checks, with counts and sample ids, and the ways out."""
    monkeypatch.setattr("tasks.profile.CHECKED_ROWS", 8)
    image, label = draw(SAMPLES)
    ids = np.arange(SAMPLES, dtype=np.uint32)
    label[[2, 9, 25]] = 7
    label[label == 1] = 0
    ids[20] = 3
    image[8] = 255
    spec = spec_of(samples=31)
    with pytest.raises(InvalidData) as caught:
        check(tmp_path, Batch(ids, label, image), spec, Checks(blank="error"))
    assert str(caught.value) == (
        "shapes train table: expected a table that passes every check, found 5 failures in 30 images:\n"
        "  - samples is 30, not 31;\n"
        "  - images with a label outside 0 to 2: 3 (sample_id 2: 7, 9: 7, 25: 7);\n"
        "  - images whose pixels are all equal: 1 (sample_id 8);\n"
        "  - images whose sample_id is not the row's number, as unique and complete ids are: 1 (sample_id 20: 3);\n"
        "  - classes without an image: 1 (class square: 0). "
        "Bring the published files with --mirror."
    )


@pytest.mark.parametrize(
    ("fields", "absent", "way_out"),
    [
        ({}, 0, "or name only the 2 classes that occur, with label_offset = 1."),
        ({}, 1, "or name only the 2 classes that occur, with label_values = [0, 2]."),
        ({}, 2, "or name only the 2 classes that occur, with label_offset = 0."),
        ({"label_offset": 1}, 0, "or name only the 2 classes that occur, with label_offset = 2."),
        ({"label_values": (5, 7, 9)}, 0, "or name only the 2 classes that occur, with label_values = [7, 9]."),
    ],
)
def test_a_class_without_images_has_a_way_out(
    tmp_path: Path, fields: dict[str, Any], absent: int, way_out: str
) -> None:
    """The author of a set is told how to allow a class without images, and how to do without the class."""
    batch = split(SAMPLES, label=np.resize([at for at in range(3) if at != absent], SAMPLES).astype(np.uint16))
    with pytest.raises(InvalidData) as caught:
        check(tmp_path, batch, spec_of(described_in="shapes.toml", **fields))
    assert caught.value.way_out == f'Add checks.missing_class = "warn" to shapes.toml, {way_out}'


def test_an_own_set_with_other_errors_is_sent_to_its_description(tmp_path: Path) -> None:
    """Any other error of one's own set is for its files or its description, not for the catalog."""
    image, label = draw(SAMPLES)
    image[8] = 255
    spec = spec_of(described_in="shapes.toml")
    with pytest.raises(InvalidData, match=r"Correct the source files, or what shapes\.toml says of them\.$"):
        check(tmp_path, Batch(np.arange(SAMPLES, dtype=np.uint32), label, image), spec, Checks(blank="error"))


def unusual(name: str) -> Batch:
    """Return a train split with one unusual thing."""
    image, label = draw(SAMPLES)
    if name == "blank":
        image[4], image[11] = 0, 255
    elif name == "duplicate":
        image[15] = image[3]
    elif name == "missing_class":
        label[label == 2] = 0
    elif name == "imbalance":
        label[:], label[5], label[6] = 0, 1, 2
    return Batch(np.arange(SAMPLES, dtype=np.uint32), label, image)


@pytest.mark.parametrize(
    ("name", "count", "ids", "text"),
    [
        ("blank", 2, (4, 11), "images whose pixels are all equal: 2 (sample_id 4, 11)"),
        (
            "duplicate",
            2,
            (3, 15),
            "images that occur more than once, in groups (1, with different labels 0): 2 (sample_id 3, 15)",
        ),
        ("missing_class", 1, (), "classes without an image: 1 (class star: 0)"),
        ("imbalance", 2, (), "images, by that ratio: 2 (class square: 28, star: 28)"),
    ],
)
def test_what_is_unusual_is_as_grave_as_the_catalog_says(
    tmp_path: Path, name: str, count: int, ids: tuple[int, ...], text: str
) -> None:
    """Ignored it is nothing, warned of it is a finding with count and ids, as an error it stops the stage."""
    rest = dict.fromkeys(ALL, "error")
    assert check(tmp_path, unusual(name), checks=Checks(**{**rest, name: "ignore"})).findings == ()
    (finding,) = check(tmp_path, unusual(name), checks=Checks(**{**rest, name: "warn"})).findings
    assert (finding.check, finding.count, finding.sample_ids) == (name, count, ids)
    assert finding.message.endswith(text)
    with pytest.raises(InvalidData) as caught:
        check(tmp_path, unusual(name), checks=Checks(**rest))
    assert finding.message in str(caught.value)


def test_labels_that_are_all_wrong_are_told_calmly(tmp_path: Path) -> None:
    """Without a single right label, the labels and all classes fail, and nothing else."""
    with pytest.raises(InvalidData, match=r"found 2 failures(.|\n)*: 30 \(sample_id 0: 3, (.|\n)*without an image: 3"):
        check(tmp_path, split(label=np.full(SAMPLES, 3, np.uint16)))


def test_a_class_may_be_missing_from_the_test_split(tmp_path: Path) -> None:
    """Only the train split has to show every class."""
    batch = unusual("missing_class")
    assert check(tmp_path, batch, spec_of("test"), Checks(missing_class="error")).class_counts == (20, 10, 0)


def test_duplicates_with_different_labels_are_told_apart(tmp_path: Path) -> None:
    """A group whose labels contradict each other is counted as one, and carries all of its labels."""
    image, label = draw(SAMPLES)
    image[[10, 20]] = image[1]
    image[29] = image[2]
    label[[1, 10, 20]], label[[2, 29]] = (0, 1, 0), 2
    found = check(tmp_path, split(image=image, label=label))
    groups = [(group.images, group.sample_ids, group.labels) for group in found.duplicates]
    assert groups == [(3, (1, 10, 20), (0, 1)), (2, (2, 29), (2,))]
    assert "(2, with different labels 1): 5 (sample_id 1, 2, 10, 20, 29)" in found.findings[0].message


def test_many_findings_are_capped_but_counted(tmp_path: Path) -> None:
    """Ids and groups are listed up to twenty, counts are complete."""
    image = np.repeat(np.arange(100, dtype=np.uint8), 30)[:, None] * np.ones(15, np.uint8)
    found = check(tmp_path, split(3000, image=image), group=1000)
    assert {finding.check: finding.count for finding in found.findings} == {"blank": 3000, "duplicate": 3000}
    assert all(finding.sample_ids == tuple(range(20)) for finding in found.findings)
    assert len(found.duplicates) == 20
    assert found.blank == 3000
    assert (found.duplicates[0].images, len(found.duplicates[0].sample_ids)) == (30, 20)


def test_findings_are_logged_as_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each finding is one calm line of the log, data set and split first, and stands in the stage's summary."""
    for name in ("parse", "out"):
        (tmp_path / name).mkdir()
    batch = unusual("blank")
    save(tmp_path / "parse" / "table.parquet", batch.image, batch.label)
    with caplog.at_level(logging.INFO, "idxflow"):
        summary = validate.function(bind("parse", tmp_path / "parse"), spec_of(), Checks(), None, tmp_path / "out")
    assert isinstance(summary, ValidateSummary)
    lines = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [("idxflow.validate", "WARNING", f"shapes train: {summary.findings[0]}")]


@pytest.mark.mnist
def test_genuine_mnist_has_nothing_unusual(tmp_path: Path, mnist_files: Path) -> None:
    """Both splits pass with every check an error: no blank, duplicate or shared image, no drift, and the known sums."""
    strict = Checks(**dict.fromkeys(ALL, "error"))
    train = None
    splits: tuple[tuple[Literal["train", "test"], str, int], ...] = ("train", "train", 60000), ("test", "t10k", 10000)
    for name, prefix, samples in splits:
        raw = [gzip.decompress((mnist_files / f"{prefix}-{kind}-ubyte.gz").read_bytes()) for kind in KINDS]
        image, label = np.frombuffer(raw[0], np.uint8, offset=16), np.frombuffer(raw[1], np.uint8, offset=8)
        spec = spec_of(name, dataset="mnist", shape=(28, 28), classes=tuple("0123456789"), samples=samples)
        (tmp_path / name).mkdir()
        batch = Batch(np.arange(samples, dtype=np.uint32), label.astype(np.uint16), image.reshape(-1, 784))
        found = check(tmp_path / name, batch, spec, strict, train, group=20_000)
        assert found.class_counts == COUNTS[name]
        if name == "train":
            train = tmp_path / name / "profile.parquet"
            assert (found.sum, found.sum_of_squares) == (1567298545, 342590800147)
