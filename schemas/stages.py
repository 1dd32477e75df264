"""The names of the stages, in the order in which data passes through them."""

from __future__ import annotations

from typing import Literal, get_args

StageName = Literal["download", "verify", "decompress", "parse", "validate", "normalize", "train", "evaluate", "report"]
STAGES: tuple[StageName, ...] = get_args(StageName)
