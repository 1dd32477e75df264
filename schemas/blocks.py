"""How much any stage reads, or works on, at once: a bound in bytes, whatever the images and the classes are."""

from __future__ import annotations

BLOCK_BYTES = 64 * 2**20
"""
Of one block of rows, as they are stored or as what a layer makes of them; a single row may be larger.

The largest image, 4096 x 4096, is 16 MiB as it is stored, and 64 MiB as floats.
"""


def rows_within(most: int, row_bytes: int) -> int:
    """Return how many rows of so many bytes make a block: `most`, or as many as 64 MiB hold, and at least one."""
    return max(1, min(most, BLOCK_BYTES // row_bytes))
