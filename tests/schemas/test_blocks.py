"""Blocks: as many rows as a stage wants, and no more than 64 MiB hold."""

from __future__ import annotations

from schemas.blocks import rows_within


def test_a_block_is_bounded_by_bytes() -> None:
    """Small rows come as many as are wanted, large ones as many as fit, and one always does."""
    assert rows_within(2000, 4 * 784) == 2000
    assert rows_within(2000, 4 * 65_536) == 256
    assert rows_within(20_000, 4096 * 4096) == 4
    assert rows_within(20_000, 4 * 4096 * 4096) == rows_within(20_000, 2**40) == 1
