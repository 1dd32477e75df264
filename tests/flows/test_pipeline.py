"""The whole pipeline, as a user runs it: the command in a process of its own, on a real Prefect server."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from flows.dag import STAGES
from flows.run_record import RunRecord
from schemas.results import Metrics
from tests.conftest import MNIST_FILES
from tests.faults.mirror import Fault, Mirror, cut, flip, html, shorten, stall
from tests.processes import PROJECT, ending, open_python, served_environment, until

FLOORS = ("idxflow", "flows", "tasks", "artifacts", "schemas")
QUICK = ("--dataset", "digits", "--set", "training.epochs=3")


class Command:
    """The `idxflow` command over one home folder, from one copy of the source."""

    def __init__(self, home: Path, source: Path) -> None:
        self.home, self.source = home, source
        self.environment = served_environment(
            IDXFLOW_HOME=str(home), PYTHONPATH=str(source), PYTHONPROFILEIMPORTTIME=""
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command."""
        command = ("-m", "idxflow", "run", "--json", *arguments)
        return open_python(*command, cwd=self.home.parent, environment=self.environment | environment)

    def run(self, *arguments: str, **environment: str) -> tuple[RunRecord, str]:
        """Run the command to its end. Returns: its record and what it said beside it."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors
        return RunRecord.model_validate_json(output), errors


@pytest.fixture
def command(prefect_server: None, tmp_path: Path) -> Command:
    """The command as it is in this tree."""
    return Command(tmp_path / "home", PROJECT)


@pytest.fixture
def edited(prefect_server: None, tmp_path: Path) -> Command:
    """The command from a copy of the source that a test may edit."""
    for floor in FLOORS:
        shutil.copytree(PROJECT / floor, tmp_path / "source" / floor, ignore=shutil.ignore_patterns("__pycache__"))
    return Command(tmp_path / "home", tmp_path / "source")


def computed(record: RunRecord) -> list[str]:
    """Name the stages that were not cached, each once, in order."""
    return sorted({stage.stage for stage in record.stages if not stage.cached}, key=STAGES.index)


def test_digits_run_through_every_stage_once(command: Command) -> None:
    """The bundled set goes from .gz to report; the second run computes nothing and never loads TensorFlow."""
    first, _ = command.run("--dataset", "digits")
    assert computed(first) == list(STAGES)
    assert first.state == "completed"
    assert first.metrics["train"].accuracy > 0.9
    assert first.metrics["test"].accuracy > 0.8
    for path in (first.report, first.model):
        assert path is not None
        assert Path(path).is_file()
    scores = next(stage for stage in first.stages if stage.stage == "evaluate")
    metrics = Metrics.model_validate_json((Path(scores.path) / "metrics.json").read_bytes())
    assert (metrics.train.samples, metrics.test.samples) == (1500, 297)
    assert_inputs_are_named_by_content(first)

    second, said = command.run("--dataset", "digits", PYTHONPROFILEIMPORTTIME="1")
    assert computed(second) == []
    assert second.metrics == first.metrics
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.splitlines() if "|" in line}
    assert "prefect" in imported
    assert not imported & {"tensorflow", "keras", "pandas", "pandera", "matplotlib"}


def assert_inputs_are_named_by_content(record: RunRecord) -> None:
    """Each artifact's manifest names its inputs by content, down to the published checksums."""
    manifests = [json.loads((Path(stage.path) / "manifest.json").read_bytes()) for stage in record.stages]
    digests = {(manifest["stage"], manifest["version"]): manifest["digest"] for manifest in manifests}
    for manifest in manifests:
        for each in manifest["inputs"]:
            assert digests[each["stage"], each["version"]] == each["digest"]
    archive = next(m for m in manifests if m["stage"] == "download")
    assert archive["files"][archive["name"]]["sha256"] == archive["parts"]["parameters"]["file"]["sha256"]


