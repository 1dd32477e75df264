"""
Raw files to normalised data once, in a process of its own, as a run does it; started by `benchmarks.data`.

`python -m benchmarks.loading tutorial MNIST`, or `idxflow MNIST HOME DATASET`, where HOME has the downloads. Libraries
are imported before the clock runs. Prints: seconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from artifacts.store.store import Store
from benchmarks.child import LIBRARIES
from benchmarks.harness import clock
from benchmarks.walk import Walk
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.training import Training

THREADS = 16
"""Stages that a run computes at once; see `flows.pipeline`."""


def normalize(home: Path, data: Dataset) -> Walk:
    """Verify, decompress, parse, validate and normalize what is downloaded."""
    return Walk(Store(home), "normalize", threads=THREADS).through(data, Training())


def main(contestant: str, mnist: str, home: str = "", dataset: str = "") -> float:
    """Return the seconds that a contestant takes."""
    if contestant == "tutorial":
        from benchmarks import tutorial

        return clock(lambda: tutorial.load_and_normalize(Path(mnist)))
    data = load_dataset(dataset, (mnist,))
    for stage in ("parse", "validate", "normalize"):
        for library in LIBRARIES[stage]:
            import_module(library)
    return clock(lambda: normalize(Path(home), data))


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:])}\n")
