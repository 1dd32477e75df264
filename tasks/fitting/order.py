"""
The order in which an epoch meets the rows of a table.

It follows from the seed, the epoch and the table's row groups, and never from the machine: whether a table is held in
memory or streamed from the disk, the same rows come in the same order. Rows are shuffled within windows that memory
always has room for: the groups are shuffled, as many of them as fit make a window, and its rows are shuffled. Where all
rows fit into one window that is a uniform permutation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Window:
    """
    Row groups that are in memory together.

    Args:
        groups: their indexes, in the order in which their rows are put side by side.
        order:  int32 (n,), a permutation of those rows.
    """

    groups: tuple[int, ...]
    order: npt.NDArray[np.int32]


def windows(sizes: Sequence[int], window: int, seed: int, epoch: int) -> Iterator[Window]:
    """
    Yield the windows of an epoch.

    Args:
        sizes:  rows of each group.
        window: rows that are shuffled together at most; a group that is larger makes a window alone.
        epoch:  0 for the first.
    """
    random = np.random.default_rng((seed, epoch))
    whole = sum(sizes) <= window
    shuffled = range(len(sizes)) if whole else random.permutation(len(sizes)).tolist()
    taken: list[int] = []
    for group in shuffled:
        if taken and sum(sizes[other] for other in taken) + sizes[group] > window:
            yield _window(taken, sizes, random)
            taken = []
        taken.append(group)
    yield _window(taken, sizes, random)


def positions(sizes: Sequence[int], windows: Iterator[Window]) -> npt.NDArray[np.int32]:
    """Return the rows of a whole epoch in order, int32 (n,), as positions in the table."""
    starts = np.cumsum([0, *sizes])
    return np.concatenate(
        [
            np.concatenate([np.arange(starts[group], starts[group + 1], dtype=np.int32) for group in window.groups])[
                window.order
            ]
            for window in windows
        ]
    )


def _window(groups: Sequence[int], sizes: Sequence[int], random: np.random.Generator) -> Window:
    rows = np.arange(sum(sizes[group] for group in groups), dtype=np.int32)
    random.shuffle(rows)
    return Window(tuple(groups), rows)
