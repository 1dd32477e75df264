"""Which processes there are."""

from __future__ import annotations

import os
import subprocess


def below(pid: int) -> set[int]:
    """Return the processes below a process, however deep, that still do something."""
    rows = _rows()
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in rows if parent in new} - found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Return those of some processes that still do something."""
    return pids & {pid for pid, _ in _rows()}


def named(pid: int) -> str:
    """Return the command line of a process; empty where it is gone."""
    done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _rows() -> list[tuple[int, int]]:
    """List process and parent, without zombies and without who asks."""
    asked = subprocess.Popen(["ps", "-eo", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True)
    rows = [line.split() for line in asked.communicate()[0].splitlines()]
    return [
        (int(pid), int(parent))
        for pid, parent, state in rows
        if "Z" not in state and int(pid) not in {asked.pid, os.getpid()}
    ]
