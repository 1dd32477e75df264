"""The store: what is committed is found, what is damaged is not believed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.code import TICK
from artifacts.ref import Ref
from artifacts.store import integrity
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, StoreError
from tests.artifacts.building import build

FILES = {"table.parquet": b"rows and rows", "notes.txt": b"x"}


def writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


def test_what_is_committed_is_found(store: Store) -> None:
    """A committed artifact reads back with its files and its manifest."""
    ref = build(store, FILES)
    stored = store.read(ref.stage, ref.version)
    assert stored is not None
    assert stored.ref.model_dump() == ref.model_dump()
    assert stored.ref.file("notes.txt").read_bytes() == b"x"
    assert stored.manifest.bytes == sum(map(len, FILES.values()))


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 + position % 255
    writable(path).write_bytes(bytes(content))


@given(st.data())
def test_any_flipped_byte_is_seen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whichever byte of whichever stored file changes: what is served is the true content, or nothing."""
    store = Store(tmp_path_factory.mktemp("home"))
    ref = build(store, FILES)
    folder = store.folder(ref.stage, ref.version)
    victim = data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    _flip(folder / victim, data.draw(st.integers(0, 10_000)))
    found = store.read(ref.stage, ref.version)
    if found is not None:
        assert found.ref.digest == ref.digest
        assert {name: found.ref.file(name).read_bytes() for name in FILES} == FILES
    else:
        assert not folder.exists()
        assert list(store.quarantined.folder.glob(f"parse/*/{ref.version}"))
    # Only what the store can do without may be changed unseen: the note of when files were hashed, and
    # what a record says beside the digest of the result.
    assert found is None or victim in ("hashed.json", "record.json")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("victim", ["table.parquet", "manifest.json", "result.json", "record.json"])
@pytest.mark.parametrize("how", ["removed", "emptied", "link", "folder", "pipe"])
def test_a_replaced_file_is_not_believed(store: Store, tmp_path: Path, victim: str, how: str) -> None:
    """A file that is gone, empty, a link, a folder or a pipe puts the artifact in quarantine."""
    ref = build(store, FILES)
    path = store.folder(ref.stage, ref.version) / victim
    copy = shutil.copy(path, tmp_path / "copy")
    path.unlink()
    if how == "emptied":
        path.write_bytes(b"")
    elif how == "link":
        path.symlink_to(copy)
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    assert store.read(ref.stage, ref.version) is None
    assert store.folder(ref.stage, ref.version).exists() == (victim == "record.json" and how == "removed")


def test_a_file_too_many_is_not_believed(store: Store) -> None:
    """A file that nobody published puts the artifact in quarantine."""
    ref = build(store, FILES)
    (store.folder(ref.stage, ref.version) / "extra").write_text("x")
    assert store.read(ref.stage, ref.version) is None


def test_a_manifest_from_another_version_is_not_believed(store: Store) -> None:
    """Swapping manifest, result and record of two healthy artifacts is seen."""
    one, two = build(store, FILES, salt=1), build(store, FILES, salt=2)
    for name in ("manifest.json", "result.json", "record.json"):
        source, target = store.folder("parse", one.version) / name, store.folder("parse", two.version) / name
        target.unlink()
        shutil.copy(source, target)
    assert store.read("parse", two.version) is None
    assert store.read("parse", one.version) is not None


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that the store hashes, in their order."""
    names = list[str]()
    real = integrity.hash_or_damage

    def spy(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(integrity, "hash_or_damage", spy)
    return names


def test_the_quick_check_trusts_what_looks_untouched(store: Store, hashed: list[str]) -> None:
    """A file that looks as when it was hashed is not hashed again; one that is about to be read is."""
    ref = build(store, FILES)
    time.sleep(0.05)
    hashed.clear()
    store.read(ref.stage, ref.version)
    assert set(FILES) <= set(hashed)  # noted too soon after they were written to prove anything
    hashed.clear()
    store.read(ref.stage, ref.version)
    assert not set(FILES) & set(hashed)
    store.open(ref)
    assert set(FILES) <= set(hashed)


def test_a_run_hashes_a_file_once(store: Store, hashed: list[str]) -> None:
    """Of all that read a file in one run the first one hashes it; another run, or another process, does so itself."""
    ref = build(store, FILES)
    time.sleep(0.05)
    store.open(ref)
    hashed.clear()
    store.open(ref)
    assert not set(FILES) & set(hashed)
    for other in (Store(store.home), pickle.loads(pickle.dumps(store))):
        hashed.clear()
        other.open(ref)
        assert set(FILES) <= set(hashed)


def test_what_was_hashed_right_after_its_last_change_is_hashed_again(
    store: Store, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change in the same tick of the clock would leave the same times, so that a look too soon proves nothing."""
    ref = build(store, FILES)
    monkeypatch.setattr(integrity, "TICK", 10**15)
    store.open(ref)
    hashed.clear()
    store.open(ref)
    assert set(FILES) <= set(hashed)


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_what_changes_between_two_readers_of_a_run_is_seen(store: Store, tmp_path: Path, how: str) -> None:
    """Same size, same modification time, another byte: the change time, or the inode, gives it away."""
    ref = build(store, FILES)
    path = store.folder(ref.stage, ref.version) / "notes.txt"
    time.sleep(0.05)
    store.open(ref)
    times = path.stat()
    if how == "written":
        writable(path).write_bytes(b"y")
    else:
        (tmp_path / "other").write_bytes(b"y")
        (tmp_path / "other").replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ArtifactDamaged, match=r"artifact parse train"):
        store.open(ref)


