"""What the server needs of the machine: detached processes that can be identified, and free ports."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from artifacts.store.disk import open_plainly

PROC = Path("/proc")
BACKLOG = 2048
"""Connections that may wait for a server to start."""
CHANGING = 1.0
"""Seconds at most until a process that shows no arguments has some, or has ended."""
_children: list[subprocess.Popen[bytes]] = []
"""Processes that this one started: kept to be reaped, as a zombie seems alive."""


class Process(NamedTuple):
    """
    A living process.

    Args:
        born:    its start time as the kernel writes it, which tells apart processes of one pid.
        command: its arguments, joined by spaces.
    """

    born: str
    command: str


def find_process(pid: int) -> Process | None:
    """Return a process; None when there is none, or it has ended."""
    for child in _children:
        child.poll()
    if (PROC / "self" / "stat").exists():
        process = _look(pid)
        until = time.monotonic() + CHANGING
        # It has no arguments while it changes its program, which its parent does not wait for, nor at its end.
        while process and not process.command and time.monotonic() < until:
            time.sleep(0.001)
            process = _look(pid)
        return process
    # No /proc, as on macOS: `ps` prints the same, the start time in 24 characters.
    asked = ["ps", "-ww", "-o", "lstart=,command=", "-p", str(pid)]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    line = listed.stdout.strip()
    return Process(line[:24], line[24:].strip()) if line else None


def _look(pid: int) -> Process | None:
    """Return what /proc has of a process; None when it has ended."""
    try:
        # After the name in parentheses, which may hold anything: state, and 19 fields on the start time.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        command = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        _reap(pid)
        return None
    return Process(fields[19], command.decode(errors="replace"))


def start_process(
    command: list[str], environment: Mapping[str, str], log: Path, inherited: int, stdin: int = subprocess.DEVNULL
) -> int:
    """
    Start a process that survives this one, its terminal and Ctrl-C.

    Args:
        log:       the file that takes its output; its folder is where the process works.
        inherited: a descriptor that it keeps open.
        stdin:     a descriptor that it reads from.
    Returns: its pid.
    """
    # Neither emptied nor written through a link; the folder may lie below one, as the home folder may.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(open_plainly(log.parent.resolve() / log.name, flags), "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(inherited,),
        )
    _children.append(process)
    return process.pid


@contextmanager
def reserved_port(host: str, ports: range) -> Iterator[tuple[int, int] | None]:
    """
    Yield the first free port and a descriptor, or None when no port is free.

    The descriptor is of a socket that listens there already: no other process can take the port until the one that
    inherits it has ended. Connections wait for an answer meanwhile.
    """
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            # Connections that linger from a server that just stopped do not block the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if _listens(listener, host, port):
                yield port, listener.fileno()
                return
    yield None


def _reap(pid: int) -> None:
    """Wait for a child whose first thread has ended: the others, of which a server has many, end a moment later."""
    for child in _children:
        if child.pid == pid:
            child.wait()


def _listens(listener: socket.socket, host: str, port: int) -> bool:
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            return False
        raise
    return True
