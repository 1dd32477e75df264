"""
Links in the places of a home folder's own folders: none is followed, so that nothing outside is changed.

The home folder itself may be a link, and so may what lies above it. `artifacts.disk` refuses every other one at the
moment of a change; what is here finds them beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from artifacts.store.disk import link_error

OWN = (
    "artifacts",
    "incoming",
    "quarantine",
    "locks",
    "runs",
    "holds",
    "trust",
    "own",
    "index",
    "aliases",
    "pins",
    "studies",
    "trash",
    "prefect",
)
"""The folders of a home folder."""


def refuse_links(home: Path) -> None:
    """
    Refuse a home folder of which a folder is a link.

    Raises: StoreError: which one.
    """
    for name in OWN:
        if (path := home / name).is_symlink():
            raise link_error(path)


def real_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, by name, without links."""
    return [path for path in _entries(folder) if path.is_dir() and not path.is_symlink()]


def linked_folders(home: Path) -> Iterator[Path]:
    """Yield the links one level deeper where the store has folders: nothing behind them is looked at."""
    for folder in (home / "artifacts", home / "quarantine"):
        yield from (path for path in _entries(folder) if path.is_symlink())
    if (path := home / "incoming" / "locks").is_symlink():
        yield path


def _entries(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder)) if folder.is_dir() else []
