"""What a file is, by its first bytes: the three ways in which IDX files are taken, and what comes instead."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import BadIdx
from tasks.formats.idx import TYPES, little_endian_header, read_header

HEAD_BYTES = 2**14
"""First bytes that are enough to recognise each kind."""
TAKEN = "an IDX file (raw, .gz or .xz)"
"""What is taken, for messages."""
SHOWN = 8
"""First bytes that a message shows of an unknown file: too few for a secret that a server repeats."""
RECORD_BYTES = (3073, 3074)
"""Bytes of a record of CIFAR-10 and CIFAR-100: one or two labels, then 32 x 32 pixels in three colours."""


@dataclass(frozen=True)
class Kind:
    """
    What a file is.

    Args:
        name:      for people, with its article: "a zip archive".
        next_step: what to do with it where an IDX file is wanted; a sentence. Of a kind that is taken: where it lies
                   inside another one.
        taken:     it may hold an IDX file, and is read as it is.
    """

    name: str
    next_step: str
    taken: bool = False

    def found(self, length: str) -> str:
        """Name it with its length: "a zip archive (1234 bytes)"."""
        return f"{self.name} ({length})"


_CONVERT = "docs/datasets.md shows how."
_UNPACK = "Unpack it ({}) and name what comes out."
_PICTURE = f"Join all pictures into one IDX file: {_CONVERT}"
_ARRAYS = f"Read its arrays with what wrote it, and convert them: {_CONVERT}"
_NEVER = "A pickle may run any program, and is never opened."
_ERROR = "It may be a server's error: read it in an editor, then get the file itself."

GZIP = Kind("a gzip file", f"It is compressed twice. {_UNPACK.format('gunzip')}", taken=True)
XZ = Kind("an xz file", f"It is compressed twice. {_UNPACK.format('xz -d')}", taken=True)
IDX = Kind("a raw IDX file", "Name the IDX file itself.", taken=True)
EMPTY = Kind("an empty file", "A download or copy has failed, or nothing was written to it: get the file again.")
NOTHING = Kind("nothing", "It was compressed from an empty file: compress the IDX file again.")
ZEROS = Kind("a file of zeros", "A download or copy was cut off before the first byte came: get the file again.")
LITTLE_ENDIAN = Kind(
    "a little-endian IDX file", "IDX is big-endian, header and values: write it so. docs/datasets.md shows how."
)
ZIP = Kind("a zip archive", "Unpack it and name the files in it.")
NPZ = Kind("an npz file of NumPy", f"Convert its arrays: {_CONVERT}")
NPY = Kind("an npy file of NumPy", f"Convert its array: {_CONVERT}")
TORCH = Kind("a PyTorch file", f"{_NEVER} Convert its arrays: {_CONVERT}")
PICKLE = Kind("a Python pickle", f"{_NEVER} Convert its arrays: {_CONVERT}")
TAR = Kind("a tar archive", "Unpack it (tar -xf) and name the files in it.")
HTML = Kind("an HTML page", "A web page came in place of the file: get the file itself.")
XML = Kind("an XML file", _ERROR)
JSON = Kind("a JSON file", _ERROR)
CSV = Kind("a CSV file", f"Convert it: {_CONVERT}")
TEXT = Kind("a text file", "Read it in an editor: it may say what went wrong. Then get the file itself.")
UTF16 = Kind("a text file in UTF-16", TEXT.next_step)
LFS = Kind("a Git LFS pointer", "Run `git lfs pull` where the files were cloned.")
ANNEX = Kind("a git-annex pointer", "Run `git annex get .` where the files were cloned.")
ANNEX_LINK = Kind("a link to a git-annex object that is not there", ANNEX.next_step)
CIFAR = Kind(
    "a CIFAR file of labels and colour pixels", f"Write labels, and images of n x 32 x 32 x 3, to two files: {_CONVERT}"
)
APPLE = Kind("a Mac's note on another file", "Name the file itself, without `._` before its name.")
UNKNOWN_STEP = "Name an IDX file; docs/datasets.md shows how one is written."


def _picture(what: str) -> Kind:
    return Kind(f"one {what} picture", _PICTURE)


def _packed(what: str, command: str) -> Kind:
    return Kind(what, _UNPACK.format(command))


def _arrays(what: str) -> Kind:
    return Kind(what, _ARRAYS)


MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\x1f\x8b", GZIP),
    (0, b"\xfd7zXZ\0", XZ),
    (257, b"ustar", TAR),
    (0, b"\x93NUMPY", NPY),
    (0, b"BZh", _packed("a bzip2 file", "bunzip2")),
    (0, b"\x28\xb5\x2f\xfd", _packed("a zstd file", "zstd -d")),
    (0, b"7z\xbc\xaf\x27\x1c", _packed("a 7z archive", "7z x")),
    (0, b"Rar!\x1a\x07", _packed("a RAR archive", "unrar x")),
    (0, b"\x04\x22\x4d\x18", _packed("an LZ4 file", "lz4 -d")),
    (0, b"LZIP", _packed("an lzip file", "lzip -d")),
    (0, b"\x5d\0\0", _packed("an .lzma file", "xz -d")),
    (0, b"\x1f\x9d", _packed("a .Z file", "uncompress")),
    (0, b"\x89PNG\r\n\x1a\n", _picture("PNG")),
    (0, b"\xff\xd8\xff", _picture("JPEG")),
    (0, b"GIF8", _picture("GIF")),
    (0, b"II*\0", _picture("TIFF")),
    (0, b"MM\0*", _picture("TIFF")),
    (8, b"WEBP", _picture("WebP")),
    (0, b"\x89HDF\r\n\x1a\n", _arrays("an HDF5 file")),
    (0, b"PAR1", _arrays("a Parquet file")),
    (0, b"ARROW1", _arrays("an Arrow file")),
    (0, b"MATLAB ", _arrays("a MATLAB .mat file")),
    (0, b"SQLite format 3\0", _arrays("an SQLite database")),
    (0, b"%PDF-", Kind("a PDF document", "Name the data file itself.")),
    (0, b"\0\x05\x16\x07", APPLE),
    (0, b"version https://git-lfs.github.com/spec/", LFS),
    (0, b"/annex/objects/", ANNEX),
    (0, b"\xff\xfe", UTF16),
    (0, b"\xfe\xff", UTF16),
)
"""Which bytes, and where, are enough to recognise a kind."""


def kind_of(head: bytes, size: int | None) -> Kind:
    """
    Say what a file is.

    Args:
        head: its first bytes; HEAD_BYTES of them, or all, are enough.
        size: of the whole file in bytes; None where it is not known: then an IDX header is believed.
    """
    if not head:
        return EMPTY
    return (
        _idx(head, size)
        or _zeros(head)
        or _magic(head)
        or _zip(head)
        or _pickle(head)
        or _bitmap(head, size)
        or _cifar(head, size)
        or _text(head)
        or _unknown(head)
    )


def kind_of_file(path: Path) -> tuple[Kind, int]:
    """Say what a file on the disk is, and its size in bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = file.seek(0, os.SEEK_END)
    return kind_of(head, size), size


