"""Locks on files: one holder, or many who share, and none whose file others do not see."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from artifacts.store.flock import delete_unlocked, is_locked, locked, try_lock


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
