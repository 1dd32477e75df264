"""What each home folder that shares a remote holds: an object of its own, dated by the server."""

from __future__ import annotations

import secrets
import socket
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.roots import Artifact, find_roots, read_graph
from artifacts.ref import StageWord, Version
from artifacts.remote.backend import LARGEST_DOCUMENT, Backend
from artifacts.remote.layout import ROOTS, Unbelievable
from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.files import read_plain
from artifacts.store.store import Store

TRIES = 10


class Roots(BaseModel):
    """
    What a home folder holds.

    Args: home: its id, 16 hexadecimal digits.  host: the name of its machine, for people.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: int = 1
    home: str = Field(pattern=r"^[0-9a-f]{16}$")
    host: str = Field(max_length=256)
    artifacts: tuple[tuple[StageWord, Version], ...]


class Home(BaseModel):
    """A home folder that shares a remote. `seen`: when it last said what it holds, by the server's clock."""

    model_config = ConfigDict(frozen=True)
    home: str
    host: str
    seen: datetime
    artifacts: int


def home_id(store: Store) -> str:
    """Return the id of a home folder, which gets one now if it has none. Raises: StoreError: the disk."""
    path = store.home / "remote" / "home"
    with disk(path):
        files.write_once(path, secrets.token_hex(8).encode())
        return read_plain(path).decode().strip()


def put_roots(backend: Backend, store: Store, keep: int) -> Roots:
    """
    Say in the remote what this home folder holds.

    Args:   keep: completed runs of each data set that hold what they used.
    Raises: StoreError: nobody knows what this home folder holds.  RemoteError: as the backend.
    """
    held: set[Artifact] = find_roots(store, read_graph(store), keep)
    roots = Roots(home=home_id(store), host=socket.gethostname()[:256], artifacts=tuple(sorted(held)))
    name, content = f"{ROOTS}{roots.home}.json", roots.model_dump_json().encode()
    for _ in range(TRIES):
        if backend.put_new(name, content):
            return roots
        got = backend.get(name, LARGEST_DOCUMENT)
        if got and backend.replace(name, content, got.tag):
            return roots
    raise Unbelievable(f"{name} changes all the time: two copies of one home folder share the remote")


def read_roots(backend: Backend) -> list[tuple[Roots, Home]]:
    """
    Read what all who share a remote hold.

    Raises: Unbelievable: one does not read: nobody knows what it holds.  RemoteError: as the backend.
    """
    found = []
    for entry in backend.list(ROOTS):
        if (got := backend.get(entry.name, LARGEST_DOCUMENT)) is None:
            continue
        try:
            roots = Roots.model_validate_json(bytes(got.content))
        except ValidationError as error:
            raise Unbelievable(f"{entry.name} does not read: nobody knows what that home folder holds") from error
        home = Home(home=roots.home, host=roots.host, seen=entry.modified, artifacts=len(roots.artifacts))
        found.append((roots, home))
    return found