def kind_of_link(path: Path) -> Kind | None:
    """Say what a broken link was meant to be; None where that is unknown, or it is no broken link."""
    try:
        target = path.readlink() if not path.exists() else Path()
    except OSError:
        return None
    return ANNEX_LINK if "annex/objects/" in target.as_posix() else None


def _idx(head: bytes, size: int | None) -> Kind | None:
    """Recognise an IDX header, in either byte order. A wrong size is not its kind: its reader reports that better."""
    swapped = little_endian_header(head)
    fits = swapped is not None and swapped.size == size
    if not _has_magic(head):
        # Big-endian numbers under a small-endian magic number exist nowhere; without a size the header has to do.
        return LITTLE_ENDIAN if swapped and (fits or size is None) else None
    try:
        return LITTLE_ENDIAN if fits and read_header(head, "").size != size else IDX
    except BadIdx:
        return LITTLE_ENDIAN if fits else IDX


def _has_magic(head: bytes) -> bool:
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in TYPES and 1 <= head[3] <= 8


def _zeros(head: bytes) -> Kind | None:
    return ZEROS if len(head) >= 4 and not head.strip(b"\0") else None


def _magic(head: bytes) -> Kind | None:
    return next((kind for at, magic, kind in MAGIC if head.startswith(magic, at)), None)


def _zip(head: bytes) -> Kind | None:
    """Recognise a zip archive, and by the name of its first file who wrote it."""
    if not head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return None
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if first.endswith(b".npy"):
        return NPZ
    return TORCH if first.endswith(b"/data.pkl") else ZIP


def _pickle(head: bytes) -> Kind | None:
    """Recognise a pickle of protocol 2 to 5 by its first opcode, PROTO."""
    return PICKLE if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5") else None


def _bitmap(head: bytes, size: int | None) -> Kind | None:
    """Recognise a Windows bitmap, two letters followed by its size, and the portable ones of Netpbm."""
    if head.startswith(b"BM") and size is not None and int.from_bytes(head[2:6], "little") == size:
        return _picture("BMP")
    return _picture("Netpbm") if re.match(rb"P[1-7]\s+(#.*\s+)*(\d+\s|WIDTH)", head) else None


def _cifar(head: bytes, size: int | None) -> Kind | None:
    """Recognise records of CIFAR: a size of whole ones, and a label at the beginning of each."""
    for length, classes in zip(RECORD_BYTES, (10, 20), strict=True):
        if size and size % length == 0 and all(label < classes for label in head[::length]):
            return CIFAR
    return None


def _text(head: bytes) -> Kind | None:
    """Recognise texts: those that computers write by their first sign, others by their lines."""
    if _is_no_text(head):
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.search(rb"<(!doctype html|html|head|body)\b", text[:512], re.IGNORECASE):
        return HTML
    if re.match(rb"(\.\./)*\.git/annex/objects/", text):
        return ANNEX
    if text.startswith(b"<"):
        return XML
    if re.match(rb"[{\[]\s*[\"{\[\]}\d-]", text):
        return JSON
    first, _, second = text.partition(b"\n")
    second = second.partition(b"\n")[0]
    return CSV if any(0 < first.count(sign) == second.count(sign) for sign in (b",", b";", b"\t")) else TEXT


def _is_no_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head[:1024]):
        return True
    try:
        head[:1024].decode()
    except UnicodeDecodeError as error:
        return error.start < len(head[:1024]) - 3  # a sign that the end cuts is none
    return False


def _unknown(head: bytes) -> Kind:
    text = head[:SHOWN].decode("ascii", "replace")
    shown = f' ("{text}")' if text.isascii() and text.isprintable() else ""
    return Kind(f"an unknown file that begins {head[:SHOWN].hex(' ')}{shown}", UNKNOWN_STEP)
