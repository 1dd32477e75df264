"""The work of the run command, over a flow that is handed in."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.job import Job
from flows.run_record import RunRecord
from idxflow.cli.ending import BELOW
from idxflow.cli.run import is_below, run_pipeline
from idxflow.cli.settings import Settings, load_settings
from schemas.errors import BadIdx
from schemas.events import RunChanged, StageChanged, emit
from schemas.training import Training
from tests.idxflow.conftest import Screen, Stranger
from tests.idxflow.recording import record_run
from tests.processes import PROJECT, bare_environment, run_python


@pytest.fixture
def settings(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a run that has an API already, and starts no server."""
    api = f"http://127.0.0.1:{stranger.port}/api"
    monkeypatch.setitem(os.environ, "PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_URL: api}):  # Prefect reads its environment once, as it is imported
        yield load_settings(
            {"mirror": ["http://one/"], "refresh": ["train"], "alert_below": 0.9}, ["training.epochs=3"]
        )


def broken(*_: object, **__: object) -> RunRecord:
    """Fail as the main job does: after the record has been written."""
    record_run(Path(os.environ["IDXFLOW_HOME"]), state="failed")
    emit(RunChanged("0123456789ab", "failed"))
    raise BadIdx("x.gz", expected="8", found="7", way_out="Get another.")


def test_the_flow_gets_the_settings_and_the_environment(settings: Settings, screen: Screen) -> None:
    """The flow is called with what was set, in the environment that it needs; the summary closes the run."""
    called: list[object] = []

    def flow(**given: Any) -> RunRecord:
        called.extend([Job(**given), os.environ["IDXFLOW_HOME"]])
        emit(StageChanged("parse", "train", "cached", "1" * 16, 0.004, 9))
        return record_run(settings.home)

    run_pipeline(settings, screen, flow=flow)
    wanted = Job(training=Training(epochs=3), mirrors=("http://one/",), refresh=("train",), alert_below=0.9)
    assert called == [wanted, str(settings.home)]
    assert screen.text.getvalue().startswith("parse      train                       cached ")
    assert "Test accuracy:   90.00 %" in screen.text.getvalue()


def test_json_leaves_standard_output_to_the_record(
    settings: Settings, screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `json` standard output is the record and nothing else, whatever libraries print."""

    def flow(*_: object, **__: object) -> RunRecord:
        sys.stdout.write("chatter\n")
        warnings.warn("chatter", stacklevel=1)
        logging.getLogger("idxflow").warning("look")
        return record_run(settings.home)

    run_pipeline(settings, screen, json=True, flow=flow)
    output, errors = capsys.readouterr()
    assert RunRecord.model_validate_json(output).state == "completed"
    assert errors == "chatter\n"
    assert "WARNING look" in screen.text.getvalue()


def test_a_failed_run_is_summed_up_and_recorded_too(
    settings: Settings, screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed stage: the record that the flow left is printed, and the error goes on."""
    with pytest.raises(BadIdx):
        run_pipeline(settings, screen, json=True, flow=broken)
    assert RunRecord.model_validate_json(capsys.readouterr().out).error == "it broke"
    assert "failed after 30.0 s" in screen.text.getvalue()


@pytest.mark.parametrize(("bound", "below"), [(None, False), (0.0, False), (0.9, False), (0.9001, True), (1.0, True)])
def test_a_run_may_be_less_accurate_than_was_asked_for(
    bound: float | None, below: bool, tmp_path: Path, screen: Screen
) -> None:
    """As accurate as the bound is accurate enough; what is said names both figures."""
    assert is_below(record_run(tmp_path), bound, screen) is below
    said = f"ERROR test accuracy: expected at least {100 * (bound or 0):.2f} % (--fail-below), found 90.00 %."
    assert screen.errors.getvalue().startswith(said) is below


@pytest.mark.slow
def test_a_run_that_is_below_exits_with_3(desk: Path) -> None:
    """It has completed, with its record on standard output; the exit code is what a script sees."""
    words = ["-m", "idxflow", "run", "--dataset", "digits", "--set", "training.epochs=1", "--ephemeral", "--json"]
    command = [sys.executable, *words, "--fail-below", "0.999"]
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk))
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == BELOW
    assert RunRecord.model_validate_json(done.stdout).state == "completed"
    assert "expected at least 99.90 % (--fail-below), found" in done.stderr


def test_everything_before_the_flow_is_light() -> None:
    """What the command needs before the flow imports neither Prefect nor anything else that takes a second."""
    program = "import sys, idxflow.cli.run, idxflow.cli.app; print(*sys.modules)"
    loaded, _ = run_python("-c", program, cwd=PROJECT, environment=bare_environment())
    assert "idxflow.cli.run" in loaded.split()
    assert not {"prefect", "tensorflow", "pandas", "pyarrow", "numpy", "requests", "httpx"} & set(loaded.split())
