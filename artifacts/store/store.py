"""
The artifact store: one folder an artifact, built aside, checked whenever it is used.

    <home>/artifacts/<stage>/<version>/     the files (read-only), manifest.json, and three of the store's own:
        result.json                         the reference
        record.json                         the commit, written last: digests of result.json and so of all the rest
        hashed.json                         size, inode and times of each file when it was last hashed
    <home>/incoming/                        downloads under way: nothing in it is believed
    <home>/quarantine/                      what was found damaged, for a person to look at
    <home>/locks/ holds/                    who makes what right now; what living runs use
    <home>/runs/ trust/                     run records; first uses of remote files without a published checksum
    <home>/own/                             how people's own files looked when they were last hashed
    <home>/index/                           what run records and sources say, to be asked quickly; rebuilt if missing

record.json holds the digest of result.json, which holds that of manifest.json, which holds those of the files.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from artifacts.keys import storage_key
from artifacts.manifest import Manifest
from artifacts.ref import STAGE_WORD, Ref
from artifacts.store import files
from artifacts.store.disk import disk, link_error
from artifacts.store.flock import locked
from artifacts.store.integrity import (
    Damage,
    Proven,
    Stored,
    check_files,
    check_record,
    read_artifact,
)
from artifacts.store.links import real_folders, refuse_links
from artifacts.store.locks import Locks
from artifacts.store.own_files import OwnFiles
from artifacts.store.quarantine import Quarantine
from artifacts.store.readers import Readers
from artifacts.store.scans import ScanIndex
from artifacts.store.trust import Trust
from schemas.errors import ArtifactDamaged, StoreError, UsageError

if TYPE_CHECKING:
    from artifacts.store.own_folders import OwnFolders

logger = logging.getLogger("idxflow.store")
VERSION = re.compile(r"[0-9a-f]{16}")
STAGING_PREFIX, REPLACED_PREFIX, CHECKPOINTS_PREFIX = ".staging-", ".replaced-", ".checkpoints-"


class Store:
    """
    The artifacts below one home folder.

    Args:   create: make its folders where they are not there yet.
    Raises: StoreError: a folder cannot be made, or is a link.
    """

    def __init__(self, home: Path, *, create: bool = True) -> None:
        self.home = home.absolute().resolve()
        self.artifacts = self.home / "artifacts"
        self.incoming = self.home / "incoming"
        self.quarantined = Quarantine(self.home / "quarantine")
        self.locks = self.home / "locks"
        self.runs = self.home / "runs"
        self.holds = self.home / "holds"
        self.trust = Trust(self.home / "trust", self.locks / "trust.lock")
        self.own_files = OwnFiles(self.home / "own")
        self.readers = Readers(self.locks)
        self.scans = ScanIndex(self.home / "index" / "code.json")
        self.proven = Proven()
        self._locks = Locks(self.locks)
        refuse_links(self.home)
        if create:
            self._refuse_strangers()
        with disk(self.home):
            for folder in (self.artifacts, self.incoming, self.locks, self.runs) if create else ():
                files.make_folder(folder)

    @cached_property
    def own_folders(self) -> OwnFolders:
        """The notes on people's own folders; they bring NumPy with them."""
        from artifacts.store.own_folders import OwnFolders

        return OwnFolders(self.home / "own")

    def _refuse_strangers(self) -> None:
        """Refuse a folder in which `artifacts` is somebody else's: its contents would be called foreign."""
        if not self.artifacts.is_dir() or self.runs.is_dir():
            return
        if strangers := sorted(path.name for path in self.artifacts.iterdir() if not _is_stage(path)):
            raise StoreError(
                str(self.artifacts),
                expected="nothing, or what idxflow keeps there",
                found=", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else ""),
                way_out="Choose another folder with --home.",
            )

    def folder(self, stage: str, version: str) -> Path:
        """Return where an artifact lies, or would lie."""
        return self.artifacts / stage / version

    def is_committed(self, stage: str, version: str) -> bool:
        """Tell whether an artifact counts, also one that lies aside while it is rebuilt; nothing is checked."""
        return any((each / "record.json").exists() for each in self._places(stage, version) if not each.is_symlink())

    def _places(self, stage: str, version: str) -> tuple[Path, Path]:
        return self.folder(stage, version), self.replaced(stage, version)

    def versions(self) -> Iterator[tuple[str, str]]:
        """Yield stage and version of every artifact, committed or not, in alphabetical order."""
        for parent in real_folders(self.artifacts):
            yield from self._versions(parent.name)

    def hidden(self, prefix: str) -> Iterator[Path]:
        """Yield what lies in the stages' folders under a name of the store's own that begins so."""
        for parent in real_folders(self.artifacts):
            yield from sorted(parent.glob(f"{prefix}*"))

    def replaced(self, stage: str, version: str) -> Path:
        """Return where an artifact is put aside that is being rebuilt."""
        return self.artifacts / stage / f"{REPLACED_PREFIX}{version}"

    def checkpoints(self, stage: str, version: str) -> Path:
        """Return where a stage keeps, until its artifact is committed, what it would go on from if it were killed."""
        return self.artifacts / stage / f"{CHECKPOINTS_PREFIX}{version}"

    def _versions(self, stage: str) -> Iterator[tuple[str, str]]:
        parent = self.artifacts / stage
        names = [] if parent.is_symlink() else sorted(path.name for path in parent.glob("*"))
        yield from ((stage, name) for name in names if VERSION.fullmatch(name))

    @contextmanager
    def locked(self, stage: str, version: str) -> Iterator[bool]:
        """
        Take the lock of a version if nobody has it, not even the caller. Yields: whether it could be had.

        Raises: StoreError: locks cannot be made here.
        """
        with ExitStack() as stack:
            with disk(self.locks):
                had = stack.enter_context(self._locks.tried(storage_key(stage, version)))
            yield had

    @contextmanager
    def waited_for(self, stage: str, version: str) -> Iterator[None]:
        """Take the lock of a version, after waiting for whoever has it. Raises: StoreError: as `locked`."""
        with ExitStack() as stack:
            with disk(self.locks):
                stack.enter_context(self._locks.held(storage_key(stage, version)))
            yield

    @contextmanager
    def holding(self, *, alone: bool = False) -> Iterator[None]:
        """
        Let no clean-up take anything while the block looks at artifacts and holds them, without the lock of each.

        Args:   alone: of a clean-up: let nobody else be in such a block while it sees that nobody holds something, and
                       takes it.
        Raises: StoreError: locks cannot be made here.
        """
        with ExitStack() as stack:
            with disk(self.locks):
                files.make_folder(self.locks)
                stack.enter_context(locked(self.locks / "holding.lock", shared=not alone))
            yield

    def is_busy(self, stage: str, version: str) -> bool:
        """Tell whether somebody has the lock of a version; where no lock can be made, nobody has."""
        try:
            with self.locked(stage, version) as had:
                return not had
        except StoreError:
            return False

    def read(
        self, stage: str, version: str, *, fully: bool = False, locked: bool = False, proven: Proven | None = None
    ) -> Stored | None:
        """
        Check a committed artifact, and put it in quarantine when it is damaged.

        Args:
            fully:  hash every file, even those that look untouched since they were last hashed.
            locked: the caller holds the lock of the version.
            proven: files that need not be hashed fully again.
        Returns: the artifact; None when there is none, or none that can be believed.
        """
        try:
            return self.inspect(stage, version, fully=fully, proven=proven)
        except Damage as damage:
            if locked:
                self.quarantine(stage, version, str(damage))
                return None
        # Somebody may be rebuilding it: what is taken away has to be damaged while nobody else works on it.
        with self.locked(stage, version) as had:
            return self.read(stage, version, fully=fully, locked=True, proven=proven) if had else None

    def inspect(self, stage: str, version: str, *, fully: bool = False, proven: Proven | None = None) -> Stored | None:
        """
        Check a committed artifact, and leave it where it is; otherwise as `read`.

        It may note when files were hashed; a store that cannot be written does without.

        Raises: Damage: why it cannot be believed.  StoreError: the stage's folder is a link.
        """
        folder = self.folder(stage, version)
        if folder.parent.is_symlink():
            raise link_error(folder.parent)
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise Damage("it is no folder")
        if not os.path.lexists(folder / "record.json"):
            return None  # never made, or a run was killed before its commit: the next computation replaces it
        check_record(folder)
        stored = read_artifact(folder)
        check_files(stored, fully=fully, proven=proven)
        return stored

    def open(self, ref: Ref) -> Ref:
        """
        Hash every file of an artifact that is about to be read, but for those that this store's user has hashed before.

        Returns: the reference, bound to its folder, which can tell the SHA-256 of each file.
        Raises:  ArtifactDamaged: it is not what it was; it is in quarantine now.
        """
        found = self.read(ref.stage, ref.version, fully=True, proven=self.proven)
        if found is None or found.ref.digest != ref.digest:
            raise ArtifactDamaged(
                f"artifact {ref.stage} {ref.name} {ref.version}".replace("  ", " "),
                expected=f"content {ref.digest[:16]}",
                found="a damaged or missing artifact" if found is None else f"content {found.ref.digest[:16]}",
                way_out="Run again: it will be rebuilt.",
            )
        return ref.at(found.folder, {name: entry.sha256 for name, entry in found.manifest.files.items()})

    def opened(self, ref: Ref) -> Path:
        """Do the same, and return the folder alone."""
        self.open(ref)
        return self.folder(ref.stage, ref.version)

    def quarantine(self, stage: str, version: str, reason: str) -> None:
        """Take a damaged artifact out of the store, and say so."""
        if aside := self.quarantined.take(self.folder(stage, version), stage, reason):
            place = aside.relative_to(self.home)
            logger.warning("%s %s: %s. It is in quarantine (%s) and will be rebuilt.", stage, version, reason, place)

    def manifests(self, stage: str | None = None) -> Iterator[Manifest]:
        """
        Yield the manifest of each artifact, committed or not, where it reads and is that artifact's.

        They are believed as they are: no file is hashed. Args: stage: of this one only.
        """
        for artifact in self.versions() if stage is None else self._versions(stage):
            if manifest := self.manifest(*artifact):
                yield manifest

    def manifests_aside(self) -> Iterator[Manifest]:
        """Yield the same of what was put aside while it is rebuilt."""
        for path in self.hidden(REPLACED_PREFIX):
            if manifest := self._manifest(path, path.parent.name, path.name.removeprefix(REPLACED_PREFIX)):
                yield manifest

    def manifest(self, stage: str, version: str) -> Manifest | None:
        """Return the manifest of one artifact as `manifests` does; None where it does not read."""
        return self._manifest(self.folder(stage, version), stage, version)

    def _manifest(self, folder: Path, stage: str, version: str) -> Manifest | None:
        if folder.is_symlink() or folder.parent.is_symlink():
            return None
        try:
            manifest = Manifest.model_validate_json(files.read_plain(folder / "manifest.json"))
        except (OSError, ValidationError):
            return None
        return manifest if (manifest.stage, manifest.version) == (stage, version) else None

    def find_file(self, stage: str, sha256: str) -> Path | None:
        """Look for a healthy stored file of `stage` with this SHA-256, in any version; nothing is put aside."""
        for manifest in self.manifests(stage):
            for name, entry in manifest.files.items():
                if entry.sha256 == sha256:
                    with suppress(Damage):
                        if self.inspect(stage, manifest.version, fully=True):
                            return self.folder(stage, manifest.version) / name
        return None


def _is_stage(folder: Path) -> bool:
    """Tell whether a folder may be a stage's, of this version of idxflow or another: by its name and its contents."""
    if folder.is_symlink() or not folder.is_dir() or not STAGE_WORD.fullmatch(folder.name):
        return False
    return all(VERSION.fullmatch(path.name) or path.name.startswith(".") for path in folder.iterdir())


def existing_store(home: Path) -> Store:
    """
    Open the store of a home folder that has one.

    Raises: UsageError: there is none.
    """
    if not (home / "artifacts").is_dir():
        raise UsageError(
            f"home folder {home}",
            expected="a store, as a run leaves one",
            found="none" if home.is_dir() else "no such folder",
            way_out="Run `idxflow run` first, or name another with --home.",
        )
    return Store(home, create=False)
