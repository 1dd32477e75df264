"""The check of a whole store: what is wrong is named, what is only left over is not called wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.archive.audit import Audit, Auditor
from artifacts.archive.names import Names
from artifacts.store.store import Store
from schemas.events import Event, Progress, listening
from tests.artifacts.building import build, flip_unseen, publish
from tests.faults.scenarios import NOW, record, ref_of, three_artifacts

FILES = {"a": b"x" * 1000, "b": b"y"}
VERSION = ref_of(0).version


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three artifacts and a run."""
    return three_artifacts(tmp_path / "home", FILES)


def audit(store: Store, *, repair: bool = False, everything: bool = True) -> Audit:
    return Auditor(store, everything=everything, repair=repair).run(datetime.now(UTC))


def spoil(path: Path, content: bytes = b"z" * 1000) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_sound_store_is_counted(store: Store) -> None:
    """Every artifact, file and byte is counted, and the progress comes to its end."""
    events: list[Event] = []
    with listening(events.append):
        found = audit(store)
    assert (found.artifacts, found.files, found.bytes) == (3, 6, 3 * 1001)
    assert (found.problems, found.leftovers, found.busy) == ((), (), 0)
    last = events[-1]
    assert isinstance(last, Progress)
    assert last.done == last.total


def test_a_byte_that_only_a_hash_sees_is_found(store: Store) -> None:
    """A file of the right size that looks as when it was hashed is hashed all the same."""
    path = store.folder("parse", VERSION) / "a"
    flip_unseen(path)
    (problem,) = audit(store, everything=False).problems
    assert problem.subject == f"artifacts/parse/{VERSION}"
    assert problem.found.startswith("a: expected SHA-256")
    assert problem.moved_to is None
    assert path.exists()


@pytest.mark.parametrize("file", ["a", "manifest.json", "result.json", "record.json"])
def test_repair_puts_what_is_damaged_in_quarantine(store: Store, file: str) -> None:
    """What is damaged is moved aside with its reason, and the store is sound afterwards."""
    spoil(store.folder("parse", VERSION) / file)
    (problem,) = audit(store, repair=True).problems
    assert problem.moved_to == f"quarantine/parse/{VERSION}-1/{VERSION}"
    assert store.quarantined.reason("parse", VERSION) == problem.found
    after = audit(store)
    assert (after.artifacts, after.problems) == (2, ())
    assert after.leftovers == (f"quarantine/parse/{VERSION}-1: {problem.found}",)


def test_what_is_left_over_is_not_wrong(store: Store) -> None:
    """What killed runs leave is listed, and no problem."""
    publish(store, FILES, salt=7)
    (store.artifacts / "parse" / f".staging-{VERSION}-1").mkdir()
    (store.home / "trash").mkdir()
    (store.home / "trash" / "parse-1").mkdir()
    found = audit(store)
    assert found.problems == ()
    assert [sentence.partition(": ")[2] for sentence in found.leftovers] == [
        "a run ended before its record was written",
        "a run was killed while it computed this",
        "a clean-up was interrupted",
    ]


def lose_the_record(store: Store) -> None:
    (store.folder("parse", VERSION) / "record.json").unlink()


def test_a_record_that_got_lost_is_named_once(store: Store) -> None:
    """What completed runs were made with had its record: without it, it is wrong and no leftover."""
    record(store, "b" * 12, (0,), minute=1)
    lose_the_record(store)
    assert audit(store).leftovers == ()  # what is told as wrong is not told as left over as well
    found = audit(store, repair=True)
    (problem,) = found.problems
    assert problem.found == f"its record is missing, though run {'b' * 12} was completed with it"
    assert problem.moved_to == f"quarantine/parse/{VERSION}-1/{VERSION}"
    assert [sentence.partition(":")[0] for sentence in found.leftovers] == [f"quarantine/parse/{VERSION}-1"]


