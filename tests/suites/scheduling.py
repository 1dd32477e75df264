"""A Dask cluster as people start one by hand: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes import PROJECT, start_python, until


@contextmanager
def scheduler(folder: Path, *arguments: str) -> Iterator[str]:
    """Run a scheduler for the block. Yields: its address."""
    file = folder / "scheduler.json"
    command = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    with running(folder, "scheduler", *command, *arguments):
        until(lambda: file.exists() and file.stat().st_size, 60, (folder / "scheduler.log").read_text)
        yield json.loads(file.read_text())["address"]


@contextmanager
def workers(
    address: str, folder: Path, count: int = 2, threads: int = 1, code: Path = PROJECT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run workers for the block. Args: code: where they find the project."""
    command = ("worker", address, "--nthreads", str(threads), "--nworkers", str(count), "--no-dashboard")
    place = ("--local-directory", str(folder / "local"))
    with running(folder, "workers", *command, *place, code=code) as process:
        yield process


@contextmanager
def running(folder: Path, name: str, *arguments: str, code: Path = PROJECT) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of Dask's for the block, and nothing of it after that."""
    environment = {**os.environ, "PYTHONPATH": str(code)}
    process = start_python("-m", "dask", *arguments, cwd=code, environment=environment, log=folder / f"{name}.log")
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
