"""Locks: one holder, or many who share, between threads and processes, and none whose file others do not see."""

from __future__ import annotations

import copy
import os
import threading
import time
from pathlib import Path

import pytest
from prefect.locking.protocol import LockManager

from artifacts.store.flock import delete_unlocked, is_locked, locked, try_lock
from artifacts.store.locks import FlockManager
from tests.processes import ready

KEY = "parse/0123/result.json"


@pytest.fixture
def locks(tmp_path: Path) -> FlockManager:
    """The locks of a folder."""
    return FlockManager(tmp_path)


def test_it_is_a_prefect_lock_manager(locks: FlockManager) -> None:
    """Prefect's own protocol accepts it; it copies cache policies, and the copy must be the same lock."""
    assert isinstance(locks, LockManager)
    assert copy.deepcopy(locks) is locks


def test_a_key_has_one_holder(locks: FlockManager) -> None:
    """A second holder does not get it, not even in this process; after the release it does."""
    assert locks.acquire_lock(KEY, "one")
    assert locks.is_locked(KEY)
    assert locks.is_lock_holder(KEY, "one")
    assert not locks.acquire_lock(KEY, "two", acquire_timeout=0.05)
    locks.release_lock(KEY, "one")
    assert not locks.is_locked(KEY)
    assert locks.acquire_lock(KEY, "two", acquire_timeout=0)


def test_a_holder_may_ask_again(locks: FlockManager) -> None:
    """Taking a lock twice does not wait for oneself."""
    assert locks.acquire_lock(KEY, "one")
    assert locks.acquire_lock(KEY, "one", acquire_timeout=0)


def test_only_the_holder_releases(locks: FlockManager) -> None:
    """Releasing somebody else's lock is an error, and the lock stays."""
    locks.acquire_lock(KEY, "one")
    with pytest.raises(ValueError, match="two does not hold"):
        locks.release_lock(KEY, "two")
    assert locks.is_lock_holder(KEY, "one")


def test_another_key_does_not_wait(locks: FlockManager) -> None:
    """Two keys are two locks."""
    assert locks.acquire_lock(KEY, "one")
    assert locks.acquire_lock("train/4567/result.json", "two", acquire_timeout=0)


def test_waiting_ends_when_the_lock_is_free(locks: FlockManager) -> None:
    """A thread that waits gets the lock as soon as the other lets it go, and not before."""
    order: list[str] = []
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


def test_an_unlinked_lock_file_is_no_lock(locks: FlockManager, tmp_path: Path) -> None:
    """When clean-up removes a free lock's file, the next one makes a new file that others see."""
    locks.acquire_lock(KEY, "one")
    locks.release_lock(KEY, "one")
    for path in tmp_path.iterdir():
        path.unlink()
    assert locks.acquire_lock(KEY, "two", acquire_timeout=0)
    assert FlockManager(tmp_path).is_locked(KEY)


def test_a_killed_holder_frees_its_lock(locks: FlockManager, tmp_path: Path) -> None:
    """After kill -9 of the process that holds a lock, the next one gets it."""
    program = f"from artifacts.store.locks import FlockManager; FlockManager({tmp_path!r}).acquire_lock({KEY!r}, 'it')"
    with ready(f"from pathlib import PosixPath; {program}"):
        assert not locks.acquire_lock(KEY, "parent", acquire_timeout=0.05)
    assert locks.acquire_lock(KEY, "parent", acquire_timeout=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The place of a lock file."""
    return tmp_path / "lock"


def test_a_lock_has_one_holder(path: Path) -> None:
    """Who comes second gets nothing at once, and the lock when the first has closed it."""
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    assert is_locked(path)
    os.close(first)
    assert not is_locked(path)
    second = try_lock(path)
    assert second is not None
    os.close(second)


def test_a_file_that_is_not_there_is_not_locked(path: Path) -> None:
    """Asking makes no file, nor does taking the lock of one that has to be there."""
    assert not is_locked(path)
    assert try_lock(path, os.O_RDWR) is None
    delete_unlocked(path)
    assert not path.exists()


def test_a_lock_lets_one_in_at_a_time(path: Path) -> None:
    """While one thread holds a lock another one waits for it."""
    order: list[str] = []

    def second() -> None:
        with locked(path):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(path):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_a_shared_lock_is_held_by_many_and_seen_by_who_wants_it_alone(path: Path) -> None:
    """Those who share do not wait for each other and do not lock anybody out who asks; who wants it alone waits."""
    with locked(path, shared=True), locked(path, shared=True):
        assert not is_locked(path)
        assert try_lock(path) is None
        delete_unlocked(path)
        assert path.exists()


def test_only_what_nobody_holds_is_deleted(path: Path) -> None:
    """A lock file stays while it is held, and goes after."""
    with locked(path):
        delete_unlocked(path)
        assert path.exists()
    delete_unlocked(path)
    assert not path.exists()


def test_nobody_holds_a_lock_that_others_do_not_see(path: Path) -> None:
    """However often the file is deleted while threads take the lock, there is one holder at a time."""
    stop, inside, most = threading.Event(), list[int](), list[int]()

    def clean() -> None:
        while not stop.is_set():
            delete_unlocked(path)

    def work() -> None:
        for _ in range(200):
            with locked(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    cleaner, workers = threading.Thread(target=clean), [threading.Thread(target=work) for _ in range(3)]
    for thread in (cleaner, *workers):
        thread.start()
    for thread in workers:
        thread.join(60)
    stop.set()
    cleaner.join(60)
    assert len(most) == 600
    assert max(most) == 1
