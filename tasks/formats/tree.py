"""
What lies under a path: the files of a folder, of a zip or tar archive, or one file alone; read in place.

Nothing is unpacked, so no name in an archive decides where something is written. Every file is listed, and what is not
read bears the reason: a rule that it was left out by, or what is wrong with it.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, Self

from schemas.endings import folded
from schemas.errors import BadSource
from schemas.visible import in_a_line
from tasks.formats.refused import Refused

if TYPE_CHECKING:
    from artifacts.store.own_scan import Scan

MAX_FILE = 512 * 2**20
"""Bytes of one file that `read` and `stream` give: more is no picture."""
MAX_TOTAL = 64 * 2**30
"""Bytes that an archive may hold in all: a few kilobytes can say that they are petabytes."""
TWICE = "another entry has the same name"
NOT_PLAIN = "its name holds signs that cannot be shown, or is not UTF-8: rename it"
ESCAPES = "its name leads out of the archive"
LARGE = f"it is larger than {MAX_FILE // 2**20} MiB"

_PARTS = (
    ("macOS: notes on other files", r"__MACOSX/|\._"),
    ("macOS: what a folder looks like", r"(?:\.DS_Store|Icon\\x0d)$"),
    ("Windows: previews and settings of a folder", r"(?:e?h?thumbs(?:_vista)?\.db|desktop\.ini)$"),
    ("Windows: deleted files and system notes", r"(?:\$RECYCLE\.BIN|System Volume Information)/"),
    ("Synology: previews", r"@eaDir/"),
    ("hidden: a name that begins with a dot", r"\.(?!\.?(?:/|$))"),
    ("corrections of labels, which are no image", r"corrections\.csv$"),
)
_NOT_ENDED = ("a download that has not ended", r"\.(?:crdownload|part|partial)$")
LEFT_OUT: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (rule, re.compile(pattern, re.IGNORECASE))
    for rule, pattern in (*((rule, rf"(?:^|/)(?:{part})") for rule, part in _PARTS), _NOT_ENDED)
)
"""What is no file of anybody's own, by name: the rule as it is told, and the names."""
_ANY = re.compile(rf"(?:^|/)(?:{'|'.join(part for _, part in _PARTS)})|{_NOT_ENDED[1]}", re.IGNORECASE)
"""One search for the names, nearly all, that no rule leaves out: looked for at once where a part of a name begins."""


Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a file once more, at its beginning: it is looked at, and then read. It can be sought in."""


class Entry(NamedTuple):
    """
    One file under a path.

    Args:
        name:       below the path, / between folders, in one line; signs that cannot be shown are written out.
        bytes:      of the file, as the folder or archive says; of a link, of itself.
        left_out:   the rule of LEFT_OUT that it falls under; empty: none.
        unreadable: why it cannot be read, a sentence without a full stop; empty: it can.
    """

    name: str
    bytes: int
    left_out: str = ""
    unreadable: str = ""

    @property
    def used(self) -> bool:
        """Whether it is one's own and can be read."""
        return not self.left_out and not self.unreadable


