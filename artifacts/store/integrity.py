"""Whether a stored artifact is what it was: its result, manifest and files held against each other."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from artifacts.code import TICK
from artifacts.manifest import Manifest
from artifacts.ref import RESERVED, Ref
from artifacts.store import files

PLAIN_JSON: dict[str, object] = {
    "type": "json",
    "jsonlib": "json",
    "object_encoder": None,
    "object_decoder": None,
    "dumps_kwargs": {},
    "loads_kwargs": {},
}
"""
The one serializer that a record may name: versions of idxflow that had Prefect read results would run another one.
"""


@dataclass(frozen=True)
class Stored:
    """A committed artifact that was checked just now."""

    ref: Ref
    manifest: Manifest
    folder: Path


class Proven:
    """
    Files of the store whose bytes this process has hashed for one run, and found to be those of their manifest.

    One of them is not hashed again while its size, inode and times are what they were before it was hashed. A change in
    the same tick of the clock as the one before it would leave the same times: what was hashed so soon after its last
    change is hashed again. It is one process's own: a copy that travels to another one has nothing in it.
    """

    def __init__(self) -> None:
        self._files: dict[Path, tuple[list[int], str]] = {}

    def __reduce__(self) -> tuple[type[Proven], tuple[()]]:
        return Proven, ()

    def has(self, path: Path, look: list[int], sha256: str) -> bool:
        """Tell whether a file was found to have these bytes, and looks as it did then. Args: look: as `identity`."""
        return self._files.get(path) == (look, sha256)

    def note(self, path: Path, look: list[int], sha256: str, began: int) -> None:
        """Keep what was found. Args: look: just before; began: when it was looked at, in nanoseconds since 1970."""
        if began - look[-1] > TICK:
            self._files[path] = look, sha256


class Damage(Exception):
    """Why a committed artifact cannot be believed."""


def check_record(folder: Path) -> None:
    """
    Read an artifact's record, and compare its result with it.

    Raises: Damage: it does not read, is not that of the result, or names a serializer that is not idxflow's.
    """
    record = read_json(folder / "record.json")
    prefect, digest = record.get("prefect"), record.get("result")
    if not isinstance(prefect, dict) or digest != hash_or_damage(folder / "result.json"):
        raise Damage("result.json is not the one that was committed")
    if prefect.get("serializer") != PLAIN_JSON:
        raise Damage("its record names a serializer that is not idxflow's")


def read_artifact(folder: Path) -> Stored:
    """
    Read an artifact's result and manifest and hold them against each other and against the folder's name.

    Raises: Damage: they do not read, or do not belong together.
    """
    try:
        ref = Ref.model_validate(read_json(folder / "result.json")).at(folder)
        if ref.manifest != hash_or_damage(folder / "manifest.json"):
            raise Damage("manifest.json is not the one that was committed")
        manifest = Manifest.model_validate(read_json(folder / "manifest.json"))
    except ValidationError as error:
        raise Damage(f"its record does not read: {error.errors()[0]['msg']}") from error
    try:
        flaw = manifest.flaw()
    except ValueError as error:  # what has no canonical form: no number, half a character
        raise Damage(f"its manifest makes no sense: {error}") from error
    if flaw:
        raise Damage(flaw)
    if (manifest.stage, manifest.version, manifest.digest) != (folder.parent.name, folder.name, ref.digest):
        raise Damage("its manifest belongs to another artifact")
    if (ref.stage, ref.version) != (manifest.stage, manifest.version):
        raise Damage("its result belongs to another artifact")
    return Stored(ref=ref, manifest=manifest, folder=folder)


def check_files(stored: Stored, *, fully: bool, proven: Proven | None = None) -> None:
    """
    Hold every file against the manifest.

    Args:
        fully:  hash even those that look untouched since they were last hashed.
        proven: what need not be hashed fully again, to which what is hashed now is added.
    Raises: Damage: a file is missing, too many, no plain file, or not what it was.
    """
    try:
        _check_files(stored, fully=fully, proven=proven or Proven())
    except OSError as error:  # it changes while it is looked at
        raise Damage(f"it cannot be read: {error.strerror}") from error


def _check_files(stored: Stored, *, fully: bool, proven: Proven) -> None:
    names = {path.name for path in stored.folder.iterdir()} - RESERVED
    present = {name for name in names if not files.TEMPORARY.fullmatch(name)}
    if present != stored.manifest.files.keys():
        odd = ", ".join(sorted(present ^ stored.manifest.files.keys()))
        raise Damage(f"files missing or too many: {odd}")
    known, noted = ({}, 0) if fully else hashed_notes(stored.folder)
    identities: dict[str, list[int]] = {}
    rehashed = False
    for name, entry in stored.manifest.files.items():
        path = stored.folder / name
        _refuse_odd(path)
        if (size := path.stat().st_size) != entry.bytes:
            raise Damage(f"{name}: expected {entry.bytes} bytes, found {size}")
        began = time.time_ns()
        look = identities[name] = identity(path)
        # A change in the same tick of the clock as the last one leaves the same times, so a note that was taken
        # too soon after it proves nothing (git calls such an entry racily clean).
        if (known.get(name) == look and noted - look[-1] > TICK) or proven.has(path, look, entry.sha256):
            continue
        rehashed = True
        if (digest := hash_or_damage(path)) != entry.sha256:
            raise Damage(f"{name}: expected SHA-256 {entry.sha256[:16]}, found {digest[:16]}")
        proven.note(path, look, entry.sha256, began)
    if rehashed and not fully:
        remember_hashed(stored.folder, identities)


def hash_or_damage(path: Path) -> str:
    """Return a file's SHA-256. Raises: Damage: it cannot be read, or is no plain file."""
    _refuse_odd(path)
    try:
        return files.sha256_of(path)
    except OSError as error:
        raise Damage(f"{path.name} cannot be read: {error.strerror}") from error


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in a file. Raises: Damage: it cannot be read, is no plain file, or holds none."""
    _refuse_odd(path)
    try:
        value = json.loads(files.read_plain(path))
    except (OSError, ValueError, RecursionError) as error:
        raise Damage(f"{path.name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise Damage(f"{path.name} is not an object")
    return value


def _refuse_odd(path: Path) -> None:
    """Refuse links, which lead out of the store, and pipes, which a reader would wait at for ever."""
    if not files.is_plain_file(path):
        raise Damage(f"{path.name} is missing" if not os.path.lexists(path) else f"{path.name} is not a plain file")


def identity(path: Path) -> list[int]:
    """What changes when a file is touched. The change time cannot be set by hand, unlike the modification time."""
    status = path.lstat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def hashed_notes(folder: Path) -> tuple[dict[str, object], int]:
    """Return how each file, and of a bundle each member, looked when it was last checked, and when: nanoseconds."""
    note = folder / "hashed.json"
    try:
        return read_json(note), note.stat().st_mtime_ns
    except (Damage, OSError):
        return {}, 0


def remember_hashed(
    folder: Path, identities: Mapping[str, list[int]], looks: Mapping[str, object] | None = None
) -> None:
    """
    Note how each file looked just before it was hashed; losing the note only costs time.

    Args: looks: of a bundle: how each member looked when it was checked; see `artifacts.store.bundles`.
    """
    with contextlib.suppress(OSError):
        content = json.dumps({**identities, **(looks or {})}).encode()
        files.write_atomically(folder / "hashed.json", content, durable=False)
