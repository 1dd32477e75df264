"""The house: what holds for every file, whatever it does. (The floors' import contract is import-linter's.)"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

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
HEAVY = {"tensorflow", "keras", "pandas", "pandera", "pyarrow", "matplotlib", "scipy"}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
NAMELESS = {"utils", "util", "helpers", "common", "misc"}
DOCUMENTED = {"_replace", "_asdict", "_fields", "_exit", "_thread", "_Hash"}
"""Names with an underscore that the standard library documents, and one that only typeshed knows."""
PRIVATE = {
    "artifacts/engine/threads.py": (
        {"_executor"},
        "tests/flows/test_failing.py::test_a_broken_test_split_ends_the_run_at_once",
    ),
    "artifacts/remote/loop.py": (
        {"_current_frames"},
        "tests/artifacts/remote/test_loop.py::"
        "test_the_end_of_a_process_waits_for_calls_of_threads_that_are_not_pythons",
    ),
    "idxflow/cli/ending.py": (
        {"_run_exitfuncs"},
        "tests/idxflow/test_cli.py::test_a_failed_command_waits_for_no_thread",
    ),
    "idxflow/deploying/runner.py": (
        {"_client", "_state_proposer"},
        "tests/idxflow/deploying/test_runs.py::test_who_takes_a_run_puts_its_name_on_it",
    ),
    "tests/benchmarks/test_walk.py": (
        {"_max_workers"},
        "tests/benchmarks/test_walk.py::test_as_many_stages_run_at_once_as_in_a_flow",
    ),
    "tests/idxflow/deploying/test_runs.py": (
        {"_propose_pending_state"},
        "tests/idxflow/deploying/test_runs.py::test_who_takes_a_run_puts_its_name_on_it",
    ),
}
"""Private names of libraries that are used: where, which, and the test that notices when a new version has none."""


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


def broken_rules(path: Path) -> Iterator[str]:
    """Yield what a product file does that the house does not: assert, print below the top floor, unpickle and so on."""
    nodes, imported = list(ast.walk(tree(path))), set(imports(path))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if any(isinstance(node, ast.Assert) for node in nodes):
        yield "asserts"
    if "print" in called and not relative(path).startswith("idxflow/"):
        yield "prints"
    yield from (f"imports {name}" for name in sorted(imported & PICKLES))
    yield from (f"is called {name}" for name in {*path.parent.relative_to(ROOT).parts, path.stem} & NAMELESS)
    if "tests" in imported:
        yield "imports tests"


def undocumented(path: Path) -> Iterator[str]:
    """Yield what is public in a file and has no docstring; a method of a class with bases may be an override."""
    scopes: list[ast.Module | ast.ClassDef] = [
        tree(path),
        *(node for node in tree(path).body if isinstance(node, ast.ClassDef) and not node.bases),
    ]
    documentable = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in (tree(path), *(node for scope in scopes for node in scope.body)):
        name = getattr(node, "name", "the module")
        if isinstance(node, documentable) and not name.startswith("_") and not ast.get_docstring(node):
            yield f"{name} has no docstring"


def foreign_private(path: Path) -> set[str]:
    """Return the private names that a file takes from libraries: no module of ours that it may look into gives them."""
    nodes = list(ast.walk(tree(path)))
    parts = {
        part
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for part in f"{getattr(node, 'module', '')}.{alias.name}".split(".")
    }
    taken = parts | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    private = {name for name in taken if re.match("_[^_]", name)} | parts & {"src", "python"}  # as in keras.src
    ours = {path} | (set(PRODUCT) if path in TESTS else set())
    return private - DOCUMENTED - {name for each in ours for name in defined(each)}


@cache
def defined(path: Path) -> frozenset[str]:
    """Return the names that a file gives to functions, classes, variables and attributes; a swap of one is no gift."""
    names, swapped = set[str](), set[int]()
    for node in ast.walk(tree(path)):
        match node:
            case ast.Assign():
                read = {each.attr for each in ast.walk(node.value) if isinstance(each, ast.Attribute)}
                stored = (each for target in node.targets for each in ast.walk(target))
                swapped |= {id(each) for each in stored if isinstance(each, ast.Attribute) and each.attr in read}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) if id(node) not in swapped:
                names.add(name)
    return frozenset(names)


def offenders(files: list[Path], found: Callable[[Path], Iterable[str]]) -> list[str]:
    """Return what is found in files, a line each."""
    return [f"{relative(path)}: {what}" for path in files for what in found(path)]


def test_product_files_keep_the_house_rules() -> None:
    """A product file asserts nothing, prints on the top floor only, unpickles nothing, and its name says what."""
    assert not offenders(PRODUCT, broken_rules)


def test_what_is_public_is_documented() -> None:
    """Every module, public class and function has a docstring, and every public method that is not an override."""
    assert not offenders([*PRODUCT, *BENCHMARKS], undocumented)


def test_a_test_is_one_sentence() -> None:
    """Every test says in one sentence what holds."""

    def silent(path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                told = ast.get_docstring(node) or ""
                yield from () if re.fullmatch(r"[^\n]+\.", told) else [f"{node.name}: {told!r}"]

    assert not offenders(TESTS, silent)


def test_private_interfaces_of_libraries_stand_in_one_list() -> None:
    """What is used of a library's inside is listed, with a test that fails when it goes."""
    found = {relative(path): names for path in [*PRODUCT, *BENCHMARKS, *TESTS] if (names := foreign_private(path))}
    assert found == {path: names for path, (names, _) in PRIVATE.items()}
    for _, test in PRIVATE.values():
        path, _, name = test.partition("::")
        assert name in defined(ROOT / path), test


def test_every_stage_is_one_file() -> None:
    """Each stage has its file in tasks/."""
    assert not [name for name in STAGES if not (ROOT / "tasks" / f"{name}.py").is_file()]


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
