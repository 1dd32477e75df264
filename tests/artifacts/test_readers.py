"""Readers: an artifact that is rebuilt gives way only when nobody reads it any more."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from artifacts.engine.execution import Execution
from artifacts.ref import Ref
from artifacts.stage import Stage, stage
from artifacts.store.store import Store
from schemas.parameters import Summary
from tests.artifacts.building import build


def reading_twice(begun: threading.Event, go_on: threading.Event) -> Stage:
    """A stage that reads one file of its input, waits, and opens the other."""

    @stage("validate")
    def both(table: Ref, out: Path) -> Summary:
        first = table.file("one").read_bytes()
        begun.set()
        go_on.wait(30)
        (out / "both").write_bytes(first + table.file("two").read_bytes())
        return Summary()

    return both


def test_a_stage_reads_its_input_to_the_end_while_another_run_makes_it_anew(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """What is rebuilt waits, and says so, until whoever began with the old files has read them all."""
    caplog.set_level(logging.INFO, "idxflow.store")
    ref, begun, go_on = build(store, {"one": b"1", "two": b"2"}), threading.Event(), threading.Event()
    made: list[Ref] = []
    reader = threading.Thread(
        target=lambda: made.append(Execution(store, "0" * 12, "", reading_twice(begun, go_on), {"table": ref})().ref)
    )
    rebuild = threading.Thread(target=build, args=(store, {"one": b"3", "two": b"4"}))
    reader.start()
    begun.wait(30)
    rebuild.start()
    rebuild.join(0.3)
    waited = rebuild.is_alive()
    go_on.set()
    reader.join(30)
    rebuild.join(30)
    assert waited
    assert made[0].file("both").read_bytes() == b"12"
    assert "somebody reads the one that it replaces" in caplog.text
    assert (store.folder("parse", ref.version) / "two").read_bytes() == b"4"


def test_readers_do_not_wait_for_each_other(store: Store) -> None:
    """An artifact is read by any number at once, and by one as two of his inputs."""
    ref = build(store, {"one": b"1"})
    with store.readers.reading([ref, ref]), store.readers.reading([ref]):
        assert ref.at(store.folder("parse", ref.version)).file("one").read_bytes() == b"1"


def test_a_reader_that_comes_meanwhile_waits(store: Store) -> None:
    """While an artifact changes places nobody begins to read it."""
    ref, order = build(store, {"one": b"1"}), list[str]()

    def read() -> None:
        with store.readers.reading([ref]):
            order.append("read")

    late = threading.Thread(target=read)
    with store.readers.waited_for(ref.stage, ref.version):
        late.start()
        late.join(0.2)
        order.append("in its place")
    late.join(30)
    assert order == ["in its place", "read"]
