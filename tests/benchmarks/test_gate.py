"""The gate asked about real networks on the digits, a few of those that `benchmarks.gate` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.store.store import Store
from benchmarks.gate import judging
from schemas.training import Training
from schemas.verdict import Terms


@pytest.mark.slow
def test_seeds_alone_promote_nobody_and_training_does(tmp_path: Path) -> None:
    """Of three pairs of equal networks none is promoted over the other; one with 30 epochs is over one with one."""
    verdict = judging(Store(tmp_path), "digits", (), Terms())
    pairs = [[Training(epochs=30, seed=seed + other) for other in (0, 3)] for seed in range(3)]
    assert {verdict(one, other).outcome for pair in pairs for one, other in (pair, pair[::-1])} == {"kept"}
    trained, untrained = Training(epochs=30), Training(epochs=1)
    assert verdict(trained, untrained).outcome == "promoted"
    assert verdict(untrained, trained).outcome == "kept"
