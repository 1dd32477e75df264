"""Adopt: an exported model brought into this store, so that what it says of new images has a lineage."""

from __future__ import annotations

from pathlib import Path

from artifacts.stage import stage
from artifacts.store.files import sha256_of
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


def read_sums(path: Path) -> dict[str, str]:
    """Read a file of checksums, as sha256sum writes it. Returns: SHA-256 by name."""
    lines = (line.split("  ", 1) for line in path.read_text("utf-8").splitlines() if "  " in line)
    return {name: digest for digest, name in lines}


@stage(name="{folder.name}")
def adopt(folder: ExportedModel, out: Path) -> AdoptSummary:
    """Copy an exported model, and what is known of its training, each as its checksum says."""
    source = Path(folder.path)
    sums = read_sums(source / SUMS)
    for name in TAKEN:
        content = (source / name).read_bytes()
        (out / name).write_bytes(content)
        if sha256_of(out / name) != sums.get(name):
            raise StageError(
                f"{folder.name}/{name}",
                expected="what SHA256SUMS says",
                found="another content",
                way_out="Get the folder again from where it was exported.",
            )
    return AdoptSummary(bytes=sum((out / name).stat().st_size for name in TAKEN))
