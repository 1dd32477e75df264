"""Locks between threads and processes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from prefect.locking.protocol import LockManager

from artifacts.store.locks import FlockManager

KEY = "parse/0123/result.json"


def test_it_is_a_prefect_lock_manager(tmp_path: Path) -> None:
    """Prefect's own protocol accepts it."""
    assert isinstance(FlockManager(tmp_path), LockManager)


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """A second holder does not get it, not even in this process; after the release it does."""
    locks = FlockManager(tmp_path)
    assert locks.acquire_lock(KEY, "one")
    assert locks.is_locked(KEY)
    assert locks.is_lock_holder(KEY, "one")
    assert not locks.acquire_lock(KEY, "two", acquire_timeout=0.05)
    locks.release_lock(KEY, "one")
    assert not locks.is_locked(KEY)
    assert locks.acquire_lock(KEY, "two", acquire_timeout=0)


def test_a_holder_may_ask_again(tmp_path: Path) -> None:
    """Taking a lock twice does not wait for oneself."""
    locks = FlockManager(tmp_path)
    assert locks.acquire_lock(KEY, "one")
    assert locks.acquire_lock(KEY, "one", acquire_timeout=0)


def test_only_the_holder_releases(tmp_path: Path) -> None:
    """Releasing somebody else's lock is an error, and the lock stays."""
    locks = FlockManager(tmp_path)
    locks.acquire_lock(KEY, "one")
    with pytest.raises(ValueError, match="two does not hold"):
        locks.release_lock(KEY, "two")
    assert locks.is_lock_holder(KEY, "one")


def test_another_key_does_not_wait(tmp_path: Path) -> None:
    """Two keys are two locks."""
    locks = FlockManager(tmp_path)
    assert locks.acquire_lock(KEY, "one")
    assert locks.acquire_lock("train/4567/result.json", "two", acquire_timeout=0)


def test_waiting_ends_when_the_lock_is_free(tmp_path: Path) -> None:
    """A thread that waits gets the lock as soon as the other lets it go, and not before."""
    locks, order = FlockManager(tmp_path), []
    locks.acquire_lock(KEY, "one")

    def second() -> None:
        locks.acquire_lock(KEY, "two")
        order.append("taken")

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.1)
    order.append("released")
    locks.release_lock(KEY, "one")
    thread.join(5)
    assert order == ["released", "taken"]
    assert not locks.wait_for_lock(KEY, timeout=0.05)


def test_a_copied_policy_keeps_the_same_lock(tmp_path: Path) -> None:
    """Prefect copies cache policies; the copy must be the same lock."""
    locks = FlockManager(tmp_path)
    assert copy.deepcopy(locks) is locks


def test_an_unlinked_lock_file_is_no_lock(tmp_path: Path) -> None:
    """When clean-up removes a free lock's file, the next one makes a new file that others see."""
    locks = FlockManager(tmp_path)
    locks.acquire_lock(KEY, "one")
    locks.release_lock(KEY, "one")
    for path in tmp_path.iterdir():
        path.unlink()
    assert locks.acquire_lock(KEY, "two", acquire_timeout=0)
    assert FlockManager(tmp_path).is_locked(KEY)


def _hold(folder: Path, ready: Connection) -> None:
    FlockManager(folder).acquire_lock(KEY, "child")
    ready.send(os.getpid())
    time.sleep(60)


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    """After kill -9 of the process that holds a lock, the next one gets it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_hold, args=(tmp_path, there))
    child.start()
    pid = here.recv()
    locks = FlockManager(tmp_path)
    assert not locks.acquire_lock(KEY, "parent", acquire_timeout=0.05)
    os.kill(pid, signal.SIGKILL)
    child.join()
    assert locks.acquire_lock(KEY, "parent", acquire_timeout=5)
