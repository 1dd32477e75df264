"""
What lies in a remote, under which names.

    idxflow.json                        that this is one, and of which format
    artifacts/<stage>/<version>.json    the record of an artifact, put last and by create: the commit
    blobs/<sha256>                      a pack of small files, called by its content
    blobs/<sha256>-<first>-<size>       a piece of a large file, called by the content of that, and how it is cut
    runs/<id>.json  aliases/<name>.json the records of runs and names, replaced on condition of their last state
    roots/<home>.json                   what a home folder holds, dated by the server
    lease.json                          who collects garbage
    probe/ clock/                       what asks the server how it behaves and what time it is

A record has the manifest in it, and files of some kilobytes; so what is small is one object. A blob is called by what
is in it, so it is there once for all artifacts, and whoever puts it a second time puts the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.manifest import Manifest
from artifacts.ref import RESERVED, STAGE_WORD, StageWord, Version
from artifacts.remote.backend import PIECE
from schemas.file_name import LONGEST, LONGEST_PATH, printable

FORMAT = 1
"""Number of the form of all this. A remote of another number is left alone."""
MARKER = "idxflow.json"
LEASE = "lease.json"
ARTIFACTS, BLOBS, RUNS, ALIASES, ROOTS = "artifacts/", "blobs/", "runs/", "aliases/", "roots/"
INLINE = 32 * 2**10
"""Bytes of files that stand in the record itself, together."""
PACKED = 2**20
"""Bytes below which a file shares blobs with others."""
MOST_FILES = 100_000
"""Files of an artifact: more are none of idxflow's."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Span = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]


class Unbelievable(Exception):
    """Why what a remote has is not taken."""


class Blob(BaseModel):
    """
    A blob that an artifact has.

    Args: called: the SHA-256 of a pack; of a piece the SHA-256 of its file, where it begins, and the size of pieces.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    called: str = Field(pattern=r"^[0-9a-f]{64}(-[0-9]{1,15}-[0-9]{1,10})?$")
    bytes: int = Field(ge=1, le=PIECE)

    @property
    def name(self) -> str:
        """Of its object."""
        return f"{BLOBS}{self.called}"

    @property
    def is_piece(self) -> bool:
        """Whether it is a part of a file: only all of them together tell whether they are what they were."""
        return "-" in self.called

    @property
    def first(self) -> int:
        """Of a piece: where in its file it begins."""
        return int(self.called.split("-")[1])


class Packed(BaseModel):
    """
    Where the bytes of a file are: in the record, or in blobs.

    Args: inline: in base64.  spans: blob by its place in the record, first byte, number of bytes; in order.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    inline: str | None = None
    spans: tuple[Span, ...] = ()


class ArtifactRecord(BaseModel):
    """
    The record of an artifact: with it, it is there.

    Args: manifest: the text of `manifest.json`, to the byte.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: int = FORMAT
    stage: StageWord
    version: Version
    digest: Digest
    manifest: str
    blobs: tuple[Blob, ...] = ()
    files: dict[str, Packed] = Field(max_length=MOST_FILES)

    @property
    def name(self) -> str:
        """Of its object."""
        return record_name(self.stage, self.version)

    @property
    def content(self) -> bytes:
        """As it is put."""
        return self.model_dump_json(exclude_defaults=False).encode()


def record_name(stage: str, version: str) -> str:
    """Return the name of an artifact's record."""
    return f"{ARTIFACTS}{stage}/{version}.json"


def artifact_of(name: str) -> tuple[str, str] | None:
    """Return stage and version of the artifact whose record an object is; None where it is none."""
    match = re.fullmatch(rf"{ARTIFACTS}({STAGE_WORD.pattern})/([0-9a-f]{{16}})\.json", name)
    return (match[1], match[2]) if match else None


