"""What is written to the dashboard, and what a dashboard that cannot be written to does to a run: nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.alarm import BELOW_BOUND, sound_alarm
from flows.bars import describe
from flows.noticeboard import Noticeboard
from schemas.events import Progress
from schemas.results import Metrics
from tests.artifacts.counting import split_metrics
from tests.flows.seeing import events
from tests.processes import until


def test_what_cannot_be_written_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens at the address: each block is left where it fails, and one warning tells of all, without it."""
    passed = 0
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        board = Noticeboard(FlowRun(id=uuid4(), flow_id=uuid4()))
        for _ in range(3):
            with board.writing():
                board.rename("mnist / tutorial", ())
                passed += 1
    assert passed == 0
    (warning,) = caplog.messages
    assert "found ConnectError. The run goes on" in warning
    assert "127.0.0.1" not in warning


def test_an_interruption_is_not_swallowed() -> None:
    """Who presses Ctrl-C while the dashboard is written to is heard."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        board = Noticeboard(FlowRun(id=uuid4(), flow_id=uuid4()))
    with pytest.raises(KeyboardInterrupt), board.writing():
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Progress("a.gz", "bytes", 3_100_000, 9_912_422), "a.gz: 3.1/9.9 MB"),
        (Progress("a.gz", "bytes", 3_100_000, None), "a.gz: 3.1 MB"),
        (
            Progress("train", "epochs", 12, 50, {"accuracy": 0.9891, "loss": 0.0712}),
            "train: 12/50 epochs: loss 0.0712, accuracy 98.91 %",
        ),
    ],
)
def test_a_bar_says_what_of_what(event: Progress, words: str) -> None:
    """Subject, amount done and in all, and the figures where there are any."""
    assert describe(event) == words


@pytest.mark.usefixtures("prefect_server")
def test_the_event_names_the_deployment(tmp_path: Path) -> None:
    """A run of a deployment has it among what its event is related to: automations are bound to deployments."""
    run = FlowRun(id=uuid4(), flow_id=uuid4(), deployment_id=uuid4())
    metrics = tmp_path / "metrics.json"
    metrics.write_text(Metrics(train=split_metrics(0.99), test=split_metrics(0.5)).model_dump_json())
    sound_alarm(metrics, 0.6, run, "mnist", "tutorial")
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{run.id}",
        "prefect.resource.name": "mnist / tutorial",
    }
    (event,) = until(lambda: [each for each in events(BELOW_BOUND) if each["resource"] == resource])
    related = {(each["prefect.resource.role"], each["prefect.resource.id"]) for each in event["related"]}
    assert ("deployment", f"prefect.deployment.{run.deployment_id}") in related
    assert event["payload"]["accuracy"] == 0.5
