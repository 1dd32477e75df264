"""How an artifact comes to be: nothing counts before its commit, and what it replaces or damages is put aside."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from artifacts.manifest import FileEntry
from artifacts.ref import Ref
from artifacts.store import files
from artifacts.store.integrity import Damage
from artifacts.store.publishing import commit, restore, seal_entries, staging
from artifacts.store.quarantine import Quarantine
from artifacts.store.store import Store
from schemas.errors import StoreError
from tests.artifacts.building import build, publish
from tests.faults.disk import steps_of

FILES = {"table.parquet": b"rows and rows", "notes.txt": b"x"}


def test_sealing_makes_files_read_only_and_durable_and_tells_what_they_are(tmp_path: Path) -> None:
    """Each file loses its write permission, then each is flushed, the folder last; entries have sizes and digests."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    found = list[dict[str, FileEntry]]()
    steps = steps_of(lambda: found.append(seal_entries(tmp_path, {"notes.txt": "meaning"})))
    assert steps[:5] == ["protect", "protect", "sync", "sync", "sync"]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in FILES} == {0o444}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert {name: (entry.bytes, entry.sha256) for name, entry in found[0].items()} == {
        name: (len(content), digests[name]) for name, content in FILES.items()
    }
    assert [entry.content for entry in found[0].values()] == ["meaning", digests["table.parquet"]]


def test_without_its_commit_an_artifact_is_not_there(store: Store) -> None:
    """A run killed between publishing and the record leaves nothing that counts, and the next one replaces it."""
    ref = publish(store, FILES)
    assert store.read(ref.stage, ref.version) is None
    build(store, {"table.parquet": b"other"})
    found = store.read(ref.stage, ref.version)
    assert found is not None
    assert found.ref.file("table.parquet").read_bytes() == b"other"
    assert not list((store.artifacts / "parse").glob(".staging*"))


def test_a_failed_computation_leaves_nothing(store: Store) -> None:
    """When a stage raises, its staging folder goes."""
    with pytest.raises(RuntimeError, match="half"), staging(store, "parse", "0" * 16) as out:
        (out / "half").write_text("half")
        raise RuntimeError("half")
    assert list((store.artifacts / "parse").iterdir()) == []


def test_an_abandoned_staging_folder_goes(store: Store) -> None:
    """What a killed process left is removed when the same version is computed again, another version's is not."""
    mine, other = (store.artifacts / "parse" / f".staging-{digit * 16}-dead" for digit in "01")
    mine.mkdir(parents=True)
    other.mkdir()
    with staging(store, "parse", "0" * 16):
        assert not mine.exists()
        assert other.exists()


def test_a_commit_holds_the_result_against_the_manifest(store: Store) -> None:
    """A reference that does not belong to what was published is not committed."""
    ref = publish(store, FILES)
    with pytest.raises(Damage, match="manifest"):
        commit(store, ref.model_copy(update={"manifest": "0" * 64}))
    assert store.read(ref.stage, ref.version) is None


def test_a_torn_result_is_no_artifact(store: Store) -> None:
    """What a crash leaves of a result before the commit makes no artifact, and the next run does."""
    ref = publish(store, FILES)
    result = store.folder(ref.stage, ref.version) / "result.json"
    result.write_text(json.dumps(ref.model_dump())[:100])
    assert store.read(ref.stage, ref.version) is None
    build(store, FILES)
    assert store.read(ref.stage, ref.version, fully=True) is not None


@pytest.mark.parametrize("name", ["manifest.json", "hashed.json", ".hidden"])
def test_a_stage_may_not_use_the_stores_own_names(store: Store, name: str) -> None:
    """A file that would be mistaken for the store's is refused."""
    with pytest.raises(StoreError, match="names of their own"):
        publish(store, {name: b"{}"})


def content(store: Store, ref: Ref) -> bytes:
    """Return the bytes of an artifact's only file, every hash checked."""
    return store.open(ref).file().read_bytes()


def test_what_is_made_anew_stays_until_the_new_one_is_committed(store: Store) -> None:
    """An artifact that is rebuilt comes back when the run is killed before the commit of the new one."""
    ref = build(store, {"a": b"old"})
    publish(store, {"a": b"new"})
    assert store.read(ref.stage, ref.version) is None
    restore(store, ref.stage, ref.version)
    assert content(store, ref) == b"old"
    assert not store.replaced(ref.stage, ref.version).exists()


def test_a_replaced_artifact_comes_back_where_there_is_no_new_one(store: Store) -> None:
    """A run that is killed between putting the old one aside and bringing the new one loses nothing."""
    ref = build(store, {"a": b"old"})
    files.move_folder(store.folder(ref.stage, ref.version), store.replaced(ref.stage, ref.version))
    restore(store, ref.stage, ref.version)
    assert content(store, ref) == b"old"


def test_a_commit_takes_what_it_replaced_away(store: Store) -> None:
    """After the commit the old artifact is gone, also when a run was killed right before it went."""
    build(store, {"a": b"old"})
    old = store.replaced("parse", build(store, {"a": b"new"}).version)
    assert not old.exists()
    old.mkdir()
    ref = build(store, {"a": b"newer"})
    old.mkdir()
    restore(store, ref.stage, ref.version)
    assert content(store, ref) == b"newer"
    assert not old.exists()


def test_what_is_put_aside_keeps_its_reason(tmp_path: Path) -> None:
    """The thing lies beside the reason; of several of one name the last one's reason is told."""
    quarantine = Quarantine(tmp_path / "quarantine")
    assert quarantine.reason("parse", "v") is None
    for number in range(11):
        (tmp_path / "v").mkdir()
        (tmp_path / "v" / "file").write_text(str(number))
        place = quarantine.take(tmp_path / "v", "parse", f"reason {number}")
        assert place == tmp_path / "quarantine" / "parse" / f"v-{number + 1}" / "v"
    assert quarantine.reason("parse", "v") == "reason 10"
    assert len(list(quarantine.folder.glob("parse/*/v/file"))) == 11


def test_what_somebody_else_has_taken_leaves_nothing(tmp_path: Path) -> None:
    """Of two who find the same damage, the slower one finds nothing, and says so."""
    quarantine = Quarantine(tmp_path / "quarantine")
    assert quarantine.take(tmp_path / "gone", "parse", "reason") is None
    assert list((tmp_path / "quarantine" / "parse").iterdir()) == []
    assert quarantine.reason("parse", "gone") is None
