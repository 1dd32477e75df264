"""A stretch of a training: how far it goes in one execution, and which states it may go on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHECKPOINT = "checkpoint"
"""The file of a state, in a folder of checkpoints as in an artifact of begin (`tasks.fitting.checkpoint`)."""


@dataclass(frozen=True)
class Stretch:
    """
    What one execution does of a training.

    Args:
        of:          version of what the training ends as, which stands for all that decides its states; a state of
                     another one is not gone on from.
        checkpoints: the folder that keeps the state after each epoch, if any; what was interrupted goes on from it.
        begun:       the folder of an earlier stretch's last state, if any.
        until:       how many epochs there are at its end, 1 up to one less than the training's; None: all.
    """

    of: str = ""
    checkpoints: Path | None = None
    begun: Path | None = None
    until: int | None = None

    @property
    def subject(self) -> Literal["begin", "train"]:
        """What its progress is told of."""
        return "train" if self.until is None else "begin"


WHOLE = Stretch()
"""A training from its beginning to its end, of which no state is kept."""
