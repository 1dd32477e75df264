"""The pull step: it finds the project from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.place import enter_project, project_folder
from schemas.errors import UsageError


def test_the_project_is_entered_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a strange folder, with an absolute IDXFLOW_HOME, the step ends up where prefect.yaml's entrypoints begin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IDXFLOW_HOME", str(tmp_path / "home"))
    assert enter_project() == {"directory": str(project_folder())}
    assert Path.cwd() == project_folder()
    assert Path("flows/pipeline.py").is_file()


def test_a_relative_home_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative IDXFLOW_HOME would be another folder for each worker: it is refused, and nothing is entered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IDXFLOW_HOME", "home")
    with pytest.raises(UsageError, match="IDXFLOW_HOME: expected an absolute path, found 'home'"):
        enter_project()
    assert Path.cwd() == tmp_path
