"""Locks: one holder, or many who share, between threads and processes, and none whose file others do not see."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from artifacts.store.flock import delete_unlocked, is_locked, locked, try_lock
from artifacts.store.locks import Locks
from tests.processes import ready

KEY = "parse/0123/result.json"


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    """The locks of a folder."""
    return Locks(tmp_path)


def is_free(locks: Locks, name: str = KEY) -> bool:
    """Tell whether a lock can be had."""
    with locks.tried(name) as had:
        return had


def test_a_name_has_one_holder(locks: Locks) -> None:
    """A second holder does not get it, not even in this process; another name's is free, and so is it after the end."""
    with locks.held(KEY):
        assert not is_free(locks)
        assert is_free(locks, "train/4567/result.json")
    assert is_free(locks)


def test_waiting_ends_when_the_lock_is_free(locks: Locks) -> None:
    """A thread that waits gets the lock as soon as the other lets it go, and not before."""
    order: list[str] = []

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


def test_an_unlinked_lock_file_is_no_lock(locks: Locks, tmp_path: Path) -> None:
    """When clean-up removes a free lock's file, the next one makes a new file that others see."""
    assert is_free(locks)
    for path in tmp_path.iterdir():
        path.unlink()
    with locks.held(KEY):
        assert not is_free(Locks(tmp_path))


def test_a_killed_holder_frees_its_lock(locks: Locks, tmp_path: Path) -> None:
    """After kill -9 of the process that holds a lock, the next one gets it."""
    program = f"from artifacts.store.locks import Locks; held = Locks({tmp_path!r}).held({KEY!r}); held.__enter__()"
    with ready(f"from pathlib import PosixPath; {program}"):
        assert not is_free(locks)
    with locks.held(KEY):
        assert not is_free(locks)


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
