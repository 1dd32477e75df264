"""
The artifact store: one folder an artifact, built aside, checked whenever it is used.

    <home>/artifacts/<stage>/<version>/     the files (read-only), manifest.json, and three of the store's own:
        result.json                         the reference, as Prefect wrote it
        record.json                         the commit, written last: digests of result.json and so of all the rest
        hashed.json                         size, inode and times of each file when it was last hashed
    <home>/incoming/                        downloads under way: nothing in it is believed
    <home>/quarantine/                      what was found damaged, for a person to look at
    <home>/locks/ runs/ trust/              locks; run records; first uses of files without a published checksum

record.json holds the digest of result.json, which holds that of manifest.json, which holds those of the files.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from artifacts import files
from artifacts.integrity import (
    Damage,
    Stored,
    check_files,
    hash_or_damage,
    identity,
    read_artifact,
    read_json,
    remember_hashed,
)
from artifacts.manifest import FileEntry, Manifest
from artifacts.ref import RESERVED, Ref
from artifacts.trust import Trust
from schemas.errors import ArtifactDamaged, StoreError

logger = logging.getLogger("idxflow.store")
STAGING_PREFIX = ".staging-"


class Store:
    """
    The artifacts below one home folder.

    Raises: StoreError: the folder cannot be made or written.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute().resolve()
        self.artifacts = self.home / "artifacts"
        self.incoming = self.home / "incoming"
        self.quarantined = self.home / "quarantine"
        self.locks = self.home / "locks"
        self.runs = self.home / "runs"
        self.trust = Trust(self.home / "trust")
        with disk(self.home):
            for folder in (self.artifacts, self.incoming, self.locks, self.runs):
                folder.mkdir(parents=True, exist_ok=True)

    def folder(self, stage: str, version: str) -> Path:
        """Return where an artifact lies, or would lie."""
        return self.artifacts / stage / version

    @contextmanager
    def staging(self, stage: str, version: str) -> Iterator[Path]:
        """
        Give an empty folder beside the artifact's place; what is still in it at the end is deleted.

        The caller holds the lock of the version: staging folders of it that lie about belong to the dead.
        """
        parent = self.artifacts / stage
        with disk(parent):
            parent.mkdir(parents=True, exist_ok=True)
            for abandoned in parent.glob(f"{STAGING_PREFIX}{version}-*"):
                files.remove_folder(abandoned)
            folder = Path(tempfile.mkdtemp(prefix=f"{STAGING_PREFIX}{version}-", dir=parent))
            folder.chmod(0o755)
        try:
            yield folder
        finally:
            files.remove_folder(folder)

    def entries(self, staging: Path, content: dict[str, str]) -> dict[str, FileEntry]:
        """
        Seal and hash the files of a staging folder.

        Args: content: digests that stand for a file's content instead of its bytes' SHA-256.
        """
        found, identities = {}, {}
        with disk(staging):
            files.seal(staging)
        for path in sorted(staging.iterdir()):
            if not files.is_plain_file(path) or path.name in RESERVED or path.name.startswith("."):
                raise StoreError(
                    f"staging folder of {staging.parent.name}",
                    expected="plain files with names of their own",
                    found=path.name,
                    way_out="This is a fault of the stage; please report it.",
                )
            identities[path.name] = identity(path)
            digest = files.sha256_of(path)
            found[path.name] = FileEntry(
                bytes=path.stat().st_size, sha256=digest, content=content.get(path.name, digest)
            )
        remember_hashed(staging, identities)
        return found

    def publish(self, staging: Path, manifest: Manifest) -> Ref:
        """
        Make a staging folder the artifact of its version. It counts only once `commit` has been called.

        An artifact that is there already (forced anew, or never committed) gives way to the new one.
        """
        target = self.folder(manifest.stage, manifest.version)
        with disk(target):
            files.write_atomically(staging / "manifest.json", manifest.model_dump_json(indent=2).encode())
            (staging / "manifest.json").chmod(files.READ_ONLY)
            if target.exists():
                with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=target.parent) as aside:
                    files.move_folder(target, Path(aside) / target.name)
                    files.move_folder(staging, target)
            else:
                files.move_folder(staging, target)
        return Ref(
            stage=manifest.stage,
            name=manifest.name,
            version=manifest.version,
            digest=manifest.digest,
            manifest=files.sha256_of(target / "manifest.json"),
        ).at(target)

    def commit(self, stage: str, version: str, prefect: dict[str, object]) -> Stored:
        """
        Write the record that makes a published artifact count. `prefect` is Prefect's own record of the result.

        Raises: Damage: what was published is not what its result says.
        """
        folder = self.folder(stage, version)
        with disk(folder):
            result = folder / "result.json"
            result.chmod(files.READ_ONLY)
            files.sync(result)
            stored = read_artifact(folder)
            record = {"prefect": prefect, "result": files.sha256_of(result)}
            files.write_atomically(folder / "record.json", json.dumps(record, indent=2).encode())
        return stored

    def read(self, stage: str, version: str, *, fully: bool = False) -> tuple[Stored, dict[str, object]] | None:
        """
        Check a committed artifact, and put it in quarantine when it is damaged.

        Args:    fully: hash every file, even those that look untouched since they were last hashed.
        Returns: the artifact and Prefect's record; None when there is none, or none that can be believed.
        """
        folder = self.folder(stage, version)
        if not (folder / "record.json").exists():
            return None  # never made, or a run was killed before its commit: the next computation replaces it
        try:
            record = read_json(folder / "record.json")
            prefect, digest = record.get("prefect"), record.get("result")
            if not isinstance(prefect, dict) or digest != hash_or_damage(folder / "result.json"):
                raise Damage("result.json is not the one that was committed")
            stored = read_artifact(folder)
            check_files(stored, fully=fully)
        except Damage as damage:
            self.quarantine(stage, version, str(damage))
            return None
        return stored, prefect

    def open(self, ref: Ref) -> Ref:
        """
        Hash every file of an artifact that is about to be read.

        Returns: the reference, bound to its folder.
        Raises:  ArtifactDamaged: it is not what it was; it is in quarantine now.
        """
        found = self.read(ref.stage, ref.version, fully=True)
        if found is None or found[0].ref.digest != ref.digest:
            raise ArtifactDamaged(
                f"artifact {ref.stage} {ref.name} {ref.version}".replace("  ", " "),
                expected=f"content {ref.digest[:16]}",
                found="a damaged or missing artifact" if found is None else f"content {found[0].ref.digest[:16]}",
                way_out="Run again: it will be made anew.",
            )
        return ref.at(found[0].folder)

    def quarantine(self, stage: str, version: str, reason: str) -> None:
        """Take a damaged artifact out of the store, and say so."""
        folder = self.folder(stage, version)
        target = self.quarantined / stage
        with disk(target):
            target.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=f"{version}-", dir=target)) / version
            try:
                files.move_folder(folder, aside)
            except FileNotFoundError:
                return  # another run was faster
        logger.warning(
            "%s %s: %s. It is in quarantine (%s) and will be made anew.",
            stage, version, reason, aside.relative_to(self.home),
        )  # fmt: skip

    def find_file(self, stage: str, sha256: str) -> Path | None:
        """Look for a healthy stored file of `stage` with this SHA-256, in any version."""
        for path in sorted((self.artifacts / stage).glob("[0-9a-f]*/manifest.json")):
            try:
                entries = Manifest.model_validate_json(path.read_bytes()).files
            except (OSError, ValidationError):
                continue
            for name, entry in entries.items():
                if entry.sha256 == sha256 and self.read(stage, path.parent.name, fully=True):
                    return path.parent / name
        return None


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a StoreError that names the folder."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            str(path),
            expected="a folder that can be read and written",
            found=f"{error.strerror or error}",
            way_out="Free space or mend the folder's rights, or choose another with --home.",
        ) from error
