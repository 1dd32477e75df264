"""What a run rebuilds although it is stored, and who wants that."""

from __future__ import annotations

from collections.abc import Iterable

ASKED = "asked for"


class Refresh:
    """
    The stages to rebuild, as wholes or for one name.

    Args: stages: those that somebody asked for, whatever they make.
    """

    def __init__(self, stages: Iterable[str] = ()) -> None:
        self._wanted = {(stage, ""): ASKED for stage in stages}
        self._done: set[tuple[str, str]] = set()

    def add(self, stage: str, name: str, reason: str) -> None:
        """Have what a stage makes of one name rebuilt, and say why."""
        self._wanted[stage, name] = reason

    def reason(self, stage: str, name: str) -> str | None:
        """Return why this is to be rebuilt; None where it is not, or has been."""
        if (stage, name) in self._done:
            return None
        return self._wanted.get((stage, "")) or self._wanted.get((stage, name))

    def concerns(self, stage: str) -> bool:
        """Tell whether anything that a stage makes is to be rebuilt, and may not have been yet."""
        return any(wanted[0] == stage and wanted not in self._done for wanted in self._wanted)

    def settle(self, stage: str, name: str) -> None:
        """Note that this has been rebuilt; whatever else the stage makes is wanted as before."""
        self._done.add((stage, name))
