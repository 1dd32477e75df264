"""
The Parquet table of a split, or of a part of it: one row per image, packed pixels, its meaning in the schema metadata.

Columns: `sample_id` uint32, 0 to n - 1 in file order, in each part from 0; `label` uint16, the class index from 0;
`image` FixedSizeBinary(rows * columns * channels), uint8 pixels, row-major, 0 to 255. FixedSizeBinary reads without a
copy (a list column is int32 underneath and several times slower), but loses the shape: that is in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from schemas.content import TableWriter
from schemas.errors import BadTable
from schemas.image_spec import ImageSpec

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TABLE = "table.parquet"
"""What parse calls the table that it leaves."""
METADATA_KEY = b"idxflow.table"
ROW_GROUP = 20_000
BLOCK_BYTES = 64 * 2**20
"""
Of one block of rows, as they are stored or as what a layer makes of them; a single row may be larger.

The largest image, 4096 x 4096 in colour, is 48 MiB as it is stored, and 192 MiB as floats.
"""


def rows_within(most: int, row_bytes: int) -> int:
    """Return how many rows of so many bytes make a block: `most`, or as many as 64 MiB hold, and at least one."""
    return max(1, min(most, BLOCK_BYTES // row_bytes))


class TableMetadata(BaseModel, frozen=True):
    """
    What the columns alone do not say. Not the data set's name: under another one the same rows are the same table.

    Keys that it does not know are ignored: older tables have the name.
    """

    split: str
    shape: ImageSpec
    classes: tuple[str, ...]
    label_offset: int = 0
    label_values: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Batch:
    """
    Consecutive rows of a table.

    Args:
        sample_id: uint32 (n,).
        label:     uint16 (n,), class index.
        image:     uint8 (n, rows * columns * channels), 0 to 255; read-only where it is a view of the file's buffer.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    image: npt.NDArray[np.uint8]


