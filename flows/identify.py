"""
What each file of a data set is, found before the graph is walked: every key is made of contents that are known.

A published checksum is believed. A file on this machine is hashed as it lies there. A remote file without a checksum
is what it was on its first use; where it has not been used yet, `take_unknown` takes it, and `confirm` makes it trusted
once both splits have passed every check.

The files without checksums belong together: all of them are taken from the first place that has all of them, a folder
or a mirror, in the order in which the description names them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from artifacts.store.own_files import Content
from artifacts.store.store import Store
from artifacts.store.trust import FirstUse, Trusted, differing
from schemas.addresses import redact
from schemas.counts import counted
from schemas.datasets import Dataset, RemoteFile
from schemas.errors import ChecksumMismatch, DownloadFailed
from tasks.formats.kinds import TAKEN, kind_of_link
from tasks.transport.mirror import MirrorFault, address_of

NAMED = 3
"""Files that a message names; the others are counted."""
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of files that an address spells as they are."""
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
    for file in (each for each in dataset.files if each.sha256 and not _remote(each)):
        _check_published(store, file)
    files = [file for file in dataset.files if not file.sha256]
    mirrors = files[0].mirrors if files else ()
    for mirror in mirrors:
        if not _is_folder(mirror):
            trusted = store.trust.find(dataset.place, dataset.identity)
            return _with(dataset, (_as_trusted(file, trusted) for file in files))
        if _lacking(mirror, files) == []:
            _tell_passed_over(dataset, files, mirrors[: mirrors.index(mirror)], mirror)
            return _with(dataset, (_own(store, file, mirror) for file in files))
    return _with(dataset, _from_folders(store, dataset, files))


