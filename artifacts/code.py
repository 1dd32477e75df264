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
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOTS = ("tasks", "schemas")


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
    tree = _without_type_checking(ast.parse(path.read_bytes(), str(path)))
    is_package = path.name == "__init__.py"
    folder = "/".join(module.split(".") if is_package else module.split(".")[:-1])
    digests = {f"{folder}/{path.name}": hashlib.sha256(repr(_shape(tree)).encode()).hexdigest()}
    for data in () if is_package else sorted(path.parent.glob(f"{path.stem}.*")):
        if data.suffix not in (".py", ".pyc", ".pyi"):
            digests[f"{folder}/{data.name}"] = hashlib.sha256(data.read_bytes()).hexdigest()
    package = module if is_package else module.rpartition(".")[0]
    return digests, tuple(sorted({name for node in ast.walk(tree) for name in _imports(node, package)}))


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that an import statement runs: each package on the way down, and names that are modules."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, *filter(None, [node.module])])
        names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _without_type_checking(tree: ast.Module) -> ast.Module:
    """Drop the blocks under `if TYPE_CHECKING:`, which never run."""

    class Dropper(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node

    dropped: ast.Module = Dropper().visit(tree)
    return dropped


def _shape(node: object) -> object:
    """Reduce a syntax tree to nested tuples: no positions, no docstrings, no empty fields (they differ by version)."""
    if isinstance(node, ast.AST):
        fields = ((name, _shape(value)) for name, value in ast.iter_fields(node))
        return (type(node).__name__, tuple((name, value) for name, value in fields if value not in (None, ())))
    if isinstance(node, list):
        return tuple(_shape(item) for item in node if not _is_docstring(item))
    # The type tells 1 from 1.0 and True; None as a field means absent, as a constant it is wrapped like the rest.
    return None if node is None else (type(node).__name__, repr(node))


def _is_docstring(node: object) -> bool:
    """A string that stands alone as a statement does nothing, wherever it stands."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
