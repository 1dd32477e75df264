"""Near-equal images on both sides of a split: the pairs that `tasks.group` has found, as a report shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.fitting.dealing import TRAIN

PAIRS = "near.parquet"
"""What `tasks.group` calls the near pairs, a row each."""


@dataclass(frozen=True)
class NearPair:
    """
    A test image and a train image that are near, but not equal.

    Args:
        train, test:             their sample ids.
        train_label, test_label: class indices, as the files have them.
        rms:                     their root mean square difference, in grey levels.
    """

    train: int
    test: int
    train_label: int
    test_label: int
    rms: float


@dataclass(frozen=True)
class NearLeaks:
    """
    What of the test split is nearly in the train split.

    Args:
        images: test images that are not equal to a train image, but in a group with one.
        count:  pairs.
        pairs:  the first of them, the nearest first.
    """

    images: int = 0
    count: int = 0
    pairs: tuple[NearPair, ...] = ()


def read_leaks(groups: Path, pairs: Path, most: int) -> NearLeaks:
    """
    Read near leaks out of what `tasks.group` has left.

    Rows are sample ids where the splits are those of the files; a test split that was cut has no leak, as groups are
    dealt out whole.

    Args: groups, pairs: `groups.parquet` and `near.parquet`.  most: how many pairs to return.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(groups, columns=["split", "digest", "group"])
    train = np.asarray(table["split"].to_numpy() == TRAIN)
    digest, group = table["digest"].to_numpy(), table["group"].to_numpy()
    leaked = ~train & np.isin(group, group[train]) & ~np.isin(digest, digest[train])
    found = list[NearPair]()
    for row in pq.read_table(pairs).to_pylist():
        if row["split"] != row["other_split"]:  # the train row comes first
            found.append(NearPair(row["row"], row["other_row"], row["label"], row["other_label"], row["rms"]))
    found.sort(key=lambda pair: (pair.rms, pair.test, pair.train))
    return NearLeaks(int(leaked.sum()), len(found), tuple(found[:most]))
