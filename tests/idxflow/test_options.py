"""The options that several commands share."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from idxflow.cli import options
from idxflow.cli.app import app, run
from idxflow.cli.commands.plan import plan
from idxflow.cli.commands.registry import COMMANDS
from idxflow.cli.options import home_of
from schemas.catalog import dataset_names
from schemas.errors import UsageError
from schemas.stages import STAGES
from schemas.training import PROFILES, Training


def help_of(option: Any) -> str:
    """Return the text of an option."""
    return str(get_args(option)[1].help)


def test_the_home_folder_comes_from_the_strongest_source(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option over the environment over a settings file over the default; always an absolute path."""
    assert home_of(None) == desk / ".idxflow"
    (desk / "idxflow.toml").write_text("home = 'file'\n")
    assert home_of(None) == desk / "file"
    monkeypatch.setenv("IDXFLOW_HOME", "environment")
    assert home_of(None) == desk / "environment"
    assert home_of("option") == desk / "option"
    assert home_of("~/mine") == desk / "mine"
    assert home_of("elsewhere/../mine/") == desk / "mine"
    assert home_of("/srv/idxflow") == Path("/srv/idxflow")


def test_to_name_a_home_folder_makes_none(desk: Path) -> None:
    """Whoever asks is told where it would be."""
    home_of("somewhere")
    assert not list(desk.iterdir())


def test_a_wrong_setting_is_told_by_every_command(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable or a file that does not read is refused, though only the home folder is asked for."""
    (desk / "idxflow.toml").write_text("hoem = 'x'\n")
    with pytest.raises(UsageError, match="hoem"):
        home_of(None)
    (desk / "idxflow.toml").unlink()
    monkeypatch.setenv("IDXFLOW_HOEM", "x")
    with pytest.raises(UsageError, match="IDXFLOW_HOEM"):
        home_of("given")


def test_the_texts_name_every_value() -> None:
    """Data sets, profiles, stages and training options: none is forgotten in the help."""
    for option, values in (
        (options.Dataset, dataset_names()),
        (options.Profile, PROFILES),
        (options.Refresh, STAGES),
        (options.Assign, set(Training.model_fields) - {"profile"}),
    ):
        assert set(values) <= set(re.findall(r"[\w-]+", help_of(option).partition("[")[0]))


def test_a_plan_takes_the_options_of_a_run() -> None:
    """Whatever decides what a run does can be given to `plan` as well, and nothing that `run` does not know."""
    of_run, of_plan = (get_type_hints(function, include_extras=True) for function in (run, plan))
    assert set(of_run) - set(of_plan) == {"alert_below", "ephemeral", "verbose"}
    assert of_plan.items() <= of_run.items()


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_names_its_home_and_its_document_alike(name: str) -> None:
    """Each command takes --home, and --json if it has a document, with the text that all have."""
    function = app[name].default_command
    assert callable(function)
    hints = get_type_hints(function, include_extras=True)
    assert (hints["home"], hints.get("json", options.Json)) == (options.Home, options.Json)
    assert inspect.signature(function).parameters["home"].kind is inspect.Parameter.KEYWORD_ONLY