class ImageTable:
    """
    An open table: one file, or the parts of a split read as one, in their order.

    Parts are read to the same bits as one file of the same rows: in row groups of as many rows as that one would have,
    whatever the parts have, and with sample ids that run over all of them. Of several, one is open at a time.

    Raises: BadTable: not a Parquet file, not one of idxflow's, or a part whose images or classes are others.
    """

    def __init__(self, first: Path, *others: Path) -> None:
        self.paths = (first, *others)
        self._parts = [_Part(first)]
        self.metadata = self._parts[0].metadata
        for number, path in enumerate(others, 2):
            self._parts[-1].rest()
            self._parts.append(_Part(path))
            self._refuse_unlike(self._parts[-1].metadata, f"part {number} of {len(self.paths)} of the table")
        self._starts = np.cumsum([0, *(size for part in self._parts for size in part.group_sizes)])
        self._places = [(part, group) for part in self._parts for group in range(len(part.group_sizes))]
        self._held: tuple[int, Batch] | None = None
        self._last = self._parts[-1]

    def _refuse_unlike(self, found: TableMetadata, name: str) -> None:
        if found != self.metadata:
            shown = [
                f"images of {each.shape} of the {each.split} split, {len(each.classes)} classes"
                + (" of other names or labels" if each is found and _alike(found, self.metadata) else "")
                for each in (self.metadata, found)
            ]
            way_out = "All shards of a split need one shape and one list of classes."
            raise BadTable(name, expected=f"{shown[0]}, as in the first", found=shown[1], way_out=way_out)

    @property
    def samples(self) -> int:
        """Number of rows."""
        return int(self._starts[-1])

    @property
    def pixels(self) -> int:
        """Values of an image: rows * columns * channels."""
        return self.metadata.shape.pixels

    @cached_property
    def group_sizes(self) -> tuple[int, ...]:
        """Number of rows of each row group; of several parts those that one file of the same rows would have."""
        if len(self._parts) == 1:
            return self._parts[0].group_sizes
        whole, rest = divmod(self.samples, rows := rows_per_group(self.pixels))
        return (rows,) * whole + ((rest,) if rest else ())

    def group(self, index: int) -> Batch:
        """Read one row group. Raises: BadTable: it is damaged."""
        if len(self._parts) == 1:
            return self._parts[0].group(index)
        start = index * rows_per_group(self.pixels)
        stop = start + self.group_sizes[index]
        first, last = np.searchsorted(self._starts, [start, stop - 1], side="right") - 1
        pieces = []
        for place in range(first, last + 1):
            read, begins = self._read(place), self._starts[place]
            pieces.append((read, slice(max(start - begins, 0), min(stop - begins, len(read.label)))))
        sample_id = np.arange(start, stop, dtype=np.uint32)
        if len(pieces) == 1:
            read, rows = pieces[0]
            return Batch(sample_id, read.label[rows], read.image[rows])
        labels, images = ([getattr(read, name)[rows] for read, rows in pieces] for name in ("label", "image"))
        return Batch(sample_id, np.concatenate(labels), np.concatenate(images))

    def _read(self, place: int) -> Batch:
        """Read a row group of a part; the last one stays, as the next group of the table may begin in it."""
        if self._held is None or self._held[0] != place:
            self._held = None  # before another one takes memory
            part, group = self._places[place]
            if part is not self._last:
                self._last.rest()
                self._last = part
            self._held = place, part.group(group)
        return self._held[1]

    def batches(self) -> Iterator[Batch]:
        """
        Yield one batch per row group, so that memory does not grow with the table.

        Raises: BadTable: a row group is damaged.
        """
        return map(self.group, range(len(self.group_sizes)))

    def labels(self) -> npt.NDArray[np.uint16]:
        """Read the labels alone: uint16 (n,), class indices. Raises: BadTable: the column is damaged."""
        if len(self._parts) == 1:
            return self._parts[0].labels()
        columns = []
        for part in self._parts:
            columns.append(part.labels())
            part.rest()
        return np.concatenate(columns)

    def read(self) -> Batch:
        """Read the whole table. Raises: BadTable: a row group is damaged."""
        whole = Batch(
            np.empty(self.samples, np.uint32),
            np.empty(self.samples, np.uint16),
            np.empty((self.samples, self.pixels), np.uint8),
        )
        start = 0
        # Row group by row group: beside the whole table, memory holds one group instead of a second table.
        for batch in self.batches():
            stop = start + len(batch.label)
            whole.sample_id[start:stop], whole.label[start:stop] = batch.sample_id, batch.label
            whole.image[start:stop] = batch.image
            start = stop
        return whole


class _Part:
    """One file of a table. Raises: BadTable: not a Parquet file, or not one of idxflow's."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path, self._name = path, path.name
        try:
            # Reading ahead would not be faster, and two threads with one reader would end the process.
            self._file: pq.ParquetFile | None = pq.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._bad("a Parquet table", error) from error
        self._footer, schema = self._file.metadata, self._file.schema_arrow
        try:
            self.metadata = TableMetadata.model_validate_json((schema.metadata or {})[METADATA_KEY])
        except (KeyError, ValidationError) as error:
            raise self._bad("a table written by idxflow, with its metadata", "none, or of another kind") from error
        if not schema.equals(expected := arrow_schema(self.metadata)):
            raise self._bad(f"columns {_columns(expected)}", _columns(schema))
        groups = range(self._footer.num_row_groups)
        self.group_sizes = tuple(int(self._footer.row_group(index).num_rows) for index in groups)

    def group(self, index: int) -> Batch:
        """Read one row group. Raises: BadTable: it is damaged."""
        try:
            table = self._opened().read_row_group(index)
        except OSError as error:
            raise self._bad(f"a whole row group {index}", error) from error
        width = self.metadata.shape.pixels
        return Batch(table["sample_id"].to_numpy(), table["label"].to_numpy(), packed_pixels(table["image"], width))

    def labels(self) -> npt.NDArray[np.uint16]:
        """Read the labels alone. Raises: BadTable: the column is damaged."""
        try:
            column: npt.NDArray[np.uint16] = self._opened().read(["label"])["label"].to_numpy()
        except OSError as error:
            raise self._bad("a whole column of labels", error) from error
        return column

    def rest(self) -> None:
        """Close the file until it is read again: a table may have more parts than a process may have open files."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> pq.ParquetFile:
        import pyarrow.parquet as pq

        if self._file is None:
            self._file = pq.ParquetFile(self._path, metadata=self._footer, pre_buffer=False)
        return self._file

    def _bad(self, expected: str, found: object) -> BadTable:
        way_out = "Run `idxflow run --refresh parse` to rebuild it."
        return BadTable(self._name, expected=expected, found=str(found).splitlines()[0], way_out=way_out)


