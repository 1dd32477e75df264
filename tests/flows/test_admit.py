"""Size before work: what does not fit is refused before it has begun, with the figure; --force goes on."""

from __future__ import annotations

import gzip
import logging
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from flows import admit
from flows.admit import Admission, Room, Sizes, estimate, refuse, room_of
from flows.identify import identify
from flows.job import Job
from flows.own_source import packed_dataset
from flows.plan import plan_pipeline
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.errors import TooLarge
from schemas.source import Choices
from schemas.training import Training
from tasks.fitting.memory import used_memory
from tests.flows.packed_sets import make_folder
from tests.flows.walking import ROWS, TRAINING, digits_home
from tests.tasks.idx_bytes import idx_bytes

GB = 10**9
WIDE = Training(hidden=(8192, 8192, 8192))
TOML = """
title = "Leaves"
source = "ours"
shape = [5, 4]
classes = ["oak", "elm"]
mirrors = ["{mirror}"]
[[train.shards]]
images.name = "images"
labels.name = "labels"
[[test.shards]]
images.name = "more-images"
labels.name = "more-labels"
"""


@pytest.fixture
def home_of_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder after one run over the digits; nobody changes it."""
    return digits_home(tmp_path_factory.getbasetemp())


def leaves(folder: Path, pack: Callable[[bytes], bytes] = gzip.compress, mirror: str = ".") -> Dataset:
    """Describe a set of 30 train images and 10 test images, whose files lie in a folder."""
    for prefix, rows in (("", 30), ("more-", 10)):
        images, labels = np.arange(rows * 20).reshape(rows, 5, 4).astype(np.uint8), np.arange(rows) % 2
        (folder / f"{prefix}images").write_bytes(pack(idx_bytes(images)))
        (folder / f"{prefix}labels").write_bytes(pack(idx_bytes(labels.astype(np.uint8))))
    (folder / "leaves.toml").write_text(TOML.format(mirror=mirror))
    return load_dataset(str(folder / "leaves.toml"))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bytes], ids=["gz", "xz", "raw"])
def test_how_many_images_there_are_stands_in_the_files(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Of files on this machine the headers are read, whatever they are compressed by; nothing has run."""
    sizes = Sizes(leaves(tmp_path, pack))
    work = sizes.work(Training(), GB)
    assert sizes.known
    assert (work.train, work.test, work.pixels, work.classes) == (30, 10, 20, 2)
    assert work.files["images"] == ((tmp_path / "images").stat().st_size, 16 + 600)


def test_a_test_split_that_is_cut_off_is_counted_once(tmp_path: Path) -> None:
    """With a fraction both splits are the same files' images."""
    leaves(tmp_path)
    text = (tmp_path / "leaves.toml").read_text().partition("[[test.shards]]")[0]
    (tmp_path / "leaves.toml").write_text(text + "[test]\nfraction = 0.2\n")
    work = Sizes(load_dataset(str(tmp_path / "leaves.toml"))).work(Training(), GB)
    assert (work.train, work.test) == (24, 6)


@pytest.mark.parametrize(("test", "rows"), [(False, (48, 12)), (True, (60, 30))], ids=["cut", "test folder"])
def test_the_images_of_a_place_are_counted_by_their_names(tmp_path: Path, test: bool, rows: tuple[int, int]) -> None:
    """Of a folder it is known before anything is decoded, and a stage that packs is estimated."""
    make_folder(tmp_path / "photos", test=test)
    data = packed_dataset(Store(tmp_path / "home"), str(tmp_path / "photos"), Choices())
    assert data is not None
    sizes = Sizes(data)
    work = sizes.work(Training(), GB)
    assert sizes.known
    assert (work.train, work.test, work.pixels, work.classes) == (*rows, 36, 3)
    needs = estimate(sizes, Training(), [("pack", "photos"), ("group", "")], GB)
    assert [each.stage for each in needs.stages] == ["pack", "group"]
    assert 300 * 10**6 < needs.memory < 400 * 10**6


