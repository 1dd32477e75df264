"""
What a study remembers beside its artifacts: `<home>/studies/<id>.jsonl`, what was asked, and what failed and why.

Whatever completed is found again as an artifact, by its configuration. Only what fails each time is remembered: a loss
that is no number. A line is flushed before a trial of it begins,
so that a sweep that was killed goes on with the trials that it had asked for.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from artifacts.store import files
from artifacts.store.disk import disk, open_plainly
from artifacts.store.store import Store

SUFFIX = ".jsonl"
logger = logging.getLogger("idxflow.tune")


class Asked(BaseModel):
    """Trials that were asked for at once; `after`: how many there were before."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["asked"] = "asked"
    after: int
    values: tuple[dict[str, Any], ...]


class Failed(BaseModel):
    """A trial that failed, by its number from 1, and why; `until`: in its first so many epochs; None: in the rest."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["failed"] = "failed"
    number: int
    until: int | None
    reason: str


class Retried(BaseModel):
    """From here on failed trials count as not tried."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["retried"] = "retried"


class _Line(BaseModel):
    line: Asked | Failed | Retried = Field(discriminator="kind")


LINE: TypeAdapter[_Line] = TypeAdapter(_Line)


class StudyLog:
    """The log of one study; one process at a time has it, see `opened`."""

    def __init__(self, path: Path, lines: Sequence[Asked | Failed | Retried]) -> None:
        self._path = path
        self._asked: dict[int, Asked] = {}
        self._failed: dict[tuple[int, int | None], str] = {}
        for line in lines:
            self._take(line)

    def failed(self, number: int, until: int | None) -> str:
        """Return why a trial failed in its first so many epochs, or in the rest; empty: it did not, or nobody knows."""
        return self._failed.get((number, until), "")

    def asked(self, after: int) -> tuple[dict[str, Any], ...]:
        """Return what was asked for after so many trials; nothing, if nothing was."""
        return self._asked[after].values if after in self._asked else ()

    def ask(self, after: int, values: Sequence[dict[str, Any]]) -> None:
        """Note what is asked for. Raises: StoreError: the disk."""
        self._write(Asked(after=after, values=tuple(values)))

    def fail(self, number: int, until: int | None, reason: str) -> None:
        """Note that a trial failed; see `failed`. Raises: StoreError: the disk."""
        self._write(Failed(number=number, until=until, reason=reason))

    def retry(self) -> None:
        """Forget what failed. Raises: StoreError: the disk."""
        if self._failed:
            self._write(Retried())

    def _take(self, line: Asked | Failed | Retried) -> None:
        match line:
            case Asked():
                self._asked[line.after] = line
            case Failed():
                self._failed[line.number, line.until] = line.reason
            case Retried():
                self._failed.clear()

    def _write(self, line: Asked | Failed | Retried) -> None:
        with disk(self._path):
            descriptor = open_plainly(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                # It begins a line of its own: one that a kill has torn takes no other with it.
                files.DISK.write(descriptor, f"\n{json.dumps({'line': line.model_dump(mode='json')})}\n".encode())
                files.DISK.sync(descriptor)
            finally:
                os.close(descriptor)
        self._take(line)


@contextmanager
def opened(store: Store, study: str) -> Iterator[StudyLog]:
    """
    Open the log of a study, and keep others from it: they wait.

    Args:   study: its id, 16 hexadecimal digits.
    Raises: StoreError: the disk.
    """
    path = store.home / "studies" / f"{study}{SUFFIX}"
    with store.waited_for("tuning", study):
        with disk(path):
            files.make_folder(path.parent)
            text = files.read_plain(path).decode(errors="replace") if path.exists() else ""
        yield StudyLog(path, list(_lines(text)))


def _lines(text: str) -> Iterator[Asked | Failed | Retried]:
    for each in filter(None, text.splitlines()):
        try:
            yield LINE.validate_json(each).line
        except ValidationError:
            logger.info("a line of a study's log does not read, and is left out")
