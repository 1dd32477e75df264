"""What interrupted work leaves: each kind is found, named and guarded; what somebody needs is none of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.archive.leftovers import RESUMABLE, SETTLED, Leftover, find_leftovers, is_foreign, touched
from artifacts.store.files import temporary_name
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from tests.artifacts.building import build, publish
from tests.faults.scenarios import NOW, record, ref_of

VERSION = ref_of(0).version
PLACES: dict[str, Callable[[Store], Path]] = {
    "a run's record": lambda store: store.runs / f"{'a' * 12}.json",
    "an alias": lambda store: store.home / "aliases" / "champion.json",
    "a pin": lambda store: store.home / "pins" / f"run-{'a' * 12}.json",
    "a first use": lambda store: store.home / "trust" / "0123456789abcdef.json",
    "a server's database": lambda store: store.home / "prefect" / "prefect.db",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a healthy artifact and a run's record."""
    store = Store(tmp_path / "home")
    build(store, {"a": b"x" * 100})
    record(store, "a" * 12, (0,))
    return store


def age(path: Path, time: timedelta) -> None:
    """Let a file be as old as `time` at NOW."""
    moment = (NOW - time).timestamp()
    os.utime(path, (moment, moment), follow_symlinks=False)


def found(store: Store) -> list[Leftover]:
    return list(find_leftovers(store, NOW))


def test_a_healthy_store_has_none(store: Store) -> None:
    """Artifacts, records, locks, what living runs hold and what is put aside for a moment are not left over."""
    with Hold(store.holds, "run") as hold, store.locked("parse", VERSION):
        hold.add("parse", VERSION)
        assert found(store) == []
    store.folder("parse", VERSION).rename(store.replaced("parse", VERSION))
    assert found(store) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system here that has such times")
