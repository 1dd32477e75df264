"""Locks between threads and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from artifacts.store.locks import Locks

KEY = "parse/0123/result.json"


def is_free(locks: Locks, name: str = KEY) -> bool:
    """Tell whether a lock can be had."""
    with locks.tried(name) as had:
        return had


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """A second holder does not get it, not even in this process; another name's is free, and so is it after the end."""
    locks = Locks(tmp_path)
    with locks.held(KEY):
        assert locks.is_locked(KEY)
        assert not is_free(locks)
        assert is_free(locks, "train/4567/result.json")
    assert not locks.is_locked(KEY)
    assert is_free(locks)


def test_waiting_ends_when_the_lock_is_free(tmp_path: Path) -> None:
    """A thread that waits gets the lock as soon as the other lets it go, and not before."""
    locks, order = Locks(tmp_path), []

    def second() -> None:
        with locks.held(KEY):
            order.append("taken")

    thread = threading.Thread(target=second)
    with locks.held(KEY):
        thread.start()
        time.sleep(0.1)
        order.append("released")
    thread.join(5)
    assert order == ["released", "taken"]


def test_an_unlinked_lock_file_is_no_lock(tmp_path: Path) -> None:
    """When clean-up removes a free lock's file, the next one makes a new file that others see."""
    locks = Locks(tmp_path)
    assert is_free(locks)
    for path in tmp_path.iterdir():
        path.unlink()
    with locks.held(KEY):
        assert Locks(tmp_path).is_locked(KEY)


def _hold(folder: Path, ready: Connection) -> None:
    with Locks(folder).held(KEY):
        ready.send(os.getpid())
        time.sleep(60)


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    """After kill -9 of the process that holds a lock, the next one gets it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_hold, args=(tmp_path, there))
    child.start()
    pid = here.recv()
    locks = Locks(tmp_path)
    assert not is_free(locks)
    os.kill(pid, signal.SIGKILL)
    child.join()
    with locks.held(KEY):
        assert locks.is_locked(KEY)
