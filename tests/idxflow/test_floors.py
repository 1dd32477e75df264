"""A folder with modules of somebody's own that are called as our floors are."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.floors import FLOORS
from tests.processes import PROJECT, bare_environment, run_python


@pytest.mark.parametrize("name", [f"{FLOORS[0]}/__init__.py", *(f"{floor}.py" for floor in FLOORS)])
def test_a_module_of_that_name_is_refused_with_its_path(name: str, desk: Path) -> None:
    """`python -m idxflow` ends with exit code 2 and one line, `import idxflow` with an ImportError of those words."""
    (desk / name).parent.mkdir(exist_ok=True)
    (desk / name).touch()
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    floor = name.removesuffix(".py").removesuffix("/__init__")
    said = f"package {floor}: expected that of idxflow, found {desk / name}. Rename it, or start in another folder: "
    output, errors = run_python("-m", "idxflow", "--version", cwd=desk, environment=environment, code=WRONG_USAGE)
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(f"ERROR {said}")
    for program in ("import idxflow", "from idxflow.api import open_store", f"import {floor}, idxflow"):
        _, errors = run_python("-c", program, cwd=desk, environment=environment, code=1)
        assert errors.splitlines()[-1].startswith(f"ImportError: {said}")


@pytest.mark.parametrize("name", ["tasks", "tasks/notes.txt", "idx.py"])
def test_what_shadows_nothing_is_let_be(name: str, desk: Path) -> None:
    """A folder without code and a module of another name stand in nobody's way."""
    (desk / name).parent.mkdir(exist_ok=True)
    (desk / name).touch() if "." in name else (desk / name).mkdir()
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    run_python("-m", "idxflow", "--version", cwd=desk, environment=environment, code=DONE)
    run_python("-c", "import idxflow; idxflow.open_store", cwd=desk, environment=environment)


@pytest.mark.parametrize("floor", [*FLOORS, "idxflow"])
def test_each_floor_says_that_it_is_typed(floor: str) -> None:
    """Type checkers of other projects read our annotations; the test of the wheel sees that the mark is packed."""
    assert (PROJECT / floor / "py.typed").is_file()
