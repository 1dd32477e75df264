"""`idxflow plan`, over the store that the real stages left, and over none."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from artifacts.archive.reasons import Change
from artifacts.engine.plan import Plan, PlannedStage
from artifacts.store.store import Store
from flows import choose
from flows.many import grouped
from idxflow.api import Archive
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from idxflow.views.stages import plan_lines, plan_total, planned_group
from tests.flows.test_choose import offline
from tests.flows.walking import RUN, TRAINING
from tests.idxflow.conftest import assert_refused
from tests.processes import PROJECT, bare_environment, run_python

DIGITS = ["plan", "--dataset", "digits", "--set", f"training.epochs={TRAINING.epochs}"]


@pytest.fixture
def kept(kept: Archive) -> Path:
    """The home folder of a run over the digits; to be read only."""
    return kept.store.home


def planned(stage: str, state: str, name: str = "", **facts: object) -> PlannedStage:
    """Make a stage of a plan."""
    return PlannedStage.model_validate({"stage": stage, "name": name, "state": state, **facts})


def alone(desk: Path, *words: str) -> tuple[str, set[str]]:
    """Run the command in a process of its own. Returns: its output, and what it has imported."""
    program = (
        "import sys; from idxflow.cli.main import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    output, modules = run_python("-c", program, *words, cwd=desk, environment=environment)
    return output, set(modules.split())


def test_after_a_run_every_stage_is_cached_under_its_version(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a stage, in the order of the graph, with the versions of the run; the last one sums it up."""
    assert main([*DIGITS, "--home", str(kept)]) == DONE
    output, errors = capsys.readouterr()
    record = json.loads((kept / "runs" / f"{RUN}.json").read_bytes())
    rows = [f"{row['stage']:10} {row['name']:27} cached    {row['version']}" for row in record["stages"]]
    held_out = "Held out: the last 10 % of the train rows"
    assert output.splitlines() == [*rows, "", held_out, "digits: all 20 stages are cached; a run computes nothing."]
    assert not errors


