"""The command of a sweep: what is read from its options, what is refused, and where the winner's settings go."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from idxflow.cli.main import main
from idxflow.cli.settings import load_settings
from idxflow.cli.tune import read_spaces, sweep_job, target_of, write_best
from idxflow.views.console import Console
from schemas.errors import UsageError
from schemas.tuning import HEADER
from schemas.workers import Workers
from tests.idxflow.conftest import assert_refused

OURS = f"{HEADER}\n# on digits\n\n[training]\nepochs = 3\n"


def screen() -> tuple[Console, io.StringIO]:
    """Return a console, and what it prints."""
    out = io.StringIO()
    return Console(out, out), out


def test_space_is_read_from_options_and_files(tmp_path: Path) -> None:
    """Domains by name and TOML files go together; in a file names may stand below training."""
    (file := tmp_path / "space.toml").write_text(
        '[space]\nmomentum = "0..0.9"\n[space.training]\nhidden = [[5], [6]]\n'
    )
    found = read_spaces(["learning_rate = log:1e-3..1", str(file)])
    assert found == {"learning_rate": "log:1e-3..1", "momentum": "0..0.9", "hidden": [[5], [6]]}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["momentum"], "NAME=DOMAIN"),
        (["none.toml"], "No such file"),
        (["momentum=0..1", "momentum=0..0.5"], "momentum twice"),
    ],
)
def test_wrong_option_is_refused(given: list[str], words: str) -> None:
    """What is neither a domain nor a file, and a field that is named twice, is refused."""
    with pytest.raises(UsageError, match="Nothing has run") as caught:
        read_spaces(given)
    assert words in str(caught.value)


def test_space_of_the_command_line_takes_the_place_of_a_files(desk: Path) -> None:
    """It is not mixed with that of idxflow.toml; all else of the file holds. Processes train, unless somebody says."""
    (desk / "idxflow.toml").write_text('[tune]\ntrials = 5\n[tune.space]\nhidden = "[5]|[6]"\n')
    settings = load_settings({"dataset": "digits", "tune": {"space": {"momentum": "0..0.9"}}})
    job = sweep_job(settings, {"momentum": "0..0.9"}, retry=False)
    assert (job.sweep.space, job.sweep.trials) == ({"momentum": "0..0.9"}, 5)
    assert job.workers == Workers(runner="dask")
    assert sweep_job(load_settings({"dataset": "digits"}), None, retry=False).sweep.space == {"hidden": "[5]|[6]"}
    (desk / "idxflow.toml").write_text('[workers]\nrunner = "threads"\n')
    assert sweep_job(load_settings({"dataset": "digits"}), None, retry=False).workers.runner == "threads"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "momentum=1..2"], "less than 1"),
        (["--space", "epoch=1..2"], "did you mean training.epochs"),
        (["--trials", "0"], "at least 1"),
        (["--promote", "champion"], "no promotion by a sweep"),
        (["--best", "none/best.toml"], "a folder to write to"),
        (["--prune", "--round", "2"], "rounds of 3 trials"),
        (["--set", "training.validation_fraction=0"], "held-out rows"),
    ],
)
def test_wrong_sweep_is_refused_before_anything_runs(
    arguments: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what belongs there; no home folder is made."""
    assert_refused(["tune", "--dataset", "digits", *arguments], words, desk, capsys)


def test_file_of_another_kind_is_not_replaced(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that no sweep has written is refused before the sweep, and so is the profile that the sweep reads."""
    (desk / "best.toml").write_text("mine = 1\n")
    assert main(["tune", "--dataset", "digits"]) == 2
    assert "one of an earlier sweep" in capsys.readouterr().err
    (desk / "best.toml").write_text(OURS)
    assert target_of(Path("best.toml"), None) == desk / "best.toml"
    with pytest.raises(UsageError, match="another file than the profile"):
        target_of(Path("best.toml"), "best.toml")


def test_winner_of_another_sweep_is_kept_beside(tmp_path: Path) -> None:
    """What stood there is moved, unless it is the same; what came there meanwhile stays, with a warning."""
    console, out = screen()
    (stored := tmp_path / "stored.toml").write_text(OURS)
    best = tmp_path / "best.toml"
    assert not write_best(best, stored, console)
    assert not write_best(best, stored, console)
    best.write_text(OURS.replace("3", "4"))
    assert write_best(best, stored, console).endswith("best.before.toml")
    assert (best.read_text(), (tmp_path / "best.before.toml").read_text()) == (OURS, OURS.replace("3", "4"))
    best.write_text("mine = 1\n")
    assert not write_best(best, stored, console)
    assert best.read_text() == "mine = 1\n"
    assert str(stored) in out.getvalue()
