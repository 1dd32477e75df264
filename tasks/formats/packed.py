"""What pack leaves, as other stages take it: the IDX file of a part, and the file that a sample comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from schemas.image_table import TABLE
from schemas.source import FILES, ROWS, SplitName
from tasks.formats.ledger import Names, read_ledger
from tasks.formats.table import Parts, parts_of

PACK = "pack"
"""The stage whose artifacts have the files of all parts."""


def idx_in(ref: Ref, form: str, part: SplitName) -> Path:
    """
    Return the IDX file of an artifact: its only one, or that of a part of what was packed.

    Args: form: `schemas.source.IMAGES` or `LABELS`.
    """
    return ref.file(form.format(part)) if ref.stage == PACK else ref.file()


class Origins:
    """
    Finds the file that a sample of a table comes from.

    Args:
        ledger: what pack says of each file; None: the set was not packed, and no sample has a name.
        rows:   uint32 (n,), which packed row each sample of a table is, by split; one that is not here was not cut.
    """

    def __init__(self, ledger: Path | None = None, rows: Mapping[str, npt.NDArray[np.uint32]] | None = None) -> None:
        self._names = Names(read_ledger(ledger)[0]) if ledger else None
        self._rows = rows or {}

    def find(self, split: str, file: str) -> int | str | None:
        """
        Return the sample that a file is in a split; None where it is in the other split.

        Returns: why it is in none, where that is so.
        """
        place = self._names.find(file) if self._names else "no file of this name"
        if isinstance(place, str):
            return place
        part, packed_row = place
        if (rows := self._rows.get(split)) is None:
            return packed_row if part == split else None
        at = int(np.searchsorted(rows, packed_row))
        return at if at < len(rows) and rows[at] == packed_row else None

    @classmethod
    def of(cls, packed: Ref | None, tables: Mapping[str, Parts]) -> Origins:
        """Read what is known of the tables of a set. Args: packed: the artifact of pack, if there is one."""
        if packed is None:
            return cls()
        folders = {
            split: parts_of(table)[0].file(TABLE).parent for split, table in tables.items()
        }  # a place is one part
        return cls.at(packed.file(FILES), folders)

    @classmethod
    def at(cls, ledger: Path, folders: Mapping[str, Path]) -> Origins:
        """Read the same from folders of artifacts."""
        cut = {split: folder / ROWS for split, folder in folders.items() if (folder / ROWS).exists()}
        return cls(ledger, {split: np.load(path, allow_pickle=False) for split, path in cut.items()})

    @property
    def known(self) -> bool:
        """Whether samples have names."""
        return self._names is not None

    def name(self, split: str, sample_id: int) -> str:
        """Return the name of a file, below the place that was packed; empty where there is none."""
        if self._names is None:
            return ""
        if (rows := self._rows.get(split)) is None:
            return self._names.of(split, sample_id)
        return self._names.of("train", int(rows[sample_id])) if sample_id < len(rows) else ""
