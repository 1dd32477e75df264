"""The home folder is no part of anybody's repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from idxflow.server.environment import ignore_home, prepare_environment


def untracked(folder: Path) -> list[str]:
    """Return what git would add in a folder."""
    asked = ["git", "status", "--porcelain", "--untracked-files=all"]
    found = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True)
    return [line[3:] for line in found.stdout.splitlines()]


def test_git_sees_nothing_of_a_home_folder(desk: Path) -> None:
    """What a run leaves is ignored by the folder itself, whatever the project's own list says."""
    subprocess.run(["git", "init", "--quiet"], cwd=desk, check=True)
    home = desk / ".idxflow"
    prepare_environment(home)
    (home / "artifacts").mkdir()
    (home / "artifacts" / "model.keras").touch()
    assert (home / ".gitignore").read_text().splitlines()[-1] == "*"
    assert untracked(desk) == []


def test_a_home_folder_of_before_gets_it(desk: Path) -> None:
    """A store that an older idxflow made has nothing but idxflow's own in it."""
    for name in ("artifacts", "runs", "prefect", "locks"):
        (desk / "home" / name).mkdir(parents=True)
    (desk / "home" / "server.json").touch()
    ignore_home(desk / "home")
    assert (desk / "home" / ".gitignore").is_file()


@pytest.mark.parametrize("name", ["train.py", ".git", "data"])
def test_a_project_that_is_a_home_folder_is_let_be(name: str, desk: Path) -> None:
    """`--home .` would have git forget the whole project: where anything else lies, nothing is written."""
    (desk / name).mkdir()
    ignore_home(desk)
    assert [path.name for path in desk.iterdir()] == [name]


def test_a_list_of_ones_own_is_kept(desk: Path) -> None:
    """Whoever wants to track the run records says so in that file."""
    (desk / "home").mkdir()
    (desk / "home" / ".gitignore").write_text("artifacts/\n")
    ignore_home(desk / "home")
    assert (desk / "home" / ".gitignore").read_text() == "artifacts/\n"
