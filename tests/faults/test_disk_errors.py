"""Errors of the disk: a clear error or a success, nothing half-published, and the next try succeeds."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.archive.runs import list_runs, state_of
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from schemas.errors import StoreError
from tests.artifacts.building import build
from tests.faults.disk import FailingDisk, steps_of, using
from tests.faults.scenarios import OLD, SCENES, record, ref_of
from tests.faults.test_crashes import assert_sound, prepared


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", SCENES)
def test_an_error_at_any_step_is_told_and_costs_nothing(name: str, error: int, tmp_path: Path) -> None:
    """No space, an I/O error, an interrupted call, a read-only disk at each step in turn: told clearly, or overcome."""
    scene = SCENES[name]
    whole = prepared(scene, tmp_path / "whole")
    counted = shutil.copytree(whole, tmp_path / "counted", symlinks=True)
    steps = steps_of(lambda: scene.act(Store(counted)))
    for at in range(len(steps)):
        home = Path(shutil.copytree(whole, tmp_path / f"at-{at}", symlinks=True))
        try:
            with using(FailingDisk(at, error)):
                scene.act(Store(home))
        except StoreError as told:
            assert os.strerror(error) in told.found
            assert "--home" in told.way_out
        scene.check(Store(home))
        scene.act(Store(home))
        scene.ended(Store(home))
        assert_sound(Store(home))
        shutil.rmtree(home)


@pytest.fixture
def as_anybody() -> Iterator[Path]:
    """A folder of everybody's, and no more rights than anybody's: to root nothing is read-only."""
    folder = Path(tempfile.mkdtemp(prefix="idxflow-"))
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(folder)


def lose_rights() -> None:
    """Go on as nobody, where that is a step down."""
    if os.geteuid() == 0:
        os.seteuid(65534)


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_who_may_not_write_sees_a_living_run_too(as_anybody: Path, mode: int) -> None:
    """Whether a run lives is only read; where not even that is allowed, no run is called killed."""
    store = Store(as_anybody / "home")
    record(store, "a" * 12, (), state="running")
    record(store, "b" * 12, (), state="running")
    Hold(store.holds, "b" * 12).release()
    with Hold(store.holds, "a" * 12):
        (store.holds / ("a" * 12)).chmod(mode)
        lose_rights()
        assert [state_of(store, each) for each in list_runs(store)] == ["killed", "running"]


def test_a_read_only_store_is_read_and_told(as_anybody: Path) -> None:
    """Without the right to write, artifacts are still served, and whatever would change the store is a clear error."""
    store = Store(as_anybody / "home")
    build(store, OLD)
    for path in (store.home, *store.home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    lose_rights()
    again = Store(store.home)
    assert again.read("parse", ref_of(0).version) is not None
    with pytest.raises(StoreError, match=r"Permission denied.*--home"):
        build(again, OLD, salt=1)
    with pytest.raises(StoreError, match="Permission denied"):
        Store(store.home / "runs" / "another")
    assert not list(store.artifacts.glob("*/.*"))
