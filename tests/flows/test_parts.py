"""A split of several shards: each is a part by itself, and all are read as one file of the same rows would be."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prefect import Task

from artifacts.archive.reasons import sentence
from artifacts.manifest import Manifest
from artifacts.ref import Ref
from artifacts.run_record import StageRecord
from artifacts.store.store import Store
from schemas.errors import BadTable, InvalidData
from schemas.results import Statistics
from schemas.training import Training
from tests.flows.own_sets import Array, assert_own, draw, make_set, run
from tests.flows.parted_sets import PartedSet, computed

DIGITS = Path(__file__).parents[2] / "schemas" / "catalog" / "digits"
SAME = {
    "validate train": ("statistics.json",),
    "validate test": ("statistics.json",),
    "normalize": ("normalizer.json", "mean.npy"),
    "train": ("history.json", "curve.csv"),
    "evaluate": ("metrics.json", "predictions.parquet", "confusion.csv"),
    "report": ("samples.svg", "mistakes.svg", "confusion.svg", "hints.svg"),
}
"""Files that have to be the same, byte by byte."""
FRESH = ["download", "verify", "decompress"]


def digits(name: str) -> tuple[Array, Array]:
    """Read a pair of files of the bundled digits: uint8 (n, 8, 8) and (n,)."""
    raw = [gzip.decompress(next(DIGITS.glob(f"{name}-{kind}-*")).read_bytes()) for kind in ("images", "labels")]
    return np.frombuffer(raw[0], np.uint8, offset=16).reshape(-1, 8, 8), np.frombuffer(raw[1], np.uint8, offset=8)


def by_name(rows: tuple[StageRecord, ...]) -> dict[str, StageRecord]:
    """Return rows by what they are."""
    return {f"{row.stage} {row.name}".strip(): row for row in rows}


@pytest.mark.parametrize(
    ("held_out", "memory"),
    [
        ('held_out = "stratified"', None),
        pytest.param('held_out = "stratified"', 0, marks=pytest.mark.slow),
        pytest.param('held_out = "last"', None, marks=pytest.mark.slow),
        pytest.param('held_out = "last"', 0, marks=pytest.mark.slow),
    ],
)
def test_parts_come_to_the_bits_of_one_file(tmp_path: Path, held_out: str, memory: int | None) -> None:
    """Statistics, weights, metrics, predictions, figures of shards of any size are those of one, kept or streamed."""
    (images, labels), (more, others) = digits("train"), digits("t10k")
    whole, parts = (PartedSet(tmp_path / name, 10, (8, 8)) for name in ("whole", "parts"))
    whole.describe([whole.write("a", images, labels)], [whole.write("b", more, others)], held_out)
    cuts = [0, 1, 500, 501, 1100, len(labels)]
    train = [parts.write(f"t{start}", images[start:stop], labels[start:stop]) for start, stop in pairwise(cuts)]
    test = [parts.write("x", more[:7], others[:7]), parts.write("y", more[7:], others[7:])]
    parts.describe(train, test, held_out)
    training = Training(epochs=2, memory=memory)
    one, several = by_name(whole.run(training)), by_name(parts.run(training))
    assert "parse train t500-images.idx" in several
    for stage, names in SAME.items():
        for name in names:
            files = [Path(rows[stage].path) / name for rows in (one, several)]
            assert files[0].exists() == files[1].exists()
            assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes(), f"{stage} {name}"
    weights = [
        Manifest.model_validate_json((Path(rows["train"].path) / "manifest.json").read_bytes()).files["model.keras"]
        for rows in (one, several)
    ]
    assert weights[0].content == weights[1].content


@pytest.fixture
def grown(tmp_path: Path) -> PartedSet:
    """A set of two train shards and two test shards, prepared, and one train shard more that is described now."""
    own = PartedSet(tmp_path, 3, (6, 6))
    for number, name in enumerate(("a", "b", "c", "x", "y")):
        own.write(name, *draw(number, 30))
    own.describe(["a", "b"], ["x", "y"])
    own.prepare()
    own.describe(["a", "b", "c"], ["x", "y"])
    return own


def test_an_appended_shard_runs_only_its_part(grown: PartedSet) -> None:
    """Of the stages a part only those of the new one run, and then what depends on all."""
    rows = grown.prepare()
    assert computed(rows) == [
        *(f"{stage} c-{each}.idx" for stage in FRESH for each in ("images", "labels")),
        "parse train c-images.idx",
        "profile train c-images.idx",
        "validate train",
        "validate test",
        "normalize",
    ]
    assert computed(grown.prepare()) == []


def test_a_plan_says_why_an_appended_shard_runs(grown: PartedSet) -> None:
    """Parts that were there are cached; of the new one the reason is that it is new, also to what takes all of them."""
    plan = grown.plan()
    parts = {name: row for name, row in plan.items() if name.startswith(("parse", "profile"))}
    assert [name for name, row in parts.items() if row.state != "cached"] == [
        "parse train c-images.idx",
        "profile train c-images.idx",
    ]
    assert sentence(plan["download c-images.idx"].changes) == "never run"
    assert plan["validate train"].state == "depends"
    assert plan["validate train"].waits_for == ("parse train c-images.idx", "profile train c-images.idx")
    rows = by_name(grown.prepare())
    assert rows["parse train c-images.idx"].reason == "never run"
    assert rows["validate train"].reason == "parse train c-images.idx is new, profile train c-images.idx is new"


def test_a_shard_that_changed_is_told_from_one_that_is_new(grown: PartedSet) -> None:
    """Another content under a name that is known changed; of all others nothing is said."""
    grown.prepare()
    grown.write("b", *draw(77, 30))
    rows = by_name(grown.prepare())
    assert rows["parse train b-images.idx"].reason.startswith("decompress b-images.idx changed")
    assert rows["validate train"].reason.count("changed") == 2
    assert "train b-images.idx changed" in rows["validate train"].reason
    assert computed(tuple(row for row in rows.values() if row.stage == "parse")) == ["parse train b-images.idx"]


def test_a_shard_taken_out_of_the_middle_computes_no_part(grown: PartedSet) -> None:
    """Parts do not know where they stand: the others are taken as they are."""
    grown.prepare()
    grown.describe(["a", "c"], ["x", "y"])
    rows = grown.prepare()
    assert computed(rows) == ["validate train", "validate test", "normalize"]
    assert (
        by_name(rows)["validate train"].reason == "parse train b-images.idx is gone, profile train b-images.idx is gone"
    )


def test_a_set_of_one_shard_takes_its_part_along(tmp_path: Path) -> None:
    """What one shard was parsed to is the first part of two."""
    own = PartedSet(tmp_path, 3, (6, 6))
    for number, name in enumerate(("a", "b", "x")):
        own.write(name, *draw(number, 30))
    own.describe(["a"], ["x"])
    first = by_name(own.prepare())
    own.describe(["a", "b"], ["x"])
    rows = by_name(own.prepare())
    assert rows["parse train a-images.idx"].cached
    assert rows["parse train a-images.idx"].version == first["parse train"].version


def statistics_of(rows: tuple[StageRecord, ...], split: str) -> Statistics:
    """Read what validate found of a split."""
    folder = Path(by_name(rows)[f"validate {split}"].path)
    return Statistics.model_validate_json((folder / "statistics.json").read_bytes())


def test_copies_are_found_across_parts(tmp_path: Path) -> None:
    """An image that lies in two shards of a split is a duplicate, and in one of each split a leak: by its whole id."""
    own = PartedSet(tmp_path, 3, (6, 6))
    shards = {name: draw(number, 30) for number, name in enumerate(("a", "b", "x", "y"))}
    shards["b"][0][4] = shards["a"][0][29]
    shards["y"][0][2] = shards["b"][0][7]
    for name, shard in shards.items():
        own.write(name, *shard)
    own.describe(["a", "b"], ["x", "y"])
    rows = own.prepare()
    found = {one.check: one for one in statistics_of(rows, "train").findings}
    assert found["duplicate"].sample_ids == (29, 34)
    assert [group.sample_ids for group in statistics_of(rows, "train").duplicates] == [(29, 34)]
    found = {one.check: one for one in statistics_of(rows, "test").findings}
    assert (found["leak"].count, found["leak"].sample_ids) == (1, (32,))


def test_the_split_reads_only_parts_with_copies(grown: PartedSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred tables those are hashed and read in which an image occurs that may occur elsewhere in the split."""
    read, opened = list[str](), Store.opened

    def noted(store: Store, ref: Ref) -> Path:
        read.append(f"{ref.stage} {ref.name}")
        return opened(store, ref)

    monkeypatch.setattr(Store, "opened", noted)
    grown.prepare()
    assert read == []
    images, labels = draw(2, 30)
    images[3] = draw(0, 30)[0][5]
    grown.write("c", images, labels)
    grown.prepare()
    assert set(read) == {"parse train a-images.idx", "parse train c-images.idx"}


