"""Adopt: an exported model brought into this store, so that what it says of new images has a lineage."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from artifacts.stage import stage
from artifacts.store.files import read_plain, sha256_of
from schemas.errors import StageError
from schemas.model import MODEL
from schemas.parameters import Summary
from schemas.scoring import REFERENCE, ExportedModel

SUMS = "SHA256SUMS"
"""The file of an exported folder that has the SHA-256 of every other one."""
TAKEN = (MODEL, REFERENCE)


class AdoptSummary(Summary):
    """What was taken, in bytes."""

    bytes: int


def read_sums(content: bytes) -> dict[str, str]:
    """Read a file of checksums, as sha256sum writes it. Returns: SHA-256 by name."""
    lines = (line.split("  ", 1) for line in content.decode("utf-8", "replace").splitlines() if "  " in line)
    return {name: digest for digest, name in lines}


def other_content(folder: str, name: str, expected: str) -> StageError:
    """Return the error about a file of an exported folder that is not what it has to be."""
    found, way_out = "another content", "Get the folder again from where it was exported."
    return StageError(f"{folder}/{name}", expected=expected, found=found, way_out=way_out)


@stage(name="{folder.name}")
def adopt(folder: ExportedModel, out: Path) -> AdoptSummary:
    """Copy an exported model, and what is known of its training, each as its checksum says."""
    source = Path(folder.path)
    listed = read_plain(source / SUMS)
    if hashlib.sha256(listed).hexdigest() != folder.content:
        raise other_content(folder.name, SUMS, "what it was when the run began")
    sums = read_sums(listed)
    for name in TAKEN:
        with (source / name).open("rb") as file, (out / name).open("wb") as copy:
            shutil.copyfileobj(file, copy)
        if sha256_of(out / name) != sums.get(name):
            raise other_content(folder.name, name, f"what {SUMS} says")
    return AdoptSummary(bytes=sum((out / name).stat().st_size for name in TAKEN))
