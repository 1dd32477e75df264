"""Kill -9 of a sweep's flow, of its workers and of its scheduler, at random moments."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from artifacts.store.store import Store
from tests.faults.test_crashes import assert_sound
from tests.processes import ending, open_python, served_environment

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(3600)]
KILLS = 10
"""Of each kind."""
WORKERS = json.dumps({"runner": "dask", "count": 2})
LATEST = 14.0
"""Seconds after the start of a sweep at which it is killed, at most."""


def start(home: Path) -> subprocess.Popen[str]:
    """Start the sweep."""
    return open_python("-m", "tests.faults.sweeper", WORKERS, environment=served_environment(IDXFLOW_HOME=str(home)))


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return all processes of a sweep, those that its processes started included."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def victims(kind: str, process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes of a kind: the flow, the one that keeps scheduler and workers, the workers themselves."""
    if kind == "flow":
        return [psutil.Process(process.pid)]
    hosts = [each for each in family(process)[1:] if "artifacts.engine.host" in " ".join(each.cmdline())]
    if kind == "scheduler":
        return hosts
    return [
        child for host in hosts for child in host.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())
    ]


def epochs(said: str) -> Iterator[tuple[int, int]]:
    """Yield the trials and their epochs that a sweep printed."""
    for line in said.splitlines():
        match line.split():
            case ["trial", number, done]:
                yield int(number), int(done)


def study(home: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the one study of a home folder, and the content of all models."""
    (found,) = home.glob("artifacts/study/*/study.json")
    manifests = sorted(home.glob("artifacts/train/*/manifest.json"))
    return found.read_bytes(), tuple(json.loads(each.read_text("utf-8"))["digest"] for each in manifests)


def gone(processes: list[psutil.Process], within: float = 15.0) -> list[str]:
    """Return those that have not ended after so many seconds."""
    _, alive = psutil.wait_procs(processes, timeout=within)
    return [" ".join(each.cmdline()) for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", ["flow", "worker", "scheduler"])
def test_kills_cost_a_sweep_no_epoch(
    kind: str, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """No trial is lost, no epoch trained twice but the last one, no process left, and the table is that of one go."""
    whole = tmp_path / "whole"
    with ending(start(whole)) as process:
        _, problems = process.communicate(timeout=300)
        assert process.returncode == 0, problems
    wanted, draw, kills = study(whole), random.Random(kind), 0
    for attempt in range(3 * KILLS):  # some strike nobody: the sweep is over, or its workers are not there yet
        home, done, struck, heard = tmp_path / f"{kind}-{attempt}", False, False, dict[int, int]()
        while not done:
            with ending(start(home)) as process:
                time.sleep(draw.uniform(2, LATEST))
                processes = family(process)
                for victim in [] if struck else victims(kind, process)[: draw.choice([1, 2])]:
                    with suppress(psutil.NoSuchProcess):
                        victim.kill()
                        struck = True
                said, problems = process.communicate(timeout=300)
                for number, epoch in epochs(said):
                    assert epoch >= heard.get(number, 0), f"{kind} {attempt}: trial {number} went back to {epoch}"
                    heard[number] = epoch
                done = process.returncode == 0
                assert done or struck, problems
                assert not gone([*processes, *family(process)])
        assert study(home) == wanted
        assert_sound(Store(home))
        kills += struck
        if kills == KILLS:
            break
    assert kills == KILLS
    record_testsuite_property(f"kills_{kind}", kills)