def _alike(one: TableMetadata, other: TableMetadata) -> bool:
    """Tell whether what `ImageTable` shows of two parts is the same."""
    return (one.shape, one.split, len(one.classes)) == (other.shape, other.split, len(other.classes))


def packed_pixels(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """Return a FixedSizeBinary(width) column as uint8 (n, width): a view of its buffer where it is in one chunk."""
    chunks = [
        # A chunk may be a slice of a larger buffer: its offset is in rows.
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width).reshape(-1, width)
        for chunk in column.chunks
    ]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def rows_per_group(pixels: int) -> int:
    """Return how many images of `pixels` bytes make a row group: 20,000, or what 64 MiB hold, and at least one."""
    return rows_within(ROW_GROUP, pixels)


def arrow_schema(metadata: TableMetadata) -> pa.Schema:
    """Return the Arrow schema of a table with this metadata."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("sample_id", pa.uint32(), nullable=False),
            pa.field("label", pa.uint16(), nullable=False),
            pa.field("image", pa.binary(metadata.shape.pixels), nullable=False),
        ],
        metadata={METADATA_KEY: json.dumps(metadata.model_dump(mode="json"), sort_keys=True)},
    )


class Written(NamedTuple):
    """A table that was written: its rows, and the SHA-256 of its content; see `schemas.content`."""

    rows: int
    content: str


def write_table(path: Path, metadata: TableMetadata, batches: Iterable[Batch]) -> Written:
    """
    Write `batches` as row groups, one each. Equal batches give equal bytes, and equal rows equal content.

    Raises: BadTable: images that are not uint8 of the metadata's shape, or not as many as labels.
    """
    import pyarrow as pa

    schema = arrow_schema(metadata)
    width = schema.field("image").type.byte_width
    # No dictionary and no statistics of pixels: they do not repeat, and no image is searched for by its bytes.
    # LZ4: five stages read what one writes, and it is read twice as fast as zstd for a third more on the disk.
    with TableWriter(path, schema, metadata, compression="lz4", write_statistics=["sample_id", "label"]) as writer:
        for batch in batches:
            if not len(batch.label):
                continue
            pixels = np.ascontiguousarray(batch.image)
            # Arrow takes the buffer as it is: a wrong shape would be read beyond its end.
            if pixels.dtype != np.uint8 or pixels.shape != (len(batch.label), width):
                expected, found = (
                    f"uint8 images of shape {len(batch.label)} x {width}",
                    f"{pixels.dtype} {pixels.shape}",
                )
                raise BadTable(path.name, expected=expected, found=found, way_out="Hand over packed images.")
            image = pa.Array.from_buffers(schema.field("image").type, len(pixels), [None, pa.py_buffer(pixels)])
            columns = [pa.array(batch.sample_id, pa.uint32()), pa.array(batch.label, pa.uint16()), image]
            writer.write(pa.Table.from_arrays(columns, schema=schema))
    return Written(writer.rows, writer.content)
