"""Processes that can be told apart, ports that are kept free, locks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from idxflow.server import machine
from idxflow.server.machine import find_process, reserved_port, start_process
from tests.processes import PROJECT, bare_environment, run_python, until


def test_a_living_process_is_known_by_birth_and_command() -> None:
    """A process has one start time and the arguments that it was started with; a dead one has nothing."""
    child = subprocess.Popen([sys.executable, "-c", "input()", "some", "words"], stdin=subprocess.PIPE)
    try:
        found = find_process(child.pid)
        assert found is not None
        assert found == find_process(child.pid)
        assert found.command.endswith("-c input() some words")
        assert found.born
    finally:
        child.communicate(b"\n")
    assert find_process(child.pid) is None


def test_a_process_is_known_from_its_first_moment() -> None:
    """Whoever starts a process may ask at once: it is not known without arguments first, and with them later."""
    for _ in range(200):
        with subprocess.Popen(["true", "some", "words"]) as child:
            found = find_process(child.pid)
        assert found is None or found.command == "true some words"


def test_an_ended_child_is_not_taken_for_alive(tmp_path: Path) -> None:
    """A child that nobody waited for is a zombie, not a living process."""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", ""])
    until(lambda: find_process(pid) is None)
    os.waitpid(pid, 0)


def test_a_started_process_stands_alone(tmp_path: Path) -> None:
    """A started process has a session of its own, writes to its log, and is gone once it has ended."""
    program = "import os; print(os.getpid() == os.getsid(0), os.getcwd(), os.environ['A'])"
    with reserved_port("127.0.0.1", range(29000, 29100)) as reserved:
        assert reserved
        pid = start_process([sys.executable, "-c", program], {"A": "b"}, tmp_path / "log", reserved[1])
    until(lambda: find_process(pid) is None)
    assert (tmp_path / "log").read_text() == f"True {tmp_path} b\n"


@pytest.mark.skipif(not machine.PROC.exists(), reason="needs /proc")
def test_a_child_whose_first_thread_ends_first_is_reaped(tmp_path: Path) -> None:
    """A child of many threads, as a server is, looks ended before it can be waited for, and yet no zombie is left."""
    last = "threading.Thread(target=lambda: (time.sleep(0.5), os._exit(0))).start()"
    program = f"import ctypes, os, threading, time; {last}; ctypes.CDLL(None).pthread_exit(None)"
    with reserved_port("127.0.0.1", range(29000, 29100)) as reserved:
        assert reserved
        pid = start_process([sys.executable, "-c", program], os.environ, tmp_path / "log", reserved[1])
    until(lambda: find_process(pid) is None)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_a_reserved_port_is_kept_by_whoever_inherits_it(tmp_path: Path) -> None:
    """Nobody else gets a port that is reserved, not even when only the started process still holds it."""
    ports = range(29100, 29200)
    with reserved_port("127.0.0.1", ports) as first:
        assert first
        with reserved_port("127.0.0.1", ports) as second:
            assert second
            assert second[0] > first[0]
        pid = start_process([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path / "log", first[1])
    try:
        with reserved_port("127.0.0.1", ports) as later:
            assert later
            assert later[0] != first[0]
    finally:
        os.kill(pid, signal.SIGKILL)
        until(lambda: find_process(pid) is None)
    with reserved_port("127.0.0.1", ports) as again:
        assert again
        assert again[0] == first[0]


def test_a_reserved_port_is_kept_from_strangers(tmp_path: Path) -> None:
    """Also one with another folder for temporary files, as another user may have, does not get it."""
    ports = range(29100, 29200)
    program = (
        "from idxflow.server.machine import reserved_port\n"
        f"with reserved_port('127.0.0.1', {ports}) as found: print(found[0])"
    )
    environment = bare_environment(TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT))
    with reserved_port("127.0.0.1", ports) as reserved:
        assert reserved
        output, _ = run_python("-c", program, cwd=tmp_path, environment=environment)
    assert int(output) > reserved[0]


def test_a_port_in_use_is_passed_over() -> None:
    """A port on which somebody listens is not offered, and when all are in use there is none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with reserved_port("127.0.0.1", range(port, port + 1)) as reserved:
            assert reserved is None
