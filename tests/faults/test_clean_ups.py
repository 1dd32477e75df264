"""Clean-ups beside what is under way, came back, is damaged or nobody's: what may be held stays."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from artifacts.archive import roots
from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect, survey
from artifacts.archive.names import Names
from artifacts.manifest import Input
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from schemas.errors import StoreError
from tests.artifacts.building import build, publish
from tests.faults.scenarios import NOW, OLD, content, record, ref_of


def clean_up(store: Store) -> None:
    collect(store, keep=1, older_than=None, now=datetime.now(UTC))


def test_a_clean_up_leaves_what_a_dying_refresh_had_put_aside(store: Store) -> None:
    """While a run rebuilds a held artifact, and after it died over that, a clean-up leaves the old one."""
    stage, version = "parse", ref_of(1).version
    with store.locked(stage, version):
        publish(store, {"a": b"new"}, salt=1)
        clean_up(store)
        assert store.replaced(stage, version).exists()
    found = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert (found.kept, found.candidates) == (2, ())
    clean_up(store)
    assert content(store, ref_of(1)) == b"old"


def test_a_clean_up_does_not_take_what_came_back_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something unfinished that is restored after the clean-up has looked stays."""
    stage, version = "parse", ref_of(1).version
    found = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    (store.folder(stage, version) / "record.json").rename(store.home / "record")
    unfinished = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert {each.kind for each in unfinished.candidates} == {"artifact", "unfinished"}
    (store.home / "record").rename(store.folder(stage, version) / "record.json")
    monkeypatch.setattr("artifacts.archive.collect.survey", lambda *_, **__: unfinished)
    clean_up(store)
    assert content(store, ref_of(1)) == b"old"
    assert not found.done


@pytest.mark.parametrize("how", ["damaged", "pinned and gone", "manifest"])
def test_a_clean_up_stops_where_nobody_knows_what_is_held(store: Store, how: str) -> None:
    """A run's record or a held manifest that does not read, a pinned run without its record: nothing is taken."""
    path = store.runs / f"{'a' * 12}.json"
    match how:
        case "damaged":
            path.write_text(path.read_text()[:-9])
        case "pinned and gone":
            Names(store).pin_run("a" * 12, "", NOW)
            path.unlink()
        case "manifest":
            (store.folder("parse", ref_of(1).version) / "manifest.json").chmod(0o644)
            (store.folder("parse", ref_of(1).version) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="Nothing was taken away"):
        clean_up(store)
    assert len(list(store.versions())) == 3


def test_a_flipped_byte_in_a_held_manifest_costs_nothing_else(store: Store) -> None:
    """What a held artifact was made from stays, though its manifest no longer says what that is."""
    table = ref_of(2)
    taken = Input(argument="x", stage="parse", name="train", version=table.version, digest="0" * 64)
    model = build(store, OLD, "train", inputs=(taken,))
    Names(store).set_alias("model", "train", model.version, NOW)
    path = store.folder("train", model.version) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"verify --repair.*Nothing was taken away"):
        clean_up(store)
    assert content(store, table) == b"old"


def test_an_alias_that_does_not_read_stops_clean_ups_only(store: Store) -> None:
    """A damaged alias leaves the others in use; a repair puts it aside, and it can be set again."""
    path = store.home / "aliases" / "broken.json"
    path.write_text("garbage")
    names = Names(store)
    assert [alias.name for alias in names.aliases()] == ["champion"]
    with pytest.raises(StoreError, match="broken"):
        clean_up(store)
    (problem,) = Auditor(store, everything=True, repair=True).run(datetime.now(UTC)).problems
    assert problem.moved_to == "quarantine/names/broken.json-1/broken.json"
    clean_up(store)
    assert names.set_alias("broken", "parse", ref_of(1).version, NOW).name == "broken"


def test_a_resumed_download_is_left_alone(store: Store) -> None:
    """A part that a run goes on with is not taken, however old it was when the clean-up looked."""
    from artifacts.store.locks import Locks

    part = store.incoming / "1-x.part"
    part.write_bytes(b"part")
    old = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(part, (old, old))
    with Locks(store.incoming / "locks").held(part.name):
        clean_up(store)
        assert part.exists()
    clean_up(store)
    assert not part.exists()


def test_what_is_none_of_ours_is_never_deleted(store: Store) -> None:
    """What a repair put aside because it does not belong to the store stays in quarantine, whatever is cleaned up."""
    (store.artifacts / "stray").write_text("precious")
    Auditor(store, everything=True, repair=True).run(datetime.now(UTC))
    clean_up(store)
    assert (store.quarantined.folder / "foreign" / "stray-1" / "stray").read_text() == "precious"


def test_a_thousand_ended_runs_do_not_slow_a_survey(store: Store) -> None:
    """Who lives is asked once a survey, not once an artifact and run."""
    for number in range(1000):
        with Hold(store.holds, f"{number:012x}") as hold:
            hold.add("parse", ref_of(0).version)
    for salt in range(3, 60):
        build(store, {"a": b"x"}, salt=salt)
    started = time.perf_counter()
    survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert time.perf_counter() - started < 2


def test_what_is_committed_while_a_clean_up_looks_is_no_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that a run commits and records between the look at the store and the one at the history is held."""
    read = roots.read_graph

    def late(store: Store) -> roots.Graph:
        graph = read(store)
        ref = build(store, {"a": b"late"}, salt=77)
        record(store, "f" * 12, (77,), minute=99)
        assert (ref.stage, ref.version) not in graph
        return graph

    monkeypatch.setattr("artifacts.archive.collect.read_graph", late)
    clean_up(store)
    assert content(store, ref_of(77)) == b"late"
