"""Whether a remote keeps conditions: that is tried before anything is entrusted to it, and remembered in the home."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.remote.backend import Backend
from artifacts.remote.layout import FORMAT, MARKER
from artifacts.store.disk import disk
from artifacts.store.files import read_plain, write_atomically
from schemas.remote import RemoteError, RemotePlace
from schemas.text import Moment

PROBES = "probe/"
SMALL = 2**16


class Marker(BaseModel):
    """The file that says what a remote is."""

    model_config = ConfigDict(extra="ignore")
    idxflow: str
    format: int


class Probed(BaseModel):
    """
    What was found.

    Args: refused: why it is not used; empty where it is sound.  when: by this machine's clock, for people.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    url: str
    refused: str = ""
    when: Moment


def known(home: Path, place: RemotePlace) -> Probed | None:
    """Return what was found earlier; None: nothing that reads."""
    try:
        found = Probed.model_validate_json(read_plain(_path(home, place)))
    except (OSError, ValidationError):
        return None
    return found if found.url == place.url else None


def ensure_sound(backend: Backend, place: RemotePlace, home: Path) -> None:
    """
    Probe a remote, unless it was found sound before.

    Raises: RemoteError: it does not do what it says; RemoteAway: nobody knows.
    """
    if (found := known(home, place)) and not found.refused:
        return
    refused = probe(backend)
    found = Probed(url=str(place.url), refused=refused, when=datetime.now(UTC).isoformat(timespec="seconds"))
    with disk(_path(home, place)):
        write_atomically(_path(home, place), found.model_dump_json(indent=2).encode())
    if refused:
        raise RemoteError(
            f"remote {place}",
            expected="a server that keeps conditions: two hosts would overwrite each other's records",
            found=refused,
            way_out="Use another server, or a newer version of it. Nothing was put there.",
        )


def probe(backend: Backend) -> str:
    """
    Write, write again, replace by a wrong tag and by the right one, and see whether the server minds.

    Returns: what is wrong with it; empty where nothing is.
    Raises:  RemoteError: as the backend.
    """
    name, other = (f"{PROBES}{secrets.token_hex(16)}" for _ in range(2))
    flaw = next(_flaws(backend, name, other), "")  # after an error nothing is deleted: it would be waited for again
    for each in (name, other):
        with suppress(RemoteError):
            backend.delete(each)
    if flaw:
        return flaw
    return _mark(backend)


def _flaws(backend: Backend, name: str, other: str) -> Iterator[str]:
    """Yield what is wrong, by what the next step then need not try."""
    first, second, third = (secrets.token_bytes(32) for _ in range(3))
    if not backend.put_new(name, first):
        yield "an object that nobody has written"
    got = backend.get(name, SMALL)
    if got is None or bytes(got.content) != first:
        yield "another content than was just written"
    elif not got.tag:
        yield "no ETag, without which nothing can be replaced on condition"
    if backend.put_new(name, second) or _content(backend, name) != first:
        yield "an object that is overwritten though it was to be created only (If-None-Match is ignored)"
    backend.put_new(other, third)
    wrong = backend.get(other, SMALL)
    if wrong is None or got is None:
        yield "nothing where something was just written"
        return
    if backend.replace(name, second, wrong.tag) or _content(backend, name) != first:
        yield "an object that is replaced though it has another ETag (If-Match is ignored)"
    if not backend.replace(name, second, got.tag) or _content(backend, name) != second:
        yield "an object that is not replaced though its ETag is right"
    if name not in {entry.name for entry in backend.list(PROBES)}:
        yield "a list without what was just written"
    backend.delete(name)
    if backend.replace(name, third, got.tag) or _content(backend, name) is not None:
        yield "an object that is replaced though it is gone"


def _mark(backend: Backend) -> str:
    """Say in the remote what it is, or see what it says."""
    backend.put_new(MARKER, Marker(idxflow="artifacts", format=FORMAT).model_dump_json().encode())
    got = backend.get(MARKER, SMALL)
    try:
        marker = Marker.model_validate_json(bytes(got.content)) if got else None
    except ValidationError:
        marker = None
    if marker is None:
        return f"a {MARKER} that does not read"
    return "" if marker.format == FORMAT else f"the form {marker.format} where this idxflow knows {FORMAT}"


def _content(backend: Backend, name: str) -> bytes | None:
    got = backend.get(name, SMALL)
    return bytes(got.content) if got else None


def _path(home: Path, place: RemotePlace) -> Path:
    return home / "remote" / f"{place.key}.json"
