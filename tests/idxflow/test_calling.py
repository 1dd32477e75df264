"""`idxflow.run`: a run that another program calls, on a real Prefect server."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_API_URL

import idxflow
from artifacts.archive.runs import list_runs
from artifacts.store.store import Store
from idxflow.asking import TrainingValues
from idxflow.server.local import find_server, stop_server
from idxflow.views.brief import Brief
from schemas.errors import DownloadFailed, UsageError
from schemas.events import StageChanged, StageFailed
from schemas.training import Training
from tests.processes import PROJECT, bare_environment, ending, open_python, until

BAD: dict[str, dict[str, Any]] = {
    "epochs: expected a whole number at least 1": {"epochs": 0},
    r"epoch: expected one of activation, .* Did you mean epochs\?": {"epoch": 3},
    "profile: expected one of tutorial, tuned, found 'x'": {"profile": "x"},
    "patience needs a validation loss": {"patience": 3, "validation_fraction": 0},
    "training: expected a Training, or its values by name, found training and epochs": {
        "training": Training(), "epochs": 3,
    },
    "refresh: expected stages: pack, .* found 'trian'": {"refresh": ("trian",)},
    "alert_below: expected a number at least 0 and at most 1, found 3": {"alert_below": 3},
    r"expected one of digits, .* Did you mean digits\?": {"dataset": "digitz"},
    "found nothing at /nowhere": {"dataset": "/nowhere/"},
}  # fmt: skip
PROGRAM = """
import asyncio, sys
import idxflow

async def cell():
    try:
        idxflow.run("digits", home="one", epochs=10000)
    except KeyboardInterrupt as error:
        plain = type(error) is KeyboardInterrupt and error.__context__ is None
        print("interrupted" if plain else repr(error), flush=True)
    print(idxflow.run("digits", home="one", epochs=2).state)
    print(idxflow.run("digits", home="two", epochs=2).state)

asyncio.run(cell())
"""


def console_levels() -> list[int]:
    """The levels from which Prefect's lines are printed."""
    import prefect.main  # noqa: F401 - it sets Prefect's logging up

    known = [logging.getLogger(name) for name in ("", "prefect")]
    return [each.level for logger in known for each in logger.handlers if isinstance(each, PrefectConsoleHandler)]