def take_unknown(store: Store, dataset: Dataset) -> Dataset:
    """
    Take the files of which nothing is known from the first of their mirrors that gives all of them.

    Returns: the set, of which every file is known.
    Raises:  DownloadFailed: no mirror gives all of them, or they are of another generation than those that are trusted.
    """
    if dataset.known:
        return dataset
    from tasks.transport.first_use import take_from

    files = [
        file.model_copy(update={"bytes": None}) if file.origin == "first use" else file
        for file in dataset.files
        if not file.known or file.origin == "first use"
    ]
    failures, next_step = list[str](), ""
    for mirror in files[0].mirrors:
        if _is_folder(mirror):
            if (lacking := _lacking(mirror, files)) == []:
                return _with(dataset, (_own(store, file, mirror) for file in files))
            failures.append(f"no file in {redact(mirror)}, for {_named(lacking)}")
            continue
        taken, faults = take_from(mirror, files, store.incoming)
        if not faults:
            for failure in failures:
                logger.warning("%s: %s; %s gave all files.", dataset.name, failure, redact(mirror))
            return _first_used(store, dataset, files, {name: FirstUse(**each.content) for name, each in taken.items()})
        next_step = next_step or next((fault.next_step for fault in faults.values() if fault.next_step), "")
        for what in dict.fromkeys(str(fault) for fault in faults.values()):
            names = [name for name, fault in faults.items() if str(fault) == what]
            failures.append(f"{what} from {redact(mirror)}, for {_named(names)}")
    raise DownloadFailed(
        dataset.name,
        expected=f"one mirror that gives {'the file' if len(files) == 1 else f'all {len(files)} files'}",
        found="; ".join(failures),
        way_out=next_step
        or "Correct `mirrors` and the files' names, or bring a mirror that has all of them with "
        "--mirror. Without published checksums nobody can tell whether the files of two mirrors belong together.",
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
    if not used:
        return
    from tasks.transport.first_use import forget

    with store.trust.changing():
        trusted = store.trust.find(dataset.place, dataset.identity)
        if trusted:
            _refuse_another_generation(dataset, trusted, used)
        known = trusted.files if trusted else {}
        if not trusted or trusted.place != dataset.place or not used.items() <= trusted.held.items():
            written = Trusted(
                place=dataset.place,
                address=dataset.home,
                sets={**(trusted.sets if trusted else {}), dataset.identity: dataset.name},
                since=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
                files={**known, **used},
                renewing=tuple(name for name in (trusted.renewing if trusted else ()) if name not in used),
            )
            store.trust.write(written)
    for first_use in used.values():
        forget(store.incoming, first_use.sha256)


def _as_trusted(file: RemoteFile, trusted: Trusted | None) -> RemoteFile:
    """Fill in what a remote file was on its first use, unless the description says by its size that it is another."""
    known = trusted.held.get(file.name) if trusted else None
    if not trusted or not known or file.bytes not in (None, known.bytes):
        return file
    return file.model_copy(update={**known.model_dump(), "origin": "first use", "trusted_as": trusted.place})


def _first_used(store: Store, dataset: Dataset, files: Sequence[RemoteFile], found: dict[str, FirstUse]) -> Dataset:
    if trusted := store.trust.find(dataset.place, dataset.identity):
        _refuse_another_generation(dataset, trusted, found)
    logger.warning(
        "%s: %s without a checksum from %s. What is in %s is trusted from now on, once all checks have passed; "
        "`idxflow trust` lists it.",
        dataset.name,
        counted(len(files), "file"),
        dataset.home,
        "it" if len(files) == 1 else "them",
    )
    update = {"origin": "first use", "trusted_as": dataset.place}
    return _with(dataset, (file.model_copy(update={**found[file.name].model_dump(), **update}) for file in files))


def _refuse_another_generation(dataset: Dataset, trusted: Trusted, found: dict[str, FirstUse]) -> None:
    if not (changed := differing(trusted.held, found)):
        return
    new = sorted(found.keys() - trusted.files.keys())
    same = sorted(found.keys() - {*changed, *new})
    rest = [f"{_named(names)} {word}" for names, word in ((same, "as then"), (new, "new")) if names]
    raise DownloadFailed(
        dataset.name,
        expected=f"files of one generation, as first used by {trusted.since[:10]}",
        found=f"{_named(changed)} changed since" + "".join(f", {each}" for each in rest),
        way_out=f"If the set was republished on purpose: `idxflow trust {trusted.place} --renew` has the next run "
        "accept all its files as they are then.",
    )


def _from_folders(store: Store, dataset: Dataset, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Take each file from the first folder that has it; no folder has all of them, which is said."""
    found, folders = list[RemoteFile](), dict[str, list[str]]()
    for file in files:
        if (mirror := next((each for each in file.mirrors if not _lacking(each, [file])), None)) is None:
            raise _missing(file)
        folders.setdefault(redact(mirror), []).append(file.name)
        found.append(_own(store, file, mirror))
    if folders:
        told = "; ".join(f"{_named(names)} from {folder}" for folder, names in folders.items())
        logger.warning("%s: no folder has all of its %d files: %s.", dataset.name, len(files), told)
    return found


def _tell_passed_over(dataset: Dataset, files: Sequence[RemoteFile], folders: Iterable[str], taken: str) -> None:
    """Say which folders before the one that has all files have some of them: whoever named them expects them used."""
    for folder in folders:
        lacking = _lacking(folder, files)
        if len(lacking) < len(files):
            logger.warning(
                "%s: %s lacks %s; all %d files are taken from %s.",
                dataset.name,
                redact(folder),
                _named(lacking),
                len(files),
                redact(taken),
            )


def _own(store: Store, file: RemoteFile, mirror: str) -> RemoteFile:
    """Fill in what lies in a folder."""
    content = store.own_files.content(_path_in(mirror, file.name))
    if file.bytes not in (None, content.bytes):
        raise _unlike(file, f"{file.bytes} bytes", f"{content.bytes}", "bytes")
    return file.model_copy(update={**content.model_dump(), "origin": "own file"})


def _check_published(store: Store, file: RemoteFile) -> None:
    """Refuse a file with a checksum that lies on this machine only, and is another one."""
    found: Content | None = None
    for mirror in file.mirrors:
        if (path := _path_in(mirror, file.name)).exists():
            found = store.own_files.content(path)
            if found.sha256 == file.sha256:
                return
    if found:
        raise _unlike(file, f"SHA-256 {file.sha256}", found.sha256, "sha256")


def _with(dataset: Dataset, files: Iterable[RemoteFile]) -> Dataset:
    return dataset.with_files({file.name: file for file in files})


def _is_folder(mirror: str) -> bool:
    return urlsplit(mirror).scheme == "file"


def _remote(file: RemoteFile) -> bool:
    return not all(map(_is_folder, file.mirrors))


def _lacking(folder: str, files: Sequence[RemoteFile]) -> list[str]:
    """Name the files that are not in a folder."""
    return [file.name for file in files if not _path_in(folder, file.name).exists()]


def local_path(file: RemoteFile) -> Path | None:
    """Return where a file lies on this machine; None where it does not."""
    paths = (_path_in(mirror, file.name) for mirror in file.mirrors if _is_folder(mirror))
    return next((path for path in paths if path.is_file()), None)


def _path_in(folder: str, name: str) -> Path:
    if PLAIN.fullmatch(name):  # of thousands of files the way there and back takes most of the time
        return _folder_at(folder) / name
    try:
        return Path(url2pathname(urlsplit(address_of(folder, name)).path))
    except MirrorFault:
        return Path(name).absolute() / "no folder"


@lru_cache(maxsize=64)
def _folder_at(folder: str) -> Path:
    """Return the folder that an address stands for."""
    try:
        return Path(url2pathname(urlsplit(address_of(folder, "name")).path)).parent
    except MirrorFault:
        return Path("no folder").absolute()


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _unlike(file: RemoteFile, expected: str, found: str, field: str) -> ChecksumMismatch:
    return ChecksumMismatch(
        file.name,
        expected=f"{expected}, as {file.described_in} says",
        found=found,
        way_out=f"Bring the file that belongs here, or correct its {field} in {file.described_in}, or leave that out.",
    )


def _missing(file: RemoteFile) -> DownloadFailed:
    paths = [_path_in(mirror, file.name) for mirror in file.mirrors]
    if link := next(filter(None, map(kind_of_link, paths)), None):
        return DownloadFailed(file.name, expected=TAKEN, found=link.name, way_out=link.next_step)
    return DownloadFailed(
        file.name,
        expected=f"a file of this name in {' or '.join(str(path.parent) for path in paths) or 'a folder'}",
        found="none",
        way_out=f"Put it there, or correct its name or `mirrors` in {file.described_in}.",
    )