def test_what_fails_in_a_part_is_told_of_the_split(tmp_path: Path) -> None:
    """Blank images of several parts are one finding, with ids that run over the split; as an error they end the run."""
    own = PartedSet(tmp_path, 3, (6, 6))
    for number, name in enumerate(("a", "b", "x")):
        images, labels = draw(number, 30)
        images[number + 1] = 9
        own.write(name, images, labels)
    own.describe(["a", "b"], ["x"])
    (blank,) = (one for one in statistics_of(own.prepare(), "train").findings if one.check == "blank")
    assert (blank.count, blank.sample_ids) == (2, (1, 32))
    own.describe(["a", "b"], ["x"], '[checks]\nblank = "error"')
    with pytest.raises(InvalidData, match=r"(?s)set train table.*all equal: 2 \(sample_id 1, 32\)"):
        own.prepare()


def test_a_damaged_part_is_rebuilt_alone(grown: PartedSet) -> None:
    """A flipped byte in one part puts that one aside; it is parsed again, and nothing else is."""
    row = by_name(grown.prepare())["parse train b-images.idx"]
    table = Path(row.path) / "table.parquet"
    table.chmod(0o644)
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    rows = grown.prepare()
    assert computed(rows) == ["parse train b-images.idx"]
    assert by_name(rows)["parse train b-images.idx"].reason.startswith("damaged: table.parquet")


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (
            np.zeros((5, 6, 7), np.uint8),
            np.zeros(5, np.uint8),
            r"b-images\.idx: expected uint8 images of shape n x 6 x 6",
        ),
        (np.zeros((5, 6, 6), np.uint8), np.full(5, 3, np.uint8), r"b-labels\.idx: expected labels 0 to 2"),
        (
            np.zeros((5, 6, 6), np.uint8),
            np.zeros(4, np.uint8),
            "b-images.idx and b-labels.idx: expected a label for each",
        ),
    ],
)
def test_a_shard_of_another_kind_is_refused_by_its_name(
    grown: PartedSet, images: Array, labels: Array, words: str
) -> None:
    """Another shape, another class or a missing label is an error that names the shard's file."""
    grown.write("b", images, labels)
    with pytest.raises(BadTable, match=words):
        grown.prepare()


