"""A description as it lies on the disk: which file is meant, what its bytes are, and what its set is called."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

from schemas.addresses import below_home, refuse_windows_path
from schemas.errors import UsageError

HOW = "docs/datasets.md tells how a set of your own is described."
_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "a gzip file",
}
"""What a file is that begins with these bytes; the longer ones first."""


def find_description(given: str) -> Path:
    """
    Return the path of a description; `~` is the user's home folder.

    Raises: UsageError: a Windows path.
    """
    refuse_windows_path("data set", given)
    return below_home(given)


def read_description(path: Path, shown: str) -> dict[str, Any]:
    """
    Read a TOML file in UTF-8, with or without a byte-order mark.

    Args:   shown: what messages call it.
    Raises: UsageError: it is in another encoding.  OSError: it cannot be read.  TOMLDecodeError: it is no TOML.
    """
    data = path.read_bytes()
    kind = next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)
    if kind is None and b"\0" in data:
        kind = "UTF-16 without a byte-order mark, or no text at all"
    if kind is None:
        try:
            return tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            kind = f"byte {data[error.start]:02x} in line {line}, as Latin-1 or Windows-1252 have it"
    raise UsageError(shown, expected="UTF-8 text", found=kind, way_out=f"Save it as UTF-8: your editor can. {HOW}")


def set_name(path: Path) -> str:
    """
    Return what a set is called: as its file, in small letters, with dashes for all but letters and digits.

    Accents are dropped: `My Blätter.toml` is `my-blatter`.

    Raises: UsageError: nothing is left.
    """
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode().lower()
    name = re.sub("[^a-z0-9]+", "-", plain).strip("-")
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
    elif path.with_name(f"{path.name}.toml").is_file():
        way_out = f"Did you mean {given}.toml?"
    expected = f"one of {', '.join(names)}, or the path of a .toml file"
    return UsageError("data set", expected=expected, found=found, way_out=way_out)