def read_record(content: bytes | memoryview, stage: str, version: str) -> tuple[ArtifactRecord, Manifest]:
    """
    Read a record, and hold it against itself and against what was asked for. Nothing of it is trusted.

    Returns: the record and the manifest in it.
    Raises:  Unbelievable: it does not read, is another's, or makes no sense.
    """
    try:
        record = ArtifactRecord.model_validate_json(bytes(content))
        manifest = Manifest.model_validate_json(record.manifest)
        flaw = manifest.flaw()
    except (ValidationError, ValueError, RecursionError) as error:
        raise Unbelievable("its record does not read") from error
    if record.format != FORMAT:
        raise Unbelievable(f"its record is of format {record.format}")
    if flaw:
        raise Unbelievable(flaw)
    if not (stage, version) == (record.stage, record.version) == (manifest.stage, manifest.version):
        raise Unbelievable("its record is that of another artifact")
    if len(manifest.name) > LONGEST_PATH or not printable(manifest.name):
        raise Unbelievable("what it is called cannot be shown")
    if record.digest != manifest.digest or record.files.keys() != manifest.files.keys():
        raise Unbelievable("its record and its manifest do not fit")
    for name, packed in record.files.items():
        _check_file(record, name, packed, manifest.files[name].bytes)
    order = [blob for packed in record.files.values() for blob, _, _ in packed.spans]
    if order != sorted(order) or set(order) != set(range(len(record.blobs))):
        raise Unbelievable("its blobs are not in the order of its files")  # each is fetched once
    return record, manifest


def _check_file(record: ArtifactRecord, name: str, packed: Packed, size: int) -> None:
    if not is_file_name(name):
        raise Unbelievable("a file of it has a name that leads elsewhere")
    if packed.inline is not None:
        if packed.spans or len(packed.inline) > 2 * INLINE or len(inlined(packed)) != size:
            raise Unbelievable(f"{name}: not the bytes that its manifest says")
        return
    for blob, first, count in packed.spans:
        if blob >= len(record.blobs) or first + count > record.blobs[blob].bytes:
            raise Unbelievable(f"{name}: bytes of a blob that it does not have")
    if sum(count for _, _, count in packed.spans) != size:
        raise Unbelievable(f"{name}: not the bytes that its manifest says")


def is_file_name(name: str) -> bool:
    """Tell whether a file of an artifact may be called so: a plain name, none of the store's own, nothing hidden."""
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= LONGEST
        and not name.startswith(".")
        and not re.search(r"[/\\]", name)
        and name not in RESERVED
        and printable(name)
    )


def inlined(packed: Packed) -> bytes:
    """Return the bytes of a file that stands in the record. Raises: Unbelievable: it is no base64."""
    try:
        return base64.b64decode(packed.inline or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unbelievable("a file in its record does not read") from error


def cut(manifest: Manifest) -> tuple[list[str], list[list[str]], list[str]]:
    """
    Decide where the files of an artifact go.

    Returns: names of those in the record; of those in each pack; of those in pieces of their own.
    """
    small = sorted(manifest.files, key=lambda name: (manifest.files[name].bytes, name))
    inline, room = list[str](), INLINE
    while small and manifest.files[small[0]].bytes <= room:
        room -= manifest.files[small[0]].bytes
        inline.append(small.pop(0))
    packs, full = list[list[str]](), PIECE
    for name in sorted(name for name in small if manifest.files[name].bytes < PACKED):
        size = manifest.files[name].bytes
        if full + size > PIECE:
            packs.append([])
            full = 0
        packs[-1].append(name)
        full += size
    return sorted(inline), packs, sorted(name for name in small if manifest.files[name].bytes >= PACKED)


def pieces_of(sha256: str, size: int) -> Iterator[Blob]:
    """Yield the pieces of a file, in order."""
    for first in range(0, size, PIECE):
        yield Blob(called=f"{sha256}-{first}-{PIECE}", bytes=min(PIECE, size - first))


def digest_of_bytes(content: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
