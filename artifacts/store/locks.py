"""Locks by name, over `flock`: the kernel frees a lock when its holder dies, however it dies."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from artifacts.store import files
from artifacts.store.flock import try_lock

logger = logging.getLogger("idxflow.locks")
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Locks:
    """
    One lock file per name, under `folder`; between threads and processes of one host.

    A thread that takes a lock twice waits for itself.
    """

    folder: Path

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold the lock of `name`, after waiting for it. Raises: OSError."""
        said = False
        while (descriptor := try_lock(self._path(name))) is None:
            if not said:
                said = True
                logger.info("%s: another run is computing it; waiting", name)
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def tried(self, name: str) -> Iterator[bool]:
        """Hold the lock of `name` if nobody has it, not even the caller. Yields: whether it is. Raises: OSError."""
        descriptor = try_lock(self._path(name))
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _path(self, name: str) -> Path:
        """Return the lock file of `name`, in a folder that is there."""
        files.make_folder(self.folder)
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"
