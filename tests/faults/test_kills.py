"""Kill -9 for real: of a run right before each step of the file layer, and of the command at random moments."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.names import Names
from artifacts.archive.runs import list_runs, state_of
from artifacts.store.store import Store
from flows.pipeline import pipeline
from flows.promoting import promoting
from flows.run_record import RunRecord
from schemas.training import Training
from tests.faults.dying import KILLED, Runner
from tests.faults.test_crashes import assert_sound
from tests.flows.own_sets import make_set
from tests.processes import open_python, served_environment

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(1800)]
KILLS = 60


def models(home: Path) -> list[str]:
    """Return what the committed models of a home folder say."""
    store = Store(home)
    found = [store.read(stage, version, fully=True) for stage, version in store.versions() if stage == "train"]
    return sorted(each.ref.file("model.keras").read_text() for each in found if each)


@pytest.mark.parametrize("refresh", [(), ("download", "train")], ids=["first", "refresh"])
def test_a_run_that_is_killed_before_any_step_costs_nothing(
    tmp_path: Path, refresh: tuple[str, ...], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """A process that is killed before step 0, 1, 2, ... of a run leaves a sound store, and the next run ends well."""
    with Runner() as runner:
        whole = tmp_path / "whole"
        if refresh:
            assert runner.run(whole)[0] == 0
        else:
            whole.mkdir()
        code, steps = runner.run(Path(shutil.copytree(whole, tmp_path / "counted")), refresh=refresh)
        assert code == 0
        assert steps > 30
        for at in range(steps):
            home = Path(shutil.copytree(whole, tmp_path / f"at-{at}"))
            code, _ = runner.run(home, at, refresh=refresh)
            assert code in (0, KILLED)  # threads take the steps in another order each time
            assert_sound(Store(home))
            assert runner.run(home, refresh=refresh)[0] == 0
            assert models(home) == ["1 one two"]
            assert_sound(Store(home))
            assert not list(home.glob("artifacts/*/.*"))
            shutil.rmtree(home)
        record_testsuite_property("kills", steps)


@pytest.mark.parametrize("first", [True, False], ids=["first", "moved"])
def test_an_alias_is_old_or_new_whenever_its_promotion_is_killed(
    home: Path, tmp_path: Path, first: bool, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Killed before step 0, 1, 2, ... the alias stands for what it did or for the model whose verdict is stored."""
    own = make_set(tmp_path / "leaves", 1)
    old, new = (pipeline(own.toml, Training(epochs=1, seed=seed)) for seed in (1, 2))
    versions = [next(row.version for row in each.stages if row.stage == "train") for each in (old, new)]
    before = None if first else ("train", versions[0])
    if before:
        promoting(old.id, "champion")
    with Runner() as runner:
        code, steps = runner.run(Path(shutil.copytree(home, tmp_path / "counted")), promote=new.id)
        assert code == 0
        assert steps > 20
        for at in range(steps):
            killed = Path(shutil.copytree(home, tmp_path / f"at-{at}"))
            assert runner.run(killed, at, promote=new.id)[0] in (0, KILLED)
            assert stands_for(killed) in (before, ("train", versions[1]))
            assert_sound(Store(killed))
            assert runner.run(killed, promote=new.id)[0] == 0
            assert stands_for(killed) == ("train", versions[1])
            assert_sound(Store(killed))
            shutil.rmtree(killed)
        record_testsuite_property("kills", steps)


def stands_for(home: Path) -> tuple[str, str] | None:
    """Return what the champion is, whose verdict has to be stored and sound."""
    store = Store(home)
    found = Names(store).aliases()
    for alias in found:
        assert alias.history[-1].verdict
        assert store.read("promote", alias.history[-1].verdict, fully=True)
    return found[0].artifact if found else None


def test_the_command_is_killed_at_random_moments(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """However often the real pipeline is killed, the store stays sound, and a last run ends well."""
    home, moments, ended = tmp_path / "home", random.Random(5), 0
    environment = served_environment(IDXFLOW_HOME=str(home))

    def start(seed: int) -> subprocess.Popen[str]:
        arguments = ["run", "--json", "--dataset", "digits", "--set", "training.epochs=20", f"training.seed={seed}"]
        return open_python("-m", "idxflow", *arguments, environment=environment, cwd=tmp_path)

    killed = 0
    for number in range(KILLS * 3):
        process = start(number // 3)
        try:
            process.wait(moments.uniform(0.8, 6.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        if home.is_dir():
            assert_sound(Store(home))
        ended += process.returncode == 0
        if killed == KILLS:
            break
    assert killed == KILLS
    output, _ = start(number // 3).communicate(timeout=120)
    assert RunRecord.model_validate_json(output).state == "completed"
    store = Store(home)
    states = {state_of(store, record) for record in list_runs(store)}
    assert "running" not in states
    assert Auditor(store, everything=True, repair=False).run(datetime.now(UTC)).problems == ()
    record_testsuite_property("kills", killed)
    record_testsuite_property("ended", ended)