class Tree(Protocol):
    """
    The files under a path; `open_tree` gives one, and it is closed as a context manager.

    Args:
        name:    of the path, for messages.
        kind:    "folder", "zip", "tar" or "file".
        entries: every file, in the order of `order`, whatever order a disk or archive has.
        empty:   folders under which no file lies, in the order of names.
    """

    name: str
    kind: str
    entries: tuple[Entry, ...]
    empty: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """
        Read one file. Of a compressed tar, everything before it is inflated: stream it instead.

        Raises: Refused: it is unreadable, larger than MAX_FILE or than it says, damaged, or gone. KeyError: no entry.
        """

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Refused]]:
        """
        Read files, each once, in the order that is fastest: as given, but of a tar as they lie in it.

        Yields: name, and the bytes or why there are none.
        """
        for name in names:
            try:
                yield name, self.read(name)
            except Refused as refused:
                yield name, refused

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """
        Open one file of any size for reading, block by block; seekable. Raises: as `read`, but for MAX_FILE.

        Of an archive, an error in the middle is one of its library: OSError, EOFError, zipfile.BadZipFile, zlib.error.
        """

    def close(self) -> None:
        """Close what is open."""

    def __enter__(self) -> Self:
        """Return the tree itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        self.close()


def open_tree(path: Path, found: Scan | None = None) -> Tree:
    """
    List what lies under a path. What it is follows from its first bytes, not from its name; it may itself be a link.

    Args:   found: in a folder, a moment ago: it is not looked at again.
    Raises: BadSource: there is nothing, it cannot be read, a damaged archive, or one of more than MAX_TOTAL.
            StageError: a folder that cannot be listed.
    """
    from tasks.formats.tree_folder import open_file, open_folder

    try:
        if path.is_dir():
            return open_folder(path) if found is None else _opened(path, found)
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        there = "nothing there" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        way_out = "Correct the path." if isinstance(error, FileNotFoundError) else "Make it readable."
        raise BadSource(f"{path}", expected="a folder, archive or file", found=there, way_out=way_out) from error
    if head.startswith((b"PK\3\4", b"PK\5\6")) and path.suffix.lower() != ".npz":
        from tasks.formats.tree_zip import open_zip

        return open_zip(path)
    if head[257:262] == b"ustar" or (head.startswith(b"\x1f\x8b") and _is_named_tar(path)):
        from tasks.formats.tree_tar import open_tar

        return open_tar(path)
    return open_file(path)


@lru_cache(maxsize=1)  # a run looks at its place twice: to describe it, and to pack it
def _opened(path: Path, found: Scan) -> Tree:
    from tasks.formats.tree_folder import open_folder

    return open_folder(path, found)


@contextmanager
def opened(open_file: Opener, name: str) -> Iterator[BinaryIO]:
    """Open a file that a source consists of. Raises: BadSource: it cannot be read."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_file())
        except Refused as refused:
            way_out = "Make it readable, or name another one."
            raise BadSource(
                name, expected="a file that can be read", found=refused.reason, way_out=way_out
            ) from refused
        yield file


def _is_named_tar(path: Path) -> bool:
    return path.name.lower().endswith((".tgz", ".tar.gz"))


def order(name: str) -> tuple[str, str]:
    """Return what names are sorted by: code points, the letter case of the suffix ignored (`.JPG` as `.jpg`)."""
    return folded(name), name


def inner_name(name: str) -> tuple[str, str]:
    """
    Bring a name from an archive into the form of an entry.

    Returns: the name without `.` and empty parts, in one line; and why an entry of that name is not read, or nothing.
    """
    parts = name.split("/")
    shown = in_a_line("/".join(part for part in parts if part not in {"", "."}))
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return in_a_line(name), ESCAPES
    return shown, "" if is_plain(name) else NOT_PLAIN


def is_plain(name: str) -> bool:
    """Return whether a name can be shown in one line as it is, and written as UTF-8."""
    return (name.isascii() and name.isprintable()) or in_a_line(name) == name


def arranged(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Put entries in order, say which a rule leaves out, and refuse all those that share a name."""
    found = sorted(entries)
    keys = [order(entry.name) for entry in found]
    if any(map(operator.gt, keys, keys[1:])):
        found = [entry for _, entry in sorted(zip(keys, found, strict=True))]
    names = [entry.name for entry in found]
    times = Counter(names) if len(set(names)) < len(names) else {}
    for at, name in enumerate(names):
        twice, rule = times.get(name, 1) > 1, rule_of(name)
        if twice or rule:
            entry = found[at]
            found[at] = entry._replace(left_out=rule, unreadable=entry.unreadable or (TWICE if twice else ""))
    return tuple(found)


def rule_of(name: str) -> str:
    """Return the rule of LEFT_OUT that a name falls under; empty: none."""
    return next((rule for rule, pattern in LEFT_OUT if pattern.search(name)), "") if _ANY.search(name) else ""


def left_out(name: str) -> bool:
    """Tell whether a file of this name is left out by a rule, and not read."""
    return bool(rule_of(name))


def empty_folders(folders: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """Return those folders, and folders around them, under which no file lies."""
    around = {name.rpartition("/")[0] for name in files}
    full = {folder for near in around for folder in [near, *_around(near)]}
    return tuple(sorted({each for folder in folders if folder for each in [folder, *_around(folder)]} - full))


def _around(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def too_much(name: str) -> BadSource:
    """Return the error about an archive that holds, or says it holds, more than MAX_TOTAL."""
    return BadSource(
        name,
        expected=f"at most {MAX_TOTAL // 2**30} GiB in the archive",
        found="more",
        way_out="Unpack it and give the folder, if you trust where it comes from.",
    )


def damaged(name: str, kind: str, error: Exception) -> BadSource:
    """Return the error about an archive that cannot be listed."""
    found = f"one that is damaged ({str(error).strip().rstrip('.') or type(error).__name__})"
    return BadSource(name, expected=f"a whole {kind} archive", found=found, way_out="Get a sound copy of it.")
