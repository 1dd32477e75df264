"""
The content of tables and arrays: digests of their values and meaning, whatever bytes a library makes of them.

The digest of a table is the SHA-256 of canonical JSON: what it means, its number of rows, and name, type and digest of
each column. The digest of a column is the SHA-256 of its values in row order, little-endian, one after the other; that
of a text column has two, of the lengths in bytes (int32) and of the UTF-8. Row groups, batches, compression and
encodings leave no trace in it.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = {
    **{f"{sign}int{8 * size}": np.dtype(f"{sign or 'i'}{size}") for sign in ("u", "") for size in (1, 2, 4, 8)},
    "float": np.dtype("f4"),
    "double": np.dtype("f8"),
}
"""Types of numbers by Arrow's names. (Arrow's own table of them imports pandas.)"""
WAITING = 2
"""Row groups that may wait to be hashed: hashing is faster than writing, and memory must not grow with the table."""


class TableWriter:
    """
    A Parquet writer that digests the content of what it writes; the digest is made on a thread of its own.

    Args:
        schema:           of integers, floats, fixed-size binaries and strings, none of them null.
        meaning:          what the columns alone do not say, as the reader of the table takes it.
        compression:      as pyarrow's, like the following two; none of the three is part of the content.
        use_dictionary:   columns, or False.
        write_statistics: columns, or True for all.
    Attributes:
        rows:    how many were written.
        content: SHA-256 of the content, 64 hexadecimal digits; there once the writer is closed without an error.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        meaning: BaseModel | None = None,
        *,
        compression: str,
        use_dictionary: list[str] | bool = False,
        write_statistics: list[str] | bool = True,
    ) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetWriter(
            path, schema, compression=compression, use_dictionary=use_dictionary, write_statistics=write_statistics
        )
        self._meaning = {} if meaning is None else meaning.model_dump(mode="json", exclude_none=True)
        self._columns = [_Column(field) for field in schema]
        self._pool, self._waiting = ThreadPoolExecutor(1, "hashing"), deque[Future[None]]()
        self.rows, self.content = 0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if error is None:
                self._await(0)
                self.content = self._digest()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def write(self, table: pa.Table) -> None:
        """Write a row group. Its buffers must not change any more: they may still be hashed after the call."""
        self._await(WAITING - 1)
        self._waiting.append(self._pool.submit(self._hash, table))
        self._file.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows

    def _await(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()  # an error of the thread is raised here

    def _hash(self, table: pa.Table) -> None:
        for column, values in zip(self._columns, table.columns, strict=True):
            for chunk in values.chunks:
                column.add(chunk)

    def _digest(self) -> str:
        columns = [[column.name, column.type, *column.digests()] for column in self._columns]
        return _digest_of({"columns": columns, "meaning": self._meaning, "rows": self.rows})


class _Column:
    """The running digests of a column, and its type in words that no library decides."""

    def __init__(self, field: pa.Field) -> None:
        import pyarrow as pa

        self.name, kind = field.name, field.type
        if pa.types.is_string(kind):
            self.type, self._parts = "utf-8", _text_parts
        elif pa.types.is_fixed_size_binary(kind):
            self.type, self._parts = f"bytes[{kind.byte_width}]", _packed_parts
        else:
            self.type, self._parts = NUMBERS[str(kind)].newbyteorder("<").str, _number_parts
        self._hashes = [hashlib.sha256() for _ in range(2 if self._parts is _text_parts else 1)]

    def add(self, chunk: pa.Array) -> None:
        """Hash the next values."""
        if len(chunk):
            for running, part in zip(self._hashes, self._parts(chunk), strict=True):
                running.update(part.data)

    def digests(self) -> Iterator[str]:
        """Return the column's digest; of a text column both."""
        return (running.hexdigest() for running in self._hashes)


# A chunk may be a slice of a larger buffer: its offset is in rows.
def _number_parts(chunk: pa.Array) -> tuple[npt.NDArray[Any], ...]:
    kind = NUMBERS[str(chunk.type)]
    return (_little_endian(np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * kind.itemsize)),)


def _packed_parts(chunk: pa.Array) -> tuple[npt.NDArray[Any], ...]:
    width = chunk.type.byte_width
    return (np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width),)


def _text_parts(chunk: pa.Array) -> tuple[npt.NDArray[Any], ...]:
    _, offsets, text = chunk.buffers()
    edges = np.frombuffer(offsets, np.int32, len(chunk) + 1, chunk.offset * 4)
    letters = np.frombuffer(text, np.uint8)[edges[0] : edges[-1]] if text else np.empty(0, np.uint8)
    return _little_endian(np.diff(edges)), letters


def array_content(array: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an array's content: its shape, its type, and its values in row-major order."""
    values = _little_endian(array)
    digest = hashlib.sha256(values.data).hexdigest()
    return _digest_of({"shape": list(array.shape), "type": values.dtype.str, "values": digest})


def _little_endian(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))


def _digest_of(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
