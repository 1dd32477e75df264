"""What a run imports ahead, and that it does so beside its other work: over real stores, in processes of their own."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from threading import Event

import pytest

from artifacts.store.store import Store
from flows import ahead
from flows.ahead import import_ahead, imports_of
from flows.dag import GRAPH, STAGES
from flows.job import Job
from flows.plan import plan_pipeline
from schemas.catalog import load_dataset
from tests.faults.mirror import Exchange, Mirror, good
from tests.flows.test_pipeline import Command
from tests.flows.walking import TRAINING, digits_home
from tests.processes import PROJECT, run_python, served_environment
from tests.test_house import HEAVY

JOB = Job(dataset="digits", training=TRAINING)
IMPORTS = list(dict.fromkeys(stage.imports for name, stage in GRAPH.items() if stage.imports and name in STAGES))
LOADED = """
import sys
from pathlib import Path
from flows.ahead import import_ahead
from flows.job import Job
from schemas.training import Training
job = Job(dataset="digits", training=Training(epochs=2), refresh=tuple(sys.argv[2:]))
import_ahead(Path(sys.argv[1]), job).join()
print(*sys.modules)
"""


FLOW = """
import sys
from flows.pipeline import pipeline
from schemas.training import Training
record = pipeline("digits", Training(epochs=2), tuple(sys.argv[1:]))
print(sum(stage.cached for stage in record.stages), len(record.stages), *sys.modules)
"""
"""The flow as a worker runs it: in a process of its own, without the command line."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of a run over the digits; to be read only."""
    return digits_home(tmp_path_factory.getbasetemp())


def planned(home: Path, *refresh: str) -> list[str]:
    """Name what a run over the digits would import ahead."""
    return list(imports_of(plan_pipeline(Store(home, create=False), JOB.model_copy(update={"refresh": refresh}))))


def loaded(home: Path, *refresh: str) -> set[str]:
    """Import ahead in a process of its own. Returns: the names of its modules."""
    output, _ = run_python("-c", LOADED, str(home), *refresh, cwd=PROJECT, environment=os.environ)
    return set(output.split())


def test_each_import_is_one_that_its_stage_can_make() -> None:
    """What a stage names as its heaviest import is there."""
    for module in IMPORTS:
        assert importlib.import_module(module)


def test_a_first_run_imports_all_of_it_once(tmp_path: Path) -> None:
    """Where nothing is stored every stage will run, so everything is imported, in the order of the graph."""
    assert planned(tmp_path) == IMPORTS
    assert not list(tmp_path.iterdir())


def test_a_cached_run_imports_nothing(kept: Path) -> None:
    """Where everything is stored no heavy library is imported ahead; where one stage is rebuilt, its own are."""
    assert planned(kept) == []
    assert not loaded(kept) & HEAVY
    assert "tensorflow" in loaded(kept, "train")


def test_what_only_may_run_imports_nothing(kept: Path) -> None:
    """A stage that depends on what another finds is not certain to run: TensorFlow waits until it is."""
    assert planned(kept, "parse") == ["pyarrow.parquet"]


def test_a_failure_is_left_to_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A library that cannot be imported is told in the log and ends nothing; the stage will meet it again."""
    monkeypatch.setattr(GRAPH["train"], "imports", "tasks.no_such_module")
    with caplog.at_level(logging.INFO, "idxflow"):
        import_ahead(tmp_path, JOB).join()
    assert [record.getMessage() for record in caplog.records] == [
        "Not imported ahead: ModuleNotFoundError: No module named 'tasks.no_such_module'"
    ]


def test_a_run_without_a_data_set_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That the digits stand in for MNIST is told by the run alone."""
    monkeypatch.setattr(ahead, "imports_of", lambda _: ())
    import_ahead(tmp_path, Job(training=TRAINING, mirrors=(tmp_path.as_uri(),))).join()
    assert not caplog.records


def test_a_flow_takes_what_was_begun_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line has begun for a job is not begun again by its flow; another job begins its own."""
    begun = list[str | None]()
    monkeypatch.setattr(ahead, "find_dataset", lambda _store, dataset, *_: begun.append(dataset))
    for _ in range(2):
        import_ahead(tmp_path / ".", JOB).join()
    assert begun == ["digits"]
    import_ahead(tmp_path, Job(training=TRAINING)).join()
    assert begun == ["digits", None]


def test_a_cached_flow_imports_nothing(prefect_server: None, tmp_path: Path, kept: Path) -> None:
    """A worker's run over a store that has everything loads no heavy library, and takes all from there."""
    shutil.copytree(kept, home := tmp_path / "home")
    output, _ = run_python("-c", FLOW, cwd=PROJECT, environment=served_environment(IDXFLOW_HOME=str(home)))
    cached, stages, *modules = output.split()
    assert cached == stages
    assert not set(modules) & HEAVY


@pytest.mark.slow
@pytest.mark.parametrize("deployed", [False, True])
def test_tensorflow_is_imported_while_the_data_comes(prefect_server: None, tmp_path: Path, *, deployed: bool) -> None:
    """Over a mirror that sends nothing before TensorFlow is there a first run completes, by command and by worker."""
    there, sent = Event(), []

    def once_there(exchange: Exchange) -> None:
        if there.wait(15):  # who asks gives up after 20 s, and asks again
            sent.append(exchange)
            good(exchange)

    folder = PROJECT / "schemas" / "catalog" / "digits"
    files = {file.name: (folder / file.name).read_bytes() for file in load_dataset("digits").files}
    with Mirror(files, faults=repeat(once_there)) as mirror:
        options = ("run", "--dataset", "digits", "--set", "training.epochs=2", "--mirror", mirror.url)
        program = ("-c", FLOW, mirror.url) if deployed else ("-m", "idxflow", *options)
        with subprocess.Popen(
            [sys.executable, *program],
            cwd=tmp_path,
            env=Command(tmp_path / "home", PROJECT).environment | {"PYTHONPROFILEIMPORTTIME": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr
            for line in process.stderr:
                if line.rpartition("|")[2].strip() == "keras":  # the last that the backend imports
                    there.set()
    assert process.returncode == 0
    assert len(sent) == len(files)
