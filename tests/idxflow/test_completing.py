"""What the Tab key offers, asked as bash asks: through the script that `idxflow completion` prints."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.completing import paths
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from idxflow.cli.options import STAGES
from schemas.training import Training
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build
from tests.processes import PROJECT, bare_environment


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return what the program offers for the last of some words, as the scripts of the shells read it."""
    assert main(["__complete", *words]) == DONE
    begin, *lines = capsys.readouterr().out.strip("\n").split("\n")
    assert begin == "\x1fbegin"
    return [line.partition("\t")[0] for line in lines]


@pytest.fixture
def model(store: Store) -> Ref:
    """A model with its run and an alias."""
    ref = build(store, {"model.keras": b"weights"}, "train")
    write_run(store, "a" * 12, [stage_record(ref)])
    write_run(store, "b" * 12, [], minute=1, state="failed", dataset="digits")
    Names(store).set_alias("champion", ref.stage, ref.version, datetime(2026, 1, 1, tzinfo=UTC))
    return ref


@pytest.mark.parametrize(
    "words", [("show",), ("compare", "latest"), ("alias", "best"), ("lineage",), ("pin",)], ids=str
)
def test_runs_and_names_are_offered(words: tuple[str, ...], model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a run or an artifact is wanted there are latest, latest of a set, the aliases, and the ids of runs."""
    found = offered(capsys, *words, "")
    assert found[:2] == ["latest", "latest@mnist"]
    assert found[2] == "champion"
    assert found[-2:] == ["b" * 12, "a" * 12]


def test_versions_are_offered_behind_their_stage(model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """`show train/` goes on with the versions of that stage."""
    assert offered(capsys, "show", "train/") == [f"train/{model.version}"]


def test_the_home_folder_that_was_typed_counts(model: Ref, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names are those of --home; in one without a store, and in one that was never made, there are none."""
    (desk / ".idxflow").rename(desk / "elsewhere")
    assert offered(capsys, "show", "") == []
    assert "latest" in offered(capsys, "show", "--home", "elsewhere", "")
    assert not (desk / ".idxflow").exists()


def test_data_sets_are_those_of_the_catalog_and_of_this_machine(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run takes a name or a place; a folder that stands alone is offered with what is in it."""
    (desk / "photos" / "oak").mkdir(parents=True)
    (desk / "leaves.toml").touch()
    (desk / "notes.txt").touch()
    found = offered(capsys, "run", "--dataset", "")
    assert found == ["digits", "fashion-mnist", "kmnist", "mnist", "leaves.toml", "photos/"]
    assert offered(capsys, "run", "--dataset", "pho")[4:] == ["photos/", "photos/oak/"]
    assert paths(str(desk / "no" / "where"), None) == []


def test_runs_are_listed_of_sets_that_have_some(model: Ref, capsys: pytest.CaptureFixture[str]) -> None:
    """`runs --dataset` offers those that it would not refuse."""
    assert offered(capsys, "runs", "--dataset", "") == ["digits", "mnist"]


def test_words_of_options_are_offered(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stages, fields of the configuration, profiles and formats."""
    assert offered(capsys, "run", "--refresh", "") == [*STAGES]
    assert offered(capsys, "run", "--set", "") == [
        f"training.{name}=" for name in Training.model_fields if name != "profile"
    ]
    assert offered(capsys, "plan", "--profile", "") == ["tutorial", "tuned"]
    assert offered(capsys, "export", "latest", "x", "--format", "")[0] == "keras"


def test_what_goes_wrong_offers_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A settings file that does not read is no error of whoever types; there is no traceback in the prompt."""
    Path("idxflow.toml").write_text("hoem = 'x'\n")
    assert offered(capsys, "show", "") == []


def test_bash_completes(model: Ref, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a real bash, with the printed script: commands, options, and the ids of runs."""
    assert main(["completion", "bash"]) == DONE
    (desk / "completion.sh").write_text(capsys.readouterr().out)
    program = desk / "bin" / "idxflow"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m idxflow "$@"\n')
    program.chmod(0o755)

    def complete(*words: str) -> list[str]:
        typed = " ".join(map(shlex.quote, ("idxflow", *words)))
        asked = f"source ./completion.sh; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _idxflow"
        asked += '; printf "%s\\n" "${COMPREPLY[@]}"'
        path = f"{program.parent}:{os.environ['PATH']}"
        environment = bare_environment(PYTHONPATH=str(PROJECT), PATH=path, HOME=str(desk))
        done = subprocess.run(
            ["bash", "-c", asked], capture_output=True, text=True, check=True, cwd=desk, env=environment
        )
        assert not done.stderr
        return done.stdout.split()

    assert {"run", "runs", "remote"} <= set(complete("r"))
    assert complete("run", "--verb") == ["--verbose"]
    assert complete("show", "aa") == ["a" * 12]
    assert complete("server", "st") == ["start", "stop", "status"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each script asks the program for what changes, and knows the commands."""
    assert main(["completion", shell]) == DONE
    script = capsys.readouterr().out
    assert "__complete" in script
    assert "describe" in script
