"""The ledger of a place: what became of each of its files, a row each, as Parquet."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from schemas.endings import folded

COLUMNS = ("name", "bytes", "sha256", "part", "label", "row", "rows", "reason", "notes")
"""Of the file; a row of the packed IDX files is no sample id where a test split is cut off them."""


class Row(NamedTuple):
    """
    One file.

    Args:
        name:    below the place.
        bytes:   of the file.
        sha256:  64 hexadecimal digits; empty where it was not read.
        split:   the part that it belongs to; empty: none.
        label:   its class; empty where it has none, or several.
        sample:  its first row of that part, from 0; None where it has none.
        samples: how many rows it has.
        reason:  why it has none.
        notes:   what was done to it, "; " between them.
    """

    name: str
    bytes: int
    sha256: str = ""
    split: str = ""
    label: str = ""
    sample: int | None = None
    samples: int = 0
    reason: str = ""
    notes: str = ""


def write_ledger(path: Path, rows: Sequence[Row], how: str) -> str:
    """
    Write a ledger, in the order of `rows`.

    Args:    how: what pictures were turned into, for whoever takes rows from here.
    Returns: the digest of its content: which file is which sample. What is not used makes no difference.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"bytes": pa.uint64(), "row": pa.uint32(), "rows": pa.uint32()}
    fields = [pa.field(name, types.get(name, pa.string())) for name in COLUMNS]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    arrays = [pa.array(column, each.type) for column, each in zip(columns, fields, strict=True)]
    schema = pa.schema(fields, {b"idxflow.files": how.encode()})
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="lz4")
    used = (f"{row.split}\0{row.sample}\0{row.samples}\0{folded(row.name)}\n" for row in rows if row.samples)
    return hashlib.sha256("".join(used).encode("utf-8", "surrogateescape")).hexdigest()


def read_pictures(path: Path, how: str) -> Iterator[tuple[str, str, int, str]] | None:
    """
    Read where the pictures of a ledger are: digest, part, sample, and notes of each that has a sample.

    Args:    how: what pictures have to have been turned into.
    Returns: None of a ledger that says something else of that.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read(["sha256", "part", "row", "rows", "notes"])
    if (table.schema.metadata or {}).get(b"idxflow.files", b"").decode() != how:
        return None
    table = table.filter(pc.equal(table["rows"], 1))
    return zip(*(table[name].to_pylist() for name in ("sha256", "part", "row", "notes")), strict=True)


def read_ledger(path: Path) -> tuple[tuple[Row, ...], str]:
    """Return the rows of a ledger, and how its pictures were turned into samples."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    how = (table.schema.metadata or {}).get(b"idxflow.files", b"").decode()
    columns = [table[name].to_pylist() for name in COLUMNS]
    return tuple(Row(*values) for values in zip(*columns, strict=True)), how


def fates(path: Path) -> dict[str, int]:
    """Count what became of the files of a ledger: those that are used, then by reason, the most frequent first."""
    rows, _ = read_ledger(path)
    used = sum(not row.reason for row in rows)
    return {"used": used, **dict(Counter(row.reason for row in rows if row.reason).most_common())}


class Names:
    """
    Finds the file that a sample comes from.

    Args: rows: of a ledger.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._names: dict[str, list[tuple[int, int, str]]] = {}
        self._rows: dict[str, Row] = {}
        for row in rows:
            self._rows[row.name] = row
            if row.sample is not None:
                self._names.setdefault(row.split, []).append((row.sample, row.samples, row.name))
        for found in self._names.values():
            found.sort()

    def of(self, split: str, sample: int) -> str:
        """Return the name of the file that a packed row of a part comes from; empty where none is known."""
        from bisect import bisect_right

        found = self._names.get(split, [])
        at = bisect_right(found, sample, key=lambda each: each[0]) - 1
        if at < 0 or sample >= found[at][0] + found[at][1]:
            return ""
        first, samples, name = found[at]
        return name if samples == 1 else f"{name}, row {sample - first}"

    def find(self, given: str) -> tuple[str, int] | str:
        """
        Return the part and the packed row of a file: the inverse of `of`.

        Args:    given: as `of` names it, or as a spreadsheet or Windows writes that.
        Returns: why there is none, where there is none.
        """
        forms = (given, given.removeprefix("'"), posixpath.normpath(given.replace("\\", "/")))
        if row := next((self._rows[form] for form in forms if form in self._rows), None):
            if row.samples == 1 and row.sample is not None:
                return row.split, row.sample
            if row.samples:
                return f"{row.samples:,} images in it: name one of them as '{row.name}, row 0'"
            return f"one that is not used: {row.reason or 'it holds no images'}"
        if (several := re.fullmatch(r"(.+), row ([0-9]{1,10})", given)) and (row := self._rows.get(several[1])):
            at = int(several[2])
            if row.sample is not None and row.samples > 1 and at < row.samples:
                return row.split, row.sample + at
            return f"{row.samples:,} images in {row.name}, rows from 0"
        return "no file of this name"
