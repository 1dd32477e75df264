"""`idxflow promote`: what it says, what it exits with, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.cli.commands.alias import alias
from idxflow.cli.commands.promote import promote
from idxflow.cli.ending import BELOW, DONE, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.cli.settings import Settings
from idxflow.views.console import Console
from schemas.errors import UsageError
from schemas.verdict import Outcome, Promotion

VERDICT = "f" * 16


def outcome(found: Outcome, *, moved: bool, standing: bool = False) -> RunRecord:
    """Return the record of a run that asked the gate."""
    became = Promotion(
        alias="champion@mnist", outcome=found, moved=moved, standing=standing, words="so it is", verdict=VERDICT
    )
    return RunRecord(
        id="c" * 12, dataset="mnist", state="completed", started="2026-01-01T00:00:00+00:00", seconds=1, flow_run="x",
        promotes="a" * 12, promotion=became,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (outcome("first", moved=True), DONE),
        (outcome("promoted", moved=True), DONE),
        (outcome("forced", moved=True), DONE),
        (outcome("promoted", moved=False, standing=True), DONE),
        (outcome("kept", moved=False), BELOW),
        (outcome("refused", moved=False), BELOW),
    ],
)
def test_the_exit_code_says_whether_the_alias_stands_for_the_model(
    model: Ref, monkeypatch: pytest.MonkeyPatch, record: RunRecord, code: int
) -> None:
    """0 where it does afterwards, or did already; 3 where it does not."""
    asked = []

    def flow(settings: Settings, console: Console, **_: object) -> RunRecord:
        asked.append((settings.alert_below, settings.ephemeral))
        return record

    monkeypatch.setattr("idxflow.cli.promote.run_pipeline", flow)
    assert promote("latest", "champion", alert_below=0.9, ephemeral=True) == code
    assert asked == [(0.9, True)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["latest", "latest"], "alias 'latest': expected up to 64 lower-case letters"),
        (["latest", "champion@"], "found '' where a data set belongs"),
        (["latest", "champion", "--force", " "], "--force: expected a reason, found an empty text"),
        (["nothing", "champion"], "found nothing of that name"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(
    store: Store, model: Ref, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """No server is started for a word that means something else, or for force without a reason."""
    assert main(["promote", *arguments, "--home", str(store.home)]) == WRONG_USAGE
    assert said in capsys.readouterr().err
    assert not (store.home / "server.json").exists()


def test_the_alias_says_by_which_verdict_it_stands(
    store: Store, model: Ref, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its page and its document name the verdict, and the reason of who overruled the gate."""
    artifact = (model.stage, model.version)
    assert Names(store).promote(
        "champion@mnist", artifact, None, VERDICT, "it\nhurts", datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert alias("champion") == DONE
    assert f"Verdict: promote/{VERDICT}, by force: it\\nhurts" in capsys.readouterr().out
    alias("champion@mnist", json=True)
    found = json.loads(capsys.readouterr().out)["current"]
    assert (found["verdict"], found["force"]) == (VERDICT, "it\nhurts")


def test_an_alias_is_moved_across_data_sets_by_force(store: Store, model: Ref) -> None:
    """The command asks for --force where the artifact is of another set than the alias."""
    with pytest.raises(UsageError, match="expected something of leaves, whose alias it is, found something of mnist"):
        alias("champion@leaves", model.version)
    assert alias("champion@leaves", model.version, force=True) == DONE
    assert Names(store).alias("champion@leaves").artifact == ("train", model.version)
