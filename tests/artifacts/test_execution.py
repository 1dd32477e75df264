"""Executions: plain data that does the same in another process, and returns plain data."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from artifacts.current import CURRENT
from artifacts.engine.execution import Done, Execution
from artifacts.engine.stopping import Stopped
from artifacts.engine.task import make_task
from artifacts.ref import Ref
from artifacts.stage import stage
from artifacts.store.store import Store
from flows.choose import find_dataset
from flows.dag import GRAPH, dag
from schemas.errors import ArtifactDamaged
from schemas.events import Event, StageChanged, listening
from schemas.parameters import Summary
from schemas.verdict import Terms
from tasks.promote import promote
from tests.artifacts.building import build, flip_unseen
from tests.flows.packed_sets import TRAINING, make_folder
from tests.flows.walking import RUN, Walk, walk
from tests.processes import PROJECT

ELSEWHERE = """
import cloudpickle, pickle, sys
execution = cloudpickle.loads(sys.stdin.buffer.read())
sys.stdout.buffer.write(pickle.dumps(execution()))
"""
"""What another process does with an execution: it has nothing but the code and the pickled bytes."""


@stage("validate")
def together(parts: tuple[Ref, ...], out: Path) -> Summary:
    """Join files."""
    (out / "all").write_bytes(b"".join(part.file("a").read_bytes() for part in parts))
    return Summary()


@stage("validate", outside_key=("half",))
def helped(part: Ref, out: Path, half: Ref | None = None) -> Summary:
    """Copy a file, or what somebody has copied of it."""
    (out / "all").write_bytes((half or part).file("a").read_bytes())
    return Summary()


def elsewhere(execution: Execution) -> Done:
    """Run an execution in a fresh interpreter."""
    program = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(program, input=cloudpickle.dumps(execution), cwd=PROJECT, capture_output=True, check=True)
    loaded = pickle.loads(done.stdout)
    assert isinstance(loaded, Done)
    return loaded


def test_a_tuple_of_artifacts_is_bound_and_checked(tmp_path: Path) -> None:
    """Artifacts in a tuple are hashed before they are read, as those in a list are."""
    store = Store(tmp_path)
    parts = tuple(build(store, {"a": b"%d" % salt}, salt=salt) for salt in range(2))
    done = Execution(store, RUN, RUN, together, {"parts": parts})()
    assert done.ref.at(store.folder("validate", done.ref.version)).file().read_bytes() == b"01"
    path = store.folder("parse", parts[0].version) / "a"
    path.chmod(0o644)
    path.write_bytes(b"9")
    with pytest.raises(Exception, match="a damaged or missing artifact"):
        Execution(store, RUN, RUN, together, {"parts": parts}, rebuild="asked for")()


def test_what_only_saves_time_is_an_input_in_all_but_the_key(tmp_path: Path) -> None:
    """It is bound and hashed before it is read; key and manifest are those without it; a refresh does not get it."""
    store = Store(tmp_path)
    part, half = build(store, {"a": b"1"}), build(store, {"a": b"half"}, salt=1)
    plain = Execution(store, RUN, RUN, helped, {"part": part, "half": None})
    given = Execution(store, RUN, RUN, helped, {"part": part, "half": half})
    assert helped.parts(plain.arguments) == helped.parts(given.arguments) == helped.parts({"part": part})
    done = given()
    file = store.folder("validate", done.ref.version) / "all"
    assert file.read_bytes() == b"half"
    assert plain().row.cached
    manifest = store.manifest("validate", done.ref.version)
    assert manifest
    assert [each.argument for each in manifest.inputs] == ["part"]
    replace(given, rebuild="asked for")()
    assert file.read_bytes() == b"1"
    flip_unseen(store.folder("parse", half.version) / "a")
    assert given().row.cached
    replace(given, rebuild="asked for")()
    with pytest.raises(ArtifactDamaged, match=f"parse train {half.version}"):
        replace(given, rebuild="damaged")()
    assert not store.folder("parse", half.version).exists()


@pytest.mark.parametrize("argument", ["part", "none"])
def test_what_only_saves_time_can_be_left_out(argument: str) -> None:
    """A stage that could not do without an argument outside of its key is refused where it is defined."""
    with pytest.raises(ValueError, match=f"expected an argument {argument} that is None by default"):
        stage("validate", outside_key=(argument,))(helped.function)


def test_who_waited_for_nothing_computes_nothing(tmp_path: Path) -> None:
    """Who gets the lock when nobody wants the artifact any more leaves none; what is there is taken all the same."""
    store = Store(tmp_path)
    execution = Execution(store, RUN, RUN, together, {"parts": (build(store, {"a": b"1"}),)})

    def unwanted() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        execution(unwanted)
    assert not store.folder("validate", together.parts(execution.arguments).version).exists()
    execution()
    assert execution(unwanted).row.cached


SHORT = """from pathlib import Path
from artifacts.stage import stage
from schemas.parameters import Summary

