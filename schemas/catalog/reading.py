"""A description as it lies on the disk: which file is meant, what its bytes are, and what its set is called."""

from __future__ import annotations

import os
import re
import stat
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from schemas.addresses import below_home, refuse_windows_path
from schemas.errors import UsageError

HOW = "docs/datasets.md shows how to describe a data set of your own."
LARGEST = 4 * 2**20
"""Bytes of a description: the most classes there may be, with 60 letters each."""
DEEPEST = 16
"""Levels of tables and lists in one another: a description has six at most."""
LONGEST_NUMBER = 1024
"""Bits of a whole number that can still be shown; what a field takes is far less."""
NUMBERS = "whole numbers that fit into 64 bits"
LONGEST_NAME = 80
_LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){{{2 * DEEPEST}}}""")
"""A dotted name that takes tomllib a time that grows with the square of its parts."""
_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "a gzip file",
}
"""What a file is that begins with these bytes; the longer ones first."""


def find_description(given: str) -> Path:
    """Return the path of a description; `~` is the user's home folder. Raises: UsageError: a Windows path."""
    refuse_windows_path("data set", given)
    return below_home(given)


def parse_description(data: bytes, shown: str) -> dict[str, Any]:
    """
    Parse TOML in UTF-8, with or without a byte-order mark.

    Args:   shown: what messages call the file.
    Raises: UsageError: it is in another encoding, or deeper or with longer numbers than any description.
            TOMLDecodeError: it is no TOML.
    """
    kind = next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)
    if kind is None and b"\0" in data:
        kind = "UTF-16 without a byte-order mark, or no text at all"
    if kind is None:
        try:
            return _parse(data.decode("utf-8-sig").replace("\r\n", "\n"), shown)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            kind = f"byte {data[error.start]:02x} in line {line}, as Latin-1 or Windows-1252 have it"
    raise UsageError(shown, expected="UTF-8 text", found=kind, way_out=f"Save it as UTF-8: your editor can. {HOW}")


def read_description(path: Path, shown: str) -> bytes:
    """
    Read a file that may describe a data set.

    Args:   shown: what messages call it.
    Raises: UsageError: it is no regular file, or larger than any description.  OSError: it cannot be read.
    """
    # A pipe would be waited at, and a device read, for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise _no_description(shown, "a regular file", "a pipe, a socket or a device")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _no_description(shown, f"at most {LARGEST // 2**20} MiB", "more")
    return data


def _parse(text: str, shown: str) -> dict[str, Any]:
    deep = f"no more than {DEEPEST} levels of tables and lists"
    if _LONG_KEY.search(text):
        raise _no_description(shown, deep, "a name of more parts")
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise _no_description(shown, deep, "many more") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # more digits than Python turns into a number
        raise _no_description(shown, NUMBERS, "one of thousands of digits") from None
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise _no_description(shown, deep, "more")
        if isinstance(value, dict | list):
            waiting.extend((each, depth + 1) for each in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
            raise _no_description(shown, NUMBERS, f"one of {value.bit_length()} bits")
    return document


def _no_description(shown: str, expected: str, found: str) -> UsageError:
    return UsageError(
        shown, expected=f"a TOML file that describes a data set, with {expected}", found=found, way_out=HOW
    )


def set_name(path: Path) -> str:
    """
    Return what a set is called: as its file, in small letters, with dashes for all but letters and digits.

    Accents are dropped: `My Blätter.toml` is `my-blatter`.

    Raises: UsageError: nothing is left, or more than what fits into the names of files and of Prefect's artifacts.
    """
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode().lower()
    name = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            path.name,
            expected=f"a file name of at most {LONGEST_NAME} letters and digits, for the set is called so",
            found=f"{len(name)}",
            way_out="Rename it, as in leaves.toml.",
        )
    if name:
        return name
    raise UsageError(
        path.name,
        expected="a file name with letters a to z or digits, for the set is called so",
        found=repr(path.stem),
        way_out="Rename it, as in leaves.toml.",
    )


def refuse_unknown(given: str, names: tuple[str, ...], close: str | None) -> UsageError:
    """
    Return the error about what is neither a name of the catalog nor a description.

    Args: names: of the catalog.  close: the one that was perhaps meant.
    """
    refuse_windows_path("data set", given)
    path = below_home(given)
    found, way_out = repr(given), f"Did you mean {close}? {HOW}" if close else HOW
    if path.is_dir():
        inside = sorted(path.glob("*.toml"))
        found = f"the folder {given}"
        way_out = f"Did you mean {inside[0]}?" if len(inside) == 1 else f"A .toml file names the IDX files in it: {HOW}"
    elif path.is_file() and path.suffix.lower() == ".toml":
        found, way_out = f"{given}, with another ending", f"Rename it to {path.with_suffix('.toml').name}."
    elif path.is_file():
        found, way_out = f"the file {given}", f"Images and labels are IDX files, and a .toml file names them: {HOW}"
    elif "/" in given and not path.exists():
        found, way_out = f"nothing at {path}", "Correct the path."
    elif path.with_name(f"{path.name}.toml").is_file():
        way_out = f"Did you mean {given}.toml?"
    expected = f"one of {', '.join(names)}, or the path of a folder, archive, CSV, .npz or .toml file"
    return UsageError("data set", expected=expected, found=found, way_out=way_out)