def test_a_time_that_no_calendar_knows_is_as_late_as_can_be() -> None:
    """A file system in memory keeps any time that it is given: such a file is new, and stops no clean-up."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        os.utime(file.name, (2**40, 2**40))
        assert touched(Path(file.name)) == datetime.max.replace(tzinfo=UTC)


def test_a_folder_that_is_no_store_has_none(tmp_path: Path) -> None:
    """Where nothing is, nothing is left over, and nothing is made."""
    assert found(Store(tmp_path / "nowhere", create=False)) == []
    assert not list(tmp_path.iterdir())


def test_an_artifact_without_its_record_is_unfinished(store: Store) -> None:
    """Unless somebody has its lock: a run may be about to write the record."""
    ref = publish(store, {"a": b"half"}, salt=1)
    with store.locked("parse", ref.version):
        assert found(store) == []
    (left,) = found(store)
    assert left == Leftover(
        "unfinished",
        store.folder("parse", ref.version),
        "a run ended before its record was written",
        ("parse", ref.version),
    )
    assert left.bytes == sum(path.stat().st_size for path in left.path.iterdir())


def test_what_a_killed_run_built_belongs_to_its_version(store: Store) -> None:
    """A staging folder is left over unless somebody has the lock of the version that it is named for."""
    folder = store.artifacts / "parse" / f".staging-{VERSION}-4711"
    folder.mkdir()
    (folder / "half").write_bytes(b"half")
    with store.locked("parse", VERSION):
        assert found(store) == []
    (left,) = found(store)
    assert (left.kind, left.path, left.artifact, left.bytes) == ("staging", folder, ("parse", VERSION), 4)
    assert left.reason == "a run was killed while it computed this"


def test_a_half_download_can_be_gone_on_with_for_a_day(store: Store) -> None:
    """Until nobody has touched it for that long, the next run needs it; its lock is never one."""
    part = store.incoming / "0123-images.gz.part"
    part.write_bytes(b"half")
    (store.incoming / "locks").mkdir()
    age(store.incoming / "locks", timedelta(days=99))
    age(part, RESUMABLE)
    assert found(store) == []
    age(part, RESUMABLE + timedelta(seconds=1))
    assert [(left.kind, left.path, left.artifact) for left in found(store)] == [("download", part, None)]


def test_checkpoints_can_be_gone_on_with_for_a_day(store: Store) -> None:
    """Until nobody has touched them for that long, the next run needs them; then they are left over, unless it runs."""
    checkpoints = store.checkpoints("parse", VERSION)
    checkpoints.mkdir()
    age(checkpoints, RESUMABLE)
    assert found(store) == []
    age(checkpoints, RESUMABLE + timedelta(seconds=1))
    with store.locked("parse", VERSION):
        assert found(store) == []
    (left,) = found(store)
    assert (left.kind, left.path, left.artifact) == ("checkpoints", checkpoints, ("parse", VERSION))
    assert not is_foreign(checkpoints)


@pytest.mark.parametrize("place", PLACES)
def test_a_half_written_file_is_left_over_after_an_hour(store: Store, place: str) -> None:
    """Before, somebody may be writing it; the file whose name it should have got is never one."""
    path = PLACES[place](store)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    age(path, timedelta(days=99))
    with temporary_name(path) as temporary:
        temporary.write_bytes(b"half")
        age(temporary, SETTLED)
        assert found(store) == []
        age(temporary, SETTLED + timedelta(seconds=1))
        assert [(left.kind, left.path, left.reason) for left in found(store)] == [
            ("temporary", temporary, "a file that was not written to its end")
        ]


def test_a_hidden_file_of_somebody_elses_is_not_ours(store: Store) -> None:
    """Only what bears the name of an interrupted writing is."""
    for name in (".DS_Store", ".nfs000001", ".keep-1"):
        (store.runs / name).touch()
        age(store.runs / name, timedelta(days=99))
    assert found(store) == []


def test_what_a_clean_up_had_moved_aside_goes(store: Store) -> None:
    """Whatever lies in the trash was meant to go."""
    (store.home / "trash" / f"parse-{VERSION}").mkdir(parents=True)
    (left,) = found(store)
    assert (left.kind, left.reason, left.artifact) == ("trash", "a clean-up was interrupted", None)


def test_quarantine_keeps_its_reasons(store: Store) -> None:
    """What was put aside is told with why, or with that nobody wrote it down."""
    store.quarantine("parse", VERSION, "a: expected 100 bytes, found 3")
    (store.quarantined.folder / "train" / "0123-1").mkdir(parents=True)
    assert [(left.kind, left.path.relative_to(store.home).as_posix(), left.reason) for left in found(store)] == [
        ("quarantine", f"quarantine/parse/{VERSION}-1", "a: expected 100 bytes, found 3"),
        ("quarantine", "quarantine/train/0123-1", "no reason is written down"),
    ]


def test_the_last_change_is_told_in_utc(tmp_path: Path) -> None:
    """Of a link its own, not that of what it points to; what is gone was changed before everything."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.touch()
    link.symlink_to(path)
    age(path, timedelta(hours=5))
    age(link, timedelta(hours=1))
    assert touched(path) == Leftover("trash", path, "").touched == NOW - timedelta(hours=5)
    assert touched(link) == NOW - timedelta(hours=1)
    assert touched(tmp_path / "gone") == datetime.min.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kind", "foreign"),
    [
        (VERSION, "folder", False),
        (VERSION, "file", False),
        (VERSION, "link", False),
        (VERSION.upper(), "folder", True),
        (VERSION[:15], "folder", True),
        ("notes.txt", "file", True),
        ("notes.txt", "link", True),
        ("notes.txt", "nothing", False),
        (".hidden", "folder", True),
        (f".staging-{VERSION}-1", "folder", False),
        (f".replaced-{VERSION}", "folder", False),
    ],
)
def test_what_does_not_belong_in_a_stages_folder(tmp_path: Path, name: str, kind: str, foreign: bool) -> None:
    """What is named by a version, whatever it is, and what interrupted work leaves belong there; nothing else does."""
    (tmp_path / "target").mkdir()
    path = tmp_path / name
    match kind:
        case "folder":
            path.mkdir()
        case "file":
            path.touch()
        case "link":
            path.symlink_to(tmp_path / "target")
    assert is_foreign(path) is foreign
