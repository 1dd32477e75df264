"""What tests share that start programs: the project's folder, an environment of nobody's, free ports, patience."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
P = TypeVar("P", bound=subprocess.Popen[str] | subprocess.Popen[bytes])

PROJECT = Path(__file__).parents[1]
FOREIGN = ("IDXFLOW_", "PREFECT_", "TF_")


def bare_environment(**more: str) -> dict[str, str]:
    """Return an environment without anybody's settings, in which Prefect phones nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"} | more


def served_environment(**more: str) -> dict[str, str]:
    """Return this process's environment, for a program of the project's on the Prefect server of this process."""
    from prefect.settings import PREFECT_API_URL

    return {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or "", "PYTHONPATH": str(PROJECT), **more}


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run_python(*arguments: str, cwd: Path, environment: Mapping[str, str], code: int = 0) -> tuple[str, str]:
    """
    Run a Python program to its end.

    Args:    code: with which it is expected to end.
    Returns: its output, and what it said beside it.
    """
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def open_python(*arguments: str, environment: Mapping[str, str], cwd: Path = PROJECT) -> subprocess.Popen[str]:
    """Start a Python program whose output, and what it says beside it, are read here."""
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True)


def start_python(*arguments: str, cwd: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a Python program with a process group of its own; what it says goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def ready(program: str) -> Iterator[None]:
    """Run a Python program in the project, keep it once it has come to its end, and kill it after the block."""
    command = [sys.executable, "-c", f"{program}; print('ready', flush=True); input()"]
    pipe = subprocess.PIPE
    with ending(subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield


@contextmanager
def ending(process: P) -> Iterator[P]:
    """Keep a process for as long as the block runs: however that ends, nothing is left of it."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(look: Callable[[], T], seconds: float = 20, told: Callable[[], object] = lambda: "it did not happen") -> T:
    """Look until there is something, and return it; when that takes too long, `told` says what there is instead."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return found
