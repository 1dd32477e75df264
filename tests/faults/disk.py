"""Doubles of the file layer: a disk on which the process dies before a step, and one on which a step fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isfunction
from typing import Any

from artifacts.store import files
from artifacts.store.disk import Disk


class Crash(BaseException):
    """The process is dead: nothing that it would still do, clean-up included, happens."""


class CountingDisk(Disk):
    """A disk that lists its steps and hands each to `before`."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def before(self, step: str) -> None:
        """Note a step that is about to be taken."""
        self.steps.append(step)


def noted(step: str) -> Callable[..., Any]:
    """Return a step of the disk that is handed to `before` first."""

    def take(disk: CountingDisk, *arguments: Any) -> Any:
        disk.before(step)
        return getattr(Disk, step)(disk, *arguments)

    return take


for _step in (name for name, value in vars(Disk).items() if isfunction(value) and not name.startswith("_")):
    setattr(CountingDisk, _step, noted(_step))


class CrashingDisk(CountingDisk):
    """
    A disk on which the process dies right before step `at`, the first being 0; a write is torn in the middle.

    Args: leave: what dying is: an exception that no code of ours catches, or for a real process its end.
    """

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def before(self, step: str) -> None:
        if len(self.steps) >= self.at:
            self.die()
        super().before(step)

    def write(self, descriptor: int, content: bytes | memoryview) -> None:
        if len(self.steps) == self.at:
            os.write(descriptor, content[: len(content) // 2])
        super().write(descriptor, content)

    def die(self) -> None:
        """Be dead from now on."""
        raise Crash


class FailingDisk(CountingDisk):
    """A disk on which step `at`, the first being 0, fails with an error number; a write gets only half through."""

    def __init__(self, at: int, error: int) -> None:
        super().__init__()
        self.at, self.error = at, error

    def before(self, step: str) -> None:
        super().before(step)
        if len(self.steps) == self.at + 1:
            raise OSError(self.error, os.strerror(self.error))

    def write(self, descriptor: int, content: bytes | memoryview) -> None:
        if len(self.steps) == self.at:
            os.write(descriptor, content[: len(content) // 2])
        super().write(descriptor, content)


@contextmanager
def using(disk: Disk) -> Iterator[None]:
    """Let the file layer use another disk."""
    before, files.DISK = files.DISK, disk
    try:
        yield
    finally:
        files.DISK = before


def steps_of(act: Callable[[], object]) -> list[str]:
    """Return what a change of the disk consists of."""
    disk = CountingDisk()
    with using(disk):
        act()
    return disk.steps
