"""The event that an automation acts on, as it arrives at a real Prefect server."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.alarm import BELOW_BOUND, sound_alarm
from schemas.results import Metrics
from tests.flows.seeing import events
from tests.flows.showing import split_metrics
from tests.processes import until


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
