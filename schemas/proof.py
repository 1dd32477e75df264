"""What verify proves of a downloaded file, for whoever reads it afterwards."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.datasets import Origin, Sha256

SMALLEST = 9
"""Bytes of the smallest IDX file, raw: a header of one dimension and one value."""


class Proof(BaseModel):
    """
    What a downloaded file is, read from the disk, beside what it had to be; `proof.json` of the verify stage.

    Args:
        bytes, sha256:     of the file, and the expected ones; `expected_bytes` is None where no size is published.
        crc32:             CRC-32 of the decompressed data, 8 hexadecimal digits, as the gzip trailer states it.
        raw_size_mod_2_32: size of the decompressed data modulo 2^32, in bytes, as the gzip trailer (ISIZE) states it.
        origin:            who said what it has to be.

    The trailer is that of the last member; decompress holds the data against it. Both fields are None where the last
    bytes are no trailer: of a raw or `.xz` file, and of a `.gz` that is padded with zeros, where the size tells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    bytes: int = Field(ge=SMALLEST)
    sha256: Sha256
    crc32: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}$")
    raw_size_mod_2_32: int | None = Field(default=None, ge=0, lt=2**32)
    origin: Origin
    expected_bytes: int | None
    expected_sha256: Sha256
