"""Digests of the code that a stage runs."""

from __future__ import annotations

import ast
import gc
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts import code
from artifacts.code import code_digests
from artifacts.store.scans import ScanIndex
from tests.artifacts.together import at_once
from tests.processes import PROJECT

STAGE = '''"""The stage."""
from __future__ import annotations
from typing import TYPE_CHECKING
import numpy
from schemas.shapes import area
if TYPE_CHECKING:
    from tasks import unrelated

def work(x):
    """Work."""
    from tasks.helper import double  # late
    return double(area(x)) + 1
'''
HELPER = "from . import constants\n\ndef double(x):\n    return constants.TWO * x\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a stage, a helper, constants, a schema and an unrelated module."""
    for name, text in {
        "tasks/__init__.py": "",
        "tasks/work.py": STAGE,
        "tasks/helper.py": HELPER,
        "tasks/constants.py": "TWO = 2\n",
        "tasks/unrelated.py": "X = 1\n",
        "schemas/__init__.py": "",
        "schemas/shapes.py": "def area(x):\n    return x * x\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in code.ROOTS}
    _forget()
    yield tmp_path
    sys.modules.update(kept)
    _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    code._source.cache_clear()
    code._SOURCES.clear()
    code.SCANNED.clear()
    code._data.cache_clear()
    code._SEEN.clear()


def digests(
    tree: Path, file: str = "", old: str = "", new: str = "", scans: code.Scans | None = None
) -> dict[str, str]:
    """Digest the stage after replacing some text of a file."""
    if file:
        text = (tree / file).read_text()
        assert old in text
        (tree / file).write_text(text.replace(old, new))
    _forget()
    return code_digests("tasks.work", scans)


def test_what_a_stage_imports_is_found_transitively(tree: Path) -> None:
    """Own module, packages, late and relative imports are in; third parties and type checking are not."""
    assert list(digests(tree)) == [
        "schemas/__init__.py",
        "schemas/shapes.py",
        "tasks/__init__.py",
        "tasks/constants.py",
        "tasks/helper.py",
        "tasks/work.py",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tasks/work.py", "  # late", "  # a helper"),
        ("tasks/work.py", '"""Work."""', '"""Work, in other words."""'),
        ("tasks/work.py", '    """Work."""\n', ""),
        ("tasks/work.py", "double(area(x)) + 1", "(\n        double( area(x) )\n        + 1\n    )"),
        ("tasks/helper.py", "def double", "\n\n\ndef double"),
        ("tasks/unrelated.py", "1", "2"),
    ],
)
def test_comments_docstrings_and_formatting_make_no_difference(tree: Path, file: str, old: str, new: str) -> None:
    """An edit that changes nothing that runs, or nothing that this stage runs, changes no digest."""
    before = digests(tree)
    assert digests(tree, file, old, new) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tasks/work.py", "+ 1", "+ 1.0"),
        ("tasks/work.py", "+ 1", "+ True"),
        ("tasks/helper.py", "constants.TWO * x", "x * constants.TWO"),
        ("tasks/constants.py", "2", "3"),
        ("schemas/shapes.py", "x * x", "x ** 2"),
    ],
)
def test_an_edit_changes_the_digest_of_its_file_only(tree: Path, file: str, old: str, new: str) -> None:
    """A change of what runs is seen in any file that the stage imports, and names that file."""
    before, after = digests(tree), digests(tree, file, old, new)
    assert {name for name in before if before[name] != after[name]} == {file}


def test_only_what_is_for_type_checkers_is_left_out(tree: Path) -> None:
    """What runs because nobody checks types is code, and so is what it imports."""
    before = digests(tree)
    after = digests(tree, "tasks/work.py", "if TYPE_CHECKING:", "if not TYPE_CHECKING:")
    assert after["tasks/work.py"] != before["tasks/work.py"]
    assert after.keys() - before.keys() == {"tasks/unrelated.py"}


