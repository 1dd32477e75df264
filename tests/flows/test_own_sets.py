"""Sets of one's own by real runs: what they are is what lies in their files, whatever they are called."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from artifacts.archive.reasons import sentence
from artifacts.archive.roots import find_roots, read_graph
from artifacts.store.store import Store
from schemas.errors import ChecksumMismatch, DownloadFailed, IdxflowError
from tests.flows.own_sets import OwnSet, assert_own, computed, make_set, plan, run
from tests.tasks.idx_bytes import idx_bytes

pytestmark = pytest.mark.usefixtures("prefect_server")
EVERYTHING = 20
LABELS = "train-labels.gz"


@pytest.mark.parametrize("order", [(0, 1), pytest.param((1, 0), marks=pytest.mark.slow)])
def test_two_folders_with_equal_names_are_two_sets(order: tuple[int, int], home: Path, tmp_path: Path) -> None:
    """Descriptions, files and folders are called alike: each run is about its own files, in whatever order."""
    sets = [make_set(tmp_path / name / "leaves", seed) for seed, name in enumerate("ab")]
    records = {which: run(sets[which]) for which in order}
    for which, record in records.items():
        assert_own(home, record, sets[which])
        assert record.dataset == "leaves"
    assert len(computed(records[order[1]])) == EVERYTHING
    assert records[0].dataset_id != records[1].dataset_id
    assert {row.version for row in records[0].stages}.isdisjoint(row.version for row in records[1].stages)
    kept = find_roots(Store(home), read_graph(Store(home)), keep=1)
    assert kept >= {(row.stage, row.version) for record in records.values() for row in record.stages}


def test_what_is_copied_or_moved_is_the_same(home: Path, tmp_path: Path) -> None:
    """A copy and a moved folder are all cached, each run about its own files; so is a copy under another set's name."""
    one, other = make_set(tmp_path / "a", 1), make_set(tmp_path / "b", 2)
    first = run(one)
    shutil.copytree(one.folder, tmp_path / "c")
    one.folder.rename(tmp_path / "d")
    for folder in ("c", "d"):
        moved = OwnSet(tmp_path / folder)
        record = run(moved)
        assert computed(record) == []
        assert_own(home, record, moved)
        assert [row.version for row in record.stages] == [row.version for row in first.stages]
    shutil.rmtree(other.folder)
    shutil.copytree(tmp_path / "c", other.folder)
    assert computed(run(other)) == []


def test_a_folder_given_as_mirror_brings_its_own_files(home: Path, tmp_path: Path) -> None:
    """With --mirror the files of another folder are what counts, and without it those of the description again."""
    one, other = make_set(tmp_path / "a", 1), make_set(tmp_path / "b", 2)
    assert_own(home, run(one), one)
    assert_own(home, run(one, str(other.folder / "files")), other)
    record = run(one)
    assert computed(record) == []
    assert_own(home, record, one)


def test_files_of_two_folders_are_not_mixed_without_a_word(home: Path, tmp_path: Path) -> None:
    """A folder that lacks some is passed over for one that has all, and that is said; halves are joined, and said."""
    one, other = make_set(tmp_path / "a", 1), make_set(tmp_path / "b", 2)
    part = tmp_path / "part"
    part.mkdir()
    other.file(LABELS).rename(part / LABELS)
    record = run(one, str(part))
    assert_own(home, record, one)
    (said,) = [each for each in record.warnings if "lacks" in each]
    assert said.startswith(
        f"leaves: {part.as_uri()}/ lacks train-images.gz, test-images.gz, test-labels.gz; all 4 files"
    )
    other.describe(mirrors=("files/", str(part)))
    record = run(other)
    (said,) = [each for each in record.warnings if "no folder" in each]
    assert said.endswith(
        f"train-images.gz, test-images.gz, test-labels.gz from {other.folder.as_uri()}/files/; "
        f"{LABELS} from {part.as_uri()}/."
    )
    (part / LABELS).rename(other.file(LABELS))
    assert_own(home, record, other)


@pytest.mark.slow
def test_a_folder_behind_a_dead_mirror_is_used(home: Path, tmp_path: Path) -> None:
    """Where no mirror before it gives all files, those of a folder are one's own, and nothing is trusted."""
    own = make_set(tmp_path / "leaves", 1)
    own.describe(mirrors=("http://127.0.0.1:9/", "files/"))
    record = run(own)
    assert_own(home, record, own)
    assert Store(home).trust.all() == []
    flip_a_label(own)
    assert_own(home, run(own), own)


def test_a_description_behind_a_link_is_another_set(home: Path, tmp_path: Path) -> None:
    """What lies beside a link is seen from its folder: two folders that share a description are two sets."""
    one, other = make_set(tmp_path / "a", 1), make_set(tmp_path / "b", 2)
    Path(other.toml).unlink()
    Path(other.toml).symlink_to(one.toml)
    records = [run(one), run(other)]
    assert_own(home, records[1], other)
    assert len({record.dataset_id for record in records}) == 2