def test_what_would_run_is_told_with_its_reason(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another seed trains again; what takes the model depends on it, unless it has a reason of its own."""
    assert main([*DIGITS, "--set", "training.seed=9", "--home", str(kept)]) == DONE
    *cached, train, evaluate, report, empty, _, needs, total = capsys.readouterr().out.splitlines()
    assert {line.split()[-2] for line in cached} == {"cached"}
    assert train.split(maxsplit=4)[:3] == ["train", "will", "run"]
    assert train.endswith("  training.seed 123 -> 9")
    assert evaluate.split() == ["evaluate", "depends", "on", "train"]
    assert report == f"report     {'':27} will run  {'':16}  training.seed 123 -> 9"
    assert re.fullmatch(r"Needs about 1\.\d GB of memory and \d\.\d MB of disk\.", needs)
    assert (empty, total) == (
        "",
        "digits: 17 of 20 stages cached, 2 to be computed, 1 dependent on the content of earlier stages.",
    )


def test_the_document_stands_alone(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the plan, every change in parts, and nothing else."""
    assert main([*DIGITS, "--refresh", "report", "--json", "--home", str(kept)]) == DONE
    output, errors = capsys.readouterr()
    plan = Plan.model_validate_json(output)
    assert (plan.dataset, len(plan.stages)) == ("digits", 20)
    assert plan.stages[-1].changes == (Change(kind="refresh", subject="asked for"),)
    assert {row.state for row in plan.stages[:-1]} == {"cached"}
    assert not errors


def test_a_choice_of_data_is_warned_of_beside_the_document(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a data set's name and without MNIST the plan is about the digits, and the warning is no JSON."""
    monkeypatch.setattr(choose, "load_dataset", offline)
    assert main(["plan", "--json"]) == DONE
    output, errors = capsys.readouterr()
    assert Plan.model_validate_json(output).dataset == "digits"
    assert errors.startswith("WARNING NOT MNIST")
    assert main(["plan"]) == DONE
    assert capsys.readouterr().out.startswith("WARNING NOT MNIST")
    assert not list(desk.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dataset", "mnits"], "one of digits, fashion-mnist, kmnist, mnist"),
        (["--refresh", "trian"], "--refresh: expected"),
        (["--set", "training.epochs=0"], "--set training.epochs: expected a whole number at least 1"),
        (["--mirror", "nowhere"], "mirror nowhere: expected an http"),
        (["stray"], "stray"),
    ],
)
def test_wrong_options_are_refused_as_those_of_a_run(
    options: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, exit code 2, nothing made."""
    assert_refused(["plan", *options, "--json"], words, desk, capsys)


def test_over_no_store_everything_is_to_be_made_and_nothing_is(desk: Path) -> None:
    """A plan before the first run makes no folder, and imports neither Prefect nor TensorFlow."""
    output, loaded = alone(desk, "plan", "--dataset", "digits")
    *rows, empty, held_out, needs, total = output.splitlines()
    assert len(rows) == 20
    assert {row.partition(" will run  ")[2][18:] for row in rows} == {"never run"}
    assert (empty, held_out) == ("", "Held out: the last 10 % of the train rows")
    assert needs.startswith("Needs about 1.")
    assert total == "digits: 0 of 20 stages cached, 20 to be computed."
    assert "flows.plan" in loaded
    assert not {"prefect", "tensorflow", "keras", "pandas", "pyarrow", "matplotlib", "requests"} & loaded
    assert not list(desk.iterdir())


def test_a_plan_over_a_store_imports_nothing_heavy_either(kept: Path, desk: Path) -> None:
    """To find everything cached, no library is needed that computes, and no server."""
    output, loaded = alone(desk, *DIGITS, "--home", str(kept))
    assert "all 20 stages are cached" in output
    assert not {"prefect", "tensorflow", "keras", "pandas", "pyarrow", "httpx"} & loaded


@pytest.mark.slow
def test_a_plan_takes_less_than_a_second(kept: Path, desk: Path) -> None:
    """Over a warm store the command ends within 1.0 s, the process included."""
    took = []
    for _ in range(4):  # the first one may have to compile what it imports
        started = time.perf_counter()
        alone(desk, *DIGITS, "--home", str(kept))
        took.append(time.perf_counter() - started)
    assert min(took) < 1.0


def test_damage_is_told_and_left_alone(kept: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is damaged will be rebuilt, and stays where it is; later stages may stay cached."""
    home = Path(shutil.copytree(kept, desk / ".idxflow"))
    table = next(home.glob("artifacts/parse/*/table.parquet"))
    table.chmod(0o644)
    table.write_bytes(table.read_bytes()[:-1])
    assert main(DIGITS) == DONE
    output = capsys.readouterr().out
    assert f"{table.parent.name}  damaged: table.parquet: expected " in output
    assert "1 to be computed" in output
    assert table.exists()
    assert not Store(home, create=False).quarantined.folder.exists()


def test_a_line_names_each_stage_that_is_waited_for_once() -> None:
    """Of several inputs of one stage it is said once that they are waited for."""
    row = planned("parse", "depends", "train", waits_for=("decompress a.gz", "decompress b.gz", "verify a.gz"))
    (line,) = plan_lines(row)
    assert line.plain == f"parse      {'train':27} depends   on decompress, verify"


def test_many_parts_are_one_line_of_a_plan() -> None:
    """The line says how many are cached, and which are not, and why."""
    rows = [planned("parse", "cached", f"train {number}.gz", version="0" * 16) for number in range(99)]
    rows += [planned("parse", "will run", "train 99.gz", changes=(Change(kind="never run"),))]
    groups = grouped([*rows, planned("parse", "cached", "test", version="0" * 16)])
    assert [len(group) for group in groups] == [100, 1]
    (line,) = planned_group(groups[0])
    assert line.plain == "parse      train: 100 parts, 99 cached will run  99.gz: never run"
    few = grouped(rows[:7])
    assert [len(group) for group in few] == [1] * 7


def test_reasons_stand_below_each_other() -> None:
    """Whether or not the version is known under which a stage will run."""
    changes = (Change(kind="code", subject="tasks/parse.py", before="1", after="2"),)
    rows = [planned("parse", "will run", "train", changes=changes, version=version) for version in ("0" * 16, None)]
    known, unknown = (line.plain for row in rows for line in plan_lines(row))
    assert known == f"parse      {'train':27} will run  {'0' * 16}  tasks/parse.py changed"
    assert unknown == known.replace("0" * 16, " " * 16)


def test_a_terminal_has_a_reason_below_its_row() -> None:
    """At 80 columns half a version stays, as in `show`, and a reason that does not fit stands below, whole words."""
    changes = (Change(kind="parameter", subject="training.hidden", before=[50, 50], after=[100, 50]),)
    row = planned("train", "will run", changes=changes, version="0123456789abcdef")
    first, second = (line.plain for line in plan_lines(row, 80))
    assert first == f"train      {'':27} will run  01234567"
    assert second == f"{'':11}training.hidden [50, 50] -> [100, 50]"
    (whole,) = plan_lines(row, 120)
    assert whole.plain == f"train      {'':27} will run  0123456789abcdef  training.hidden [50, 50] -> [100, 50]"


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["cached"] * 2, "x: all 2 stages are cached; a run computes nothing."),
        (["cached", "will run"], "x: 1 of 2 stages cached, 1 to be computed."),
        (
            ["will run", "depends", "depends"],
            "x: 0 of 3 stages cached, 1 to be computed, 2 dependent on the content of earlier stages.",
        ),
    ],
)
def test_a_plan_is_summed_up_in_one_sentence(states: list[str], words: str) -> None:
    """How many stages are cached, how many will run, and, if any are, how many are open."""
    assert plan_total(Plan(dataset="x", stages=tuple(planned("parse", state) for state in states))) == words
