"""Whole processes: a cold run beside the whole tutorial script, a warm run beside a flow of empty tasks."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Goal, Result, Setting, clock, interleave, ratio
from benchmarks.mnist import mirror
from flows.run_record import RunRecord
from idxflow.server.local import find_server
from idxflow.server.password import read_password
from schemas.errors import StageError

HERE = Path(__file__).parent
PYTHON = sys.executable


def clean_environment() -> dict[str, str]:
    """Return this process's environment as a new user has it: bytecode on, nothing of idxflow's or Prefect's set."""
    ours = (
        "IDXFLOW_",
        "PREFECT_",
        "PYTHONDONTWRITEBYTECODE",
        "KERAS_BACKEND",
        "CUDA_VISIBLE_DEVICES",
        "TF_",
        "OPENBLAS_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def run_process(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """
    Run a command. Returns: its standard output.

    Raises: StageError: it failed.
    """
    done = subprocess.run(
        command, cwd=HERE.parent, capture_output=True, text=True, check=False, env=environment or clean_environment()
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise StageError(
            "benchmark process",
            expected="exit code 0",
            found=f"{done.returncode}, its last line: {said[-1] if said else '(nothing)'}",
            way_out=f"Run it by hand: {shlex.join(command)}",
        )
    return done.stdout


@contextmanager
def server_of(home: Path) -> Iterator[str]:
    """Have the Prefect server of `home` up for as long as the block runs. Yields: the address of its API."""
    run_process([PYTHON, "-m", "idxflow", "server", "start", "--home", str(home)])
    try:
        server = find_server(home)
        yield server.api if server else ""
    finally:
        run_process([PYTHON, "-m", "idxflow", "server", "stop", "--home", str(home)])


def run_command(setting: Setting, home: Path, address: str) -> list[str]:
    """Return the command of a run, from the mirror at `address`."""
    options = ["--dataset", setting.dataset, "--mirror", address, "--home", str(home)]
    return [PYTHON, "-m", "idxflow", "run", "--json", *options, "--set", f"training.epochs={setting.epochs}"]


def measure_cold(setting: Setting) -> Result:
    """Measure `idxflow run` in an empty home, with its server up and without, beside the whole tutorial script."""
    script = [PYTHON, str(HERE / "tutorial.py"), str(setting.mnist), str(setting.epochs)]
    up, down = "idxflow run, cold, server already up", "idxflow run, cold, no server yet"

    def with_server() -> float:
        with TemporaryDirectory(dir=setting.work) as folder, server_of(Path(folder)):
            return clock(lambda: run_process(run_command(setting, Path(folder), address)))

    def without_server() -> float:
        with TemporaryDirectory(dir=setting.work) as folder:
            try:
                return clock(lambda: run_process(run_command(setting, Path(folder), address)))
            finally:
                run_process([PYTHON, "-m", "idxflow", "server", "stop", "--home", folder])

    with mirror(setting.mnist) as address:
        contestants = {"tutorial script": lambda: clock(lambda: run_process(script)), up: with_server}
        contestants[down] = without_server
        times = interleave(contestants, setting.repeats, told=setting.told)
    what, goal, beside = "{}, beside the whole tutorial script", Goal(0.55, 0.4), times["tutorial script"]
    return Result(times, [ratio(what.format(name), times[name], beside, goal) for name in (up, down)])


def measure_warm(setting: Setting) -> Result:
    """
    Measure `idxflow run` where everything is cached, beside a flow of as many empty tasks on the same server.

    Raises: StageError: the run computed something.
    """
    with TemporaryDirectory(dir=setting.work) as folder, mirror(setting.mnist) as address:
        home = Path(folder)
        command = run_command(setting, home, address)
        with server_of(home) as api:
            stages = len(RunRecord.model_validate_json(run_process(command)).stages)
            empty = [PYTHON, str(HERE / "empty_flow.py"), str(stages)]
            environment = clean_environment() | {
                "PREFECT_API_URL": api,
                "PREFECT_API_AUTH_STRING": read_password(home),
                "PREFECT_HOME": str(home / "empty"),
            }

            def warm() -> float:
                said: list[str] = []
                seconds = clock(lambda: said.append(run_process(command)))
                _refuse_computed(RunRecord.model_validate_json(said[0]))
                return seconds

            ours, theirs = "idxflow run, warm", f"flow of {stages} empty tasks"
            contestants = {theirs: lambda: clock(lambda: run_process(empty, environment)), ours: warm}
            times = interleave(contestants, setting.repeats, told=setting.told)
    return Result(times, [ratio(f"{ours}, beside a {theirs}", times[ours], times[theirs], Goal(1.2, 1.1))])


def _refuse_computed(record: RunRecord) -> None:
    computed = [f"{row.stage} {row.name}".strip() for row in record.stages if not row.cached]
    if computed:
        raise StageError(
            "warm run",
            expected="every stage cached",
            found=f"computed: {', '.join(computed)}",
            way_out="See `idxflow plan` for the reasons; a warm run is not measured until it is one.",
        )
