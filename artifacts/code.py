"""
Digests of the code that a stage really runs.

A stage runs its own module and every module of `tasks/` and `schemas/` that it imports, transitively. Each is
hashed as its syntax tree, so that comments, docstrings and formatting make no difference; the data files that bear
its name (a page's template beside the module that fills it) are hashed as they are.

They are read as the process begins: an edit that is saved later is not what it runs. What is imported late would be;
whoever computes looks before and afterwards, see `artifacts.engine.execution`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

ROOTS = ("tasks", "schemas")
DATA = (".css", ".html", ".json", ".md", ".svg", ".toml", ".yaml")
"""Suffixes of files that a module may fill or read; an editor's copies beside it have others, and are none of these."""


class Scan(NamedTuple):
    """What is found in a module's source: the digest of its syntax tree, and the modules that it imports."""

    digest: str
    imports: tuple[str, ...]


class Scans(Protocol):
    """What was found before, by what decides it: the source's bytes, the module's name, and this file."""

    def find(self, key: str) -> Scan | None:
        """Return what was found; None where that is not known."""


_PARSING = threading.Lock()
"""Two threads that build trees at once may end in a SystemError: CPython 3.11 counts both in one recursion depth."""
TICK = 20_000_000
"""Nanoseconds within which a file system may give two changes of a file the same time."""
_SEEN: dict[tuple[str, Path], tuple[tuple[int, ...], Scan]] = {}
"""By module and file, size, inode and times of a source, and what was found in it; as git's index does."""
SCANNED: dict[str, Scan] = {}
"""What this process has found, or been told by `Scans`."""


def code_digests(module: str, scans: Scans | None = None, *, now: bool = False) -> dict[str, str]:
    """
    Hash a module and all that it imports below `tasks` and `schemas`.

    Args:
        scans: where what was found is kept; to look through all that a run imports takes a fifth of a second.
        now:   as the files are on the disk, and not as they were when the process began.
    Returns: SHA-256 by file, as `tasks/parse.py`, sorted by name.
    """
    digests: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    listing = cache(_names)
    while waiting:
        name = waiting.pop()
        if name in seen or (path := _source(name)) is None:
            continue
        seen.add(name)
        scan = _scanned_now(name, path, scans) if now else _scan(name, path, _content(path), scans)
        data = _hashed(path, listing(path.parent)) if now else _data(path)
        folder = "/".join(_package(name, path).split("."))
        digests |= {f"{folder}/{path.name}": scan.digest} | {
            f"{folder}/{file}": digest for file, digest in data.items()
        }
        waiting.extend(scan.imports)
    return dict(sorted(digests.items()))


@cache
def _source(module: str) -> Path | None:
    """Find the file of a module under one of the roots, without importing it."""
    root, _, rest = module.partition(".")
    if root not in ROOTS or (spec := importlib.util.find_spec(root)) is None:
        return None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest.split(".")) if rest else Path(folder)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _scan(module: str, path: Path, source: bytes, scans: Scans | None) -> Scan:
    key = hashlib.sha256(b"\0".join([_GRAMMAR, module.encode(), path.name.encode(), source])).hexdigest()
    if known := SCANNED.get(key) or (scans.find(key) if scans else None):
        return SCANNED.setdefault(key, known)
    statements: list[ast.Import | ast.ImportFrom] = []
    with _PARSING:
        tree = ast.parse(source, str(path))
    shape = _shape(tree, statements)
    package = _package(module, path)
    imports = sorted({name for node in statements for name in _imports(node, package)})
    return SCANNED.setdefault(key, Scan(hashlib.sha256(repr(shape).encode()).hexdigest(), tuple(imports)))


def _scanned_now(module: str, path: Path, scans: Scans | None) -> Scan:
    """Scan a source as it is on the disk: whoever computes asks twice, and next to always nothing has changed."""
    began, status = time.time_ns(), path.stat()
    look = status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
    if (seen := _SEEN.get((module, path))) and seen[0] == look:
        return seen[1]
    scan = _scan(module, path, path.read_bytes(), scans)
    if began - max(look[2:]) > TICK:
        _SEEN[module, path] = look, scan
    return scan


def _names(folder: Path) -> frozenset[str]:
    """List a folder."""
    with os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)


def _content(path: Path) -> bytes:
    """Return a source as it was when the process began; of one that was not there, as it is now."""
    return _SOURCES.get(path) or _SOURCES.setdefault(path, path.read_bytes())


@cache
def _data(path: Path) -> dict[str, str]:
    """Do as `_hashed`, once a process."""
    return _hashed(path, _names(path.parent))


def _hashed(path: Path, names: frozenset[str]) -> dict[str, str]:
    """Hash the data files that bear the name of a module, by their names; a package has none."""
    own = {f"{path.stem}{suffix}" for suffix in DATA} & names if path.name != "__init__.py" else set()
    files = [path.with_name(name) for name in sorted(own)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def _package(module: str, path: Path) -> str:
    """Return the package in which a module's relative imports begin."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield the modules that an import statement runs: each package on the way down, and names that are modules."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, *filter(None, [node.module])])
        names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _shape(node: object, imports: list[ast.Import | ast.ImportFrom]) -> object:
    """
    Reduce a syntax tree to nested tuples: what runs, no positions, no empty fields (they differ by version).

    One pass, and no generators, over all that a run imports: each cached run waits for it.

    Args: imports: every import statement that runs is added to it.
    """
    if isinstance(node, ast.AST):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        fields = []
        for name in node._fields:
            if shape := _shape(getattr(node, name, None), imports):
                fields.append((name, shape))  # noqa: PERF401 - twice as fast as what it asks for
        return (type(node).__name__, tuple(fields))
    if isinstance(node, list):
        return tuple([_shape(item, imports) for item in _running(node)])
    # The type tells 1 from 1.0 and True; None as a field means absent, as a constant it is wrapped like the rest.
    return None if node is None else (type(node).__name__, repr(node))


def _running(nodes: Sequence[object]) -> list[object]:
    """Drop what never runs from a list of nodes: docstrings, and blocks under `if TYPE_CHECKING:`."""
    running: list[object] = []
    for node in nodes:
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            running.extend(_running(node.orelse))
        elif not _is_docstring(node):
            running.append(node)
    return running


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _is_docstring(node: object) -> bool:
    """A string that stands alone as a statement does nothing, wherever it stands."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _sources() -> dict[Path, bytes]:
    """Read every module below the roots."""
    specs = filter(None, map(importlib.util.find_spec, ROOTS))
    folders = [Path(folder) for spec in specs for folder in spec.submodule_search_locations or ()]
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*.py")}


# As this module is imported, before any stage is.
_SOURCES = _sources()
_GRAMMAR = repr(sys.version_info).encode() + Path(__file__).read_bytes()
"""What decides what is found in a source, beside its bytes."""