def replace(command: Command, file: str, old: str, new: str) -> None:
    """Edit a file of the copied source."""
    path = command.source / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file}: {old!r} stands there {text.count(old)} times"
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_edits_recompute_what_they_touch(edited: Command) -> None:
    """Comments and layout recompute nothing; code recomputes its stage, and what follows if its content changed."""
    edited.run(*QUICK)

    for path in edited.source.rglob("*.py"):
        path.write_text(f"# A comment.\n{path.read_text()}\n\n# Another one.\n")
    reformatted = edited.source / "tasks/parse.py"
    reformatted.write_text(ast.unparse(ast.parse(reformatted.read_text())))
    assert computed(edited.run(*QUICK)[0]) == []

    # Another order of the same sum: normalize runs again, finds the same content, and training stays cached.
    replace(edited, "tasks/normalize.py", "self.samples + other.samples", "other.samples + self.samples")
    assert computed(edited.run(*QUICK)[0]) == ["normalize"]

    # Other first weights, from a function that train calls in another file.
    replace(edited, "tasks/fitting/network.py", "GlorotUniform(seed=seed)", "GlorotUniform(seed=seed + 1)")
    assert computed(edited.run(*QUICK)[0]) == ["train", "evaluate", "report"]


@pytest.mark.slow
def test_a_kill_during_training_costs_the_training_alone(command: Command) -> None:
    """After kill -9 while the model trains, the next run has all before it cached and ends well."""
    with ending(command.start("--dataset", "digits", "--set", "training.epochs=10000")):
        until(lambda: list(command.home.glob("artifacts/train/.staging*")), 120)
        time.sleep(2)
    assert list(command.home.glob("artifacts/train/.staging*"))
    record, _ = command.run(*QUICK)
    assert computed(record) == ["train", "evaluate", "report"]


@pytest.mark.slow
def test_a_flipped_byte_of_the_table_is_rebuilt(command: Command) -> None:
    """One flipped byte in a stored table is said, quarantined and rebuilt; what follows stays cached."""
    record, _ = command.run(*QUICK)
    table = Path(next(stage.path for stage in record.stages if stage.stage == "parse")) / "table.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.chmod(0o644)
    table.write_bytes(bytes(content))
    again, said = command.run(*QUICK)
    assert computed(again) == ["parse"]
    assert "table.parquet: expected SHA-256" in said
    assert list(command.home.glob("quarantine/parse/*/*/table.parquet"))


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mnist_reaches_the_tutorials_figures(command: Command, mnist_files: Path, seed: int) -> None:
    """The tutorial's network on the genuine files scores at least 98.5 % on train and 95.9 % on test."""
    arguments = ("--dataset", "mnist", "--mirror", mnist_files.as_uri(), "--set", f"training.seed={seed}")
    record, _ = command.run(*arguments)
    assert record.metrics["train"].accuracy >= 0.985
    assert record.metrics["test"].accuracy >= 0.959


@pytest.mark.slow
def test_the_same_configuration_gives_the_same_bits(command: Command, tmp_path: Path) -> None:
    """Two homes, two processes, one configuration: the models' content is equal to the bit."""

    def digest(home: Path) -> Any:
        command.environment["IDXFLOW_HOME"] = str(home)
        record, _ = command.run(*QUICK)
        path = next(stage.path for stage in record.stages if stage.stage == "train")
        return json.loads((Path(path) / "manifest.json").read_bytes())["digest"]

    assert digest(tmp_path / "one") == digest(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (html, "an HTML page (812 bytes)"),
        (stall(1000), "nothing for 20 s"),
        (cut(1000), "an answer cut after 1000 bytes"),
        (shorten(100), "{short} bytes"),
        (flip, "SHA-256"),
    ],
    ids=["html", "stalls", "cuts", "truncates", "flips a bit"],
)
def test_the_next_mirror_makes_up_for_it(command: Command, mnist_files: Path, fault: Fault, said: str) -> None:
    """The run completes from the second mirror, and the record names which file failed where, and how."""
    files = {name: (mnist_files / name).read_bytes() for name in MNIST_FILES}
    with Mirror(files, faults=repeat(fault)) as bad, Mirror(files) as good:
        record, shown = command.run(
            *("--dataset", "mnist", "--set", "training.epochs=1"), *("--mirror", bad.url, "--mirror", good.url)
        )
    assert record.state == "completed"
    assert "train" in computed(record)
    for name in MNIST_FILES:
        warning = next(warning for warning in record.warnings if warning.startswith(f"{name}: "))
        assert said.format(short=len(files[name]) - 100) in warning
        assert bad.url.rstrip("/") in warning
        assert good.url.rstrip("/") in warning
        assert warning.split(";")[0] in shown