def test_an_opened_artifact_tells_the_digests_that_it_was_held_against(store: Store) -> None:
    """A stage gets a file's SHA-256 without reading it once more; of a folder that nobody opened it is read."""
    ref = build(store, FILES)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    opened, folder = store.open(ref), store.folder(ref.stage, ref.version)
    assert {name: opened.sha256(name) for name in FILES} == digests
    assert {name: ref.at(folder).sha256(name) for name in FILES} == digests


def test_a_change_in_the_same_tick_of_the_clock_is_seen(store: Store) -> None:
    """A file that is changed right after it was hashed, its times the same, is hashed again."""
    ref = build(store, FILES)
    path = store.folder(ref.stage, ref.version) / "notes.txt"
    times = path.stat()
    writable(path).write_bytes(b"y")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    now = path.stat().st_ctime_ns
    note = path.parent / "hashed.json"
    note.write_text(json.dumps({name: integrity.identity(path.parent / name) for name in FILES}))
    os.utime(note, ns=(now, now + TICK // 2))
    assert store.read(ref.stage, ref.version) is None


def test_a_moved_store_stays_whole(store: Store, tmp_path: Path) -> None:
    """A copied store, its files new inodes, is hashed once more and then believed without."""
    ref = build(store, FILES)
    moved = Store(Path(shutil.copytree(store.home, tmp_path / "moved")))
    found = moved.read(ref.stage, ref.version)
    assert found is not None
    assert found.folder.is_relative_to(tmp_path / "moved")
    note = json.loads((found.folder / "hashed.json").read_bytes())
    assert note["notes.txt"][1] == (found.folder / "notes.txt").stat().st_ino


def test_opening_a_damaged_artifact_is_an_error_that_says_so(store: Store) -> None:
    """A stage never reads an input that is not what it was, however untouched it looks."""
    ref = build(store, FILES)
    folder = store.folder(ref.stage, ref.version)
    writable(folder / "notes.txt").write_bytes(b"y")
    time.sleep(0.05)
    identities = {name: integrity.identity(folder / name) for name in FILES}
    (folder / "hashed.json").write_text(json.dumps(identities))
    assert store.read(ref.stage, ref.version) is not None
    with pytest.raises(ArtifactDamaged, match=r"artifact parse train .*: expected content .*, found a damaged"):
        store.open(ref)
    assert not folder.exists()


def test_a_file_is_found_by_its_checksum(store: Store) -> None:
    """A healthy file of a stage is found whatever its version; a damaged one is not."""
    ref = build(store, FILES)
    read = store.read("parse", ref.version)
    assert read is not None
    entry = read.manifest.files["notes.txt"]
    found = store.find_file("parse", entry.sha256)
    assert found is not None
    assert found.read_bytes() == b"x"
    assert store.find_file("train", entry.sha256) is None
    writable(found).write_bytes(b"y")
    assert store.find_file("parse", entry.sha256) is None


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """A home that is a file is named, with the way out."""
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match=r"home: expected a folder .* --home"):
        Store(tmp_path / "home")


def test_a_reference_names_its_files(store: Store) -> None:
    """Asking for a file that is not there says what is."""
    ref = build(store, FILES)
    with pytest.raises(StoreError, match=r"expected the file model\.keras, found notes\.txt, table\.parquet"):
        ref.file("model.keras")
    with pytest.raises(StoreError, match=r"expected one file, found notes\.txt, table\.parquet"):
        ref.file()
    with pytest.raises(StoreError, match="found none"):
        Ref.model_validate(ref.model_dump()).file()


def test_environment_says_where_an_artifact_was_made(store: Store) -> None:
    """The manifest holds interpreter, packages and git commit, and nothing that tells whose machine it was."""
    found = store.read("parse", build(store, FILES).version)
    assert found is not None
    environment = found.manifest.environment
    assert environment.packages.keys() >= {"tensorflow", "keras", "numpy", "prefect"}
    assert os.uname().nodename not in environment.model_dump_json() or len(os.uname().nodename) < 3