def test_of_remote_files_it_is_published_or_not_known(tmp_path: Path) -> None:
    """The catalog says how many images there are; where nobody does, a plan says `at least`."""
    assert Sizes(load_dataset("mnist")).work(Training(), GB).rows == 70_000
    remote = Sizes(leaves(tmp_path, mirror="http://127.0.0.1:9/"))
    assert not remote.known
    assert str(estimate(remote, Training(), [("train", "")], GB)).startswith("at least 1.1 GB of memory and ")


def test_what_does_not_fit_is_refused_with_the_figure() -> None:
    """The message names the stage that needs the most, what is free, what is needed and why, and a way out."""
    sizes = Sizes(load_dataset("digits"))
    room = Room(memory=4 * GB, disk=10 * GB)
    with pytest.raises(TooLarge) as refused:
        refuse(load_dataset("digits"), sizes, estimate(sizes, WIDE, [("train", "")], room.memory), WIDE, room)
    assert refused.value.subject == "digits, stage train"
    assert refused.value.expected == "a run that fits into 4.0 GB of memory, which is free"
    assert refused.value.found.startswith("one that needs about ")
    assert refused.value.found.endswith("1,797 images of 8 x 8, 10 classes, hidden layers: 8192, 8192, 8192")
    assert "--set training.hidden" in refused.value.way_out
    assert "--force" in refused.value.way_out


def test_a_disk_that_is_too_small_is_named() -> None:
    """What all stages leave together does not fit: it is said how to get space."""
    sizes, room = Sizes(load_dataset("mnist")), Room(memory=20 * GB, disk=10**7)
    needs = estimate(sizes, Training(), [("parse", "train"), ("parse", "test")], room.memory)
    with pytest.raises(TooLarge, match=r"^mnist: .*10\.0 MB of disk, which is free.*idxflow gc.*--home.*--force"):
        refuse(load_dataset("mnist"), sizes, needs, Training(), room)


def admission(home: Path, monkeypatch: pytest.MonkeyPatch, *, memory: int, **options: object) -> Admission:
    """Ask about the digits, on a machine with so much memory."""
    monkeypatch.setattr(admit, "room_of", lambda _: Room(memory=memory, disk=100 * GB))
    digits = identify(Store(home), load_dataset("digits"))
    return replace(Admission(Store(home), digits, TRAINING, ()), **options)  # type: ignore[arg-type]


def test_what_is_cached_needs_nothing(home_of_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finds everything stored is let through on the smallest machine; one that computes is not."""
    admission(home_of_digits, monkeypatch, memory=10**6).check()
    with pytest.raises(TooLarge):
        admission(home_of_digits, monkeypatch, memory=10**6, refresh=("train",)).check()
    with pytest.raises(TooLarge):
        admission(tmp_path / "empty", monkeypatch, memory=10**6).check()


def test_force_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same words are a warning then."""
    with caplog.at_level(logging.WARNING, "idxflow.size"):
        admission(tmp_path, monkeypatch, memory=10**6, force=True).check()
    (record,) = caplog.records
    assert "expected a run that fits into 1.0 MB of memory" in record.getMessage()


def test_a_plan_says_what_it_needs(home_of_digits: Path, tmp_path: Path) -> None:
    """Of what is computed only: nothing where all is cached."""
    cold = plan_pipeline(Store(tmp_path / "empty", create=False), Job(dataset="digits", training=TRAINING))
    assert {each.stage for each in cold.needs.stages} == {row.stage for row in cold.stages}
    assert cold.needs.known
    assert 10**9 < cold.needs.memory < 2 * 10**9
    warm = plan_pipeline(Store(home_of_digits), Job(dataset="digits", training=TRAINING))
    assert warm.needs.stages == ()
    assert sum(ROWS.values()) == Sizes(load_dataset("digits")).work(TRAINING, GB).rows


def test_what_is_free_is_that_of_this_machine(tmp_path: Path) -> None:
    """Also of the disk of a folder that is not there yet; the process's own memory is part of what it may have."""
    room = room_of(tmp_path / "not" / "there")
    assert room.disk > 0
    assert room.memory > used_memory() > 10**7