@pytest.mark.parametrize("result", [False, True])
def test_what_a_later_run_was_killed_over_is_only_left_over(store: Store, *, result: bool) -> None:
    """After a clean-up a run made it again, and was killed before its commit: the record is not lost, but never was."""
    store.folder("parse", VERSION).rename(store.home / "cleaned up")
    later = (NOW + timedelta(days=1)).isoformat()
    publish(store, FILES, created=later)
    if result:  # as Prefect leaves it, right before the commit
        (store.folder("parse", VERSION) / "result.json").write_text("{}")
    found = audit(store, repair=True)
    assert found.problems == ()
    assert found.leftovers == (f"artifacts/parse/{VERSION}: a run ended before its record was written",)


def test_what_a_run_is_about_to_commit_is_left_out(store: Store) -> None:
    """Under its lock an artifact without a record is being made: it is busy, and nobody takes it away."""
    lose_the_record(store)
    with store.locked("parse", VERSION):
        found = audit(store, repair=True)
    assert (found.problems, found.leftovers, found.busy) == ((), (), 1)
    assert store.folder("parse", VERSION).exists()


@pytest.mark.parametrize("place", ["stray", "parse/stray", "parse/0123", "No-stage/0123456789abcdef"])
def test_what_does_not_belong_there_is_named(store: Store, place: str) -> None:
    """A file or folder among the artifacts that is none is a problem, which repair moves aside."""
    path = store.artifacts / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("?")
    (problem,) = audit(store, repair=True).problems
    assert problem.found == "it does not belong here"
    assert audit(store).problems == ()
    assert store.home.joinpath(problem.moved_to or "").exists()


def test_a_link_instead_of_an_artifact_is_named(store: Store, tmp_path: Path) -> None:
    """A version that is a link to elsewhere is not believed, and what it points to is left alone."""
    folder = store.folder("parse", VERSION)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    (problem,) = audit(store, repair=True).problems
    assert problem.found == "it is no folder"
    assert (tmp_path / "elsewhere" / "a").exists()
    assert audit(store).artifacts == 2


def test_all_means_records_names_and_first_uses_too(store: Store) -> None:
    """Run records and first uses that do not read, and names whose artifact is gone, are problems for --all."""
    Names(store).set_alias("champion", "parse", VERSION, NOW)
    store.quarantine("parse", VERSION, "test")
    (store.runs / f"{'b' * 12}.json").write_text("{")
    (store.home / "trust").mkdir()
    (store.home / "trust" / "0123456789abcdef.json").write_text("{")
    assert audit(store, everything=False).problems == ()
    found = {problem.subject: problem.found for problem in audit(store).problems}
    assert found == {
        "alias champion": f"parse/{VERSION} is gone",
        f"runs/{'b' * 12}.json": "it is no run's record",
        "trust/0123456789abcdef.json": "a record that does not read",
    }
    repaired = {problem.subject: (problem.moved_to, problem.way_out) for problem in audit(store, repair=True).problems}
    assert repaired[f"runs/{'b' * 12}.json"] == (f"quarantine/runs/{'b' * 12}.json-1/{'b' * 12}.json", None)
    assert not (store.runs / f"{'b' * 12}.json").exists()
    for subject, way_out in (
        ("alias champion", "--remove"),
        ("trust/0123456789abcdef.json", "Restore it from a backup"),
    ):
        moved, told = repaired[subject]
        assert moved is None
        assert way_out in (told or "")


def test_what_a_run_is_just_making_is_left_out(store: Store) -> None:
    """Damage under somebody's lock may be half of a replacement: it is counted as busy."""
    spoil(store.folder("parse", VERSION) / "a")
    with store.locked("parse", VERSION):
        found = audit(store, repair=True)
    assert (found.problems, found.busy, found.artifacts) == ((), 1, 2)


def test_what_another_version_has_made_stays_where_it_is(store: Store) -> None:
    """A stage that only a newer idxflow knows is checked as any other, never moved for being unknown."""
    ref = build(store, {"a": b"x"}, "score")
    found = audit(store, repair=True)
    assert not found.problems
    assert store.read("score", ref.version, fully=True) is not None
