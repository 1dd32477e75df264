"""The store as Prefect sees it: where records of results lie, and the policy that makes their keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from prefect.cache_policies import CachePolicy
from prefect.filesystems import WritableFileSystem
from prefect.serializers import JSONSerializer
from pydantic import PrivateAttr

from artifacts.keys import storage_key
from artifacts.store.integrity import Stored
from artifacts.store.publishing import commit, restore
from artifacts.store.store import Store

if TYPE_CHECKING:
    from prefect.context import TaskRunContext

SERIALIZER = JSONSerializer(object_encoder=None, object_decoder=None)
"""Writes plain JSON: `artifacts.store.integrity.PLAIN_JSON`, as an object."""

Noted = Callable[[Stored, bool, float], None]
"""Told of each artifact that a run uses: which, whether it was cached, and the seconds that checking it took."""


class RecordStorage(WritableFileSystem):
    """
    Prefect's metadata storage over a Store.

    Prefect writes a result's value to `result.json` by itself and then calls `write_path`, which commits; it asks
    `read_path` whether there is a hit, and any exception there means that there is none.
    """

    _block_type_slug = "idxflow-records"
    _store: Store = PrivateAttr()
    _noted: Noted = PrivateAttr()
    _checked: dict[str, bytes] = PrivateAttr(default_factory=dict)

    def bind(self, store: Store, noted: Noted) -> RecordStorage:
        """Set which store this is, and who wants to know what was used."""
        self._store, self._noted = store, noted
        return self

    def read_path(self, path: str, _sync: bool | None = None) -> bytes:  # type: ignore[override]
        """
        Return Prefect's metadata of a healthy artifact.

        Raises: KeyError: there is none, or it is damaged and now in quarantine.
        """
        # Prefect asks twice for one hit, first whether, then what: the second answer is the first one's.
        if (known := self._checked.pop(path, None)) is not None:
            return known
        started = time.perf_counter()
        stage, version, _ = path.split("/")
        restore(self._store, stage, version)  # Prefect holds the lock of the key by now
        found = self._store.read(stage, version, locked=True)
        if found is None:
            raise KeyError(path)
        stored, prefect = found
        # Records hold no path, so that a store can be moved: the value's place is filled in here.
        metadata = {
            "storage_key": str(stored.folder / "result.json"),
            "expiration": None,
            "serializer": prefect["serializer"],
            "prefect_version": prefect.get("prefect_version"),
            "storage_block_id": None,
        }
        self._checked[path] = json.dumps(metadata).encode()
        self._noted(stored, True, time.perf_counter() - started)
        return self._checked[path]

    def write_path(self, path: str, content: bytes, _sync: bool | None = None) -> None:  # type: ignore[override]
        """Commit the artifact whose value Prefect has just written."""
        metadata = json.loads(content)
        stage, version, _ = path.split("/")
        prefect = {name: metadata[name] for name in ("serializer", "prefect_version")}
        stored = commit(self._store, stage, version, prefect)
        self._noted(stored, False, stored.manifest.seconds)

    async def aread_path(self, path: str) -> bytes:
        """As `read_path`."""
        return self.read_path(path)

    async def awrite_path(self, path: str, content: bytes) -> None:
        """As `write_path`."""
        self.write_path(path, content)


@dataclass
class ContentPolicy(CachePolicy):
    """
    Keys from what a stage's result depends on; see `artifacts.keys.KeyParts`.

    Args: version_of: the version of the artifact that the stage makes of these arguments.
    """

    stage: str = ""
    version_of: Callable[[dict[str, Any]], str] | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,  # noqa: ARG002 - Prefect's interface
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str | None:
        """Return the cache key of a task run with these arguments."""
        version_of = cast("Callable[[dict[str, Any]], str]", self.version_of)
        return storage_key(self.stage, version_of(inputs))