@pytest.fixture
def served(prefect_server: None, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of somebody who has a Prefect server already."""
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value() or "")


@pytest.mark.parametrize("words", BAD)
def test_a_wrong_argument_is_told_and_nothing_runs(words: str, desk: Path) -> None:
    """What a run cannot take is an error that says what it takes, before a server starts or a folder is made."""
    with pytest.raises(UsageError, match=words):
        idxflow.run(**{"dataset": "digits", **BAD[words]})
    assert not list(desk.iterdir())


def test_values_by_name_are_those_of_the_configuration() -> None:
    """Each field of the configuration can be named, with the words that it takes."""
    hints = get_type_hints(TrainingValues)
    assert list(hints) == list(Training.model_fields)
    for name, field in Training.model_fields.items():
        if get_origin(field.annotation) is get_origin(hints[name]) is not None and name not in {"hidden", "memory"}:
            assert get_args(hints[name]) == get_args(field.annotation), name


def test_a_plan_takes_the_values_that_a_run_takes() -> None:
    """By name or as a whole configuration: it is the same plan."""
    by_name = idxflow.plan("digits", profile="tuned", epochs=3, hidden=[9])
    assert by_name == idxflow.plan("digits", Training.model_validate({"profile": "tuned", "epochs": 3, "hidden": (9,)}))


@pytest.mark.usefixtures("served")
def test_a_run_works_where_an_event_loop_runs(desk: Path) -> None:
    """As in a notebook: it computes, then finds all of it stored; signals and environment are as they were before."""
    environment, handlers = dict(os.environ), [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    output, levels = io.StringIO(), console_levels()

    async def cell() -> list[idxflow.ArchivedRun]:
        with redirect_stdout(output):
            return [idxflow.run("digits", epochs=2, home="h", force=True) for _ in range(2)]

    first, second = asyncio.run(cell())
    assert {first.state, second.state} == {"completed"}
    assert [any(row.cached for row in each.record.stages) for each in (first, second)] == [False, True]
    assert all(row.cached for row in second.record.stages)
    assert first.metrics == second.metrics
    assert idxflow.open_store("h").run().id == second.id
    assert not any(line.startswith(("parse", "Run:", "Model:")) for line in output.getvalue().splitlines())
    ours = {name: value for name, value in os.environ.items() if name.startswith(("IDXFLOW_", "PREFECT_"))}
    assert ours == {name: value for name, value in environment.items() if name in ours}
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert levels == console_levels()


@pytest.mark.usefixtures("served")
def test_a_run_that_fails_raises_its_own_error(desk: Path) -> None:
    """No exit and no error of Prefect's: the stage's, once, and the run is in the history with it."""
    (desk / "empty").mkdir()
    broken = (PROJECT / "schemas" / "catalog" / "digits.toml").read_text("utf-8")
    broken = "\n".join(line for line in broken.splitlines() if not line.startswith("mirrors"))
    (desk / "mine.toml").write_text(f'mirrors = ["{(desk / "empty").as_uri()}/"]\n{broken}')
    output = io.StringIO()
    with pytest.raises(DownloadFailed), redirect_stdout(output):
        idxflow.run(desk / "mine.toml", epochs=2, home="h")
    assert "ERROR" not in output.getvalue()
    (record,) = list_runs(Store(desk / "h"))
    assert record.state == "failed"


@pytest.mark.usefixtures("served")
def test_the_page_about_python_is_true(desk: Path) -> None:
    """Its examples run as they stand, one after the other, in a working folder of their own."""
    page = (PROJECT / "docs" / "python.md").read_text("utf-8")
    known: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(example, "python.md", "exec"), known)
    assert [row.stage for row in known["plan"].stages if row.state == "will run"] == ["train", "report"]
    assert len(known["answers"].name) == len(known["images"].label) == 297
    assert [run.id for run in known["store"].runs()] == [known["other"].id, known["run"].id]


def test_a_notebook_is_told_little(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that took a second have a line; others, and errors, which are raised, have none; nothing has colour."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # as notebooks do
    console = Brief(sys.stdout)
    console.show(StageChanged("parse", "train", "computed", "1" * 16, 0.2, 9))
    console.show(StageChanged("train", "", "computed", "2" * 16, 1.2, 9))
    console.show(StageFailed("report", "", "no space"))
    console.warn("look")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train", "WARNING"]
    assert not any("\x1b" in line for line in lines)


@pytest.mark.slow
def test_ctrl_c_ends_the_run_and_not_the_notebook(desk: Path) -> None:
    """It is KeyboardInterrupt and recorded as such; the same process then runs again, in another home folder too."""
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk))
    process = open_python("-c", PROGRAM, cwd=desk, environment=environment)
    try:
        with ending(process):
            until(lambda: list(desk.glob("one/artifacts/train/.staging*")) or process.poll() is not None, 120)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=120)
        assert [line for line in output.splitlines() if line in {"interrupted", "completed"}] == [
            "interrupted",
            "completed",
            "completed",
        ], output + errors
        assert not errors
        states = [[each.state for each in list_runs(Store(desk / home))] for home in ("one", "two")]
        assert states == [["completed", "interrupted"], ["completed"]]
        assert find_server(desk / "one") != find_server(desk / "two")
    finally:
        for home in ("one", "two"):
            stop_server(desk / home)


@pytest.mark.slow
def test_a_signal_that_ends_a_process_ends_it(desk: Path) -> None:
    """SIGTERM during a run: it is recorded, and then the program ends by the signal as it would without one."""
    program = "import idxflow; idxflow.run('digits', home='one', epochs=10000, ephemeral=True)"
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk), TMPDIR=str(desk))
    with ending(open_python("-c", program, cwd=desk, environment=environment)) as process:
        until(lambda: list(desk.glob("one/artifacts/train/.staging*")) or process.poll() is not None, 120)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM, errors
    (record,) = list_runs(Store(desk / "one"))
    assert record.state == "interrupted"
    until(lambda: not list(desk.glob("idxflow-server-*")))
