"""Why one file of many is not used: said about that file alone, while the others are read."""

from __future__ import annotations


class Refused(Exception):
    """
    A file that is not used.

    It ends in the ledger of files and never before a person as an error: one file refused is a line, not a failed run.

    Args: reason: one plain sentence about the file, without its name and without a full stop.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
