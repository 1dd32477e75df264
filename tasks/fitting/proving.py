"""What was saved, beside what was trained: the file as everything else reads it gives what Keras gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import StageError
from tasks.inference.perceptron import Perceptron

TOLERANCE = 1e-4
"""Of a probability: sums in another order differ by some 1e-6, a wrong layer by far more."""
ROUNDED = 10
"""How many times its own rounding a probability may be off, where that is more: of a network with large logits."""
MOST = 1e-2
"""Of a probability, whatever its rounding: beyond that nothing would be proved."""


def prove(classifier: Any, saved: Path, image: npt.NDArray[np.uint8]) -> None:
    """
    See that a saved network is read as what Keras computes.

    Args:   classifier: of `tasks.fitting.network.Network`; image: uint8 (n, values of an image), n at least 1.
    Raises: StageError: it is not.
    """
    network = Perceptron.read(saved)
    expected, found = np.asarray(classifier(image)), network(image)
    difference = float(np.abs(expected - found).max())
    if difference > TOLERANCE and difference > (
        tolerance := min(MOST, max(TOLERANCE, ROUNDED * network.rounding(image)))
    ):
        raise StageError(
            saved.name,
            expected=f"the probabilities that Keras computes, within {tolerance:.2g}",
            found=f"a difference of {difference:.2g}",
            way_out="Train with the versions of requirements.lock: another Keras may save or compute otherwise.",
        )
