"""
Runs of a flow that die at a chosen step of the file layer, each a process of its own.

The flow is the counting one, or that which promotes.

As a program it reads a line a run (step, home folder, seed, stages to refresh, a run to promote) and forks: Prefect is
imported once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.faults.disk import CountingDisk, CrashingDisk, using
from tests.processes import PROJECT, served_environment

KILLED = -signal.SIGKILL
NEVER = 1_000_000


class DyingDisk(CrashingDisk):
    """A disk before whose step `at` the kernel ends the process."""

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Runner:
    """The program, started once and asked for one run after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying"],
            env=served_environment(),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self, home: Path, at: int = NEVER, seed: int = 1, refresh: tuple[str, ...] = (), promote: str = ""
    ) -> tuple[int, int]:
        """
        Run the flow.

        Args:    promote: a run whose model is to be the champion, by force: the flow that does that, instead.
        Returns: its exit code, negative for a signal, and how many steps it took if it ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{at} {home} {seed} {','.join(refresh)} {promote}\n")
        self._process.stdin.flush()
        code, steps = self._process.stdout.readline().split()
        return int(code), int(steps)


def _run(at: int, home: str, seed: int, refresh: tuple[str, ...], promote: str, steps: int) -> None:
    """Be the run; write down how many steps it took."""
    from flows.promoting import promoting
    from schemas.training import Training
    from tests.artifacts.counting import counting

    os.environ["IDXFLOW_HOME"] = home
    disk = CountingDisk() if at == NEVER else DyingDisk(at)
    with using(disk):
        if promote:
            promoting(promote, "champion", None, "a test")
        else:
            counting(training=Training(seed=seed), refresh=refresh)
    os.write(steps, str(len(disk.steps)).encode())


def main() -> None:
    """Be the program."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    import flows.promoting  # noqa: F401 - once, for all
    import tests.artifacts.counting  # noqa: F401

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # each run would wait a second for its last
        serve()


def serve() -> None:
    """Fork for each line of the input."""
    for line in sys.stdin:
        at, home, seed, refresh, promote = line.rstrip("\n").split(" ")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            _run(int(at), home, int(seed), tuple(filter(None, refresh.split(","))), promote, writer)
            os._exit(0)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        steps = os.read(reader, 16) or b"0"
        os.close(reader)
        print(os.waitstatus_to_exitcode(status), int(steps), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
