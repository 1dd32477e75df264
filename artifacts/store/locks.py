"""A Prefect lock manager over `flock`: the kernel frees a lock when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, Self

from artifacts.store import files
from artifacts.store.flock import is_locked, try_lock

logger = logging.getLogger("idxflow.locks")
POLL_SECONDS = 0.02


class FlockManager:
    """
    One lock file a key, under `folder`; works between threads and processes of one host.

    Implements `prefect.locking.protocol.LockManager`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, tuple[int, str]] = {}
        self._guard = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Prefect copies cache policies; a copied lock would be another lock.
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_held": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _guard=threading.Lock())

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,  # noqa: ARG002 - Prefect's interface
    ) -> bool:
        """
        Wait for the lock of `key`, at most `acquire_timeout` seconds (None: for ever), and take it.

        `hold_timeout` is not supported: a lock is held until it is released or its process ends.
        Returns: whether `holder` has it.
        """
        deadline = None if acquire_timeout is None else time.monotonic() + acquire_timeout
        said = False
        while not self.is_lock_holder(key, holder):
            if (descriptor := try_lock(self._path(key))) is not None:
                with self._guard:
                    self._held[key] = (descriptor, holder)
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if not said:
                said = True
                logger.info("%s: another run is computing it; waiting", key)
            time.sleep(POLL_SECONDS)
        return True

    async def aacquire_lock(
        self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None
    ) -> bool:
        """As `acquire_lock`, without blocking the event loop."""
        return await asyncio.to_thread(self.acquire_lock, key, holder, acquire_timeout, hold_timeout)

    def release_lock(self, key: str, holder: str) -> None:
        """
        Free the lock of `key`.

        Raises: ValueError: `holder` does not have it.
        """
        with self._guard:
            descriptor, owner = self._held.get(key, (-1, ""))
            if owner != holder or descriptor < 0:
                raise ValueError(f"{holder} does not hold the lock of {key}")
            del self._held[key]
        os.close(descriptor)

    def is_locked(self, key: str) -> bool:
        """Tell whether anybody, in any process, holds the lock of `key`."""
        with self._guard:
            if key in self._held:
                return True
        return is_locked(self._path(key))

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Tell whether `holder` has the lock of `key`."""
        with self._guard:
            return self._held.get(key, (-1, None))[1] == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock of `key`, at most `timeout` seconds. Returns: whether it is free."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.is_locked(key):
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """As `wait_for_lock`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for_lock, key, timeout)

    def _path(self, key: str) -> Path:
        """Return the lock file of `key`, in a folder that is there."""
        files.make_folder(self._folder)
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
