"""
How large a WebP is, by its header (WebP Container Specification, RFC 9649).

Pillow takes memory for all of it when it opens one, before it looks whether that is too much: 100 bytes ask for 16 GB.
"""

from __future__ import annotations

START = b"\x9d\x01\x2a"
"""Of a frame of VP8, in front of its size."""


def canvas(data: bytes) -> tuple[int, int]:
    """Return rows and columns of a WebP; 0, 0 where its header says none. Args: data: 30 bytes of it, or more."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0, 0
    kind = data[12:16]
    if kind == b"VP8X":
        return _little(data[27:30]) + 1, _little(data[24:27]) + 1
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == START:
        return _little(data[28:30]) & 0x3FFF, _little(data[26:28]) & 0x3FFF
    return 0, 0


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
