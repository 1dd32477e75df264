"""Odd things in a home folder: pipes, devices, strangers' files, half-written notes. Nobody hangs, nothing is lost."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import survey
from artifacts.store.files import move_folder
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from schemas.errors import StoreError
from tests.artifacts.building import build
from tests.faults.scenarios import OLD, content, ref_of


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "place", ["manifest", "runs/x.json", "aliases/x.json", "trust/0123456789abcdef.json", "reason"]
)
@pytest.mark.parametrize("how", ["pipe", "endless", "folder", "deep"])
def test_odd_things_in_the_place_of_records_stop_nobody(store: Store, place: str, how: str) -> None:
    """A pipe, a link to an endless device, a folder, a bottomless JSON: no command hangs, no traceback."""
    store.quarantine("parse", ref_of(2).version, "test")
    places = {
        "manifest": store.folder("parse", ref_of(0).version) / "manifest.json",
        "reason": store.quarantined.folder / "parse" / f"{ref_of(2).version}-1" / "reason.txt",
    }
    path = places.get(place, store.home / place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    match how:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "deep":
            path.write_text("[" * 200_000)
    found = Auditor(store, everything=True, repair=False).run(datetime.now(UTC))
    assert bool(found.problems) == (place != "reason")
    try:
        survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    except StoreError as error:
        assert place != "reason", error


def test_a_file_in_the_place_of_an_artifact_is_put_aside(store: Store) -> None:
    """A version that is a plain file is damage, and the next run rebuilds the artifact."""
    folder = store.folder("parse", ref_of(0).version)
    move_folder(folder, store.home / "away")
    folder.write_text("?")
    assert store.read("parse", folder.name) is None
    assert not folder.exists()
    build(store, OLD)
    assert content(store, ref_of(0)) == b"old"


def test_damage_is_put_aside_only_under_the_lock(store: Store) -> None:
    """While somebody else rebuilds a version, what looks damaged is left alone; afterwards it is put aside."""
    stage, version = "parse", ref_of(0).version
    path = store.folder(stage, version) / "a"
    path.chmod(0o644)
    path.write_bytes(b"bad")
    with store.locked(stage, version):
        assert store.read(stage, version, fully=True) is None
        assert path.exists()
    assert store.read(stage, version, fully=True) is None
    assert not path.exists()


def test_a_note_that_was_not_written_to_its_end_is_no_file_of_the_artifact(store: Store) -> None:
    """What a killed note of hashes leaves hidden in an artifact is passed over; any other hidden file is damage."""
    stage, version = "parse", ref_of(0).version
    folder = store.folder(stage, version)
    (folder / ".hashed.json.12-34").write_text("{")
    found = store.read(stage, version, fully=True)
    assert found is not None
    assert found.ref.file("a").read_bytes() == b"old"
    (folder / ".hidden").write_text("x")
    assert store.read(stage, version) is None


def test_a_living_runs_staging_folder_is_no_leftover(store: Store) -> None:
    """What a run is at work on is neither listed as left over nor taken away."""
    version = ref_of(9).version
    staging = store.artifacts / "parse" / f".staging-{version}-1"
    staging.mkdir()
    auditor = Auditor(store, everything=True, repair=False)
    with store.locked("parse", version):
        assert auditor.run(datetime.now(UTC)).leftovers == ()
    assert len(auditor.run(datetime.now(UTC)).leftovers) == 1


def test_a_folder_of_somebody_elses_is_no_home(tmp_path: Path) -> None:
    """Where `artifacts` holds other things and no run was ever made, a store is not begun, and nothing is touched."""
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "code.py").write_text("x")
    with pytest.raises(StoreError, match=r"found code\.py\. Choose another folder with --home"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_a_released_hold_writes_nowhere(tmp_path: Path) -> None:
    """After a hold is released its descriptor belongs to whoever opens a file next: nothing is written to it."""
    hold = Hold(tmp_path / "holds", "run")
    hold.release()
    with (tmp_path / "other").open("w+b") as other:
        hold.add("parse", "0" * 16)
        hold.release()
        assert os.fstat(other.fileno()).st_size == 0