@stage()
def short(edit: str, out: Path) -> Summary:
    if edit:
        Path(edit).write_text("VALUE = 3\\n")
    from tasks.late import VALUE
    (out / "value.txt").write_text(str(VALUE))
    return Summary(content={"value.txt": str(VALUE) * 64})
"""
EDITS = """import sys
from pathlib import Path
from artifacts.engine.execution import Execution
from artifacts.store.store import Store
from schemas.errors import StageError
from tasks.short import short

folder, late = Path(sys.argv[1]), Path(sys.argv[1]) / "tasks" / "late.py"
store = Store(folder / "home")
if sys.argv[2] == "0":
    late.write_text("VALUE = 2\\n")
try:
    Execution(store, "0" * 12, "", short, {"edit": str(late) if sys.argv[2] == "1" else ""})()
except StageError as error:
    print(error)
assert not list(store.manifests())
"""


@pytest.mark.parametrize("while_it_runs", [False, True])
def test_code_that_is_edited_meanwhile_is_not_filed_under_the_old(tmp_path: Path, *, while_it_runs: bool) -> None:
    """What a process imported stays what it runs; what it would import late is looked at, and the run stopped."""
    program = tmp_path / "program.py"
    (tmp_path / "tasks").mkdir()
    (tmp_path / "schemas").mkdir()
    for folder in ("tasks", "schemas"):
        for path in (PROJECT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                target = tmp_path / path.relative_to(PROJECT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    (tmp_path / "tasks" / "late.py").write_text("VALUE = 1\n")
    (tmp_path / "tasks" / "short.py").write_text(SHORT)
    program.write_text(EDITS)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}"}
    command = [sys.executable, str(program), str(tmp_path), str(int(while_it_runs))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "short: expected the code that this process began with, found tasks/late.py: edited since." in done.stdout


@pytest.mark.parametrize("name", ["Class", "1st", "a-b", "", "a" * 33])
def test_a_stage_is_named_by_a_word(name: str) -> None:
    """A name that no folder of the store may have is refused where the stage is defined."""

    def work(out: Path) -> Summary:
        return Summary(content={})

    work.__name__ = "work"
    with pytest.raises(ValueError, match="expected small letters, digits and underscores"):
        stage(name or "?")(work)
    assert stage("class_balance2")(work).stage == "class_balance2"


def test_the_graph_is_known_wherever_one_stands(tmp_path: Path) -> None:
    """The stages can be listed in a working folder that has been deleted."""
    program = "import os, sys; folder = sys.argv[1]; os.mkdir(folder); os.chdir(folder); os.rmdir(folder); "
    program += "from flows.dag import STAGES; print(len(STAGES))"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", program, str(tmp_path / "gone")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "9\n", done.stderr


def test_a_task_can_be_pickled(tmp_path: Path) -> None:
    """The Prefect task of every stage is bytes that another process can read."""
    for each in GRAPH.values():
        task = make_task(each, Store(tmp_path), RUN, RUN, None)
        assert cloudpickle.loads(cloudpickle.dumps(task)).name == each.stage


def walk_all(store: Store, pictures: Path) -> None:
    """Call every stage: those of IDX files, and those of a folder of pictures whose model is judged."""
    walk(store, RUN)
    token = CURRENT.set(Walk(store, RUN))
    try:
        data = find_dataset(store, str(pictures), ())
        dag(data, TRAINING, judge=lambda _, scores, test: promote(scores, test, Terms()))
    finally:
        CURRENT.reset(token)


@pytest.mark.slow
def test_every_stage_runs_in_a_fresh_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage of the graph, pickled to another process, leaves there the artifact that it leaves here."""
    here: list[Event] = []
    ran: list[Done] = []

    def perform(_: Walk, execution: Execution) -> Done:
        ran.append(elsewhere(execution))
        return ran[-1]

    pictures = make_folder(tmp_path / "leaves")
    monkeypatch.setattr(Walk, "perform", perform)
    with listening(here.append):
        walk_all(Store(tmp_path / "one"), pictures)
    assert {done.row.stage for done in ran if not done.row.cached} == set(GRAPH)
    assert not [event for event in here if isinstance(event, StageChanged)]  # nothing was computed in this process
    monkeypatch.undo()
    walk_all(Store(tmp_path / "two"), pictures)
    assert {done.ref.digest for done in ran} == {manifest.digest for manifest in Store(tmp_path / "two").manifests()}