def flip_a_label(own: OwnSet) -> None:
    """Correct the first label: a file of the same size, in the same place, with the times that it had."""
    path = own.file(LABELS)
    before = path.stat()
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[8] = (raw[8] + 1) % 3
    path.write_bytes(gzip.compress(bytes(raw), mtime=0))
    if path.stat().st_size == before.st_size:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_through_a_link(own: OwnSet) -> None:
    """Have the name lead to another file."""
    flip_a_label(other := OwnSet(Path(shutil.copytree(own.folder, own.folder.with_name("elsewhere")))))
    own.file(LABELS).unlink()
    own.file(LABELS).symlink_to(other.file(LABELS))


@pytest.mark.parametrize("change", [flip_a_label, pytest.param(replace_through_a_link, marks=pytest.mark.slow)])
def test_a_changed_label_file_is_noticed(change: Callable[[OwnSet], None], home: Path, tmp_path: Path) -> None:
    """Plan and run name the file, and only what depends on it runs; what was before is cached when it comes back."""
    own = make_set(tmp_path / "leaves", 1)
    run(own)
    kept = own.file(LABELS).read_bytes()
    change(own)
    rows = plan(home, own)
    assert sentence(rows[f"download {LABELS}"].changes) == f"{LABELS} changed"
    record = run(own)
    assert_own(home, record, own)
    reasons = {f"{row.stage} {row.name}".strip(): row.reason for row in record.stages}
    assert reasons[f"download {LABELS}"] == reasons[f"verify {LABELS}"] == f"{LABELS} changed"
    assert reasons["report"].startswith(f"{LABELS} changed")
    untouched = [row for row in record.stages if row.name.startswith(("test-", "train-images")) or row.name == "test"]
    assert all(row.cached for row in untouched if row.stage != "validate")
    own.file(LABELS).unlink()
    own.put(LABELS, kept)
    assert computed(run(own)) == []


def test_an_appended_shard_is_noticed(home: Path, tmp_path: Path) -> None:
    """Another pair of files in the list is new to plan and run; what was there is cached."""
    own = make_set(tmp_path / "leaves", 1)
    run(own)
    own.write("more", 7, 30)
    own.describe(shards=("train", "more"))
    assert sentence(plan(home, own)["report"].changes) == "more-images.gz is new, more-labels.gz is new"
    record = run(own)
    assert_own(home, record, own, "train", "more")
    assert [name for name in computed(record) if name.startswith(("download", "verify", "decompress"))] == [
        f"{stage} more-{kind}.gz" for stage in ("download", "verify", "decompress") for kind in ("images", "labels")
    ]
    assert "parse test" not in computed(record)


def test_a_file_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    """Plan and run say which file lacks where, and how the description can be put right."""
    own = make_set(tmp_path / "leaves", 1)
    own.file(LABELS).unlink()
    attempts: tuple[Callable[[], object], ...] = (partial(plan, home, own), partial(run, own))
    for attempt in attempts:
        with pytest.raises(DownloadFailed) as failed:
            attempt()
        assert failed.value.subject == LABELS
        assert str(own.folder / "files") in failed.value.expected
        assert "correct its name or `mirrors` in leaves.toml" in failed.value.way_out


def test_a_file_unlike_its_published_checksum_is_refused(home: Path, tmp_path: Path) -> None:
    """A published checksum is believed: a file that was changed is an error, and nothing old is used in its place."""
    own = make_set(tmp_path / "leaves", 1)
    run(own)
    text = (
        Path(own.toml)
        .read_text()
        .replace('labels.name = "train-labels.gz"', f'labels.name = "train-labels.gz"\nlabels.sha256 = "{digest(own)}"')
    )
    Path(own.toml).write_text(text)
    assert [name for name in computed(run(own)) if name.startswith("parse")] == []
    flip_a_label(own)
    with pytest.raises(ChecksumMismatch, match=r"as leaves\.toml says.*correct its sha256 in leaves\.toml"):
        run(own)


def digest(own: OwnSet) -> str:
    """SHA-256 of the label file."""
    import hashlib

    return hashlib.sha256(own.file(LABELS).read_bytes()).hexdigest()


@pytest.mark.parametrize("kinds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_wrong_file_first_and_the_right_one_next(kinds: int, home: Path, tmp_path: Path) -> None:
    """Whatever was wrong with a file, the next plain run takes it as it is then."""
    own = make_set(tmp_path / "leaves", 1)
    right = own.file(LABELS).read_bytes()
    images = own.contents("train")[0]
    wrong = {
        "labels from 1": gzip.compress(idx_bytes(own.contents("train")[1] + 1)),
        "a page": b"<!doctype html><title>Log in</title>",
        "compressed twice": gzip.compress(right),
        "an archive": b"PK\x03\x04" + bytes(60),
        "another shape": gzip.compress(idx_bytes(images.reshape(-1, 4, 9))),
        "little-endian": gzip.compress(b"\x01\x08\x00\x00" + (60).to_bytes(4, "little") + bytes(60)),
        "nothing in it": gzip.compress(b""),
        "another number": gzip.compress(idx_bytes(own.contents("train")[1][:-1])),
        "images": own.file("train-images.gz").read_bytes(),
        "half a file": right[: len(right) // 2],
    }
    for what, content in islice(wrong.items(), kinds):
        own.put(LABELS, content)
        with pytest.raises(IdxflowError, match="train"):
            run(own)
        own.put(LABELS, right)
        record = run(own)
        assert_own(home, record, own)
        assert record.state == "completed", what