def test_a_number_of_images_is_that_of_the_whole_split(grown: PartedSet) -> None:
    """What a description says of a split's images is held against all of its parts."""
    text = grown.toml.read_text().replace("[[train.shards]]", "[train]\nsamples = 91\n[[train.shards]]", 1)
    grown.toml.write_text(text)
    with pytest.raises(InvalidData, match="samples is 90, not 91"):
        grown.prepare()


def test_two_equal_shards_are_two_parts(tmp_path: Path) -> None:
    """Shards of the same content, named apart or not, are each in the table, and each in the record."""
    own = PartedSet(tmp_path, 3, (6, 6))
    own.write("a", *draw(1, 30))
    own.write("b", *draw(1, 30))
    own.write("x", *draw(2, 30))
    own.describe(["a", "b", "a"], ["x"])
    rows = own.prepare()
    names = [row.name for row in rows if row.stage == "parse"]
    assert names == ["train 1 a-images.idx", "train b-images.idx", "train 3 a-images.idx", "test"]
    assert statistics_of(rows, "train").samples == 90


def test_many_parts_that_are_there_take_no_task(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a flow, parts that are found get no task of Prefect's; what is new or damaged does, and the record has all."""
    monkeypatch.setattr("flows.many.MANY", 3)
    own = make_set(tmp_path / "leaves", 1)
    names = ["train", *(f"more{number}" for number in range(3))]
    for number, name in enumerate(names[1:]):
        own.write(name, number + 7, 20)
    own.describe(shards=tuple(names[:3]))
    first = run(own)
    own.describe(shards=tuple(names))
    assert_own(home, first, own, *names[:3])
    table = next(Path(row.path) for row in first.stages if row.name == "train more0-images.gz" and row.stage == "parse")
    (table / "table.parquet").chmod(0o644)
    (table / "table.parquet").write_bytes(b"?")
    tasks = list[str]()
    submit = Task.submit

    def noted(task: Task[Any, Any], *args: Any, **kwargs: Any) -> Any:
        tasks.append(task.name)
        return submit(task, *args, **kwargs)

    monkeypatch.setattr(Task, "submit", noted)
    record = run(own)
    assert_own(home, record, own, *names)
    assert [row for row in computed(record.stages) if row.startswith(("parse", "profile"))] == [
        "parse train more0-images.gz",
        "parse train more2-images.gz",
        "profile train more2-images.gz",
    ]
    assert tasks.count("parse") == 3  # the two, and that of the test split
    assert tasks.count("download") == 2
    assert len(record.stages) == len(first.stages) + 2 * 3 + 2
