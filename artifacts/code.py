"""
Digests of the code that a stage really runs.

A stage runs its own module and every module of `tasks/` and `schemas/` that it imports, transitively. Each is
hashed as its syntax tree, so that comments, docstrings and formatting make no difference; the data files that bear
its name (a page's template beside the module that fills it) are hashed as they are.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOTS = ("tasks", "schemas")
DATA = (".css", ".html", ".json", ".md", ".svg", ".toml", ".yaml")
"""Suffixes of files that a module may fill or read; an editor's copies beside it have others, and are none of these."""


def code_digests(module: str) -> dict[str, str]:
    """
    Hash a module and all that it imports below `tasks` and `schemas`.

    Returns: SHA-256 by file, as `tasks/parse.py`, sorted by name.
    """
    digests: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or (path := _source(name)) is None:
            continue
        seen.add(name)
        found, imported = _scan(name, path)
        digests |= found
        waiting.extend(imported)
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


@cache
def _scan(module: str, path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return a module's digests and the modules that it imports. Read once a process: that is the code it runs."""
    statements: list[ast.Import | ast.ImportFrom] = []
    shape = _shape(ast.parse(path.read_bytes(), str(path)), statements)
    is_package = path.name == "__init__.py"
    folder = "/".join(module.split(".") if is_package else module.split(".")[:-1])
    digests = {f"{folder}/{path.name}": hashlib.sha256(repr(shape).encode()).hexdigest()}
    for data in () if is_package else (path.with_suffix(suffix) for suffix in DATA):
        if data.is_file():
            digests[f"{folder}/{data.name}"] = hashlib.sha256(data.read_bytes()).hexdigest()
    package = module if is_package else module.rpartition(".")[0]
    return digests, tuple(sorted({name for node in statements for name in _imports(node, package)}))


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
