"""The house: what holds for every file, whatever it does. (The floors' import contract is import-linter's.)"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows.dag import STAGES

ROOT = Path(__file__).parents[1]
FLOORS = ("idxflow", "flows", "tasks", "artifacts", "schemas")
PRODUCT = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
LINES = 400
HEAVY = {"tensorflow", "keras", "pandas", "pandera", "pyarrow", "matplotlib", "scipy"}


def relative(path: Path) -> str:
    """Return `path` as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(), path.name)


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level name of everything that a file imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def requirements() -> list[Requirement]:
    """Return everything that pyproject.toml asks for, extras included."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]]


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_a_product_file_keeps_the_house_rules(path: Path) -> None:
    """A product file is short, asserts nothing, prints on the top floor only, unpickles nothing."""
    nodes = list(ast.walk(tree(path)))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert path.read_text().count("\n") <= LINES
    assert not [node for node in nodes if isinstance(node, ast.Assert)]
    assert "print" not in called or relative(path).startswith("idxflow/")
    assert not {"pickle", "cloudpickle", "dill", "joblib", "shelve"} & set(imports(path))
    assert not set(path.with_suffix("").parts[len(ROOT.parts) :]) & {"utils", "util", "helpers", "common", "misc"}
    assert "tests" not in set(imports(path))


@pytest.mark.parametrize("path", [*PRODUCT, *BENCHMARKS], ids=relative)
def test_what_is_public_is_documented(path: Path) -> None:
    """Every module, public class and function has a docstring, and every public method that is not an override."""
    assert ast.get_docstring(tree(path))
    scopes: list[ast.Module | ast.ClassDef] = [
        tree(path),
        *(node for node in tree(path).body if isinstance(node, ast.ClassDef) and not node.bases),
    ]
    for node in (node for scope in scopes for node in scope.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_a_test_is_one_sentence(path: Path) -> None:
    """Every test says in one sentence what holds."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            told = ast.get_docstring(node) or ""
            assert re.fullmatch(r"[^\n]+\.", told), f"{node.name}: {told!r}"


def test_every_stage_is_a_file_with_tests() -> None:
    """Each stage is one file of tasks/, and has its test file."""
    for name in STAGES:
        assert (ROOT / "tasks" / f"{name}.py").is_file(), name
        assert (ROOT / "tests" / "tasks" / f"test_{name}.py").is_file(), name


def test_imports_are_declared() -> None:
    """Whatever the product and its tests import is a dependency that pyproject.toml names."""
    declared = {canonicalize_name(requirement.name) for requirement in requirements()}
    undeclared = set()
    # sklearn: digits/make.py declares it itself.
    known = {*sys.stdlib_module_names, *FLOORS, "benchmarks", "tests", "sklearn"}
    distributions = packages_distributions()
    for path in [*PRODUCT, *BENCHMARKS, *TESTS]:
        for name in set(imports(path)) - known:
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            undeclared |= set() if owners & declared else {f"{relative(path)}: {name}"}
    assert not undeclared


def test_a_cached_run_loads_no_heavy_library() -> None:
    """Importing the whole pipeline, as a run in which all is cached does, loads neither TensorFlow nor pandas."""
    script = "import sys, flows.pipeline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tasks.train" in loaded
    assert not loaded & HEAVY


def test_the_lock_is_hashed_and_without_addresses() -> None:
    """Each pin of the lock has a SHA-256, and the lock names no index, address or path."""
    pins = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(pins) > 100
    assert all(re.match(r"[a-z0-9.-]+==\S+( ; .+)? \\\n    --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    assert not re.search(r"://|^\s*-[a-z]|^\s*--(?!hash=)", LOCK, flags=re.MULTILINE)


def test_the_lock_is_up_to_date() -> None:
    """Everything that pyproject.toml asks for is pinned within its bounds; if not, `make lock` was forgotten."""
    for requirement in requirements():
        pins = re.findall(rf"^{re.escape(canonicalize_name(requirement.name))}==(\S+)", LOCK, flags=re.MULTILINE)
        assert pins, f"{requirement} is not in the lock"
        assert all(requirement.specifier.contains(pin) for pin in pins), f"{requirement}, locked {pins}"


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """A built wheel holds every file of the floors: code, catalog, bundled data, templates."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    files = {relative(path) for floor in FLOORS for path in (ROOT / floor).rglob("*") if path.is_file()}
    missing = {name for name in files if "__pycache__" not in name} - packed
    assert not missing
