"""
The first use of a set's remote files of which nothing is published: taken before anything is known of them.

All come from one mirror, so that they are of one generation as far as anybody can tell. They wait in the folder for
downloads until the download stage takes them, by their SHA-256; whether they are trusted is decided later.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from artifacts.files import read_plain, write_atomically
from artifacts.locks import FlockManager
from schemas.addresses import redact
from schemas.datasets import RemoteFile
from schemas.errors import DownloadFailed
from tasks.address import address_of
from tasks.part import Expected, MirrorFault, Part, Validators

PARALLEL = 8
"""Files that are taken at once."""
logger = logging.getLogger("idxflow.download")


class Taken(BaseModel):
    """
    A file as a mirror gave it.

    Args: mirror, validators, failures: as in the download stage's summary.
    """

    model_config = ConfigDict(frozen=True)
    sha256: str
    bytes: int
    mirror: str
    validators: Validators | None
    failures: tuple[str, ...] = ()


def take_all(subject: str, files: Sequence[RemoteFile], scratch: Path) -> dict[str, Taken]:
    """
    Take files from the first of their mirrors that gives all of them.

    Args:    subject: what they are the files of.
    Returns: what was taken, by name; the bytes lie in `scratch`, see `waiting`.
    Raises:  DownloadFailed: no mirror gives all of them; says what each gave instead.
    """
    failures, next_step = list[str](), ""
    for mirror in dict.fromkeys(mirror for file in files for mirror in file.mirrors):
        if urlsplit(mirror).scheme == "file":
            continue  # a folder that has none of them: what lies on this machine is no first use
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="first-use") as pool:
            answers = list(pool.map(partial(_try, mirror, scratch), files))
        found = {file.name: answer for file, answer in zip(files, answers, strict=True)}
        faults = {name: fault for name, fault in found.items() if isinstance(fault, MirrorFault)}
        if not faults:
            for failure in failures:
                logger.warning("%s; %s gave the file.", failure, redact(mirror))
            return {name: each for name, each in found.items() if isinstance(each, Taken)}
        next_step = next_step or next((fault.next_step for fault in faults.values() if fault.next_step), "")
        failures += [f"{name}: {fault} from {redact(mirror)}" for name, fault in faults.items()]
    raise DownloadFailed(
        subject,
        expected=f"one mirror that gives {'the file' if len(files) == 1 else f'all {len(files)} files'}",
        found="; ".join(failures) or "no mirror to ask",
        way_out=next_step
        or "Correct `mirrors` and the files' names, or bring a mirror that has all of them with --mirror. Without "
        "published checksums nobody can tell whether the files of two mirrors belong together.",
    )


def waiting(scratch: Path, sha256: str) -> tuple[Path, Taken] | None:
    """Return the file of a first use that waits to be taken over, and where it came from."""
    path = scratch / f"{sha256}.first"
    try:
        taken = Taken.model_validate_json(read_plain(_note(path)))
    except (OSError, ValidationError):
        return None
    return (path, taken) if path.is_file() else None


def forget(path: Path) -> None:
    """Delete a file that waited."""
    for each in (path, _note(path)):
        with contextlib.suppress(OSError):
            each.unlink()


def _try(mirror: str, scratch: Path, file: RemoteFile) -> Taken | MirrorFault:
    from tasks.transfer import Patience, transfer

    patience = Patience()
    try:
        address = address_of(mirror, file.name)
        name = f"{hashlib.sha256(redact(address).encode()).hexdigest()[:16]}-{file.file_name}.part"
        locks = FlockManager(scratch / "locks")
        locks.acquire_lock(name, "first use")
        try:
            with Part(scratch / name, Expected(sha256=None, bytes=file.bytes), patience.largest) as part:
                transfer(address, part, file.name, patience)
                taken = Taken(sha256=part.sha256, bytes=part.size, mirror=redact(mirror), validators=part.validators)
                target = scratch / f"{taken.sha256}.first"
                write_atomically(_note(target), taken.model_dump_json().encode(), durable=False)
                part.publish(target)
        finally:
            locks.release_lock(name, "first use")
    except MirrorFault as fault:
        return fault
    return taken


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
