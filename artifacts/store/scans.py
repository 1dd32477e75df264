"""
What was found in the sources of stages, so that a run does not look through them all again.

`<home>/index/code.json` is a cache: an entry holds for the bytes of a source, and one that is missing, damaged or in
a place that cannot be written is found out again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from artifacts.code import SCANNED, Scan
from artifacts.store.files import read_plain, write_atomically
from schemas.errors import StoreError

MOST = 1_000
"""Entries that are kept, the newest: each edit of a source adds one."""
_ENTRIES = TypeAdapter(dict[str, Scan])


class ScanIndex:
    """
    The entries below one home folder; see `artifacts.code.Scans`.

    Args: path: of the file; in a home folder without a store nothing is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._guard = path, threading.Lock()
        self._entries: dict[str, Scan] | None = None

    def __reduce__(self) -> tuple[type[ScanIndex], tuple[Path]]:
        """Pickle where the entries lie: another process reads them there."""
        return ScanIndex, (self._path,)

    def find(self, key: str) -> Scan | None:
        """Return what was found in a source; None where that is not known."""
        with self._guard:
            return self._loaded().get(key)

    def save(self) -> None:
        """Keep what this process has found, with what others kept meanwhile."""
        with self._guard:
            if self._loaded().keys() >= SCANNED.keys() or not (self._path.parents[1] / "artifacts").is_dir():
                return
            entries = dict(list((_read(self._path) | SCANNED).items())[-MOST:])
            with suppress(OSError, StoreError):  # of a store that cannot be written
                write_atomically(self._path, _sealed(json.dumps(entries).encode()), durable=False)
                self._entries = entries

    def _loaded(self) -> dict[str, Scan]:
        if self._entries is None:
            self._entries = _read(self._path)
        return self._entries


def _sealed(content: bytes) -> bytes:
    """Put the digest of what follows on a line of its own before it."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _read(path: Path) -> dict[str, Scan]:
    """Read the entries; none where the file is not as it was written."""
    with suppress(OSError, ValueError):
        stored = read_plain(path)
        if stored == _sealed(content := stored.partition(b"\n")[2]):
            return _ENTRIES.validate_json(content)
    return {}
