"""Download: the expected file, from the store or from the first mirror that has it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from artifacts.stage import stage
from artifacts.store.locks import Locks
from schemas.addresses import redact
from schemas.counts import counted
from schemas.datasets import RemoteFile
from schemas.errors import DownloadFailed
from schemas.parameters import Summary
from tasks.formats.kinds import TAKEN
from tasks.transport.mirror import AnotherFile, MirrorFault, Patience, address_of
from tasks.transport.part import Expected, Part, Validators

logger = logging.getLogger("idxflow.download")


class DownloadSummary(Summary):
    """
    What came from where.

    Args:
        bytes, sha256: of the file.
        mirror:        the mirror that gave it, without user, password and query; `the store` for a stored copy.
        failures:      what each mirror before it gave instead.
        validators:    by what that mirror can be asked whether its file has changed; None where it gave none.
    """

    bytes: int
    sha256: str
    mirror: str
    failures: tuple[str, ...] = ()
    validators: Validators | None = None


def fetch(
    file: RemoteFile,
    *,
    target: Path,
    scratch: Path,
    known: Callable[[str], Path | None],
    spare: Callable[[str], Path | None],
    patience: Patience,
) -> DownloadSummary:
    """
    Fill `target` with the expected file: from a `known` copy, else from the first mirror in turn that has it.

    What its first use has brought already waits in `scratch`, and is taken from there.

    Where no mirror gives a file, neither this one nor another, it is taken from a `spare` copy, with a warning.

    Bytes arrive in a part file in `scratch`, where a later try, in any process, can take them up.

    Raises: DownloadFailed: no mirror gave the file; `target` is not there.
    """
    from tasks.transport.first_use import waiting
    from tasks.transport.transfer import transfer

    expected = Expected(sha256=file.sha256, bytes=file.bytes)
    first = waiting(scratch, file.sha256 or "")
    failures, faults = list[str](), list[MirrorFault]()

    def copy(find: Callable[[str], Path | None]) -> Iterator[Path]:
        if expected.sha256 and (stored := find(expected.sha256)):
            yield stored

    def sources() -> Iterator[str | Path]:
        yield from copy(known)
        yield from [first[0]] if first else []
        yield from file.mirrors
        if not any(isinstance(fault, AnotherFile) for fault in faults):
            yield from copy(spare)

    with _part(file, expected, scratch, patience.largest) as part:
        for source in sources():
            used = first[1] if first and source == first[0] else None
            shown = used.mirror if used else "the store" if isinstance(source, Path) else redact(source)
            try:
                address = source.as_uri() if isinstance(source, Path) else address_of(source, file.name)
                transfer(address, part, file.name, patience)
            except MirrorFault as fault:
                faults.append(fault)
                failures.append(f"{fault} from {shown}")
                continue
            part.publish(target)
            if used:
                return DownloadSummary.model_validate(used.model_dump())
            gave = "the stored copy, which is sound, is used" if isinstance(source, Path) else f"{shown} gave the file"
            for failure in failures:
                logger.warning("%s: %s; %s.", file.name, failure, gave)
            return DownloadSummary(
                bytes=part.size, sha256=part.sha256, mirror=shown, failures=tuple(failures), validators=part.validators
            )
    raise _failed(file, expected, failures, next((fault.next_step for fault in faults if fault.next_step), ""))


@contextmanager
def _part(file: RemoteFile, expected: Expected, scratch: Path, largest: int) -> Iterator[Part]:
    """Open the part of a file of this content, once no other run holds it."""
    identity = hashlib.sha256(f"{expected.sha256}".encode()).hexdigest()[:16]
    name = f"{identity}-{file.file_name}.part"
    with Locks(scratch / "locks").held(name), Part(scratch / name, expected, largest) as part:
        yield part


def _failed(file: RemoteFile, expected: Expected, failures: list[str], next_step: str) -> DownloadFailed:
    size = counted(expected.bytes, "byte") if expected.bytes else ""
    digest = f"SHA-256 {expected.sha256[:16]}..." if expected.sha256 else ""
    if next_step:
        return DownloadFailed(file.name, expected=TAKEN, found="; ".join(failures), way_out=next_step)
    said = " as on its first use" if file.origin == "first use" and digest else ""
    return DownloadFailed(
        file.name,
        expected=(" with ".join(filter(None, (size, digest))) or "the file") + said,
        found="; ".join(failures) or "no mirror to ask",
        way_out=_way_out(file),
    )


def _way_out(file: RemoteFile) -> str:
    tried = f"Tried {counted(len(file.mirrors), 'mirror')}; "
    match file.origin:
        case "own file":
            return "It was changed or taken away while the run began: run again."
        case "first use":
            return (
                f"{tried}see --mirror. If the set was republished on purpose: "
                f"`idxflow trust {file.trusted_as} --renew` accepts all its files as they are now."
            )
    if file.described_in:
        return f"{tried}bring one that has it with --mirror, or correct its sha256 and bytes in {file.described_in}."
    return f"{tried}see --mirror, or take --dataset digits."


@stage(name="{file.name}", imports="requests")
def download(
    file: RemoteFile, out: Path, scratch: Path, known: Callable[[str], Path | None], spare: Callable[[str], Path | None]
) -> DownloadSummary:
    """Fetch one remote file; only the expected bytes ever reach `out`."""
    target = out / file.file_name
    return fetch(file, target=target, scratch=scratch, known=known, spare=spare, patience=Patience())
