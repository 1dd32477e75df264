"""
What each file of a data set is, found before the graph is walked: every key is made of contents that are known.

A published checksum is believed. A file on this machine is hashed as it lies there. A remote file without a checksum
is what it was on its first use; where it has not been used yet, `take_unknown` takes it, and `confirm` makes it trusted
once both splits have passed every check.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from artifacts.own_files import Content
from artifacts.store import Store
from artifacts.trust import FirstUse, Trusted, differing
from schemas.datasets import Dataset, RemoteFile
from schemas.errors import ChecksumMismatch, DownloadFailed
from tasks.address import address_of
from tasks.kinds import TAKEN, kind_of_link
from tasks.part import MirrorFault

logger = logging.getLogger("idxflow.dataset")


def identify(store: Store, dataset: Dataset) -> Dataset:
    """
    Fill in what can be known of a data set's files without asking anybody.

    Returns: the set; a remote file that has not been used yet, or is to be accepted as it is now, has no `sha256`.
    Raises:
        DownloadFailed:   a file should lie on this machine, and does not.
        ChecksumMismatch: one does, and is not what its description says.
        StageError:       one cannot be read.
        StoreError:       the record of the first uses does not read.
    """
    if not dataset.own:
        return dataset  # the catalog publishes every checksum
    trusted = store.trust.read(dataset.home) if dataset.home else None
    return dataset.with_files({file.name: _identified(store, file, trusted) for file in dataset.files})


def take_unknown(store: Store, dataset: Dataset) -> Dataset:
    """
    Take the remote files of which nothing is known from their mirror, all of them together.

    Returns: the set, of which every file is known.
    Raises:  DownloadFailed: no mirror gives all of them, or they are of another generation than those that are trusted.
    """
    if dataset.known:
        return dataset
    from tasks.first_use import take_all

    files = [
        file.model_copy(update={"bytes": None}) if file.origin == "first use" else file
        for file in dataset.files
        if not file.known or file.origin == "first use"
    ]
    taken = take_all(dataset.name, files, store.incoming)
    trusted = store.trust.read(dataset.home)
    found = {name: FirstUse(sha256=each.sha256, bytes=each.bytes) for name, each in taken.items()}
    if trusted and not trusted.renewing:
        _refuse_another_generation(dataset, trusted, found)
    return dataset.with_files(
        {
            file.name: file.model_copy(
                update={"sha256": found[file.name].sha256, "bytes": found[file.name].bytes, "origin": "first use"}
            )
            for file in files
        }
    )


def confirm(store: Store, dataset: Dataset, now: datetime | None = None) -> None:
    """
    Trust the remote files of a set from now on, all of them together; its splits have passed every check.

    Raises: DownloadFailed: another run has meanwhile trusted other files.  StoreError: the ledger cannot be written.
    """
    used = {
        file.name: FirstUse(sha256=file.sha256, bytes=file.bytes)
        for file in dataset.files
        if file.origin == "first use" and file.sha256 and file.bytes is not None
    }
    while used:
        trusted = store.trust.read(dataset.home)
        known = trusted.files if trusted else {}
        if trusted and not trusted.renewing:
            _refuse_another_generation(dataset, trusted, used)
            if used.items() <= known.items():
                return
        written = Trusted(
            address=dataset.home,
            sets=tuple(sorted({*(trusted.sets if trusted else ()), dataset.name})),
            since=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
            files={**(known if trusted and not trusted.renewing else {}), **used},
        )
        if store.trust.write(written, instead_of=trusted):
            logger.info("%s: %d files of %s are trusted from now on", dataset.name, len(used), dataset.home)
            return


def own_path(file: RemoteFile) -> Path | None:
    """Return where a file lies on this machine, unless a remote mirror comes before that place."""
    for mirror in file.mirrors:
        if urlsplit(mirror).scheme != "file":
            return None
        if (path := _path_in(mirror, file.name)) and path.exists():
            return path
    return None


def _identified(store: Store, file: RemoteFile, trusted: Trusted | None) -> RemoteFile:
    remote = any(urlsplit(mirror).scheme != "file" for mirror in file.mirrors)
    if file.sha256:
        if not remote:
            _check_published(store, file)
        return file
    if path := own_path(file):
        content = store.own_files.content(path)
        if file.bytes not in (None, content.bytes):
            raise _unlike(file, f"{file.bytes} bytes", f"{content.bytes}", "bytes")
        return file.model_copy(update={**content.model_dump(), "origin": "own file"})
    if not remote:
        raise _missing(file)
    if trusted and not trusted.renewing and (known := trusted.files.get(file.name)):
        if file.bytes not in (None, known.bytes):
            return file  # the description says that it is another one by now
        return file.model_copy(update={"sha256": known.sha256, "bytes": known.bytes, "origin": "first use"})
    return file


def _check_published(store: Store, file: RemoteFile) -> None:
    """Refuse a file with a checksum that lies on this machine only, and is another one."""
    found: Content | None = None
    for mirror in file.mirrors:
        if (path := _path_in(mirror, file.name)) and path.exists():
            found = store.own_files.content(path)
            if found.sha256 == file.sha256:
                return
    if found:
        raise _unlike(file, f"SHA-256 {file.sha256}", found.sha256, "sha256")


def _path_in(mirror: str, name: str) -> Path | None:
    try:
        return Path(url2pathname(urlsplit(address_of(mirror, name)).path))
    except MirrorFault:
        return None


def _unlike(file: RemoteFile, expected: str, found: str, field: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        file.name,
        expected=f"{expected}, as {file.described_in} says",
        found=found,
        way_out=f"Bring the file that belongs here, or correct its {field} in {file.described_in}, or leave that out.",
    )


def _missing(file: RemoteFile) -> DownloadFailed:
    paths = [path for mirror in file.mirrors if (path := _path_in(mirror, file.name))]
    if link := next(filter(None, map(kind_of_link, paths)), None):
        return DownloadFailed(file.name, expected=TAKEN, found=link.name, way_out=link.next_step)
    folders = [str(path.parent) for path in paths]
    return DownloadFailed(
        file.name,
        expected=f"a file of this name in {' or '.join(folders) or 'a folder'}",
        found="none",
        way_out=f"Put it there, or correct its name or `mirrors` in {file.described_in}.",
    )


def _refuse_another_generation(dataset: Dataset, trusted: Trusted, found: dict[str, FirstUse]) -> None:
    changed = differing(trusted.files, found)
    if not changed:
        return
    new = sorted(found.keys() - trusted.files.keys())
    same = sorted(found.keys() - {*changed, *new})
    rest = [f"{', '.join(names)} {word}" for names, word in ((same, "as then"), (new, "new")) if names]
    raise DownloadFailed(
        dataset.name,
        expected=f"files of one generation, as first used on {trusted.since[:10]}",
        found=f"{', '.join(changed)} changed since" + "".join(f", {each}" for each in rest),
        way_out=f"If the set was published anew on purpose: `idxflow trust {described_by(dataset)} --renew` accepts "
        "all its files as they are now.",
    )


def described_by(dataset: Dataset) -> str:
    """Return by what a person names a set to a command: its description's file, or its name."""
    return next((file.described_in for file in dataset.files if file.described_in), dataset.name)
