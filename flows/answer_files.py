"""What a network said of new images, as a file that people open: CSV for spreadsheets, or Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.addresses import below_home
from schemas.arrays import as_names, as_texts
from schemas.errors import StoreError, UsageError
from schemas.visible import cell
from tasks.score import answer_schema

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".parquet")
ORIGIN = ("place", "answered")
"""Columns before those of `tasks.score.answer_schema`: the absolute path that was asked about; when, in UTC."""


def check_target(path: Path, places: Iterable[str], *, replaced: bool = False) -> None:
    """
    See that answers can be written to a file.

    Args:
        places:   paths that are asked about.
        replaced: one that is there is written again.
    Raises: UsageError: another ending, no such folder, a file that is there, or one that lies in what is asked about.
    """
    if path.suffix.lower() not in ENDINGS:
        found = f"the ending {path.suffix}" if path.suffix else "none"
        raise UsageError(str(path), expected="the ending .csv or .parquet", found=found, way_out="Nothing has run.")
    if not path.absolute().parent.is_dir():
        raise UsageError(str(path), expected="a folder that is there", found="none", way_out="Create it first.")
    around = next((each for each in places if path.resolve().is_relative_to(Path(below_home(each)).resolve())), None)
    if around is not None:
        found = f"one in {around}"
        raise UsageError(str(path), expected="a file elsewhere", found=found, way_out="It would be named itself.")
    if replaced and path.is_file():
        refuse_others(path, [str(Path(os.path.abspath(below_home(each)))) for each in places])  # noqa: PTH100 - links stay
    if os.path.lexists(path) and (path.is_dir() or not replaced):
        found = "a folder" if path.is_dir() else "a file that is there"
        raise UsageError(str(path), expected="a new file", found=found, way_out="Name another, or delete it.")


def refuse_others(path: Path, places: Sequence[str]) -> None:
    """
    See that a file that is to be replaced holds answers about these places alone.

    Raises: UsageError: it is another file, which may hold a person's work, or has answers about other places.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    try:
        table = pq.read_table(path) if path.suffix.lower() == ".parquet" else csv.read_csv(path)
        of_ours = table.column_names == with_origin(answer_schema().empty_table(), "", "").column_names
    except (pa.ArrowInvalid, OSError):
        of_ours = False
    if not of_ours:
        way_out = "It may hold somebody's work: name another, or delete it."
        raise UsageError(str(path), expected="a new file, or one of answers", found="another one", way_out=way_out)
    if others := set(table["place"].to_pylist()) - {*places, *map(cell, places)}:
        found, way_out = f"one with answers about {min(others)}", "Name another, or delete it."
        raise UsageError(str(path), expected="a new file, or one about the same places", found=found, way_out=way_out)


def with_origin(table: pa.Table, place: str, answered: str) -> pa.Table:
    """Return answers with the place that they are about, and when they were given."""
    import pyarrow as pa

    for at, (name, value) in enumerate(zip(ORIGIN, (place, answered), strict=True)):
        column = as_names([value] * table.num_rows)
        table = table.add_column(at, pa.field(name, column.type, nullable=False), column)
    return table


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Join the answers of several places, in their order."""
    import pyarrow as pa

    if not tables:
        return with_origin(answer_schema().empty_table(), "", "")
    return pa.concat_tables(tables).unify_dictionaries()


def write_answers(path: Path, table: pa.Table, *, replaced: bool = False) -> None:
    """
    Write answers, in one step: a file of the same name is whole, the old one or the new one.

    In CSV no cell is a formula; see `schemas.visible.cell`.

    Args:   replaced: one that is there is written again; else it stays, and is an error.
    Raises: StoreError: it cannot be written, or is there meanwhile.
    """
    import pyarrow.parquet as pq
    from pyarrow import csv

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix.lower() == ".parquet":
            pq.write_table(table, aside, compression="zstd")
        else:
            csv.write_csv(as_cells(table), aside)
        if replaced:
            aside.replace(path)
        else:
            path.hardlink_to(aside)
            aside.unlink()
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise StoreError(
            str(path),
            expected="a file that can be written",
            found=error.strerror or str(error),
            way_out="Free space or name another. The answers are stored: the same command has them at once.",
        ) from error


def as_cells(table: pa.Table) -> pa.Table:
    """Return a table whose texts are cells of a CSV file."""
    import pyarrow as pa

    columns = []
    for column in table.columns:
        if not pa.types.is_dictionary(column.type):
            columns.append(column)
            continue
        texts = column.unify_dictionaries()
        known = texts.chunk(0).dictionary.to_pylist() if texts.num_chunks else []
        cells = as_texts([cell(text) for text in known])
        columns.append(
            pa.chunked_array(
                [pa.DictionaryArray.from_arrays(chunk.indices, cells).cast(pa.string()) for chunk in texts.chunks],
                pa.string(),
            )
        )
    return pa.Table.from_arrays(columns, names=table.column_names)
