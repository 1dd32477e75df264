"""
The Parquet table of a split: one row an image, packed pixels, its meaning in the schema metadata.

Columns: `sample_id` uint32, 0 to n - 1 in file order; `label` uint16, the class index from 0; `image`
FixedSizeBinary(rows * columns), uint8 pixels, row-major, 0 to 255. FixedSizeBinary reads without a copy
(a list column is int32 underneath and several times slower), but loses the shape: that is in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"idxflow.table"
ROW_GROUP = 20_000


class TableMetadata(BaseModel):
    """What the columns alone do not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: str
    split: str
    shape: tuple[int, int]
    classes: tuple[str, ...]
    label_offset: int = 0


@dataclass(frozen=True)
class Batch:
    """
    Consecutive rows of a table.

    Args:
        sample_id: uint32 (n,).
        label:     uint16 (n,), class index.
        image:     uint8 (n, rows * columns), 0 to 255; read-only where it is a view of the file's buffer.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    image: npt.NDArray[np.uint8]


class ImageTable:
    """
    An open table.

    Raises: BadTable: not a Parquet file, or not one of idxflow's.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path)
            self.metadata = TableMetadata.model_validate_json(self._file.schema_arrow.metadata[METADATA_KEY])
        except (pa.ArrowException, KeyError, TypeError, ValidationError) as error:
            raise BadTable(
                path.name,
                expected="a Parquet table written by idxflow, with its metadata",
                found=str(error).splitlines()[0],
                way_out="Run `idxflow run --refresh parse` to write it anew.",
            ) from error

    @property
    def samples(self) -> int:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        rows, columns = self.metadata.shape
        return rows * columns

    def batches(self) -> Iterator[Batch]:
        """Yield one batch a row group, so that memory does not grow with the table."""
        for group in range(self._file.num_row_groups):
            yield self._batch(self._file.read_row_group(group))

    def read(self) -> Batch:
        """Read the whole table."""
        return self._batch(self._file.read())

    def _batch(self, table: pa.Table) -> Batch:
        width = self.pixels
        chunks = [
            # A chunk may be a slice of a larger buffer: its offset is in rows.
            np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width).reshape(-1, width)
            for chunk in table.column("image").chunks
            if len(chunk)
        ]
        image = chunks[0] if len(chunks) == 1 else np.concatenate([np.empty((0, width), np.uint8), *chunks])
        return Batch(
            sample_id=table.column("sample_id").to_numpy(), label=table.column("label").to_numpy(), image=image
        )


def arrow_schema(metadata: TableMetadata) -> pa.Schema:
    """Return the Arrow schema of a table with this metadata."""
    import pyarrow as pa

    rows, columns = metadata.shape
    return pa.schema(
        [
            pa.field("sample_id", pa.uint32(), nullable=False),
            pa.field("label", pa.uint16(), nullable=False),
            pa.field("image", pa.binary(rows * columns), nullable=False),
        ],
        metadata={METADATA_KEY: json.dumps(metadata.model_dump(mode="json"), sort_keys=True)},
    )


def write_table(path: Path, metadata: TableMetadata, batches: Iterable[Batch]) -> int:
    """
    Write `batches` as row groups, one each.

    Returns: the number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, rows = arrow_schema(metadata), 0
    # No dictionary: pixels do not repeat, and building one takes longer than writing the file.
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for batch in batches:
            if not len(batch.label):
                continue
            pixels = np.ascontiguousarray(batch.image)
            image = pa.Array.from_buffers(schema.field("image").type, len(pixels), [None, pa.py_buffer(pixels)])
            columns = [pa.array(batch.sample_id, pa.uint32()), pa.array(batch.label, pa.uint16()), image]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
            rows += len(pixels)
    return rows
