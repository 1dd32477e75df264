"""Pages that a person asks for by name: where they may go, and how they get there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artifacts.store.files import write_atomically
from schemas.errors import UsageError

NOTHING = "Name another. Nothing was written."


@dataclass(frozen=True)
class WrittenPage:
    """
    A page of a store that was written.

    Args:
        path:         absolute.
        runs, curves: how many are in it.
        bytes:        its size.
    """

    path: Path
    runs: int
    curves: int
    bytes: int


def check_page(path: Path, mark: str = "") -> None:
    """
    Refuse a place where no page can go, before anything is computed for it.

    Args:   mark: what an earlier page of the same kind begins with, which is replaced; nothing else is.
    Raises: UsageError: another ending, a file that is there, no folder.
    """
    if path.suffix.lower() not in {".html", ".htm"}:
        found = f"the ending {path.suffix}" if path.suffix else "no ending"
        raise UsageError(str(path), expected="the ending .html", found=found, way_out=NOTHING)
    if path.exists() and not (mark and _begins(path, mark)):
        expected = "a new file, or an earlier page of idxflow" if mark else "a new file"
        raise UsageError(str(path), expected=expected, found="one that is there", way_out=NOTHING)
    if not path.absolute().parent.is_dir():
        raise UsageError(str(path), expected="a folder to write to", found="none", way_out=NOTHING)


def write_page(path: Path, page: str) -> None:
    """Write a page. Raises: UsageError: nothing can be written there."""
    try:
        write_atomically(path, page.encode())
    except OSError as error:
        found = error.strerror or str(error)
        raise UsageError(str(path), expected="a file that can be written", found=found, way_out=NOTHING) from error


def _begins(path: Path, mark: str) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(mark.encode())) == mark.encode()
    except OSError:
        return False
