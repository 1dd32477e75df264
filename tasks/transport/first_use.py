"""
The first use of a set's remote files of which nothing is published: taken before anything is known of them.

They wait in the folder for downloads, each under its address, until the set is trusted; the download stage copies them
from there by their SHA-256. A run that finds one waiting asks the mirror whether it is still the same.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from artifacts.store.files import read_plain, write_atomically
from artifacts.store.locks import Locks
from schemas.addresses import redact
from schemas.counts import counted
from schemas.datasets import RemoteFile
from tasks.transport.mirror import MirrorFault, address_of
from tasks.transport.part import Expected, Part, Validators

PARALLEL = 8
"""Files that are taken at once."""
ANSWER_SECONDS = 10.0


class Taken(BaseModel, frozen=True):
    """A file as a mirror gave it. Args: mirror, validators: as in the download stage's summary."""

    sha256: str
    bytes: int
    mirror: str
    validators: Validators | None

    @property
    def content(self) -> dict[str, Any]:
        """Its SHA-256 and its size."""
        return self.model_dump(include={"sha256", "bytes"})


def take_from(
    mirror: str, files: Sequence[RemoteFile], scratch: Path
) -> tuple[dict[str, Taken], dict[str, MirrorFault]]:
    """
    Take files from one mirror; one that does not give the first of them is asked for no other.

    Returns: what was taken, and what was given instead, by name; the bytes lie in `scratch`, see `waiting`.
    """
    answers = [_take(mirror, scratch, files[0])]
    if isinstance(answers[0], Taken):
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="first-use") as pool:
            answers += pool.map(partial(_take, mirror, scratch), files[1:])
    found = {file.name: answer for file, answer in zip(files, answers, strict=False)}
    return (
        {name: answer for name, answer in found.items() if isinstance(answer, Taken)},
        {name: answer for name, answer in found.items() if isinstance(answer, MirrorFault)},
    )


def waiting(scratch: Path, sha256: str) -> tuple[Path, Taken] | None:
    """Return a file of this content that waits to be taken over, and where it came from."""
    return next(_all_waiting(scratch, sha256), None)


def forget(scratch: Path, sha256: str) -> None:
    """Delete what waits and has this content: it is trusted, and stored."""
    for path, _ in list(_all_waiting(scratch, sha256)):
        for each in (path, _note(path)):
            with contextlib.suppress(OSError):
                each.unlink()


def _all_waiting(scratch: Path, sha256: str) -> Iterator[tuple[Path, Taken]]:
    for note in sorted(scratch.glob("*.first.json")):
        path = note.with_suffix("")
        if (taken := _read(path)) and taken.sha256 == sha256:
            yield path, taken


def _take(mirror: str, scratch: Path, file: RemoteFile) -> Taken | MirrorFault:
    """Take one file, unless it waits already and its mirror says that it is still the same."""
    try:
        address = address_of(mirror, file.name)
    except MirrorFault as fault:
        return fault
    name = f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-{file.file_name}"
    target = scratch / f"{name}.first"
    try:
        with Locks(scratch / "locks").held(name):
            return _unchanged(target, mirror, file) or _transfer(address, target, mirror, file)
    except MirrorFault as fault:
        if file.bytes is None:
            return fault
        said = f"{fault}, where {file.described_in} says {counted(file.bytes, 'byte')}"
        return MirrorFault(said, tries=fault.tries, wait=fault.wait, next_step=fault.next_step)


def _unchanged(target: Path, mirror: str, file: RemoteFile) -> Taken | None:
    from tasks.transport.freshness import Answer, ask

    taken = _read(target)
    if taken is None or taken.validators is None or file.bytes not in (None, taken.bytes):
        return None
    answer = ask(file.model_copy(update={"mirrors": (mirror,)}), taken.validators, ANSWER_SECONDS)
    return taken if answer is Answer.UNCHANGED else None


def _transfer(address: str, target: Path, mirror: str, file: RemoteFile) -> Taken:
    from tasks.transport.transfer import Patience, transfer

    patience = Patience()
    part_path = target.with_suffix(".part")
    with Part(part_path, Expected(sha256=None, bytes=file.bytes), patience.largest) as part:
        transfer(address, part, file.name, patience)
        taken = Taken(sha256=part.sha256, bytes=part.size, mirror=redact(mirror), validators=part.validators)
        write_atomically(_note(target), taken.model_dump_json().encode(), durable=False)
        part.publish(target)
    return taken


def _read(path: Path) -> Taken | None:
    """Return what is noted of a file that waits; None where it is not there, or not as it was noted."""
    try:
        taken = Taken.model_validate_json(read_plain(_note(path)))
        return taken if path.stat().st_size == taken.bytes else None
    except (OSError, ValidationError):
        return None


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
