"""Crash safety: whatever step the process dies before, nothing is lost and nothing false is believed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.store.store import Store
from tests.faults.disk import Crash, CrashingDisk, steps_of, using
from tests.faults.scenarios import SCENES, Scene


def assert_sound(store: Store) -> None:
    """Hold the whole store against its manifests."""
    assert Auditor(store, everything=True, repair=False).run(datetime.now(UTC)).problems == ()


def prepared(scene: Scene, folder: Path) -> Path:
    """Return a home folder on which the scene can be played."""
    scene.prepare(Store(folder))
    return folder


@pytest.mark.parametrize("name", SCENES)
def test_a_crash_before_any_step_costs_nothing(name: str, tmp_path: Path) -> None:
    """Dying before each write, flush, rename, unlink in turn: what is served is true, and the next try succeeds."""
    scene = SCENES[name]
    whole = prepared(scene, tmp_path / "whole")
    counted = shutil.copytree(whole, tmp_path / "counted", symlinks=True)
    steps = steps_of(lambda: scene.act(Store(counted)))
    assert steps
    for at in range(len(steps)):
        home = Path(shutil.copytree(whole, tmp_path / f"at-{at}", symlinks=True))
        with pytest.raises(Crash), using(CrashingDisk(at)):
            scene.act(Store(home))
        scene.check(Store(home))
        scene.act(Store(home))
        scene.ended(Store(home))
        assert_sound(Store(home))
        shutil.rmtree(home)