def test_what_is_on_the_disk_now_is_seen_each_time(tree: Path) -> None:
    """A source that looks as it did is not read again; one that was edited is, at the same length and times too."""
    before = code_digests("tasks.work", now=True)
    path = tree / "tasks" / "constants.py"
    time.sleep(0.05)
    assert code_digests("tasks.work", now=True) == before
    times = path.stat()
    path.write_text("TWO = 3\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = code_digests("tasks.work", now=True)
    assert {name for name in before if before[name] != after[name]} == {"tasks/constants.py"}
    (tree / "tasks" / "helper.html").write_text("<p>")
    assert "tasks/helper.html" in code_digests("tasks.work", now=True)


def test_a_source_that_does_not_change_is_read_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks before and after each of a thousand trainings reads nothing again."""
    read, real = list[str](), Path.read_bytes

    def spy(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    time.sleep(0.05)
    code_digests("tasks.work", now=True)
    monkeypatch.setattr(Path, "read_bytes", spy)
    code_digests("tasks.work", now=True)
    assert not read


def test_a_data_file_belongs_to_the_module_of_its_name(tree: Path) -> None:
    """A template beside the module that fills it is part of the code, under its own name."""
    before = digests(tree)
    (tree / "tasks/helper.html").write_text("<p>")
    after = digests(tree)
    assert after.keys() - before.keys() == {"tasks/helper.html"}
    assert digests(tree, "tasks/helper.html", "<p>", "<b>")["tasks/helper.html"] != after["tasks/helper.html"]


@pytest.mark.parametrize("statement", ["x = None", "x = ()", "x = []", "x = 1j", "x: int", "x = ...", "x = b'1'"])
def test_no_two_different_statements_look_alike(statement: str) -> None:
    """Dropping empty fields must not make two programs equal."""
    others = {"x = None", "x = ()", "x = []", "x = 1j", "x: int", "x = ...", "x = b'1'", "x = '1'"} - {statement}
    shape = code._shape(ast.parse(statement), [])
    assert all(shape != code._shape(ast.parse(other), []) for other in others)


@pytest.mark.parametrize("name", ["work.py~", "work.py.orig", "work.py.rej", "work.bak", ".work.py.swp", "work.html~"])
def test_an_editors_copy_is_no_code(tree: Path, name: str) -> None:
    """What editors and merges leave beside a module changes no digest."""
    before = digests(tree)
    (tree / "tasks" / name).write_text("x")
    assert digests(tree) == before


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Where what was found in sources is kept."""
    (tmp_path / "home/artifacts").mkdir(parents=True)
    return tmp_path / "home" / "index" / "code.json"


def kept(tree: Path, scans: Path, file: str = "", old: str = "", new: str = "") -> dict[str, str]:
    """Digest the stage as another process would, with what earlier ones kept."""
    index = ScanIndex(scans)
    found = digests(tree, file, old, new, index)
    index.save()
    return found


def test_what_was_found_in_a_source_is_not_looked_for_again(
    tree: Path, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process parses nothing, and one that follows an edit the edited file only."""
    before = kept(tree, scans)
    parsed: list[str] = []
    parse = ast.parse

    def noted(source: bytes, name: str) -> ast.Module:
        parsed.append(name)
        return parse(source, name)

    monkeypatch.setattr(ast, "parse", noted)
    assert kept(tree, scans) == before
    assert parsed == []
    edit = ("tasks/constants.py", "2", "3")
    assert kept(tree, scans, *edit)["tasks/constants.py"] != before["tasks/constants.py"]
    assert parsed == [str(tree / "tasks/constants.py")]
    assert digests(tree) == kept(tree, scans)


@pytest.mark.parametrize("damage", ["", "[]", "{}", "{", "digit", "pipe"])
def test_kept_digests_that_are_damaged_are_found_again(tree: Path, scans: Path, damage: str) -> None:
    """A digest that somebody changed is not believed: the key of each artifact hangs on it."""
    before = kept(tree, scans)
    text = scans.read_text()
    digest = before["tasks/work.py"]
    assert digest in text
    scans.unlink()
    if damage == "pipe":
        os.mkfifo(scans)
    else:
        scans.write_text(text.replace(digest, digest[::-1]) if damage == "digit" else damage)
    assert kept(tree, scans) == before
    assert scans.read_text() == text


def test_the_same_source_under_another_name_is_another_module(tree: Path, scans: Path) -> None:
    """Relative imports lead elsewhere from another package."""
    kept(tree, scans)
    (tree / "tasks/inner").mkdir()
    (tree / "tasks/inner/__init__.py").write_text("")
    (tree / "tasks/inner/helper.py").write_text(HELPER)
    (tree / "tasks/inner/constants.py").write_text("TWO = 3\n")
    edit = ("tasks/work.py", "tasks.helper", "tasks.inner.helper")
    found = kept(tree, scans, *edit)
    assert "tasks/inner/constants.py" in found
    assert found == digests(tree)


def test_where_there_is_no_store_nothing_is_kept(tree: Path, tmp_path: Path) -> None:
    """A folder of somebody else's stays as it is."""
    (tmp_path / "other").mkdir()
    kept(tree, tmp_path / "other" / "index" / "code.json")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_store_is_given_what_was_found_before_it_was_there(tree: Path, scans: Path, tmp_path: Path) -> None:
    """What a plan over no store has found is kept by the store of the run that follows in the same process."""
    first = ScanIndex(tmp_path / "none" / "index" / "code.json")
    digests(tree, scans=first)
    first.save()
    ScanIndex(scans).save()
    assert len(scans.read_text().splitlines()[1]) > 100


def test_threads_may_look_at_once() -> None:
    """CPython 3.11 loses count of two trees that are built at once; one after the other are found alike."""
    sources = [path.read_bytes() for path in sorted((PROJECT / "tasks").glob("*.py"))]

    def look(_: int) -> list[code.Scan]:
        code.SCANNED.clear()
        return [code._scan("tasks.some", Path("some.py"), source, None) for source in sources]

    def count(*_: object) -> None:
        sum(range(50))

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(count)
    gc.set_threshold(20)
    sys.setswitchinterval(1e-6)
    try:
        found = at_once(look)
    finally:
        gc.callbacks.remove(count)
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)
    assert all(each == found[0] for each in found)
